"""`RedisLimiter`: one limit for many processes, kept by a Redis server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from ecr_layer_client._models.config import ClientConfig
from ecr_layer_client._models.errors import InvalidInputError

from ._leases import Lease, Line

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecr_layer_client.protocols import Quota

    from ._redis_windows import RedisWindows

_log = logging.getLogger("ecr_layer_client")
_RETRY_SECONDS = 5.0  # before an unreachable server is asked again


class RedisLimiter:
    """A `Limiter` that keeps all processes together under a number of requests per second.

    A process asks a Redis server for a window of time in which it may send a number of requests. It
    fetches the next window while it uses one, so its requests don't wait for the server. If the
    server can't be reached, this is logged, and each process continues with its share: the ceiling
    divided by the last known number of processes.

    It can be pickled. It needs the extra `redis`.

    Args:
        url: The URL of the server, such as `redis://limits.example.com:6379/0`, or a function that
            returns it. Pass a function if the URL has a password, because such a URL can't be
            pickled. The function is called in each process.
        requests_per_second: The ceiling for each account and Region: one number for every
            operation, or a mapping such as `{"BatchCheckLayerAvailability": 950}`. Operations that
            are not in the mapping have no ceiling.

    Raises:
        InvalidInputError: An argument is not valid.
        ImportError: The extra `redis` is not installed.

    Example:
        >>> RedisLimiter("redis://localhost", 950)
        <RedisLimiter requests_per_second=950>
    """

    def __init__(
        self, url: str | Callable[[], str], requests_per_second: float | Mapping[str, float]
    ) -> None:
        if not (callable(url) or (isinstance(url, str) and "://" in url)):
            # The value may contain a password.
            msg = (
                "url must be the URL of a Redis server, redis://HOST[:PORT], "
                "or a function that returns it"
            )
            raise InvalidInputError(msg)
        # It also checks the numbers and the names of the operations.
        if ClientConfig(requests_per_second=requests_per_second).requests_per_second is None:
            msg = "requests_per_second=None must be a number, or a mapping of operations to numbers"
            raise InvalidInputError(msg)
        if find_spec("redis") is None:
            msg = "RedisLimiter needs redis: pip install 'ecr-layer-client[redis]'"
            raise ImportError(msg)

        self._url = url
        self._rates = requests_per_second
        self._of_loop: dict[asyncio.AbstractEventLoop, _Lines] = {}

    async def acquire(self, quota: Quota, /) -> None:
        """Wait until one more request may be sent.

        Args:
            quota: What the request counts for.
        """
        rate = self._rates
        if isinstance(rate, Mapping):
            if quota.operation not in rate:
                return
            rate = rate[quota.operation]
        loop = asyncio.get_running_loop()
        if loop not in self._of_loop:
            for other in list(self._of_loop):
                if other.is_closed():
                    del self._of_loop[other]
            self._of_loop[loop] = _Lines(self._url)
        await self._of_loop[loop].line(quota, rate).acquire()

    async def aclose(self) -> None:
        """Close the connection of the running event loop. A later call opens another one."""
        lines = self._of_loop.pop(asyncio.get_running_loop(), None)
        if lines is not None:
            await lines.aclose()

    def __reduce__(self) -> tuple[object, ...]:
        """Return what an equal limiter is made from, unless it would carry a password."""
        parts = urlsplit(self._url if isinstance(self._url, str) else "")
        if parts.password or "password" in parse_qs(parts.query):
            msg = (
                "the URL of the Redis server has a password, which a pickle would contain: "
                "pass a function that returns the URL"
            )
            raise TypeError(msg)
        return type(self), (self._url, self._rates)

    def __repr__(self) -> str:
        """Return one line, without the URL, which may contain a password."""
        return f"<{type(self).__name__} requests_per_second={self._rates!r}>"


class _Lines:
    """The lines of one event loop, and its connection to the server."""

    def __init__(self, url: str | Callable[[], str]) -> None:
        self._url = url
        self._windows: RedisWindows | None = None
        self._lines: dict[Quota, Line] = {}
        self._workers = 1
        self._local_end: dict[Quota, float] = {}
        self._ask_again_at = 0.0
        self._is_logged = False

    def line(self, quota: Quota, rate: float) -> Line:
        """Return the line of a quota."""
        if quota not in self._lines:
            self._lines[quota] = Line(rate, partial(self._lease, quota, rate))
        return self._lines[quota]

    async def aclose(self) -> None:
        """Close the connection."""
        for line in self._lines.values():
            await line.settle()
        if self._windows is not None:
            await self._windows.aclose()

    async def _lease(self, quota: Quota, rate: float, count: int) -> Lease:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._ask_again_at:
            try:
                name = ":".join(part or "" for part in quota)
                wait, self._workers = await self._opened().next(name, count, 1 / rate)
            except Exception as error:  # noqa: BLE001 (whatever happened, requests must go on)
                self._ask_again_at = loop.time() + _RETRY_SECONDS
                self._log_once(error, rate / self._workers)
            else:
                self._is_logged = False
                return Lease(loop.time() + wait, 1 / rate)
        return self._local_lease(quota, self._workers / rate, count)

    def _log_once(self, error: Exception, share: float) -> None:
        if not self._is_logged:
            self._is_logged = True
            words = f"{type(error).__name__}; {share:.3g} requests per second from now on"
            _log.warning("the Redis server of the limiter can't be reached: %s", words)

    def _local_lease(self, quota: Quota, spacing: float, count: int) -> Lease:
        """Return a lease of this process's share of the ceiling."""
        start = max(asyncio.get_running_loop().time(), self._local_end.get(quota, 0.0))
        self._local_end[quota] = start + count * spacing
        return Lease(start, spacing)

    def _opened(self) -> Any:
        if self._windows is None:
            from ._redis_windows import RedisWindows  # noqa: PLC0415 (optional)

            url = self._url if isinstance(self._url, str) else self._url()
            self._windows = RedisWindows(url, uuid4().hex)
        return self._windows
