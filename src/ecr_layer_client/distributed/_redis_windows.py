"""`RedisWindows`: windows of time, given out by a Redis server. The only module that imports redis.

The server keeps, for each quota, the end of the last window that was given out, and which processes
asked lately. Its clock counts.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

_PREFIX = "ecr-layer-client"
_TIMEOUT_SECONDS = 1.0
_MICROSECONDS = 1e6
# Returns the microseconds until the window begins, and how many processes asked in a minute.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local start = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
local ending = start + ARGV[1] * ARGV[2]
local lasts = math.ceil((ending - now) / 1000) + 60000
redis.call('SET', KEYS[1], string.format('%.0f', ending), 'PX', lasts)
redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now - 60000000))
redis.call('PEXPIRE', KEYS[2], 60000)
return {string.format('%.0f', start - now), redis.call('ZCARD', KEYS[2])}
"""


class RedisWindows:
    """A connection to a Redis server, opened by its first use.

    Args:
        url: The server.
        worker: The name of this process.
    """

    def __init__(self, url: str, worker: str) -> None:
        redis: Any = Redis
        # The caller decides when to try again.
        self._redis: Any = redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._script: Any = self._redis.register_script(_SCRIPT)
        self._worker = worker

    async def next(self, quota: str, count: int, spacing: float) -> tuple[float, int]:
        """Return the seconds until a window of so many turns begins, and the number of processes.

        Raises:
            redis.RedisError: The server does not answer.
        """
        # The braces keep the keys of a quota on one node of a cluster.
        keys = [f"{_PREFIX}:{{{quota}}}:{kind}" for kind in ("end", "workers")]
        arguments = [count, round(spacing * _MICROSECONDS), self._worker]
        wait, workers = await self._script(keys=keys, args=arguments)
        return int(wait) / _MICROSECONDS, int(workers)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._redis.aclose()
