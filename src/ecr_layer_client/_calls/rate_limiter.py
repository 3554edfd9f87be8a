"""`RateLimiter`: the line of calls in front of a pacer.

The call that waited longest is next. A throttled call goes back to the front.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary

from .pacer import Pacer
from .retry_budget import RetryBudget

if TYPE_CHECKING:
    from collections.abc import Hashable


class RateLimiter:
    """Lets requests of one operation leave as its pacer allows.

    Attributes:
        pacer: The pacer of all that share this rate limiter.
        budget: Their retry budget.
    """

    def __init__(self) -> None:
        self.pacer: Pacer = Pacer()
        self.budget: RetryBudget = RetryBudget()
        self._ceilings: WeakKeyDictionary[object, float] = WeakKeyDictionary()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def set_ceiling(self, owner: object, ceiling: float) -> None:
        """Allow at most `ceiling` requests a second while `owner` lives.

        The lowest ceiling of all owners holds.
        """
        self._ceilings[owner] = ceiling

    def drop_ceiling(self, owner: object) -> None:
        """Forget an owner's ceiling."""
        self._ceilings.pop(owner, None)
        self._admit()

    async def acquire(self, *, at_front: bool = False) -> None:
        """Wait until a request may leave.

        Report what became of the request once: `succeeded`, `throttled` or `abandoned`.
        """
        self._find_ceiling()
        self.budget.earn()
        loop = asyncio.get_running_loop()
        if not self._waiting or at_front:
            now = loop.time()
            if self.pacer.wait(now) == 0:
                self.pacer.sent(now)
                return

        turn = loop.create_future()
        (self._waiting.appendleft if at_front else self._waiting.append)(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.pacer.abandoned()
            self._admit()
            raise

    def succeeded(self) -> None:
        """Report a request that was not throttled."""
        self.pacer.succeeded(asyncio.get_running_loop().time())
        if self._waiting:
            self._admit()

    def throttled(self, round_trip: float) -> None:
        """Report a throttled request, and the seconds until its response came."""
        self.pacer.throttled(asyncio.get_running_loop().time(), round_trip)
        self._admit()

    def abandoned(self) -> None:
        """Report a request that got no response."""
        self.pacer.abandoned()
        self._admit()

    def _find_ceiling(self) -> None:
        self.pacer.ceiling = min(self._ceilings.values(), default=inf)

    def _admit(self) -> None:
        """Let those go that may, and set a timer for the next one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

        self._find_ceiling()
        loop = asyncio.get_running_loop()
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
                continue

            now = loop.time()
            wait = self.pacer.wait(now)
            if wait is None:
                return
            if wait > 0:
                self._timer = loop.call_at(now + wait, self._admit)
                return

            self.pacer.sent(now)
            self._waiting.popleft().set_result(None)


_LoopLimiters = WeakValueDictionary[tuple["Hashable", ...], RateLimiter]
_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopLimiters] = WeakKeyDictionary()


def rate_limiter_for(*key: Hashable) -> RateLimiter:
    """Return the running loop's rate limiter for an operation and an identity.

    It lives while somebody holds it.
    """
    of_loop = _limiters.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    limiter = of_loop.get(key)
    if limiter is None:
        limiter = of_loop[key] = RateLimiter()
    return limiter
