"""Quotas: a token bucket per operation, on the running loop's time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING

from ._registry.errors import error_of
from ._registry.registry import OPERATIONS

if TYPE_CHECKING:
    from ._interceptors import Call
    from ._protocol import Reply

Rates = float | Mapping[str, float]

ROUNDING = 1e-9  # of a token: 0.1 s at 10 a second is one request, whatever floats make of it


class Bucket:
    """A token bucket: `burst` tokens at most, `rate` new ones a second, one for each request.

    It starts full.

    >>> bucket = Bucket(rate=2, burst=1)
    >>> bucket.take(0.0), bucket.take(0.25), bucket.take(0.5)
    (True, False, True)
    """

    def __init__(self, rate: float, burst: float) -> None:
        """Start full, whatever the time is."""
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Take a token, if there is one; a refusal takes nothing."""
        elapsed = (
            0.0 if self._at is None else max(0.0, now - self._at)
        )  # another loop's clock may be behind
        self._tokens = min(self._burst, self._tokens + elapsed * self._rate)
        self._at = now
        if self._tokens < 1 - ROUNDING:
            return False
        self._tokens -= 1
        return True

    def change(self, rate: float, burst: float, now: float | None) -> None:
        """Go on at another rate with the tokens held, as far as they fit."""
        if now is not None and self._at is not None:
            self._tokens += max(0.0, now - self._at) * self._rate
            self._at = now
        self._tokens = min(self._tokens, burst)
        self._rate, self._burst = rate, burst


class Quotas:
    """The buckets of a `LocalECR`; an operation without one is not limited."""

    def __init__(self, quota: Rates | None = None, burst: Rates | None = None) -> None:
        """Limit as `change` says."""
        self._buckets: dict[str, Bucket] = {}
        self.change(quota, burst)

    def change(self, quota: Rates | None, burst: Rates | None) -> None:
        """Limit to `quota` requests a second per operation, with bursts of up to `burst`.

        Raises ValueError.
        """
        rates = _per_operation("quota", quota, OPERATIONS, at_least=0.0)
        bursts = _per_operation("burst", burst, tuple(rates), at_least=1.0)
        if any(rate == 0 for rate in rates.values()):
            message = "quota must be above 0: to refuse every request, add a ThrottlingException to `faults`"
            raise ValueError(message)
        self._buckets = {
            name: self._bucket(name, rate, bursts.get(name, max(1.0, rate)))
            for name, rate in rates.items()
        }

    async def before(self, call: Call) -> Reply | None:
        """Refuse a request whose bucket is empty. The registry calls this."""
        bucket = self._buckets.get(call.operation)
        if bucket is not None and not bucket.take(
            asyncio.get_running_loop().time()
        ):  # faults may have kept the call since it arrived
            code = "ThrottlingException"
            raise error_of(code)
        return None

    # An interceptor's signature.
    async def after(self, call: Call, reply: Reply) -> Reply:  # noqa: ARG002
        """Change nothing."""
        return reply

    def _bucket(self, name: str, rate: float, burst: float) -> Bucket:
        bucket = self._buckets.get(name) or Bucket(rate, burst)
        bucket.change(rate, burst, _now())
        return bucket


def _per_operation(
    name: str, given: Rates | None, operations: tuple[str, ...], *, at_least: float
) -> Mapping[str, float]:
    if given is None:
        return {}
    if not operations:
        message = f"{name} needs a quota beside it"
        raise ValueError(message)
    rates = given if isinstance(given, Mapping) else dict.fromkeys(operations, given)
    for operation, rate in rates.items():
        if operation not in operations:
            message = f"{name}: {operation!r:.200} is none of {', '.join(operations)}"
            raise ValueError(message)
        check_number(name, rate, at_least=at_least)
    return rates


def check_number(name: str, value: object, *, at_least: float) -> None:
    """Refuse what is not a finite number of at least `at_least`. Raises ValueError."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not isfinite(value)
        or value < at_least
    ):
        message = f"{name} must be a finite number of at least {at_least:g}, not {value!r:.200}"
        raise ValueError(message)


def _now() -> float | None:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:  # no loop runs yet, so nothing was asked either
        return None
