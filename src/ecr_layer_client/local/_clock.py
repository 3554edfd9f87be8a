"""The clock of the played service: this machine's, and a skew."""

from __future__ import annotations

import functools
import time
from email.utils import formatdate


class Clock:
    """Epoch seconds as the service knows them: `skew` seconds ahead of this machine (behind, when negative)."""

    def __init__(self) -> None:
        """Agree with this machine."""
        self.skew = 0.0

    def now(self) -> float:
        """Return the service's time."""
        return time.time() + self.skew

    def date(self) -> str:
        """Return the service's time as a Date header has it."""
        return _http_date(int(self.now()))


@functools.lru_cache(maxsize=4)  # a busy second is formatted once
def _http_date(now: int) -> str:
    return formatdate(now, usegmt=True)
