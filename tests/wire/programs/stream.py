"""Stream a few generated digests, then COUNT of them, from the endpoint in the environment.

Print the number of answers and by how many bytes the peak of memory grew.
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
    """Return the peak of this process's memory in bytes.

    getrusage would include the memory of the parent, from before this program was executed.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def generated(count: int) -> Iterator[str]:
    """Yield `count` digests without keeping any."""
    for number in range(count):
        yield f"sha256:{number:064x}"


async def main(count: int) -> None:
    """Stream twice and print the growth."""
    async with ECRLayerClient(config=ClientConfig(max_concurrency=10)) as client:
        peaks: list[int] = []
        for each in (FEW, count):
            answered = 0
            async with client.stream_layers("app", generated(each)) as stream:
                async for _ in stream:
                    answered += 1
            peaks.append(peak())

    print(answered, peaks[1] - peaks[0])  # noqa: T201 (the test reads it)


asyncio.run(main(int(sys.argv[1])))
