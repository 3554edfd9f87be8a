"""An event loop in virtual time: its clock jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
import selectors
import threading
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Executor

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _JumpingSelector(selectors.BaseSelector):
    """A selector that moves its clock forward where another one would wait for a timer.

    The clock stands still while threads work for the loop, because threads live in real time.
    """

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0
        self.working_threads = 0
        self._older_threads = set(threading.enumerate())

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._real.select(0)
        if events or timeout == 0:
            return events

        # No real time bounds this wait: a slow machine cannot fail a test.
        if self.working_threads or (timeout is None and self._can_be_woken()):
            return self._real.select()

        if timeout is None:
            msg = "deadlock: every task waits, and no timer, file or thread can wake one"
            raise RuntimeError(msg)
        self.now += timeout
        return events

    def _can_be_woken(self) -> bool:
        """Return whether a file, or a thread that no executor counts, may wake the loop."""
        # One file is always there: the loop's own, by which threads wake it.
        if len(self._real.get_map()) > 1:
            return True
        # The threads of the default executor stay, idle, after their work.
        return any(
            not thread.name.startswith("asyncio_")
            for thread in threading.enumerate()
            if thread not in self._older_threads
        )

    def register(self, fileobj: Any, events: int, data: object = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, which begins at 0.

    A task that waits for nothing raises RuntimeError at once. A thread that never ends is a hang,
    which pytest-timeout bounds.
    """

    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._clock.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run a function in a thread, while the clock stands still."""
        future = super().run_in_executor(executor, func, *args)
        self._clock.working_threads += 1
        future.add_done_callback(self._count_ended_thread)
        return future

    def _count_ended_thread(self, _: asyncio.Future[Any]) -> None:
        self._clock.working_threads -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait as long as the threads take; `timeout`, a bound in virtual time, does not apply."""
        self._clock.working_threads += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._clock.working_threads -= 1
