"""Options that make a push fail or take long: uploads that end early, limits, and a slow line."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from ecr_layer_client.local import LocalECR
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

MIB = 1024 * 1024
LAYER = b"the bytes of a layer"
DIGEST = f"sha256:{hashlib.sha256(LAYER).hexdigest()}"


@asynccontextmanager
async def serving(**options: Any) -> AsyncGenerator[tuple[LocalECR, Any]]:
    """Provide a local ECR in memory, and a client of aiobotocore."""
    async with LocalECR(in_memory=True, **options) as ecr:
        ecr.create_repository("app")
        session: Any = ecr.session()
        async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as client:
            yield ecr, client


async def started(client: Any) -> dict[str, str]:
    """Start an upload, and return the members that name it."""
    answer = await client.initiate_layer_upload(repositoryName="app")
    return {"repositoryName": "app", "uploadId": answer["uploadId"]}


async def sent(client: Any, upload: dict[str, str], data: bytes, first: int = 0) -> int:
    """Send a part, and return the last byte received."""
    where = {"partFirstByte": first, "partLastByte": first + len(data) - 1}
    answer = await client.upload_layer_part(**upload, **where, layerPartBlob=data)
    return int(answer["lastByteReceived"])


@pytest.mark.asyncio
async def test_uploads_can_expire() -> None:
    """After expire_uploads(), the id of an upload is unknown, and a new one works."""
    async with serving() as (ecr, client):
        upload = await started(client)
        await sent(client, upload, LAYER)
        ecr.expire_uploads()
        with pytest.raises(ClientError, match="UploadNotFoundException"):
            await client.complete_layer_upload(**upload, layerDigests=[DIGEST])
        assert await sent(client, await started(client), LAYER) == len(LAYER) - 1


@pytest.mark.asyncio
async def test_a_part_can_be_accepted_in_part() -> None:
    """With accept_bytes, the response says how much was accepted, and the next part follows it."""
    async with serving() as (ecr, client):
        ecr.faults.add(operation="UploadLayerPart", accept_bytes=5, times=1)
        # A part that was sent in full size is not too small.
        layer, upload = LAYER + bytes(5 * MIB), await started(client)
        accepted = [await sent(client, upload, layer)]
        accepted.append(await sent(client, upload, layer[5:], first=5))
        digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
        completed = await client.complete_layer_upload(**upload, layerDigests=[digest])
    assert (accepted, completed["layerDigest"]) == ([4, len(layer) - 1], digest)
    assert ecr.stats.by_operation["UploadLayerPart"] == {"accept_bytes": 1, "ok": 1}


@pytest.mark.asyncio
async def test_a_layer_can_be_lost_before_an_image_is_put() -> None:
    """With lose_layer, PutImage names the layer as missing. Once it is there again, it succeeds."""
    async with serving() as (ecr, client):
        digest = ecr.put_layer("app", LAYER)
        manifest = (
            '{"mediaType": "application/vnd.oci.image.manifest.v1+json", '
            f'"config": {{"digest": "{digest}"}}, "layers": []}}'
        )
        ecr.faults.add(operation="PutImage", lose_layer=digest, times=1)
        with pytest.raises(ClientError, match=rf"LayersNotFoundException.*\[{digest}\]"):
            await client.put_image(repositoryName="app", imageManifest=manifest)

        ecr.put_layer("app", LAYER)
        answer = await client.put_image(repositoryName="app", imageManifest=manifest)
    assert answer["image"]["imageManifest"] == manifest


@pytest.mark.asyncio
async def test_a_part_has_a_largest_size() -> None:
    """max_part_size bounds what is proposed and what is accepted."""
    async with serving(max_part_size=5 * MIB) as (_, client):
        answer = await client.initiate_layer_upload(repositoryName="app")
        upload = {"repositoryName": "app", "uploadId": answer["uploadId"]}
        with pytest.raises(ClientError, match="must have length less than or equal to 5242880"):
            await sent(client, upload, bytes(5 * MIB + 1))
        accepted = await sent(client, upload, bytes(5 * MIB))
    assert (answer["partSize"], accepted) == (5 * MIB, 5 * MIB - 1)


def test_an_image_has_a_largest_number_of_layers() -> None:
    """max_layers_per_image rejects an image with more layers. Its config does not count."""
    ecr = LocalECR(max_layers_per_image=2)
    ecr.seed_image("app", [b"one", b"two"])
    expected = "LimitExceededException: Limit on number of layers per image exceeded"
    with pytest.raises(ValueError, match=expected):
        ecr.seed_image("app", [b"one", b"two", b"three"])


class Slow:
    """A body that is produced while it is sent. It notes when each chunk was taken."""

    def __init__(self) -> None:
        """Start without times."""
        self.times: list[float] = []

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in (b"{", b" " * 98, b"}"):
            self.times.append(asyncio.get_running_loop().time())
            yield chunk


def test_a_slow_line_takes_its_time() -> None:
    """With intake, each chunk of a body takes its time, and the sender waits for it."""

    async def main() -> list[float]:
        async with LocalECR(in_memory=True, auth=False, intake=100) as ecr:
            server: Any = ecr._server
            http = server.session_class()()
            headers = {"X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"}
            request: Any = AWSRequest("POST", ecr.endpoint_url, headers, body := Slow()).prepare()
            async with http:
                await http.send(request)
            return [*body.times, asyncio.get_running_loop().time()]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(main()) == pytest.approx([0, 0.01, 0.99, 1])


@pytest.mark.asyncio
async def test_the_whole_body_is_taken_in_over_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP, every byte of a body waits for the intake, chunk by chunk."""
    sizes: list[int] = []

    async def take_in(size: int) -> None:
        sizes.append(size)

    async with LocalECR(auth=False, intake=1) as ecr, aiohttp.ClientSession() as http:
        monkeypatch.setattr(ecr._service, "take_in", take_in)
        async with http.post(ecr.endpoint_url, data=bytes(MIB)) as response:
            await response.read()
    assert (sum(sizes), len(sizes) > 1) == (MIB, True)
