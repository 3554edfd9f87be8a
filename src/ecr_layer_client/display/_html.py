"""`html_of`: a description as HTML for notebooks.

Styles are inline and there is no script, for a notebook is looked at where neither a stylesheet nor
a script of ours comes through. Text and lines have the page's own colour, and the colours of the
parts stand out from white and from dark backgrounds alike, so that one HTML serves all themes.
Where styles are taken away, too, as on GitHub, the tables still say all.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ecr_layer_client._text.byte_sizes import human_bytes

from ._cells import cell_text
from ._description import Tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._description import Description, Part, Table

# Contrast is at least 3 : 1 with white and with #1e1e1e; told apart by the colour-blind, and never
# alone: each has its word beside it.
COLOURS = {
    Tone.GOOD: "#00936b",
    Tone.HELD: "#b27a00",
    Tone.NEW: "#1f83c4",
    Tone.BAD: "#d5500a",
    Tone.REST: "#808488",
}
_LINE = "1px solid rgba(128,132,136,.35)"
_CELL = "padding:.15em 1.2em .15em 0;border:0;background:transparent;vertical-align:baseline;text-align:left;color:inherit;font-size:1em"
_NUMBER = f"{_CELL};text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap"
_TABLE = "margin:0;border:0;border-collapse:collapse;background:transparent;color:inherit;font-size:1em;width:auto;display:table"
_QUIET = "opacity:.8"
# On paper, and where the user chose the colours.
_COLOURED = "print-color-adjust:exact;forced-color-adjust:none"
_CAPTION = (
    "caption-side:top;padding:0 0 .2em;text-align:left;color:inherit;font-size:1em;font-weight:600"
)
_LEGIBLE = 17  # em: a column of long texts is no narrower, and the table scrolls instead


def html_of(description: Description) -> str:
    """Render a description as one `div`."""
    return "".join(_elements(description))


def _elements(description: Description) -> Iterator[str]:
    style = "max-width:46em;margin:.4em 0;padding:.7em 1em;border-radius:6px;font-size:13px;line-height:1.45;color:inherit"
    yield f'<div class="ecr-layer-client" role="group" aria-label="{escape(description.title)}" style="{style};border:{_LINE}">'
    yield f'<div style="font-weight:600">{escape(description.title)}</div><div>{escape(description.verdict)}</div>'
    if description.parts:
        yield _bar(description)
        yield _legend(description.parts)
    for name, value in description.facts:
        yield f'<div style="margin-top:.2em;overflow-wrap:anywhere"><span style="{_QUIET}">{escape(name)}:</span> {escape(value)}</div>'
    for table in description.tables:
        yield from _table(table)
    yield "</div>"


def _bar(description: Description) -> str:
    style = f"display:flex;gap:2px;height:.75em;margin:.5em 0;border-radius:3px;overflow:hidden;{_COLOURED}"
    parts = "".join(
        f'<div style="flex:{weight} 1 0;min-width:3px;background:{COLOURS[part.tone]}"></div>'
        for part, weight in zip(description.parts, description.weights, strict=True)
    )
    return (
        f'<div role="img" aria-label="{escape(description.bar_text)}" style="{style}">{parts}</div>'
    )


def _legend(parts: tuple[Part, ...]) -> str:
    has_sizes = any(part.size for part in parts)
    rows = "".join(_legend_row(part, has_sizes=has_sizes) for part in parts)
    return f'<table class="ecr-layer-client" style="{_TABLE}"><tbody>{rows}</tbody></table>'


def _legend_row(part: Part, *, has_sizes: bool) -> str:
    style = f"display:inline-block;width:.75em;height:.75em;margin-right:.5em;border-radius:2px;background:{COLOURS[part.tone]}"
    swatch = f'<span aria-hidden="true" style="{style};{_COLOURED}"></span>'
    size = (
        f'<td style="{_NUMBER}">{human_bytes(part.size) if part.size else ""}</td>'
        if has_sizes
        else ""
    )
    name = f'<th scope="row" style="{_CELL};font-weight:inherit">{swatch}{escape(part.label)}</th>'
    return f'<tr style="background:transparent">{name}<td style="{_NUMBER}">{part.count:,}</td>{size}</tr>'


def _table(table: Table) -> Iterator[str]:
    style = f"margin-top:.6em;padding-top:.4em;border-top:{_LINE};overflow-x:auto"
    caption = f'<caption style="{_CAPTION}">{escape(table.caption)}</caption>'
    yield f'<div style="{style}"><table class="ecr-layer-client" style="{_TABLE}">{caption}<thead><tr style="background:transparent">'
    first = table.rows[0]
    for column, cell in zip(table.columns, first, strict=True):
        yield f'<th scope="col" style="{_NUMBER if isinstance(cell, int) else _CELL};font-weight:inherit;{_QUIET}">{escape(column)}</th>'
    yield "</tr></thead><tbody>"
    for row in table.rows:
        yield f'<tr style="background:transparent">{"".join(map(_cell, row))}</tr>'
    yield "</tbody></table></div>"


def _cell(cell: str | int) -> str:
    if isinstance(cell, int):
        return f'<td style="{_NUMBER}">{escape(cell_text(cell))}</td>'
    style = f"{_CELL};min-width:{_LEGIBLE}em" if len(cell) > 2 * _LEGIBLE else _CELL
    return f'<td style="{style}">{escape(cell)}</td>'
