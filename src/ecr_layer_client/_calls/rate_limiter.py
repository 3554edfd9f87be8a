"""One line of calls in front of a pacer: who asks first leaves first, and a throttled call goes back to the front."""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakValueDictionary, finalize, ref

from ecr_layer_client._models.quotas import _UNPUBLISHED, DEFAULT_QUOTAS, DEFAULT_SHARE

from .pacer import Pacer
from .retry_budget import RetryBudget

if TYPE_CHECKING:
    from collections.abc import Hashable


class RateLimiter:
    """Hands out turns to send as its pacer allows.

    Args:
        operation: What is asked; its quota is the default ceiling's measure.

    Attributes:
        pacer: The pacer of all that share this line.
        budget: Their budget of retries.
    """

    def __init__(self, operation: str) -> None:
        self._default_ceiling = DEFAULT_SHARE * DEFAULT_QUOTAS.get(operation, _UNPUBLISHED)
        self.pacer: Pacer = Pacer()
        self.budget: RetryBudget = RetryBudget()
        self._ceilings: WeakKeyDictionary[object, float] = WeakKeyDictionary()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def set_ceiling(self, owner: object, ceiling: float | None) -> None:
        """Let no more than `ceiling` requests a second leave while `owner` lives.

        The lowest of all owners' holds.
        """
        if owner not in self._ceilings:
            finalize(owner, _forget_owner, ref(self)).atexit = False
        self._ceilings[owner] = self._default_ceiling if ceiling is None else ceiling
        self._find_lowest()

    def drop_ceiling(self, owner: object) -> None:
        """Forget an owner's ceiling."""
        self._ceilings.pop(owner, None)
        self._find_lowest()

    async def acquire(self, *, at_front: bool = False) -> None:
        """Wait for a turn.

        Each must be given back by one report to the pacer through `succeeded`, `throttled` or
        `abandoned`.
        """
        if not self._waiting or at_front:
            now = asyncio.get_running_loop().time()
            if self.pacer.wait(now) == 0:
                self.pacer.sent(now)
                return
        turn = asyncio.get_running_loop().create_future()
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
        """A turn was used, and its request not throttled."""
        self.pacer.succeeded(asyncio.get_running_loop().time())
        self._admit()

    def throttled(self, round_trip: float) -> None:
        """A turn was used, and its request throttled."""
        self.pacer.throttled(asyncio.get_running_loop().time(), round_trip)
        self._admit()

    def abandoned(self) -> None:
        """A turn got no answer."""
        self.pacer.abandoned()
        self._admit()

    def _find_lowest(self) -> None:
        self.pacer.ceiling = min(self._ceilings.values(), default=inf)

    def _admit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
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


def _forget_owner(line: ref[RateLimiter]) -> None:
    rate_limiter = line()
    if rate_limiter is not None:
        rate_limiter._find_lowest()  # noqa: SLF001 (a method would keep the line alive)


_lines: WeakKeyDictionary[
    asyncio.AbstractEventLoop, WeakValueDictionary[tuple[str, *tuple[Hashable, ...]], RateLimiter]
] = WeakKeyDictionary()


def rate_limiter_for(operation: str, *account: Hashable) -> RateLimiter:
    """Return the running loop's one line for an operation, endpoint, Region and credential source.

    It lives while somebody holds it.
    """
    lines = _lines.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    rate_limiter = lines.get((operation, *account))
    if rate_limiter is None:
        rate_limiter = lines[operation, *account] = RateLimiter(operation)
    return rate_limiter
