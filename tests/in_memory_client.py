"""Fixtures for tests of the client on the in-memory local ECR, in virtual time.

The conftest.py of a folder that needs them imports them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Unpack

import pytest
import pytest_asyncio

from ecr_layer_client import ClientConfig, ClientConfigChanges, ECRLayerClient, Observer
from ecr_layer_client.local import LocalECR
from transports import TRANSPORTS, client_class
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from ecr_layer_client._models.config import TransportName


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test of a folder in virtual time."""
    return {"virtual": VirtualTimeLoop}


class _ECR(LocalECR):
    """A local ECR whose clients use one transport."""

    transport: TransportName = "client"

    def client(
        self, *, observer: Observer | None = None, **options: Unpack[ClientConfigChanges]
    ) -> ECRLayerClient:
        """Return a client that uses this transport."""
        return client_class(self.transport)(
            region_name=self.region,
            endpoint_url=self.endpoint_url,
            session=self.session(),
            config=ClientConfig(**(ClientConfigChanges(transport=self.transport) | options)),
            observer=observer,
        )


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> TransportName:
    """Return each transport in turn."""
    transport: TransportName = request.param
    return transport


@pytest_asyncio.fixture
async def ecr(transport: TransportName) -> AsyncIterator[LocalECR]:
    """Give an open in-memory local ECR, and assert that the test leaves no request and no task."""
    async with _ECR(in_memory=True, latency=0.05) as ecr:
        ecr.transport = transport
        yield ecr

        assert ecr.in_flight == 0
        assert ecr.connections == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
def digests() -> list[str]:
    """Return 250 digests: two full batches and half a batch."""
    return [f"sha256:{number:064x}" for number in range(250)]
