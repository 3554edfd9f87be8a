"""`Description`: what there is to see of an object, in plain text of bounded size, whoever renders it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from ._cells import share

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_ROWS = 10  # of a table


class Tone(StrEnum):
    """What a part of the whole means to the reader."""

    GOOD = "good"
    """There: nothing is to be done."""
    HELD = "held"
    """There with a reservation, or on its way."""
    NEW = "new"
    """Not there, which may be as it should be."""
    BAD = "bad"
    """Wrong, or not known."""
    REST = "rest"
    """What is left."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the whole.

    Attributes:
        label: A word or two.
        tone: What it means.
        count: How many.
        size: Bytes, as far as they are known. Default None: nobody says.
    """

    label: str
    tone: Tone
    count: int
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Some rows that deserve a look.

    Attributes:
        caption: What they are, and how many of how many.
        columns: Their names.
        rows: A cell for each column: a text, or a number, which is grouped and aligned as one.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int, ...], ...]


def first_rows(
    what: str, columns: tuple[str, ...], rows: Iterable[tuple[str | int, ...]], total: int
) -> Iterator[Table]:
    """Yield a table of the first rows, if there is any.

    Its caption says how many there are in all.
    """
    shown = tuple(islice(rows, MOST_ROWS))
    if shown:
        yield Table(
            f"{what}: {len(shown)} of {total:,}" if len(shown) < total else f"{what}: {total:,}",
            columns,
            shown,
        )


@dataclass(frozen=True, slots=True)
class Description:
    """What there is to see of an object.

    Attributes:
        title: What it is.
        verdict: The one thing to know of it.
        parts: The parts of the whole; those of which there is nothing are left out.
        by_size: Whether the bar shows bytes, where any are known, in place of counts. Default
            False.
        facts: Pairs of name and value. Default none.
        tables: What deserves a look. Default none.
    """

    title: str
    verdict: str
    parts: tuple[Part, ...]
    by_size: bool = False
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()

    def __post_init__(self) -> None:
        """Leave out what is empty."""
        object.__setattr__(self, "parts", tuple(part for part in self.parts if part.count > 0))

    @property
    def weights(self) -> tuple[int, ...]:
        """How much of the bar each part takes."""
        sizes = tuple(part.size or 0 for part in self.parts)
        return sizes if self.by_size and any(sizes) else tuple(part.count for part in self.parts)

    @property
    def bar_text(self) -> str:
        """The bar in words: each part's count, and its share of the bar."""
        whole = sum(self.weights)
        return ", ".join(
            f"{part.label} {part.count:,} ({share(weight, whole)})"
            for part, weight in zip(self.parts, self.weights, strict=True)
        )
