"""Numbers of bytes, as people read them."""

from __future__ import annotations

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
_STEP = 1000


def human_bytes(size: float) -> str:
    """Return a number of bytes in the largest unit that fits, in powers of 1,000.

    Example:
        >>> human_bytes(512), human_bytes(1_500_000)
        ('512 bytes', '1.5 MB')
    """
    for unit in _UNITS[:-1]:
        # Compare the rounded size, so that 999.96 kB becomes 1.0 MB and not 1000.0 kB.
        if round(size, 1) < _STEP:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= _STEP
    return f"{size:.1f} {_UNITS[-1]}"
