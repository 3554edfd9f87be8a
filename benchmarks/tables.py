"""The tables in Markdown: the trials of each row, and how each column computes its cell."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from contenders import BATCH_SIZE, CONTENDERS
from figures import Trial, quotient
from sampling import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from figures import Figures

    Column = Callable[[Figures, Sequence[Trial]], str]

LATENCY = 0.05  # seconds
IN_FLIGHT = (10, 50)
IMPORTS = {
    "ours": "from ecr_layer_client import ECRLayerClient, ClientConfig, Layer",
    "capo": "import capo_ecr",
    "aiobotocore": "import aiobotocore.session, pydantic",
}
_HELD = ("aiobotocore", "aiobotocore-models", "client", "signed", "signed-groups", "signed-each")
_STREAMED = ("signed-streamed",)
_PROFILED = ("signed", "signed-streamed", "client")
_ANSWERED_FIRST = (
    "floor",
    "aiobotocore",
    "aiobotocore-models",
    "boto3",
    "capo",
    "client",
    "signed",
)
_LATE = ("aiobotocore", "aiobotocore-models", "signed")
_SHAPES = ("list", "iterator", "async generator")
_OPENED = ("aiobotocore", "client", "signed")
_WAITED = ("floor", *_OPENED)
_MICRO, _MILLI, _MIB = 1e6, 1e3, 1 / 1024


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        name: Its name on the command line and in the markers of the page.
        corner: The heading of its first column.
        rows: The trials of each row, by the row's first cell.
        columns: The function that computes a cell from a row's trials, by column heading.
        turned: Whether the page shows the table with rows and columns swapped.
    """

    name: str
    corner: str
    rows: Mapping[str, Sequence[Trial]]
    columns: Mapping[str, Column]
    turned: bool = False

    def trials(self) -> Iterable[Trial]:
        """Return the trials of all rows."""
        return (trial for trials in self.rows.values() for trial in trials)

    def markdown(self, figures: Figures) -> str:
        """Return the table without the rows that were not measured, or "" if there are none."""
        measured = [
            (label, trials) for label, trials in self.rows.items() if all(map(figures.has, trials))
        ]
        if not measured:
            return ""

        rows = [
            (label, *(column(figures, trials) for column in self.columns.values()))
            for label, trials in measured
        ]

        whole = [(self.corner, *self.columns), *rows]
        head, *others = zip(*whole, strict=True) if self.turned else whole
        return lines(head, others)


def lines(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: str = "") -> str:
    """Return a table whose columns are aligned to the right, except the first one and `words`."""
    rule = ("---", *("---" if name == words else "---:" for name in head[1:]))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def number(value: float | None, form: str, scale: float = 1.0) -> str:
    """Return the scaled and formatted value of a cell."""
    return "-" if value is None else format(value * scale, form)


def work(
    name: str, count: int, in_flight: int = 10, latency: float = 0.0, *, shape: str = "list"
) -> Trial:
    """Return the trial of a contender that checks `count` digests."""
    return Trial("work", name, count, in_flight, latency, shape)


def ideal(trial: Trial) -> float:
    """Return the seconds that the round trips alone take."""
    return ceil(ceil(trial.count / BATCH_SIZE) / trial.in_flight) * trial.latency


def tables(count: int) -> dict[str, Table]:
    """Return all tables, for checks of `count` digests."""
    made = (
        _cpu(count),
        _cost(count),
        _profile(count),
        _garbage(count),
        _growth(count),
        _streams(count),
        _shapes(count),
        _late(count),
        _latency(count),
        _imports(),
        _stall(),
        _first(),
    )

    return {table.name: table for table in made}


def _median(quantity: str, form: str, scale: float = 1.0, *, at: int = 0) -> Column:
    return lambda figures, trials: number(figures.median(trials[at], quantity), form, scale)


def _per_digest(at: int = 0) -> Column:
    return lambda figures, trials: number(
        figures.median(trials[at], "cpu"), ".2f", _MICRO / trials[at].count
    )


def _ratio(quantity: str, to: Trial, form: str = ".2f") -> Column:
    return lambda figures, trials: number(figures.ratio(trials[0], to, quantity), form)


def _share(quantity: str) -> Column:
    return lambda figures, trials: number(
        quotient(figures.median(trials[0], quantity), figures.median(trials[0], "cpu")), ".0%"
    )


def _calls(figures: Figures, trials: Sequence[Trial]) -> str:
    return number(quotient(trials[0].count / BATCH_SIZE, figures.median(trials[0], "cpu")), ",.0f")


