"""The clock of the local service: this machine's clock plus a skew."""

from __future__ import annotations

import asyncio
import functools
import time
import weakref
from email.utils import formatdate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """The service's time: `skew` seconds ahead of this machine, or behind it if negative."""

    def __init__(self) -> None:
        """Start without a skew."""
        self.skew = 0.0
        self._loop: Callable[[], object] = lambda: None
        self._loop_began = 0.0

    def now(self) -> float:
        """Return the service's time in epoch seconds."""
        return time.time() + self.skew

    def in_loop(self) -> float:
        """Return the service's time in epoch seconds, which passes as the running loop's time.

        The loop's time can be virtual. Signatures are checked with `now()`, because clients sign
        with the time of this machine.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self.now()
        if self._loop() is not loop:
            self._loop, self._loop_began = weakref.ref(loop), time.time() - loop.time()
        return self._loop_began + loop.time() + self.skew

    def date(self) -> str:
        """Return the service's time in the format of a Date header."""
        return _http_date(int(self.now()))


# Cached because many responses fall into the same second.
@functools.lru_cache(maxsize=4)
def _http_date(now: int) -> str:
    return formatdate(now, usegmt=True)
