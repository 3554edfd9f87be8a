"""The pacer over real sockets: independent processes share a quota of 50 requests a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import pytest

from ecr_layer_client.local import LocalECR
from wire.processes import ended, started

if TYPE_CHECKING:
    from asyncio.subprocess import Process

pytestmark = [pytest.mark.asyncio, pytest.mark.full, pytest.mark.timeout(300)]

QUOTA, BURST, LATENCY, BATCHES = 50, 50, 0.03, 1_000
CHECK = "BatchCheckLayerAvailability"


class Run(NamedTuple):
    """The outcome of a run.

    Attributes:
        answered: Answered digests of all processes.
        goodput: The share of the quota that was used, without the saved-up burst.
        waste: The share of requests that were throttled.
    """

    answered: int
    goodput: float
    waste: float


async def line(process: Process) -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def run(processes: int, max_concurrency: int) -> Run:
    """Let processes check a thousand digests, one a request, from the same moment on."""
    share = BATCHES // processes
    loop = asyncio.get_running_loop()

    async with LocalECR(quota=QUOTA, burst=BURST, latency=LATENCY) as ecr:
        ecr.create_repository("app")
        running = [
            await started("pace.py", number * share, share, max_concurrency, env=ecr.environment)
            for number in range(processes)
        ]

        try:
            assert [await line(each) for each in running] == ["ready"] * processes
            began = loop.time()
            for each in running:
                assert each.stdin is not None
                each.stdin.write(b"\n")
            answered = await asyncio.gather(*(line(each) for each in running))
            elapsed = loop.time() - began
        finally:
            for each in running:
                await ended(each)
        throttled = ecr.stats.by_operation[CHECK].get("ThrottlingException", 0)
        return Run(
            sum(map(int, answered)),
            (BATCHES - BURST) / QUOTA / elapsed,
            throttled / ecr.stats.requests,
        )


@pytest.mark.parametrize(
    ("processes", "max_concurrency", "goodput", "waste"),
    [
        pytest.param(1, 10, 0.95, 0.06, id="one-process-10-in-flight"),
        pytest.param(1, 50, 0.95, 0.08, id="one-process-50-in-flight"),
        pytest.param(8, 10, 0.88, 0.12, id="eight-processes"),
    ],
)
async def test_processes_share_a_quota(
    processes: int, max_concurrency: int, goodput: float, waste: float
) -> None:
    """Processes answer every digest, use most of the quota, and few requests are throttled."""
    found = await run(processes, max_concurrency)

    print(  # noqa: T201 (the figures)
        f"{processes} processes, {max_concurrency} in flight each: "
        f"goodput {found.goodput:.3f}, waste {found.waste:.1%}"
    )
    assert (found.answered, found.goodput >= goodput, found.waste <= waste) == (BATCHES, True, True)
