"""Fixtures for the tests of the local ECR."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest_asyncio.fixture
async def ecr() -> AsyncIterator[LocalECR]:
    """Provide a local ECR that serves over HTTP."""
    async with LocalECR() as local:
        yield local


@pytest.fixture(autouse=True)
def _no_aws_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Keep the user's own AWS configuration away from boto3."""
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/credentials")

    for name in (
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_ENDPOINT_URL",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
