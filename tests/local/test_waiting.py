"""Over HTTP, no request waits until another one is written."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._registry.state import StoredLayer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

pytestmark = pytest.mark.asyncio

HELD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@asynccontextmanager
async def serving(data: Path | None) -> AsyncGenerator[tuple[LocalECR, Any]]:
    """Provide a local ECR over HTTP with one layer, and a client of aiobotocore."""
    async with LocalECR(data=data) as ecr:
        ecr.seed("app", [(HELD, 7)])
        session: Any = ecr.session()
        async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as client:
            yield ecr, client


async def availability(client: Any, digest: str) -> str:
    """Return the availability of a layer."""
    answer = await client.batch_check_layer_availability(
        repositoryName="app", layerDigests=[digest]
    )
    return str(answer["layers"][0]["layerAvailability"])


async def test_a_check_does_not_wait_for_a_change(tmp_path: Path) -> None:
    """A check is answered while a change waits for its turn to be saved."""
    async with serving(tmp_path) as (ecr, client):
        with ecr._registry.changing("app"):
            putting = asyncio.create_task(client.create_repository(repositoryName="new"))
            assert await availability(client, HELD) == "AVAILABLE"
            assert not putting.done()
        assert (await putting)["repository"]["repositoryName"] == "new"


async def test_nobody_sees_a_change_before_it_is_saved(tmp_path: Path) -> None:
    """A layer is absent until its transaction is complete, so that no answer can be lost."""
    async with serving(tmp_path) as (ecr, client):
        with ecr._registry.changing("app") as revision:
            revision.hold([StoredLayer(NEW, 7, "text/plain")])
            before = await availability(client, NEW)
        assert [before, await availability(client, NEW)] == ["UNAVAILABLE", "AVAILABLE"]


async def test_a_check_does_not_wait_for_a_part() -> None:
    """A check is answered while a part of a layer is written."""
    async with serving(None) as (ecr, client):
        upload_id = (await client.initiate_layer_upload(repositoryName="app"))["uploadId"]
        part = {"partFirstByte": 0, "partLastByte": 3, "layerPartBlob": b"data"}
        with ecr._registry.repository("app").uploads[upload_id].lock:
            uploading = asyncio.create_task(
                client.upload_layer_part(repositoryName="app", uploadId=upload_id, **part)
            )
            assert await availability(client, HELD) == "AVAILABLE"
            assert not uploading.done()
        assert (await uploading)["lastByteReceived"] == 3
