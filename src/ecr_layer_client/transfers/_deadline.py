"""`MovingDeadline`: the deadline of an attempt that may take as long as it makes progress."""

from __future__ import annotations

import asyncio


class MovingDeadline:
    """The deadline of an attempt. Without an attempt, it does nothing."""

    def __init__(self) -> None:
        self._timeout: asyncio.Timeout | None = None

    def use(self, timeout: asyncio.Timeout) -> None:
        """Take the deadline of the attempt that begins."""
        self._timeout = timeout

    def allow(self, seconds: float | None) -> None:
        """Let the attempt end some seconds from now. None: not before the next call of this."""
        if self._timeout is not None and not self._timeout.expired():
            now = asyncio.get_running_loop().time()
            self._timeout.reschedule(None if seconds is None else now + seconds)
