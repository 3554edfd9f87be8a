"""The clock of the local service: this machine's clock plus a skew."""

from __future__ import annotations

import functools
import time
from email.utils import formatdate


class Clock:
    """The service's time: `skew` seconds ahead of this machine, or behind it if negative."""

    def __init__(self) -> None:
        """Start without a skew."""
        self.skew = 0.0

    def now(self) -> float:
        """Return the service's time in epoch seconds."""
        return time.time() + self.skew

    def date(self) -> str:
        """Return the service's time in the format of a Date header."""
        return _http_date(int(self.now()))


# Cached because many responses fall into the same second.
@functools.lru_cache(maxsize=4)
def _http_date(now: int) -> str:
    return formatdate(now, usegmt=True)
