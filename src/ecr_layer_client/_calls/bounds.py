"""Bounds that the transfers of a client share: memory, bandwidth and layers in flight."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Hashable

    from ecr_layer_client._models.config import ClientConfig

MAX_LAYERS_IN_FLIGHT = 32
_MAX_THREADS = 1
# Parts that share a low bandwidth end late, all of them. A run with a timeout keeps only the parts
# that ended, so no more parts are in flight than the bandwidth carries in this time.
_SECONDS_IN_FLIGHT = 4.0

T = TypeVar("T")


class ByteBudget:
    """Bounds the bytes of the parts that are in memory.

    Args:
        limit: The number of bytes. A part that is larger than all of it waits until it is alone.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def acquire(self, size: int) -> None:
        """Wait until there is room for some bytes. Who waited longest is first."""
        if not self._waiting and self._fits(size):
            self._used += size
            return

        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._admit()
            else:
                self.release(size)
            raise

    def release(self, size: int) -> None:
        """Give back what `acquire` took."""
        self._used -= size
        self._admit()

    def _admit(self) -> None:
        while self._waiting and (self._waiting[0][1].done() or self._fits(self._waiting[0][0])):
            size, turn = self._waiting.popleft()
            # Who was cancelled may still stand in the line.
            if not turn.done():
                self._used += size
                turn.set_result(None)

    def _fits(self, size: int) -> bool:
        return self._used + size <= self._limit or not self._used


class Bandwidth:
    """Lets bytes leave at a rate.

    Args:
        bytes_per_second: The rate. None: as fast as they go.
    """

    def __init__(self, bytes_per_second: float | None) -> None:
        self._rate = bytes_per_second
        self._free_at = 0.0

    async def take(self, size: int) -> None:
        """Wait until some bytes may leave."""
        if self._rate is None:
            return
        now = asyncio.get_running_loop().time()
        begin = max(self._free_at, now)
        self._free_at = begin + size / self._rate
        await asyncio.sleep(begin - now)


class LayerTurns:
    """Lets one transfer at a time upload a layer, and at most 32 layers be in flight."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(MAX_LAYERS_IN_FLIGHT)
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, layer: Hashable) -> AsyncGenerator[bool, None]:
        """Wait for the turn of a layer.

        The value is whether another transfer was uploading the same layer.
        """
        async with self._places:
            lock = self._locks.get(layer)
            if lock is None:
                lock = self._locks[layer] = asyncio.Lock()
            has_waited = lock.locked()
            async with lock:
                yield has_waited


class Threads:
    """The threads that prepare parts: few, because each keeps its own memory."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Run something in a thread."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(_MAX_THREADS, "ecr-layer-parts")
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *args)

    def close(self) -> None:
        """End the threads, when they have done their work."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)


class Bounds(NamedTuple):
    """The bounds of the transfers of a client.

    Attributes:
        budget: The bytes of parts in memory.
        bandwidth: The rate at which they leave.
        turns: The layers in flight.
        threads: The threads that prepare parts.
    """

    budget: ByteBudget
    bandwidth: Bandwidth
    turns: LayerTurns
    threads: Threads

    @classmethod
    def of(cls, config: ClientConfig) -> Self:
        """Return the bounds of a client with some options."""
        limit, rate = config.max_bytes_in_flight, config.max_bandwidth
        if rate is not None:
            limit = int(min(limit, rate * _SECONDS_IN_FLIGHT))
        return cls(ByteBudget(limit), Bandwidth(rate), LayerTurns(), Threads())

    def for_another_connection(self) -> Bounds:
        """Return bounds with the same memory and bandwidth, and their own layers in flight."""
        return self._replace(turns=LayerTurns(), threads=Threads())
