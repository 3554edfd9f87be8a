"""The texts of table cells and of shares."""

from __future__ import annotations

from ecr_layer_client._text.byte_sizes import human_bytes


class Bytes(int):
    """A number of bytes, which a cell shows in a unit that people read, such as MB.

    Example:
        >>> cell_text(Bytes(1_234_567)), cell_text(1_234_567), cell_text("a text")
        ('1.2 MB', '1,234,567', 'a text')
    """

    __slots__ = ()


def cell_text(cell: str | int) -> str:
    """Return the text of a cell."""
    if isinstance(cell, str):
        return cell
    return human_bytes(cell) if isinstance(cell, Bytes) else f"{cell:,}"


def share(part: int, whole: int) -> str:
    """Return a share in percent, without decimals.

    A share is only shown as 0 or 100 percent if it is exactly that.

    Example:
        >>> share(1, 3), share(1, 1000), share(999, 1000), share(3, 3)
        ('33 %', 'under 1 %', 'over 99 %', '100 %')
    """
    percents = 100 * part / whole
    if 0 < percents < 1:
        return "under 1 %"
    if 99 < percents < 100:  # noqa: PLR2004 (percents)
        return "over 99 %"
    return f"{percents:.0f} %"
