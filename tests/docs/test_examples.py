"""Every Python example of README, of the pages and of the docstrings runs as it is shown."""

from __future__ import annotations

import doctest
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any

import pytest

import ecr_layer_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Block, Examples

_ROOT = Path(__file__).parents[2]
_PAGES = [
    path.relative_to(_ROOT).as_posix()
    for path in (*sorted(_ROOT.glob("*.md")), *sorted(_ROOT.glob("docs/**/*.md")))
]
_MODULES = [
    "ecr_layer_client",
    *(
        module.name
        for module in walk_packages(ecr_layer_client.__path__, "ecr_layer_client.")
        # Importing this module runs it.
        if not module.name.endswith("__main__")
    ),
]


@pytest.mark.parametrize("page", _PAGES)
def test_the_examples_of_a_page_run(
    page: str, examples: Examples, blocks: Callable[..., list[Block]]
) -> None:
    """Each Python block of a page runs after the ones above it, and prints what the page shows."""
    path = _ROOT / page
    examples.run(blocks(path.read_text(encoding="utf-8")), str(path))


@pytest.mark.parametrize("module", _MODULES)
def test_the_examples_of_a_module_run(
    module: str, examples: Examples, blocks: Callable[..., list[Block]]
) -> None:
    """Each doctest and each Python block of a module's docstrings runs, with the module's names."""
    known = dict(examples.names)

    for test in doctest.DocTestFinder().find(import_module(module)):
        examples.names = _names(module) | known
        examples.doctest(test)

        fenced = [
            block
            for block in blocks(test.docstring, (test.lineno or 0) + 1)
            if block.language == "python"
        ]
        examples.run(fenced, str(test.filename))


def _names(module: str) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(import_module(module)).items()
        if not name.startswith("__")
    }


def test_the_tutorial_builds_a_file_of_tests(
    root: Path, blocks: Callable[..., list[Block]], tmp_path: Path
) -> None:
    """The Python blocks of the step "Test your own code", in one file, are tests that pass."""
    page = (root / "docs/tutorial.md").read_text(encoding="utf-8")
    step = page.partition("## 6. Test your own code\n")[2].partition("\n## ")[0]
    parts = [block.text for block in blocks(step) if block.language == "python"]
    (tmp_path / "test_plan.py").write_text("\n\n".join(parts), encoding="utf-8")

    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "test_plan.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout.count("2 passed")) == (0, 1), run.stdout


def test_an_example_that_prints_something_else_fails(
    examples: Examples, blocks: Callable[..., list[Block]]
) -> None:
    """A "prints" block that differs from the output of the example above it is an error."""
    page = '```python\nprint("one")\n```\n\n```text title="prints"\ntwo\n```\n'
    with pytest.raises(AssertionError):
        examples.run(blocks(page), "page.md")


def test_an_example_that_fails_names_its_line_in_the_page(
    examples: Examples, blocks: Callable[..., list[Block]]
) -> None:
    """A traceback names the line of the page."""
    with pytest.raises(ZeroDivisionError) as raised:
        examples.run(blocks("# Title\n\n```python\none = 1\none / 0\n```\n"), "page.md")
    assert raised.traceback[-1].lineno == 4  # counted from 0
