"""`Description`: the visible facts about an object, in plain text of bounded size.

Every renderer uses the same description.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from ._cells import share

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# The number of rows of a table.
MOST_ROWS = 10


class Tone(StrEnum):
    """The meaning of a part for the reader."""

    GOOD = "good"
    """It exists, and nothing needs to be done."""
    HELD = "held"
    """It exists with a reservation, or it is on its way."""
    NEW = "new"
    """It does not exist, which may be correct."""
    BAD = "bad"
    """It is wrong or unknown."""
    REST = "rest"
    """The remainder."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the whole.

    Attributes:
        label: One or two words.
        tone: The meaning of the part.
        count: The number of items.
        size: The known bytes. Default None: unknown.
    """

    label: str
    tone: Tone
    count: int
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Some rows that the reader should look at.

    Attributes:
        caption: The kind of rows, how many are shown, and how many exist.
        columns: The names of the columns.
        rows: One cell for each column: a text, or a number, which is grouped and right-aligned.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int, ...], ...]


def first_rows(
    what: str, columns: tuple[str, ...], rows: Iterable[tuple[str | int, ...]], total: int
) -> Iterator[Table]:
    """Yield a table of the first rows, or nothing if there are no rows.

    The caption has the total number of rows.
    """
    shown = tuple(islice(rows, MOST_ROWS))
    if not shown:
        return

    counts = f"{len(shown)} of {total:,}" if len(shown) < total else f"{total:,}"
    yield Table(f"{what}: {counts}", columns, shown)


@dataclass(frozen=True, slots=True)
class Description:
    """The visible facts about an object.

    Attributes:
        title: The kind and the name of the object.
        verdict: The most important fact.
        parts: The parts of the whole. Empty parts are removed.
        by_size: Whether the bar shows bytes instead of counts, if any sizes are known. Default
            False.
        facts: Pairs of name and value. Default none.
        tables: Tables that the reader should look at. Default none.
    """

    title: str
    verdict: str
    parts: tuple[Part, ...]
    by_size: bool = False
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()

    def __post_init__(self) -> None:
        """Remove the empty parts."""
        object.__setattr__(self, "parts", tuple(part for part in self.parts if part.count > 0))

    @property
    def weights(self) -> tuple[int, ...]:
        """The share of the bar that each part takes, as a relative weight."""
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
