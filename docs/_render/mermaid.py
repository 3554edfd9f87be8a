# ruff: noqa: INP001 (mkdocs is given this file by its path)
"""Adds Mermaid, which draws the diagrams, to the site.

`make docs` installs it from npm. Without npm, the theme loads it from another host.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

INSTALLED = Path(".venv/npm/node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js")
URL = "javascripts/mermaid.tiny.js"  # the pages with a diagram load it from there


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the script to the files of the site."""
    path = Path(config.config_file_path).parent / INSTALLED
    if path.is_file():
        files.append(File.generated(config, URL, abs_src_path=str(path)))
    return files
