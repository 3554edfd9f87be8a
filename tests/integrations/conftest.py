"""Tables and traces, with a local ECR in memory and in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from ecr_layer_client.local import LocalECR
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Mapping


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test of this folder in virtual time."""
    return {"virtual": VirtualTimeLoop}


@pytest_asyncio.fixture
async def ecr() -> AsyncIterator[LocalECR]:
    """Return an open local ECR whose responses take 50 ms, with an empty repository "app"."""
    async with LocalECR(in_memory=True, region="eu-west-1", latency=0.05) as ecr:
        ecr.seed("app", [])
        yield ecr
