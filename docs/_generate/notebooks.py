# ruff: noqa: INP001 (a folder that Python runs)
"""The example notebooks with their outputs, so that they can be read without running them."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

from nbclient import NotebookClient

# nbformat has no types.
_NBFORMAT: Any = import_module("nbformat")
_DOCS = Path(__file__).parents[1]
_PATHS = ("notebooks/explore.ipynb", "notebooks/push.ipynb")


def files() -> dict[str, str]:
    """Return each notebook, executed, by its path in docs."""
    return {path: f"{_NBFORMAT.writes(executed(_DOCS / path))}\n" for path in _PATHS}


def executed(path: Path) -> Any:
    """Run a notebook in a new kernel, without AWS settings, and return it."""
    notebook = _NBFORMAT.read(path, as_version=4)
    metadata = dict(notebook.metadata)
    settings = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with patch.dict(os.environ, settings, clear=True):
        client = NotebookClient(notebook, timeout=60, kernel_name="python3", record_timing=False)
        client.execute()
    # Without the version of Python that ran it, and without widgets, which need a kernel.
    notebook.metadata = metadata
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_widget(output)]
    return notebook


def _is_widget(output: Any) -> bool:
    return "application/vnd.jupyter.widget-view+json" in output.get("data", {})
