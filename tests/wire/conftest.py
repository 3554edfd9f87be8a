"""Fixtures for the tests of the client over real sockets."""

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

# The place of this machine's certificates is not a setting of AWS.
KEPT = "AWS_CA_BUNDLE"


@pytest.fixture(autouse=True)
def _no_aws_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the user's AWS configuration and proxies, and a cloud machine's metadata service."""
    for name in os.environ:
        if (name.startswith("AWS_") and name != KEPT) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)

    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest_asyncio.fixture
async def ecr() -> AsyncIterator[LocalECR]:
    """Give a local ECR on a socket, with an empty repository `app`."""
    async with LocalECR() as local:
        local.create_repository("app")
        yield local


@pytest.fixture(params=TRANSPORTS)
def own_client(request: pytest.FixtureRequest) -> OwnClient:
    """Return a function that makes clients with the library's own session, for each transport."""
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
    """Return 250 digests: two full batches and half a batch."""
    return [f"sha256:{number:064x}" for number in range(250)]


@pytest.fixture
def seeded(ecr: LocalECR, digests: list[str]) -> LocalECR:
    """Return a local ECR whose repository `app` holds every second digest."""
    ecr.seed("app", [(digest, 1) for digest in digests[::2]])
    return ecr
