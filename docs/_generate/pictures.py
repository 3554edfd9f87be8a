# ruff: noqa: INP001 (a folder that Python runs)
"""The pictures of README and the home page: the output of the demo, and a result in a notebook."""

from __future__ import annotations

import asyncio
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from ecr_layer_client.cli.app import app
from ecr_layer_client.local import LocalECR, SampleImage, sample_images

if TYPE_CHECKING:
    from ecr_layer_client import LayerCheckResults

_COLUMNS = 64
# rich's own format names fonts of another host.
_TERMINAL = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>The output of ecr-layers demo</title>
<style>
.{unique_id}-matrix {{ font: {char_height}px/{line_height}px monospace; }}
.{unique_id}-title {{ font: bold 18px sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
_CARD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {height}" role="img">
<title>A result in a notebook</title>
<foreignObject width="640" height="{height}">
<div xmlns="http://www.w3.org/1999/xhtml" style="box-sizing:border-box;height:{height}px;\
padding:.5em 1em;background:{background};color:{text};font-family:sans-serif">{html}</div>
</foreignObject>
</svg>
"""
_CARD_HEIGHT = 475  # pixels


class Scheme(NamedTuple):
    """The colours of a page."""

    background: str
    text: str


SCHEMES = {"light": Scheme("#ffffff", "#1f2328"), "dark": Scheme("#1e1e1e", "#e6edf3")}


def terminal() -> str:
    """Draw a terminal with the table of the demo."""
    ran = CliRunner().invoke(app, ["demo"], env={"COLUMNS": str(_COLUMNS)}, catch_exceptions=False)
    console = Console(record=True, width=_COLUMNS + 2, file=StringIO())
    table, _, _next_steps = ran.output.partition("\n\n")
    # The seconds differ in each run.
    lines = [line for line in table.splitlines() if not line.startswith("│ seconds ")]
    console.print(Text("\n".join(("$ ecr-layers demo", *lines))))
    return console.export_svg(title="", code_format=_TERMINAL, unique_id="demo")


def card(results: LayerCheckResults, scheme: Scheme) -> str:
    """Draw results as a notebook shows them."""
    return _CARD.format(
        html=results._repr_html_(),
        height=_CARD_HEIGHT,
        background=scheme.background,
        text=scheme.text,
    )


async def last_images() -> LayerCheckResults:
    """Check the last image of each sample repository, which holds all of its other images."""
    images: dict[str, list[SampleImage]] = {}
    for image in sample_images():
        images.setdefault(image.repository, []).append(image)

    async with LocalECR(in_memory=True) as ecr, ecr.client() as client:
        for repository, its in images.items():
            ecr.seed(repository, [layer for image in its[:-1] for layer in image.layers])
        return await client.check_many(
            {name: [layer.digest for layer in its[-1].layers] for name, its in images.items()}
        )


def files() -> dict[str, str]:
    """Return each picture by the path of its file in docs."""
    results = asyncio.run(last_images())
    cards = {f"pictures/card-{name}.svg": card(results, each) for name, each in SCHEMES.items()}
    return {"pictures/demo.svg": terminal(), **cards}
