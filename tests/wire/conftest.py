"""The client over real sockets: what the tests of this folder share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from ecr_layer_client import ClientConfig
from ecr_layer_client.local import LocalECR
from transports import TRANSPORTS, client_class

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ecr_layer_client import ECRLayerClient
    from ecr_layer_client._models.config import TransportName
    from transports import OwnClient

KEPT = "AWS_CA_BUNDLE"  # where this machine's certificates lie is no setting of AWS's


@pytest.fixture(autouse=True)
def _no_aws_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the user's own AWS configuration and proxies away, and the metadata service of a cloud machine."""
    for name in os.environ:
        if (name.startswith("AWS_") and name != KEPT) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest_asyncio.fixture
async def ecr() -> AsyncIterator[LocalECR]:
    """Give a local ECR on its socket, with an empty repository `app`."""
    async with LocalECR() as local:
        local.create_repository("app")
        yield local


@pytest.fixture(params=TRANSPORTS)
def own_client(request: pytest.FixtureRequest) -> OwnClient:
    """Give a function that makes a client with the library's own session, on each transport in turn."""
    transport: TransportName = request.param

    def client(
        endpoint_url: str, *, profile_name: str | None = None, **options: Any
    ) -> ECRLayerClient:
        config = ClientConfig(transport=transport, **options)
        return client_class(transport)(
            region_name="us-east-1",
            endpoint_url=endpoint_url,
            profile_name=profile_name,
            config=config,
        )

    return client


@pytest.fixture
def digests() -> list[str]:
    """Give 250 digests: two full batches and a half."""
    return [f"sha256:{number:064x}" for number in range(250)]


@pytest.fixture
def seeded(ecr: LocalECR, digests: list[str]) -> LocalECR:
    """Give a local ECR whose repository `app` holds every other digest."""
    ecr.seed("app", [(digest, 1) for digest in digests[::2]])
    return ecr
