# ruff: noqa: INP001 (mkdocs is given this file by its path)
"""Links the reference to the documentation of Python, pydantic and other libraries.

`elsewhere.txt` has their pages, each with the names that it describes. The build needs no network.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

_PAGES = Path(__file__).with_suffix(".txt")
# The names of anchors that differ from the name that is imported.
_ANCHORS = {"pydantic.Field": "pydantic.fields.Field"}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Tell the plugin that resolves references where each name is described."""
    references = config.plugins["autorefs"]
    for line in _PAGES.read_text(encoding="utf-8").splitlines():
        page, *names = line.split()
        for name in names:
            references.register_url(name, f"{page}#{_ANCHORS.get(name, name)}")
    return files
