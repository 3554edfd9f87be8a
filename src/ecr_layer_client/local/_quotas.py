"""Quotas: one token bucket per operation, on the time of the running loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING

from ._registry.errors import error_of
from ._registry.operations import OPERATIONS
from ._registry.public import ALL_OPERATIONS
from ._registry.public import OPERATIONS as PUBLIC_OPERATIONS

if TYPE_CHECKING:
    from ._interceptors import Call
    from ._protocol import Reply

Rates = float | Mapping[str, float]

# ECR and ECR Public count apart, also where their operations have the same name.
_OPERATIONS = {"ecr": OPERATIONS, "ecr-public": PUBLIC_OPERATIONS}

# Tokens. 0.1 s at 10 requests per second is one request, also after floats are rounded.
ROUNDING = 1e-9


class Bucket:
    """A token bucket: at most `burst` tokens, `rate` new ones per second, one for each request.

    The bucket starts full.

    >>> bucket = Bucket(rate=2, burst=1)
    >>> bucket.take(0.0), bucket.take(0.25), bucket.take(0.5)
    (True, False, True)
    """

    def __init__(self, rate: float, burst: float) -> None:
        """Start full."""
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Take a token and return True, or return False if there is none."""
        # The clock of another loop may be behind.
        elapsed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._tokens = min(self._burst, self._tokens + elapsed * self._rate)
        self._at = now

        if self._tokens < 1 - ROUNDING:
            return False
        self._tokens -= 1
        return True

    def change(self, rate: float, burst: float, now: float | None) -> None:
        """Continue at another rate. The bucket keeps its tokens, up to the new `burst`."""
        if now is not None and self._at is not None:
            self._tokens += max(0.0, now - self._at) * self._rate
            self._at = now
        self._tokens = min(self._tokens, burst)
        self._rate, self._burst = rate, burst


class Quotas:
    """The buckets of a `LocalECR`. An operation without a bucket is not limited."""

    def __init__(self, quota: Rates | None = None, burst: Rates | None = None) -> None:
        """Start with the limits that `change` describes."""
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self.change(quota, burst)

    def change(self, quota: Rates | None, burst: Rates | None) -> None:
        """Limit each operation to `quota` requests per second, with bursts of up to `burst`.

        Raises ValueError.
        """
        rates = _per_operation("quota", quota, ALL_OPERATIONS, at_least=0.0)
        bursts = _per_operation("burst", burst, tuple(rates), at_least=1.0)
        if any(rate == 0 for rate in rates.values()):
            message = (
                "quota must be above 0: to reject every request, add a ThrottlingException to "
                "`faults`"
            )
            raise ValueError(message)

        self._buckets = {
            (service, name): self._bucket(service, name, rate, bursts.get(name, max(1.0, rate)))
            for service, names in _OPERATIONS.items()
            for name, rate in rates.items()
            if name in names
        }

    async def before(self, call: Call) -> Reply | None:
        """Reject a request whose bucket is empty. The service calls this method."""
        bucket = self._buckets.get((call.service, call.operation))
        # Not the time of arrival, because faults may have delayed the call since then.
        if bucket is not None and not bucket.take(asyncio.get_running_loop().time()):
            code = "ThrottlingException"
            raise error_of(code)
        return None

    # The signature is that of an interceptor.
    async def after(self, call: Call, reply: Reply) -> Reply:  # noqa: ARG002
        """Return the reply unchanged."""
        return reply

    def _bucket(self, service: str, name: str, rate: float, burst: float) -> Bucket:
        bucket = self._buckets.get((service, name)) or Bucket(rate, burst)
        bucket.change(rate, burst, _now())
        return bucket


def _per_operation(
    name: str, given: Rates | None, operations: tuple[str, ...], *, at_least: float
) -> Mapping[str, float]:
    if given is None:
        return {}
    if not operations:
        message = f"{name} needs a quota: pass quota=, too"
        raise ValueError(message)

    rates = given if isinstance(given, Mapping) else dict.fromkeys(operations, given)
    for operation, rate in rates.items():
        if operation not in operations:
            message = f"{name}: {operation!r:.200} is not one of {', '.join(operations)}"
            raise ValueError(message)
        check_number(name, rate, at_least=at_least)
    return rates


def check_number(name: str, value: object, *, at_least: float) -> None:
    """Raise ValueError unless the value is a finite number of at least `at_least`."""
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
    except RuntimeError:
        # No loop runs yet, so that no request was made either.
        return None
