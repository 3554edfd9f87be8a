"""`html_of` renders a description as HTML for notebooks.

- Styles are inline and there is no script, because many viewers of notebooks remove stylesheets and
  scripts.
- One HTML serves all themes. Text and lines have the colour of the page, and the colours of the
  parts are visible on white and on dark backgrounds.
- Some viewers, such as GitHub, also remove inline styles. There the tables still have all facts.
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

# Each colour has a contrast of at least 3 : 1 with white and with #1e1e1e. Colour-blind readers can
# distinguish them. A colour never stands alone: each has a word beside it.
COLOURS = {
    Tone.GOOD: "#00936b",
    Tone.HELD: "#b27a00",
    Tone.NEW: "#1f83c4",
    Tone.BAD: "#d5500a",
    Tone.REST: "#808488",
}
_LINE = "1px solid rgba(128,132,136,.35)"
_CELL = (
    "padding:.15em 1.2em .15em 0;border:0;background:transparent;vertical-align:baseline;"
    "text-align:left;color:inherit;font-size:1em"
)
_NUMBER = f"{_CELL};text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap"
_TABLE = (
    "margin:0;border:0;border-collapse:collapse;background:transparent;color:inherit;"
    "font-size:1em;width:auto;display:table"
)
_FRAME = (
    f"max-width:46em;margin:.4em 0;padding:.7em 1em;border-radius:6px;font-size:13px;"
    f"line-height:1.45;color:inherit;border:{_LINE}"
)
_QUIET = "opacity:.8"
# Keep the colours on paper, and if the user has chosen other colours.
_COLOURED = "print-color-adjust:exact;forced-color-adjust:none"
_BAR = (
    f"display:flex;gap:2px;height:.75em;margin:.5em 0;border-radius:3px;overflow:hidden;{_COLOURED}"
)
_SWATCH = (
    "display:inline-block;width:.75em;height:.75em;margin-right:.5em;border-radius:2px;background:"
)
_CAPTION = (
    "caption-side:top;padding:0 0 .2em;text-align:left;color:inherit;font-size:1em;font-weight:600"
)
_ROW = '<tr style="background:transparent">'
# A column of long texts is not narrower than this many em. A wider table scrolls instead.
_MIN_TEXT_EM = 17


def html_of(description: Description) -> str:
    """Render a description as one `div`."""
    return "".join(_elements(description))


def _elements(description: Description) -> Iterator[str]:
    title = escape(description.title)
    yield (
        f'<div class="ecr-layer-client" role="group" aria-label="{title}" style="{_FRAME}">'
        f'<div style="font-weight:600">{title}</div><div>{escape(description.verdict)}</div>'
    )

    if description.parts:
        yield _bar(description)
        yield _legend(description.parts)
    for name, value in description.facts:
        yield _fact(escape(name), escape(value))
    for table in description.tables:
        yield from _table(table)
    yield "</div>"


def _fact(name: str, value: str) -> str:
    return (
        f'<div style="margin-top:.2em;overflow-wrap:anywhere">'
        f'<span style="{_QUIET}">{name}:</span> {value}</div>'
    )


def _bar(description: Description) -> str:
    parts = "".join(
        f'<div style="flex:{weight} 1 0;min-width:3px;background:{COLOURS[part.tone]}"></div>'
        for part, weight in zip(description.parts, description.weights, strict=True)
    )
    return (
        f'<div role="img" aria-label="{escape(description.bar_text)}" style="{_BAR}">{parts}</div>'
    )


def _legend(parts: tuple[Part, ...]) -> str:
    has_sizes = any(part.size for part in parts)
    rows = "".join(_legend_row(part, has_sizes=has_sizes) for part in parts)
    return f'<table class="ecr-layer-client" style="{_TABLE}"><tbody>{rows}</tbody></table>'


def _legend_row(part: Part, *, has_sizes: bool) -> str:
    style = f"{_SWATCH}{COLOURS[part.tone]};{_COLOURED}"
    swatch = f'<span aria-hidden="true" style="{style}"></span>'
    name = f'<th scope="row" style="{_CELL};font-weight:inherit">{swatch}{escape(part.label)}</th>'
    count = f'<td style="{_NUMBER}">{part.count:,}</td>'

    size = ""
    if has_sizes:
        size = f'<td style="{_NUMBER}">{human_bytes(part.size) if part.size else ""}</td>'
    return f"{_ROW}{name}{count}{size}</tr>"


def _table(table: Table) -> Iterator[str]:
    style = f"margin-top:.6em;padding-top:.4em;border-top:{_LINE};overflow-x:auto"
    caption = f'<caption style="{_CAPTION}">{escape(table.caption)}</caption>'
    columns = zip(table.columns, table.rows[0], strict=True)
    heads = "".join(_head(column, cell) for column, cell in columns)
    yield (
        f'<div style="{style}"><table class="ecr-layer-client" style="{_TABLE}">{caption}'
        f"<thead>{_ROW}{heads}</tr></thead><tbody>"
    )

    for row in table.rows:
        yield f"{_ROW}{''.join(map(_cell, row))}</tr>"
    yield "</tbody></table></div>"


def _head(column: str, cell: str | int) -> str:
    style = f"{_NUMBER if isinstance(cell, int) else _CELL};font-weight:inherit;{_QUIET}"
    return f'<th scope="col" style="{style}">{escape(column)}</th>'


def _cell(cell: str | int) -> str:
    if isinstance(cell, int):
        return f'<td style="{_NUMBER}">{escape(cell_text(cell))}</td>'

    style = f"{_CELL};min-width:{_MIN_TEXT_EM}em" if len(cell) > 2 * _MIN_TEXT_EM else _CELL
    return f'<td style="{style}">{escape(cell)}</td>'
