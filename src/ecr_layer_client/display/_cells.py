"""Text for people: what came from outside on one line of bounded length, digests, shares."""

from __future__ import annotations

from ecr_layer_client._text.byte_sizes import human_bytes


class Bytes(int):
    """A number of bytes, in a cell that shows it as people read it.

    Example:
        >>> cell_text(Bytes(1_234_567)), cell_text(1_234_567), cell_text("a text")
        ('1.2 MB', '1,234,567', 'a text')
    """

    __slots__ = ()


def cell_text(cell: str | int) -> str:
    """Return what a cell shows."""
    if isinstance(cell, str):
        return cell
    return human_bytes(cell) if isinstance(cell, Bytes) else f"{cell:,}"


def share(part: int, whole: int) -> str:
    """Return a share in whole percents; what is neither nothing nor all never looks so.

    Example:
        >>> share(1, 3), share(1, 1000), share(999, 1000), share(3, 3)
        ('33 %', 'under 1 %', 'over 99 %', '100 %')
    """
    percents = 100 * part / whole
    return (
        "under 1 %"
        if 0 < percents < 1
        else "over 99 %"
        if 99 < percents < 100  # noqa: PLR2004 (percents)
        else f"{percents:.0f} %"
    )
