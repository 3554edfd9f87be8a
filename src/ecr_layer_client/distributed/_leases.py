"""Turns that one process leased of a shared quota, and the calls that wait for them.

A lease is a window in time, with turns at even distances. A turn that nobody takes is lost, because
the time after the window belongs to others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_LATE_SECONDS = 0.1  # after its time, in which a turn may still be taken
# A process that is killed loses what it leased, so no lease is longer.
_MAX_LEASE_SECONDS = 0.25


class Lease(NamedTuple):
    """Turns at even distances.

    Attributes:
        start: When the first one is, on the event loop's clock.
        spacing: Seconds from one to the next.
    """

    start: float
    spacing: float


class Line:
    """The calls of one event loop that wait for turns of one quota.

    The next lease is fetched when the last turn of the one before is taken, which is usually
    earlier than the time of that turn. So nobody waits for a response of the limiter.

    Args:
        rate: Requests per second of all processes.
        lease: Fetches a lease of so many turns. It raises no exception.
    """

    def __init__(self, rate: float, lease: Callable[[int], Awaitable[Lease]]) -> None:
        self._max_count = max(1, int(rate * _MAX_LEASE_SECONDS))
        self._lease = lease
        self._turns: deque[float] = deque()
        self._waiting: deque[asyncio.Future[float]] = deque()
        self._calls = 0  # since the last fetch began
        self._fetching: asyncio.Task[None] | None = None

    async def acquire(self) -> None:
        """Wait for the next turn."""
        self._calls += 1
        loop = asyncio.get_running_loop()
        turn = self._take(loop.time())
        if turn is None:
            waiter: asyncio.Future[float] = loop.create_future()
            self._waiting.append(waiter)
            self._fetch()
            turn = await waiter
        elif not self._turns:
            self._fetch()
        await asyncio.sleep(turn - loop.time())

    async def settle(self) -> None:
        """Wait until no lease is being fetched."""
        if self._fetching is not None:
            await asyncio.wait([self._fetching])

    def _take(self, now: float) -> float | None:
        """Return the next turn that is not lost."""
        while self._turns:
            turn = self._turns.popleft()
            if turn >= now - _LATE_SECONDS:
                return turn
        return None

    def _fetch(self) -> None:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch_leases())

    async def _fetch_leases(self) -> None:
        """Fetch leases until nobody waits and there is a turn for the next call."""
        count = 1
        try:
            while self._waiting or not self._turns:
                # All turns of the lease before were taken, so as many calls will come again.
                count = min(max(count, self._calls), self._max_count)
                self._calls = 0
                lease = await self._lease(count)
                self._turns.extend(lease.start + each * lease.spacing for each in range(count))
                self._serve()
        finally:
            self._fetching = None

    def _serve(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._waiting:
            if self._waiting[0].done():
                # The call was cancelled.
                self._waiting.popleft()
                continue
            turn = self._take(now)
            if turn is None:
                return
            self._waiting.popleft().set_result(turn)
