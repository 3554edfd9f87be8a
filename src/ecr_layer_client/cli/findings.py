"""The findings of `ecr-layers doctor`, as lines for people and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from ecr_layer_client._text.quoting import printable

_PART_WIDTH = len("configuration")

# On a terminal narrower than this, a finding starts under its part, not beside it.
_MIN_COLUMNS_BESIDE = 72

# On a terminal narrower than this, its own wrapping is easier to read than ours.
_MIN_COLUMNS_WRAPPED = 24


class Status(StrEnum):
    """The verdict on a part."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


_STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red", Status.SKIP: "dim"}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of examining one part that a check depends on.

    Attributes:
        part: The part that was examined.
        status: The verdict on the part.
        found: The facts that were found.
        to_do: The advice, or None if there is nothing to do.
    """

    part: str
    status: Status
    found: str
    to_do: str | None = None

    @property
    def json_line(self) -> str:
        """Return a JSON object. All findings have the same members."""
        return json.dumps(asdict(self))

    @property
    def row(self) -> str:
        """Return one line of text."""
        to_do = f" -> {printable(self.to_do)}" if self.to_do else ""
        return f"{self.status:<4}  {self.part:<{_PART_WIDTH}}  {printable(self.found)}{to_do}"

    def on_terminal(self) -> str:
        """Return the finding in colours, wrapped to the terminal.

        The text stands beside its part, or under it on a narrow terminal. On a very narrow
        terminal, the finding is a row.
        """
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console()
        if console.width < _MIN_COLUMNS_WRAPPED:
            return self.row

        style = _STYLES[self.status]
        status, part = Text(self.status, style), Text(self.part, "bold")
        found = Text(printable(self.found))
        if self.to_do:
            found.append(f"\n-> {printable(self.to_do)}", style)

        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=len(Status.FAIL))
        if console.width < _MIN_COLUMNS_BESIDE:
            grid.add_column(overflow="fold")
            grid.add_row(status, part)
            grid.add_row("", found)
        else:
            grid.add_column(width=_PART_WIDTH)
            grid.add_column(overflow="fold")
            grid.add_row(status, part, found)

        with console.capture() as captured:
            console.print(grid)
        return captured.get().rstrip("\n")
