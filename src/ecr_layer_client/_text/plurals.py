"""Numbers together with the things that they count."""

from __future__ import annotations


def counted(count: int, one: str) -> str:
    """Return a number and the noun that it counts, in the plural unless the number is 1.

    Example:
        >>> counted(1, "blob"), counted(1200, "repository")
        ('1 blob', '1,200 repositories')
    """
    many = f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
    return f"{count:,} {one if count == 1 else many}"
