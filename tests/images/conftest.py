"""Images in a repository: the client against the in-memory local ECR, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from ecr_layer_client.local import LocalECR
from images.making import tar, write
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path


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


@pytest.fixture(params=["directory", "tar", "gzipped"])
def lay_out(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Return a function that writes files as a directory, an archive or a gzipped archive."""
    gzipped = request.param == "gzipped"
    if request.param == "directory":
        return lambda files: write(tmp_path / "layout", files)
    return lambda files: tar(tmp_path / "layout.tar", files, gzipped=gzipped)
