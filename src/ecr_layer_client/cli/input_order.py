"""Outcomes in the order of the input, however its batches come back."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from contextlib import aclosing
from typing import TYPE_CHECKING

from ecr_layer_client._checks.batches import STREAM_WINDOW, is_repeat
from ecr_layer_client._models.layer import canonical

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from ecr_layer_client._models.layer import LayerOutcome


class InputOrder:
    """Remembers in which order digests were asked, and gives their outcomes in that order.

    An outcome that is late holds back those behind it, and, once `most` digests wait, the reading,
    so that memory stays bounded.

    Args:
        most: Digests that may wait; more than two batches, or what is late might itself wait for
            the reading.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: dict[str, str] = OrderedDict()
        self._waiting: deque[str] = deque()
        self._settled: dict[str, LayerOutcome] = {}
        self._has_room = asyncio.Event()

    def forget(self) -> None:
        """Let a digest be asked anew that was asked before."""
        self._seen.clear()

    def add(self, digest: str) -> bool:
        """Take the next digest; say whether it is to be asked, or is a repeat."""
        key = canonical(digest)
        if is_repeat(self._seen, key, digest, STREAM_WINDOW):
            return False
        self._waiting.append(key)
        return True

    async def read(self, lines: AsyncGenerator[str]) -> AsyncGenerator[str]:
        """Yield the lines that are to be asked."""
        async with aclosing(lines):
            async for line in lines:
                while len(self._waiting) >= self._most:
                    self._has_room.clear()
                    await self._has_room.wait()
                if self.add(line):
                    yield line

    def settle(self, outcome: LayerOutcome) -> Iterator[LayerOutcome]:
        """Take an outcome, and yield those whose turn it is."""
        self._settled[canonical(outcome.digest)] = outcome
        while self._waiting and self._waiting[0] in self._settled:
            yield self._settled.pop(self._waiting.popleft())
        self._has_room.set()

    def rest(self) -> Iterator[LayerOutcome]:
        """Yield what was settled and held back, where what it waits for is not to come."""
        for key in self._waiting:
            if key in self._settled:
                yield self._settled.pop(key)
