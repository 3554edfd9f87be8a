"""Stream generated digests from the endpoint of the environment: a few, then COUNT.

Print by how many bytes the peak of memory grew.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ecr_layer_client import ClientConfig, ECRLayerClient

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = 1_000


def peak() -> int:
    """Return the most bytes this process ever held in memory.

    Getrusage would count its parent's, from before it was this program.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def generated(count: int) -> Iterator[str]:
    """Yield so many digests, none kept."""
    for number in range(count):
        yield f"sha256:{number:064x}"


async def main(count: int) -> None:
    """Stream twice."""
    async with ECRLayerClient(config=ClientConfig(max_concurrency=10)) as client:
        peaks: list[int] = []
        for each in (FEW, count):
            answered = 0
            async with client.stream_layers("app", generated(each)) as stream:
                async for _ in stream:
                    answered += 1
            peaks.append(peak())
    print(answered, peaks[1] - peaks[0])  # noqa: T201 (what the test reads)


asyncio.run(main(int(sys.argv[1])))
