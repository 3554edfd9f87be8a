"""`ECRPublicLayerClient` over real sockets, with the library's own session and both transports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from ecr_layer_client import ClientConfig, ECRPublicLayerClient
from ecr_layer_client.images import ImageSource
from ecr_layer_client.local import LocalECR
from images.making import image, sha256
from transports import TRANSPORTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ecr_layer_client._models.config import TransportName

pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("transport", TRANSPORTS)]

APP = "public.ecr.aws/local/app"
IMAGE = image("app", "base", "code")


@pytest_asyncio.fixture
async def ecr(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalECR]:
    """Give a local ECR of another Region, which the environment names."""
    async with LocalECR(region="eu-west-1") as local:
        local.create_repository(APP)
        for name, value in local.environment.items():
            monkeypatch.setenv(name, value)
        yield local


@pytest.fixture
def client(transport: TransportName) -> ECRPublicLayerClient:
    """Return a client that finds everything in the environment, and sends one batch at a time.

    So only its first request can use the client transport when it is set to the signed one.
    """
    return ECRPublicLayerClient(config=ClientConfig(transport=transport, max_concurrency=1))


async def test_check(ecr: LocalECR, client: ECRPublicLayerClient, digests: list[str]) -> None:
    """Digests are checked batch by batch, at the endpoint and in the Region of ECR Public."""
    ecr.seed(APP, [(digest, 1) for digest in digests[::2]])
    async with client:
        result = await client.check_layers(APP, digests)
    assert (result.available, ecr.stats.requests) == (tuple(digests[::2]), 3)


@pytest.mark.usefixtures("ecr")
async def test_push(client: ECRPublicLayerClient) -> None:
    """An image is pushed, and a second push by another name finds it."""
    blobs = {sha256(blob): blob for blob in IMAGE.blobs}
    source = ImageSource.from_manifest(IMAGE.manifest, blobs=lambda each: [blobs[each.digest]])
    async with client:
        first = await client.push(APP, source, tags=["v1"])
        second = await client.push("app", source, tags=["v1"])
    assert (len(first.moved), len(second.moved)) == (3, 0)
    assert second.calls == {"BatchCheckLayerAvailability": 1, "DescribeImages": 1}
