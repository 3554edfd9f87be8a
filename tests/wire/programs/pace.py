"""Check COUNT digests, one a request, as soon as a line arrives on standard input.

Arguments: the number of the first digest, COUNT, and the most requests in flight. Print the number
of answered digests.
"""

from __future__ import annotations

import asyncio
import sys

from ecr_layer_client import ClientConfig, ECRLayerClient


async def main(first: int, count: int, max_concurrency: int) -> None:
    """Open a client, print "ready", wait for a line and check."""
    digests = [f"sha256:{number:064x}" for number in range(first, first + count)]
    config = ClientConfig(batch_size=1, max_concurrency=max_concurrency)
    async with ECRLayerClient(config=config) as client:
        print("ready", flush=True)  # noqa: T201 (the test reads it)
        await asyncio.to_thread(sys.stdin.readline)
        result = await client.check_layers("app", digests)
        print(len(result.absent), flush=True)  # noqa: T201


asyncio.run(main(*map(int, sys.argv[1:])))
