# ruff: noqa: INP001 (a folder that Python runs)
"""The file `llms.txt`: the pages of the site with their descriptions, for language models."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

_DOCS = Path(__file__).parents[1]
_DESCRIPTION = re.compile(r"^description: (.+)$", re.MULTILINE)
_BEGIN = """\
# ecr_layer_client

> Typed, async Python client for the layers and images in Amazon ECR. It checks which layers a
> repository already holds, plans pushes, verifies images, and pushes, pulls and copies them.

The package is `ecr_layer_client`, for Python 3.11 or newer. `ECRLayerClient` is the client, and
`ecr_layer_client.local.LocalECR` a local ECR for tests, without an AWS account.
"""


class _Settings(yaml.SafeLoader):
    """Reads mkdocs.yml without the Python objects that it names."""


_Settings.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)


def files() -> dict[str, str]:
    """Return the file by its path in docs."""
    text = (_DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    settings = yaml.load(text, Loader=_Settings)  # noqa: S506 (a SafeLoader)
    return {"llms.txt": _BEGIN + "".join(_lines(settings["nav"], "Start"))}


def _lines(nav: list[dict[str, Any]], section: str) -> Iterator[str]:
    pages = [(title, value) for each in nav for title, value in each.items()]
    own = [(title, path) for title, path in pages if isinstance(path, str)]
    if own:
        yield f"\n## {section}\n\n"
    for title, path in own:
        yield f"- [{title}]({re.sub(r'[.](md|ipynb)$', '.html', path)}): {_description(path)}\n"
    for title, inner in pages:
        if not isinstance(inner, str):
            yield from _lines(inner, title)


def _description(path: str) -> str:
    text = (_DOCS / path).read_text(encoding="utf-8")
    if path.endswith(".ipynb"):
        paragraph: str = "".join(json.loads(text)["cells"][0]["source"]).split("\n\n")[1]
        return paragraph.partition(". ")[0] + "."
    found = _DESCRIPTION.search(text)
    if found is None:
        msg = f"docs/{path} has no description in its front matter"
        raise ValueError(msg)
    return found[1]
