"""Bounds that hold in real time although an input keeps the event loop busy."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client import OperationTimeoutError
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize("digest", [f"sha256:{0:064x}", "latest"], ids=["repeat", "malformed"])
async def test_a_bound_without_requests(digest: str, *, is_async: bool) -> None:
    """`timeout=` holds and other tasks run although an endless input needs no request or await."""

    def endless() -> Iterator[str]:
        for number in count():
            yield digest if digest.startswith("sha256") else f"{digest}-{number}"

    async def endless_async() -> AsyncIterator[str]:
        for item in endless():
            yield item

    loop = asyncio.get_running_loop()
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        loop.call_later(0.01, tick)

    tick()

    async with LocalECR(in_memory=True) as ecr, ecr.client() as client:
        ecr.seed("app", [])
        with pytest.raises(OperationTimeoutError):
            await client.check_layers(
                "app", endless_async() if is_async else endless(), timeout=0.3
            )

    assert ticks >= 3
