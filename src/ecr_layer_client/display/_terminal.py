"""`renderable_of` renders a description for the consoles of rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecr_layer_client._text.byte_sizes import human_bytes

from ._cells import cell_text
from ._description import Tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderableType
    from rich.table import Table as RichTable
    from rich.text import Text

    from ._description import Description, Table

# The width of a bar, in cells of the terminal.
_MAX_BAR_CELLS = 60
# A colour, a block, and an ASCII character for consoles without the block. The blocks and the
# characters differ, so that the parts can be distinguished without colours.
_INKS = {
    Tone.GOOD: ("green", "\N{FULL BLOCK}", "#"),
    Tone.HELD: ("yellow", "\N{DARK SHADE}", "+"),
    Tone.NEW: ("cyan", "\N{MEDIUM SHADE}", "-"),
    Tone.BAD: ("red", "\N{BLACK SQUARE}", "!"),
    Tone.REST: ("default", "\N{LIGHT SHADE}", "."),
}


def renderable_of(description: Description) -> ConsoleRenderable:
    """Render a description as a panel. Its content is text, never markup."""
    return _Shown(description)


class _Shown:
    """A panel that is rendered when the console gives its width and its characters."""

    def __init__(self, description: Description) -> None:
        self._description = description

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        from rich.console import Group  # noqa: PLC0415 (optional; rich alone calls this)
        from rich.panel import Panel  # noqa: PLC0415 (as above)
        from rich.text import Text  # noqa: PLC0415 (as above)

        shown = self._description
        lines: list[RenderableType] = [Text(shown.verdict)]
        if shown.parts:
            width = min(_MAX_BAR_CELLS, options.max_width - 4)
            lines.append(_bar(shown, width, ascii_only=options.ascii_only))
            lines.append(_legend(shown, ascii_only=options.ascii_only))
        lines += [Text.assemble((f"{name}: ", "dim"), value) for name, value in shown.facts]
        for table in shown.tables:
            lines += [Text(f"\n{table.caption}", "bold"), _table(table)]

        yield Panel(
            Group(*lines),
            title=Text(shown.title, "bold"),
            title_align="left",
            border_style="dim",
            expand=False,
        )


def _ink(tone: Tone, *, ascii_only: bool) -> tuple[str, str]:
    colour, block, plain = _INKS[tone]
    return plain if ascii_only else block, colour


def _bar(description: Description, width: int, *, ascii_only: bool) -> Text:
    from rich.text import Text  # noqa: PLC0415 (as above)

    bar = Text(no_wrap=True, overflow="crop")
    widths = cells_of(description.weights, width)
    for part, cells in zip(description.parts, widths, strict=True):
        block, colour = _ink(part.tone, ascii_only=ascii_only)
        bar.append(block * cells, colour)
    return bar


def cells_of(weights: tuple[int, ...], width: int) -> list[int]:
    """Return the number of cells of each part of a bar.

    Each part has at least one cell. The sum is `width`, unless there are more parts than cells.

    Example:
        >>> cells_of((1, 1, 999_998), 10), cells_of((1, 1), 5)
        ([1, 1, 8], [2, 3])
    """
    spare = max(0, width - len(weights))
    total = sum(weights)
    ends = [spare * sum(weights[: index + 1]) // total for index in range(len(weights))]
    return [1 + end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def _legend(description: Description, *, ascii_only: bool) -> RichTable:
    from rich.table import Table as RichTable  # noqa: PLC0415 (as above)
    from rich.text import Text  # noqa: PLC0415 (as above)

    grid = RichTable.grid("", "", "", "", padding=(0, 2, 0, 0))
    grid.columns[2].justify = grid.columns[3].justify = "right"

    for part in description.parts:
        size = human_bytes(part.size) if part.size else ""
        grid.add_row(
            Text(*_ink(part.tone, ascii_only=ascii_only)),
            Text(part.label),
            Text(f"{part.count:,}"),
            Text(size),
        )
    return grid


def _table(table: Table) -> RichTable:
    from rich.table import Table as RichTable  # noqa: PLC0415 (as above)
    from rich.text import Text  # noqa: PLC0415 (as above)

    shown = RichTable(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for column, cell in zip(table.columns, table.rows[0], strict=True):
        shown.add_column(
            Text(column), justify="right" if isinstance(cell, int) else "left", overflow="fold"
        )

    for row in table.rows:
        shown.add_row(*(Text(cell_text(cell)) for cell in row))
    return shown
