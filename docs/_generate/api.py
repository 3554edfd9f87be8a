# ruff: noqa: INP001 (a folder that Python runs)
"""The page that lists the whole API: each public name, its first sentence, and its members."""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = Path(__file__).parents[1] / "reference"
_PAGES = (
    *("client", "values", "options", "errors", "protocols"),
    *("images", "transfers", "distributed", "local", "integrations", "testing"),
)
_PACKAGE = "ecr_layer_client"
_ENTRY = re.compile(
    r"^::: (\S+)$(?P<inherits>\n    options:\n      inherited_members: true)?", re.MULTILINE
)
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
_BEGIN = """\
---
description: Every public name with one sentence, on one page.
---

# The whole API

This page lists every public name with the first sentence of its documentation. The links lead to
the details: parameters, defaults, errors and examples. Methods of a class stand below it.
"""


def files() -> dict[str, str]:
    """Return the page by its path in docs."""
    sections = "".join(_section(name) for name in _PAGES)
    return {"reference/index.md": f"{_BEGIN}{sections}"}


def _section(page: str) -> str:
    text = (_FOLDER / f"{page}.md").read_text(encoding="utf-8")
    title = _TITLE.search(text)
    entries = _ENTRY.finditer(text)
    rows = "".join(row for found in entries for row in _rows(page, found[1], found["inherits"]))
    head = "| Name | What it is or does |\n|---|---|\n"
    return f"\n## {title[1] if title else page}\n\n{head}{rows}"


def _rows(page: str, entry: str, inherits: str | None) -> Iterator[str]:
    """Yield the row of a name, and those of its methods and properties."""
    module, _, name = entry.rpartition(".")
    value = getattr(import_module(module), name)
    yield _row(f"{page}.md#{entry}", name + _call(value), _sentence(value, name) + _fields(value))

    if inspect.isclass(value) and not issubclass(value, BaseException):
        for member, method in _members(value, is_whole=inherits is not None):
            link = f"{page}.md#{entry}.{member}"
            yield _row(link, f".{member}{_call(method)}", _sentence(method))


def _row(link: str, name: str, sentence: str) -> str:
    return f"| [`{name}`]({link}) | {sentence} |\n"


def _members(kind: type, *, is_whole: bool) -> Iterator[tuple[str, Any]]:
    """Yield what a class defines, without its fields and special methods.

    What it inherits is included if the page shows the whole class.
    """
    bases = reversed(kind.__mro__) if is_whole else [kind]
    members = {name: value for base in bases for name, value in vars(base).items()}
    for name, value in members.items():
        held = getattr(value, "__func__", getattr(value, "fget", getattr(value, "func", value)))
        if not name.startswith("_") and inspect.isfunction(held):
            yield name, value


def _fields(value: Any) -> str:
    """Return the fields of a class, or the members of an enum, after a colon."""
    if not inspect.isclass(value):
        return ""
    members = getattr(value, "__members__", None) or inspect.get_annotations(value)
    names = [f"`{name}`" for name in members if not name.startswith("_")]
    return f": {', '.join(names)}" if names else ""


def _call(value: Any) -> str:
    function = inspect.unwrap(getattr(value, "__func__", value))
    return "()" if inspect.isfunction(function) else ""


def _sentence(value: Any, name: str = "") -> str:
    """Return the first sentence of a docstring, in one line and without its full stop."""
    held = inspect.unwrap(value)
    is_documented = inspect.isroutine(held) or inspect.isclass(held) or not name
    text = inspect.getdoc(held) if is_documented else _below(name)
    paragraph = (text or "").partition("\n\n")[0]
    sentence = re.split(r"(?<=\.)\s", " ".join(paragraph.split()))[0]
    return sentence.removesuffix(".").replace("|", "\\|")


def _below(name: str) -> str | None:
    """Return the docstring below the assignment of a name."""
    assigned = re.compile(rf'^{name}\b[^\n]* = [^\n]*\n"""(.*?)"""', re.MULTILINE | re.DOTALL)
    for module in [module for key, module in sys.modules.items() if key.startswith(_PACKAGE)]:
        if found := assigned.search(inspect.getsource(module)):
            return found[1]
    return None
