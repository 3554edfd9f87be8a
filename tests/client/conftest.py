"""The client on the in-memory local ECR, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Unpack

import pytest
import pytest_asyncio

from ecr_layer_client import ClientConfig, ClientConfigChanges, ECRLayerClient, Observer
from ecr_layer_client.local import LocalECR
from lanes import LANES, client_class
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from ecr_layer_client._models.config import Lane


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test of this folder in virtual time."""
    return {"virtual": VirtualTimeLoop}


class _ECR(LocalECR):
    """A local ECR whose clients take one lane."""

    lane: Lane = "ordinary"

    def client(self, *, observer: Observer | None = None, **options: Unpack[ClientConfigChanges]) -> ECRLayerClient:
        """Return a client of that lane."""
        return client_class(self.lane)(
            region_name=self.region,
            endpoint_url=self.endpoint_url,
            session=self.session(),
            config=ClientConfig(**(ClientConfigChanges(lane=self.lane) | options)),
            observer=observer,
        )


@pytest.fixture(params=LANES)
def lane(request: pytest.FixtureRequest) -> Lane:
    """Give each lane in turn."""
    lane: Lane = request.param
    return lane


@pytest_asyncio.fixture
async def ecr(lane: Lane) -> AsyncIterator[LocalECR]:
    """Give an open local ECR in memory, and see that a test leaves nothing behind on it, nor on the loop."""
    async with _ECR(in_memory=True, latency=0.05) as ecr:
        ecr.lane = lane
        yield ecr
        assert ecr.in_flight == 0
        assert ecr.connections == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
def digests() -> list[str]:
    """Give 250 digests: two full batches and a half."""
    return [f"sha256:{number:064x}" for number in range(250)]
