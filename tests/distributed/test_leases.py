"""Leases: turns of a shared quota, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client.distributed._leases import Lease, Line
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine

RATE = 100.0


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


class Seller:
    """Gives windows that follow each other, as the server of a limiter does, after a round trip."""

    def __init__(self, round_trip: float = 0.0) -> None:
        self.counts: list[int] = []
        self._round_trip = round_trip
        self._end = 0.0

    async def lease(self, count: int) -> Lease:
        """Return the next window."""
        self.counts.append(count)
        await asyncio.sleep(self._round_trip)
        start = max(asyncio.get_running_loop().time(), self._end)
        self._end = start + count / RATE
        return Lease(start, 1 / RATE)


async def worker(line: Line, sent: list[float], until: float, round_trip: float = 0.05) -> None:
    """Send one request after another."""
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        await line.acquire()
        sent.append(loop.time())
        await asyncio.sleep(round_trip)


def test_processes_share_the_whole_rate() -> None:
    """Eight processes with ten calls each use the whole rate, and no more."""

    async def main() -> list[float]:
        seller, sent = Seller(round_trip=0.005), list[float]()
        lines = [Line(RATE, seller.lease) for _ in range(8)]
        await asyncio.gather(*(worker(line, sent, 10.0) for line in lines for _ in range(10)))
        return sorted(each for each in sent if each < 10.0)

    sent = run(main())
    assert 0.99 * 1000 <= len(sent) <= 1000
    assert max(len([at for at in sent if begin <= at < begin + 1]) for begin in range(10)) <= 101


def test_processes_that_are_killed() -> None:
    """When half of the processes end, the others use the whole rate again."""

    async def main() -> int:
        seller, sent = Seller(round_trip=0.005), list[float]()
        lines = [Line(RATE, seller.lease) for _ in range(8)]
        ends = [3.0 if number < 4 else 10.0 for number in range(8)]
        calls = [
            worker(line, sent, end)
            for line, end in zip(lines, ends, strict=True)
            for _ in range(10)
        ]
        await asyncio.gather(*calls)
        return len([each for each in sent if 5.0 <= each < 10.0])

    assert run(main()) >= 0.98 * 500


def test_fetched_ahead() -> None:
    """A call that follows another one does not wait for the round trip of a lease."""

    async def main() -> float:
        line = Line(RATE, Seller(round_trip=0.02).lease)
        await line.acquire()
        await asyncio.sleep(0.05)
        before = asyncio.get_running_loop().time()
        await line.acquire()
        return asyncio.get_running_loop().time() - before

    assert run(main()) == 0.0


def test_lost_turns() -> None:
    """A turn that nobody takes is lost, so that a process that paused catches nothing up."""

    async def main() -> list[float]:
        sent: list[float] = []
        line = Line(RATE, Seller().lease)
        await asyncio.gather(*(worker(line, sent, 0.01, 60.0) for _ in range(10)))
        await asyncio.gather(*(worker(line, sent, 61.0, 60.0) for _ in range(10)))
        return sent

    second = run(main())[10:]
    assert [at - second[0] for at in second] == pytest.approx([n / RATE for n in range(10)])


def test_sizes_of_leases() -> None:
    """A lease is as large as the demand, and bounds what a killed process loses."""

    async def main() -> list[int]:
        seller = Seller()
        line = Line(RATE, seller.lease)
        await asyncio.gather(*(line.acquire() for _ in range(60)))
        await line.settle()
        return seller.counts

    assert run(main()) == [25, 25, 25]


def test_a_cancelled_call() -> None:
    """A call that is cancelled while it waits takes no turn from the others."""

    async def main() -> float:
        line = Line(RATE, Seller(round_trip=1.0).lease)
        cancelled = asyncio.create_task(line.acquire())
        waiting = asyncio.create_task(line.acquire())
        await asyncio.sleep(0)
        cancelled.cancel()
        await waiting
        return asyncio.get_running_loop().time()

    assert run(main()) == 1.0


def test_settle_without_a_lease() -> None:
    """A line that was never used has nothing to wait for."""
    assert run(Line(RATE, Seller().lease).settle()) is None
