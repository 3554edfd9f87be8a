"""Single checks that share batches, beside the same digests given as a list.

Run it with `make bench-coalescing`. Everything runs in one process on one event loop, against a
local ECR over loopback, its work included.
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
    """Return how long it takes."""
    began = perf_counter()
    await work
    return perf_counter() - began


async def each(client: ECRLayerClient, digests: Sequence[str]) -> None:
    """Let as many callers as there are digests ask for one each, at once."""
    await asyncio.gather(*(client.check_layer("app", digest) for digest in digests))


async def throughput(client: ECRLayerClient) -> tuple[float, float]:
    """Return digests a second of one list, and of single checks, in turns: the medians."""
    listed: list[float] = []
    single: list[float] = []
    for _ in range(ROUNDS):
        listed.append(await seconds(client.check_layers("app", DIGESTS)))
        single.append(await seconds(each(client, DIGESTS)))
    return len(DIGESTS) / median(listed), len(DIGESTS) / median(single)


async def lone_wait(client: ECRLayerClient) -> tuple[float, float]:
    """Return a lone caller's wait, and a round trip without coalescing, in turns: the medians."""
    alone: list[float] = []
    round_trips: list[float] = []
    for digest in DIGESTS[:LONE_CALLS]:
        alone.append(await seconds(client.check_layer("app", digest)))
        round_trips.append(await seconds(client.check_layers("app", [digest])))
    return median(alone), median(round_trips)


async def requests(ecr: LocalECR, client: ECRLayerClient) -> int:
    """Return the requests of 10,000 calls at once over 1,000 digests."""
    before = ecr.stats.requests
    await each(client, [digest for digest in DIGESTS[:1_000] for _ in range(10)])
    return ecr.stats.requests - before


async def main() -> None:
    """Print the table, as Markdown."""
    async with LocalECR() as ecr, ecr.client(transport="signed", requests_per_second=1e9) as client:
        ecr.seed("app", [(digest, 1) for digest in DIGESTS[::2]])
        await client.check_layers("app", DIGESTS)
        listed, single = await throughput(client)
        alone, round_trip = await lone_wait(client)
        made = await requests(ecr, client)
    print("| what | figure |\n|---|---:|")
    print(f"| `check_layers` of 10,000 digests | {listed:,.0f} digests/s |")
    print(
        f"| 10,000 concurrent `check_layer` | {single:,.0f} digests/s, {single / listed:.2f} of that |"
    )
    print(
        f"| a lone `check_layer`, window 2 ms | {alone * 1e3:.2f} ms, {(alone - round_trip) * 1e3:.2f} ms above a round trip |"
    )
    print(f"| 10,000 concurrent `check_layer` over 1,000 digests | {made} requests |")


if __name__ == "__main__":
    asyncio.run(main())
