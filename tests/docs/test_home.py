"""Each example of the home page and of README is a program of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Block


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
