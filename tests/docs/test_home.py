"""The home page and README: each example is a program, and the pictures are up to date."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Block

_SECONDS = re.compile(r"│ seconds +│ +[\d.]+ │")


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_each_example_is_a_program(
    page: str, root: Path, blocks: Callable[..., list[Block]], tmp_path: Path
) -> None:
    """Each Python block, saved as a file, prints the block below it."""
    shown = [
        block
        for block in blocks((root / page).read_text(encoding="utf-8"))
        if block.language == "python" or block.title == 'title="prints"'
    ]
    programs, expected = shown[::2], shown[1::2]
    printed = [_printed(tmp_path / "first.py", program.text) for program in programs]
    assert printed == [block.text for block in expected]


def _printed(file: Path, text: str) -> str:
    file.write_text(text, encoding="utf-8")
    run = (sys.executable, "-W", "error", file)
    finished = subprocess.run(run, capture_output=True, text=True, check=False)
    return finished.stdout + finished.stderr


@pytest.fixture(scope="module")
def drawing(root: Path) -> Any:
    """Return the module that draws the pictures."""
    file = root / "docs" / "_render" / "pictures.py"
    spec = spec_from_file_location("pictures", file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pictures_are_up_to_date(drawing: Any) -> None:
    """Each stored picture has the words that it has when it is drawn again.

    If not, run `make pictures`. The seconds of the demo differ from run to run.
    """
    drawn = {name: _words(picture) for name, picture in drawing.pictures().items()}
    stored = {
        path.name: _words(path.read_text(encoding="utf-8"))
        for path in drawing.FOLDER.glob("*.svg")
        if path.name in drawn
    }
    assert stored == drawn


def _words(picture: str) -> list[str]:
    """Return the pieces of text of a picture, which must be well-formed."""
    texts = ElementTree.fromstring(picture).itertext()  # noqa: S314 (the project's own picture)
    words = [" ".join(text.split()) for text in texts]
    return [_SECONDS.sub("", word) for word in words if word]