def _times_ideal(at: int) -> Column:
    return lambda figures, trials: number(
        quotient(figures.median(trials[at], "wall"), ideal(trials[at])), ".2f"
    )


def _cpu(count: int) -> Table:
    columns = {
        "µs per digest": _per_digest(),
        "x aiobotocore": _ratio("cpu", work("aiobotocore", count)),
        "requests a second": _calls,
    }
    return Table("cpu", "client", _all(count), columns)


def _cost(count: int) -> Table:
    columns = {
        "x floor": _ratio("cpu", work("floor", count)),
        "seconds": _median("wall", ".2f"),
        "memory, MiB": _median("grown", ".1f", _MIB),
        "stub's CPU": _share("stub"),
    }
    return Table("cost", "client", _all(count), columns)


def _all(count: int) -> dict[str, tuple[Trial]]:
    return {contender.label: (work(name, count),) for name, contender in CONTENDERS.items()}


def _profile(count: int) -> Table:
    columns = {part: _median(part, ".0%") for part in PARTS}
    rows = {CONTENDERS[name].label: (Trial("profile", name, count),) for name in _PROFILED}
    return Table("profile", "share of CPU", rows, columns, turned=True)


def _garbage(count: int) -> Table:
    columns = {
        "young": _median("gen0", ".0f"),
        "middle": _median("gen1", ".0f"),
        "old": _median("gen2", ".0f"),
        "ms": _median("gc", ".0f", _MILLI),
        "of CPU": _share("gc"),
    }

    return Table(
        "garbage",
        "visits",
        {CONTENDERS[name].label: (work(name, count),) for name in _HELD},
        columns,
    )


def _growth(count: int) -> Table:
    counts = (count // 10, 3 * count // 10, count, 3 * count)
    columns = {f"{each:,}": _per_digest(at) for at, each in enumerate(counts)}
    return Table(
        "growth",
        "µs per digest",
        {CONTENDERS[name].label: [work(name, each) for each in counts] for name in _HELD},
        columns,
    )


def _streams(count: int) -> Table:
    counts = (count, 10 * count)
    columns = {f"{each:,}": _median("grown", ".1f", _MIB, at=at) for at, each in enumerate(counts)}
    rows = {
        CONTENDERS[name].label: [work(name, each, shape="made on demand") for each in counts]
        for name in _STREAMED
    }
    return Table("streams", "memory, MiB", rows, columns)


def _shapes(count: int) -> Table:
    columns = {
        "µs per digest": _per_digest(),
        "x aiobotocore": _ratio("cpu", work("aiobotocore", count)),
    }
    rows = {shape: [work("signed-streamed", count, shape=shape)] for shape in _SHAPES}
    return Table("shapes", "streamed from", rows, columns)


def _late(count: int) -> Table:
    columns = {"ms": _median("stall", ".0f", _MILLI)}
    rows = {CONTENDERS[name].label: (Trial("late", name, count),) for name in _LATE}
    return Table("late", "longest stall", rows, columns)


def _latency(count: int) -> Table:
    columns = {f"{each} in flight": _times_ideal(at) for at, each in enumerate(IN_FLIGHT)}
    rows = {
        CONTENDERS[name].label: [work(name, count, each, LATENCY) for each in IN_FLIGHT]
        for name in _WAITED
    }
    return Table("latency", "time, x ideal", rows, columns)


def _imports() -> Table:
    columns = {
        "ms": _median("seconds", ".0f", _MILLI),
        "x capo-ecr": _ratio("seconds", Trial("import", "capo")),
    }
    return Table(
        "imports",
        "import",
        {f"`{IMPORTS[name]}`": (Trial("import", name),) for name in IMPORTS},
        columns,
    )


def _stall() -> Table:
    columns = {
        "ms": _median("stall", ".0f", _MILLI),
        "x aiobotocore": _ratio("stall", Trial("stall", "aiobotocore")),
    }
    return Table(
        "stall",
        "longest stall",
        {CONTENDERS[name].label: (Trial("stall", name),) for name in _OPENED},
        columns,
    )


def _first() -> Table:
    columns = {
        "ms": _median("elapsed", ".0f", _MILLI),
        "x aiobotocore": _ratio("elapsed", Trial("first", "aiobotocore")),
    }
    return Table(
        "first",
        "first response",
        {CONTENDERS[name].label: (Trial("first", name),) for name in _ANSWERED_FIRST},
        columns,
    )
