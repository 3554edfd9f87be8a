"""The number of requests for single checks of real images' layers, made by many tasks."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from math import ceil

import pytest

from ecr_layer_client import Repository
from ecr_layer_client.local import LocalECR, sample_images
from virtual_time import VirtualTimeLoop

REFERENCES = [
    (image.repository, layer.digest) for image in sample_images() for layer in image.layers
]
TASKS = 200

DISTINCT: defaultdict[str, set[str]] = defaultdict(set)
for name, referenced in REFERENCES:
    DISTINCT[name].add(referenced)

# The requests that check each digest of each repository once, in full batches.
FEWEST_REQUESTS = sum(ceil(len(digests) / 100) for digests in DISTINCT.values())


async def _requests(round_trip: float, spread: float) -> int:
    async with LocalECR(in_memory=True, latency=round_trip) as ecr:
        for name, digests in DISTINCT.items():
            ecr.seed(name, [(digest, 1) for digest in digests])
        if spread:
            ecr.faults.add(latency=(0.0, spread))

        queue = iter(REFERENCES)
        async with ecr.client() as client:

            async def work() -> None:
                for name, digest in queue:
                    layer = await client.check_layer(Repository(name=name), digest)
                    assert layer.is_available

            await asyncio.gather(*(work() for _ in range(TASKS)))

        return ecr.stats.requests


@pytest.mark.parametrize(
    ("round_trip", "spread"),
    [
        pytest.param(0.02, 0.04, id="20-to-60-ms"),
        pytest.param(0.05, 0.0, id="50-ms", marks=pytest.mark.full),
        pytest.param(0.005, 0.0, id="5-ms", marks=pytest.mark.full),
        pytest.param(0.005, 0.1, id="5-to-105-ms", marks=pytest.mark.full),
    ],
)
def test_references_one_at_a_time(round_trip: float, spread: float) -> None:
    """200 tasks that check one layer at a time send at most 1.6 times the fewest requests."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        requests = runner.run(_requests(round_trip, spread))

    assert requests <= 1.6 * FEWEST_REQUESTS, requests / FEWEST_REQUESTS
