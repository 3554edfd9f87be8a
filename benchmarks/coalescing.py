"""Compare single checks that share batches with one check of a list of the same digests.

Run it with `make bench-coalescing`. Everything runs in one process on one event loop, against a
local ECR over loopback. The figures include the work of the local ECR.
"""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from ecr_layer_client import ECRLayerClient

DIGESTS = [f"sha256:{number:064x}" for number in range(10_000)]
ROUNDS = 7
LONE_CALLS = 200


async def seconds(work: Awaitable[object]) -> float:
    """Return the seconds that the work takes."""
    began = perf_counter()
    await work
    return perf_counter() - began


async def each(client: ECRLayerClient, digests: Sequence[str]) -> None:
    """Check each digest in a call of its own, all calls at once."""
    await asyncio.gather(*(client.check_layer("app", digest) for digest in digests))


async def throughput(client: ECRLayerClient) -> tuple[float, float]:
    """Return the median digests a second of one list and of single checks.

    The measurements alternate.
    """
    listed: list[float] = []
    single: list[float] = []
    for _ in range(ROUNDS):
        listed.append(await seconds(client.check_layers("app", DIGESTS)))
        single.append(await seconds(each(client, DIGESTS)))

    return len(DIGESTS) / median(listed), len(DIGESTS) / median(single)


async def lone_wait(client: ECRLayerClient) -> tuple[float, float]:
    """Return the median seconds of a lone `check_layer`, and of a request without coalescing.

    The measurements alternate.
    """
    alone: list[float] = []
    round_trips: list[float] = []
    for digest in DIGESTS[:LONE_CALLS]:
        alone.append(await seconds(client.check_layer("app", digest)))
        round_trips.append(await seconds(client.check_layers("app", [digest])))

    return median(alone), median(round_trips)


async def requests(ecr: LocalECR, client: ECRLayerClient) -> int:
    """Return the number of requests of 10,000 concurrent calls for 1,000 digests."""
    before = ecr.stats.requests
    await each(client, [digest for digest in DIGESTS[:1_000] for _ in range(10)])
    return ecr.stats.requests - before


async def main() -> None:
    """Measure and print the table in Markdown."""
    async with LocalECR() as ecr, ecr.client(transport="signed", requests_per_second=1e9) as client:
        ecr.seed("app", [(digest, 1) for digest in DIGESTS[::2]])
        await client.check_layers("app", DIGESTS)
        listed, single = await throughput(client)
        alone, round_trip = await lone_wait(client)
        made = await requests(ecr, client)

    print("| measured | figure |\n|---|---:|")
    print(f"| `check_layers` of 10,000 digests | {listed:,.0f} digests/s |")
    print(
        f"| 10,000 concurrent `check_layer` | {single:,.0f} digests/s, "
        f"{single / listed:.2f} of that |"
    )
    print(
        f"| a lone `check_layer`, window 2 ms | {alone * 1e3:.2f} ms, "
        f"{(alone - round_trip) * 1e3:.2f} ms above a round trip |"
    )
    print(f"| 10,000 concurrent `check_layer` over 1,000 digests | {made} requests |")


if __name__ == "__main__":
    asyncio.run(main())
