"""Images in a repository: the client against the in-memory local ECR, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest_asyncio

from ecr_layer_client.local import LocalECR
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test of this folder in virtual time."""
    return {"virtual": VirtualTimeLoop}


@pytest_asyncio.fixture
async def ecr() -> AsyncIterator[LocalECR]:
    """Yield an open local ECR in memory, and check what a test leaves behind.

    No request and no task may be left when a test ends.
    """
    async with LocalECR(in_memory=True, latency=0.05) as ecr:
        yield ecr
        assert ecr.in_flight == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
