# ruff: noqa: INP001 (a folder that Python runs)
"""Writes the files in docs that are made from the code: `python docs/_generate`."""

from __future__ import annotations

from pathlib import Path

import api
import llms
import notebooks
import pictures
import schemas

DOCS = Path(__file__).parents[1]
# llms.txt names the page that api.py writes.
MODULES = (api, schemas, pictures, notebooks, llms)

if __name__ == "__main__":
    for module in MODULES:
        for path, text in module.files().items():
            (DOCS / path).write_text(text, encoding="utf-8")
