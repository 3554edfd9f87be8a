# ruff: noqa: INP001 (mkdocs is given this file by its path)
"""Fences the doctests of docstrings while the reference is built.

Without a fence, Markdown reads `>>>` as a quotation in a quotation.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

# A `>>>` line and what follows it, as far as the next blank line.
_DOCTEST = re.compile(r"^(?P<indent> *)>>> .*(?:\n(?! *$).+)*", re.MULTILINE)


class FencedDoctests(griffe.Extension):
    """Called with each object that griffe loads."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Fence the doctests of its docstring."""
        if obj.docstring is not None:
            obj.docstring.value = _DOCTEST.sub(
                r"\g<indent>```pycon\n\g<0>\n\g<indent>```", obj.docstring.value
            )
