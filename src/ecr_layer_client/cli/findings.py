"""What `ecr-layers doctor` finds: one finding a part, as a line for people or for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from ecr_layer_client._text.quoting import printable

_WIDEST_PART = len("configuration")
_WIDE = 72  # columns
_LEAST = 24  # columns, beneath which the terminal's own wrapping reads better


class Status(StrEnum):
    """What is to be thought of a part."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


_STYLES = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red", Status.SKIP: "dim"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One part of what a check rests on.

    Attributes:
        part: What was looked at.
        status: What is to be thought of it.
        found: What was found.
        to_do: What to do about it; None where there is nothing to do.
    """

    part: str
    status: Status
    found: str
    to_do: str | None = None

    @property
    def json_line(self) -> str:
        """One JSON object; its members are the same for each."""
        return json.dumps(asdict(self))

    @property
    def row(self) -> str:
        """One line."""
        to_do = f" -> {printable(self.to_do)}" if self.to_do else ""
        return f"{self.status:<4}  {self.part:<{_WIDEST_PART}}  {printable(self.found)}{to_do}"

    def on_terminal(self) -> str:
        """Return it for a terminal: in colours, wrapped beside its part, or, on a narrow one, beneath it, or as a row."""
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console()
        if console.width < _LEAST:
            return self.row
        style = _STYLES[self.status]
        status, part, found = (
            Text(self.status, style),
            Text(self.part, "bold"),
            Text(printable(self.found)),
        )
        if self.to_do:
            found.append(f"\n-> {printable(self.to_do)}", style)
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(width=len(Status.FAIL))
        if console.width < _WIDE:
            grid.add_column(overflow="fold")
            grid.add_row(status, part)
            grid.add_row("", found)
        else:
            grid.add_column(width=_WIDEST_PART)
            grid.add_column(overflow="fold")
            grid.add_row(status, part, found)
        with console.capture() as captured:
            console.print(grid)
        return captured.get().rstrip("\n")
