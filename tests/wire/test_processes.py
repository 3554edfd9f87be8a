"""Properties of a whole process: its memory, and the threads that opening a client takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wire.processes import ran

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

MIB = 1 << 20
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs /proc to measure memory"
)


@needs_proc
async def test_memory_of_a_hundred_thousand(ecr: LocalECR) -> None:
    """Streaming 100,000 generated digests takes less than 40 MiB more than streaming 1,000."""
    answered, growth = map(int, (await ran("stream.py", 100_000, env=ecr.environment)).split())
    assert (answered, growth < 40 * MIB) == (100_000, True), f"grew by {growth / MIB:.1f} MiB"


@needs_proc
@pytest.mark.full
@pytest.mark.timeout(600)
async def test_memory_of_a_million(ecr: LocalECR) -> None:
    """Streaming a million generated digests takes less than 40 MiB more than streaming 1,000."""
    answered, growth = map(int, (await ran("stream.py", 1_000_000, env=ecr.environment)).split())
    assert (answered, growth < 40 * MIB) == (1_000_000, True), f"grew by {growth / MIB:.1f} MiB"


async def test_opening_does_not_stall_the_loop() -> None:
    """Opening imports aiobotocore in a worker thread; opening a second client takes no thread."""
    facts: dict[str, Any] = json.loads(await ran("open.py"))
    importers: dict[str, str] = facts.pop("importers")
    assert facts == {"before": False, "first": True, "second": 0, "loop": "MainThread"}
    assert [name.partition("_")[0] for name in importers.values()] == ["worker"] * 3
