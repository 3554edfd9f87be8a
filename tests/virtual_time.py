"""An event loop whose clock jumps to the next timer as soon as nothing else is left to do: hours of waiting take no time."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_STUCK_AFTER = 5.0  # real seconds without a timer, a task or a thread that has anything to say


class _JumpingSelector(selectors.BaseSelector):
    """Polls; where it would have waited for a timer, it moves the clock there instead."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # no timer: only a thread can bring news
            events = self._real.select(_STUCK_AFTER)
            if not events:
                msg = "everything waits, and nothing will wake it"
                raise RuntimeError(msg)
            return events
        events = self._real.select(0)
        if not events:
            self.now += timeout
        return events

    def register(self, fileobj: Any, events: int, data: object = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, beginning at 0."""

    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._clock.now

    # A bound in virtual time.
    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for threads as long as they take: they live in real time."""
        await super().shutdown_default_executor()
