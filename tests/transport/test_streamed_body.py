"""Request bodies that are produced while they are sent, over loopback HTTP."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from botocore.credentials import ReadOnlyCredentials

from ecr_layer_client import ClientConfig, Repository, RetryPolicy
from ecr_layer_client._calls.caller import OperationState
from ecr_layer_client._transport.opening import open_transport
from ecr_layer_client._transport.operation import StreamedBody
from ecr_layer_client._transport.options import ConnectionOptions
from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._session import ACCESS_KEY, SECRET_KEY, local_session
from transport.botocore_signature import signature_by_botocore, signature_in
from transports import TRANSPORTS, client_class
from wire.servers import HEAD_ENDS, Served, read_head, serving

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, AsyncIterator

    from ecr_layer_client import ECRLayerClient
    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client._transport.operation import Transport

pytestmark = pytest.mark.asyncio

REGION = "us-east-1"
APP = Repository(name="app")
LAYER = bytes(range(256)) * 4096
CHUNK_BYTES = 48 * 1024  # a multiple of 3, so that chunks in base64 can be joined
SIGNED = ("authorization", "content-type", "x-amz-date", "x-amz-target")


@dataclass
class Part:
    """The body of an UploadLayerPart request, encoded while it is sent."""

    upload_id: str
    iterations: int = 0
    length: int = field(init=False)
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        """Compute the length and the digest, which a request needs before its first chunk."""
        whole = b"".join(self.chunks())
        self.length, self.sha256 = len(whole), sha256(whole).hexdigest()

    def chunks(self) -> list[bytes]:
        """Return the chunks of the JSON object."""
        last = len(LAYER) - 1
        where = {"uploadId": self.upload_id, "partFirstByte": 0, "partLastByte": last}
        members = json.dumps({"repositoryName": "app", **where}).encode()
        starts = range(0, len(LAYER), CHUNK_BYTES)
        blob = [b64encode(LAYER[start : start + CHUNK_BYTES]) for start in starts]
        return [members[:-1] + b', "layerPartBlob": "', *blob, b'"}']

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.iterations += 1
        for chunk in self.chunks():
            yield chunk


@dataclass(frozen=True)
class _Operation:
    """An operation on the repository `app` whose result is the JSON of its response."""

    body: bytes | StreamedBody
    repository: Repository = APP
    count: int = 1

    def request(self) -> bytes | StreamedBody:
        return self.body

    def parse(self, body: bytes) -> dict[str, Any]:
        members: dict[str, Any] = json.loads(body)
        return members


class Initiate(_Operation):
    """Begin an upload."""

    name: ClassVar[str] = "InitiateLayerUpload"


class UploadPart(_Operation):
    """Upload a part."""

    name: ClassVar[str] = "UploadLayerPart"


class Complete(_Operation):
    """End an upload."""

    name: ClassVar[str] = "CompleteLayerUpload"


@asynccontextmanager
async def recording(bodies: list[bytes]) -> AsyncGenerator[Served]:
    """Serve empty results, and add the body of each request to `bodies`."""

    async def play(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await read_head(served, reader)
        length = int(headers_of(served.heads[-1])["content-length"])
        bodies.append(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    async with serving(play) as served:
        yield served


def headers_of(head: str) -> dict[str, str]:
    """Return the headers of a request, with names in lower case."""
    lines = head.removesuffix(HEAD_ENDS.decode()).split("\r\n")[1:]
    headers = (line.split(": ", 1) for line in lines)
    return {name.lower(): value for name, value in headers}


@asynccontextmanager
async def opened(endpoint_url: str) -> AsyncGenerator[Transport]:
    """Open a signed transport, whose first request goes through the client's method."""
    session = local_session(REGION)
    options = ConnectionOptions(REGION, endpoint_url=endpoint_url, session=session)
    transport, _, _ = await open_transport(options, ClientConfig(transport="signed"))
    try:
        yield transport
    finally:
        await transport.aclose()


def a_client(ecr: LocalECR, transport: TransportName) -> ECRLayerClient:
    """Return a client whose requests all take one transport, and retry without a pause."""
    retry = RetryPolicy(initial_backoff=0.001)
    return client_class(transport)(
        region_name=ecr.region,
        endpoint_url=ecr.endpoint_url,
        session=ecr.session(),
        config=ClientConfig(transport=transport, retry=retry),
    )


async def test_bytes_are_not_streamed() -> None:
    """A body with a length, a digest and an async iterator is streamed; bytes are not."""
    found = [isinstance(body, StreamedBody) for body in (Part("f00d"), b"{}")]
    assert found == [True, False]


async def test_a_streamed_body_arrives_unchanged() -> None:
    """A streamed body arrives byte for byte, with its length, and signed with its digest."""
    part, bodies = Part("f00d"), list[bytes]()
    async with recording(bodies) as served, opened(served.url) as transport:
        assert [await transport.send(UploadPart(part)) for _ in range(2)] == [{}, {}]

    # The client's method wrote the first body; both are the same JSON object.
    assert bodies[1] == b"".join(part.chunks())
    assert json.loads(bodies[0]) == json.loads(bodies[1])

    headers = headers_of(served.heads[1])
    assert (headers["content-length"], "transfer-encoding" in headers) == (str(part.length), False)
    keys = ReadOnlyCredentials(ACCESS_KEY, SECRET_KEY, None)
    signed = {name: headers[name] for name in SIGNED}
    expected = signature_by_botocore(served.url, signed, bodies[1], keys, REGION)
    assert signature_in(headers) == expected


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_streamed_part_is_retried(transport: TransportName) -> None:
    """A retry iterates a streamed body again, and ECR receives the bytes of the blob."""
    name = f'"repositoryName": "app", "layerDigests": ["sha256:{sha256(LAYER).hexdigest()}"]'
    async with LocalECR() as ecr, a_client(ecr, transport) as client:
        ecr.create_repository("app")
        ecr.faults.add(operation="UploadLayerPart", error="ServerException", times=1)

        async def call(operation: Any) -> dict[str, Any]:
            result: dict[str, Any] = await client._caller(operation.name).call(
                operation, OperationState()
            )
            return result

        upload_id = (await call(Initiate(b'{"repositoryName": "app"}')))["uploadId"]
        part = Part(upload_id)
        uploaded = await call(UploadPart(part))
        assert (uploaded["lastByteReceived"], part.iterations) == (len(LAYER) - 1, 2)

        # ECR compares the digest with the bytes that it received.
        completed = await call(Complete(f'{{"uploadId": "{upload_id}", {name}}}'.encode()))
        assert completed["layerDigest"] == f"sha256:{sha256(LAYER).hexdigest()}"
