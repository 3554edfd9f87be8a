"""Numbers of bytes, as people read them."""

from __future__ import annotations

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def human_bytes(size: float) -> str:
    """Return a number of bytes as people read it, in powers of 1,000."""
    for unit in _UNITS[:-1]:
        # The units'; what would be shown as 1000.0 is 1.0 of the next.
        if round(size, 1) < 1000:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} {_UNITS[-1]}"
