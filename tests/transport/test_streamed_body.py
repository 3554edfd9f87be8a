"""Request bodies that are produced while they are sent, over loopback HTTP."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from ecr_layer_client import (
    ClientConfig,
    InvalidInputError,
    Repository,
    RetryPolicy,
    TransportError,
)
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


def operation(name: str, body: bytes | StreamedBody) -> Any:
    """Return an operation of ECR."""
    return type(name, (_Operation,), {"name": name})(body)


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


async def test_bytes_are_not_streamed() -> None:
    """A body with a length, a digest and an async iterator is streamed; bytes are not."""
    found = [isinstance(body, StreamedBody) for body in (Part("f00d"), b"{}")]
    assert found == [True, False]


async def test_a_streamed_body_arrives_unchanged() -> None:
    """A streamed body arrives byte for byte, with its length, and signed with its digest."""
    part, bodies = Part("f00d"), list[bytes]()
    async with recording(bodies) as served, opened(served.url) as transport:
        assert [await transport.send(operation("UploadLayerPart", part)) for _ in range(2)] == [
            {},
            {},
        ]

    # The client's method wrote the first body; both are the same JSON object.
    assert bodies[1] == b"".join(part.chunks())
    assert json.loads(bodies[0]) == json.loads(bodies[1])

    headers = headers_of(served.heads[1])
    assert (headers["content-length"], "transfer-encoding" in headers) == (str(part.length), False)
    keys = ReadOnlyCredentials(ACCESS_KEY, SECRET_KEY, None)
    signed = {name: headers[name] for name in SIGNED}
    expected = signature_by_botocore(served.url, signed, bodies[1], keys, REGION)
    assert signature_in(headers) == expected


class Failing(Part):
    """A body whose producer fails after its first chunk."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.chunks()[0]
        raise PermissionError(13, "the disk is gone")


class Shortened(Part):
    """A body that ends before its announced length."""

    def chunks(self) -> list[bytes]:
        """Return all chunks, and one less after they were announced."""
        chunks = super().chunks()
        return chunks[:-1] if hasattr(self, "length") else chunks


class Lengthened(Part):
    """A body that goes on after its announced length."""

    def chunks(self) -> list[bytes]:
        """Return all chunks, and one more after they were announced."""
        chunks = super().chunks()
        return [*chunks, b" "] if hasattr(self, "length") else chunks


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (Failing, PermissionError, "the disk is gone"),
        (Shortened, InvalidInputError, r"a request must have \d+ bytes, but has fewer"),
        (Lengthened, InvalidInputError, r"a request must have \d+ bytes, but has more"),
    ],
)
@pytest.mark.parametrize("requests", [1, 2], ids=["client", "signed"])
async def test_a_body_that_cannot_be_sent(
    body: type[Part], error: type[Exception], words: str, requests: int
) -> None:
    """An error of the producer of a body passes unchanged, and a wrong length is one, at once."""
    async with recording([]) as served, opened(served.url) as transport:
        for _ in range(requests - 1):
            await transport.send(operation("InitiateLayerUpload", b"{}"))
        with pytest.raises(error, match=words):
            await transport.send(operation("UploadLayerPart", body("f00d")))


async def test_a_connection_that_breaks() -> None:
    """A connection that breaks while a body is sent is an error of the network."""

    async def play(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await read_head(served, reader)
        if len(served.heads) == 1:
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")

    async with serving(play) as served, opened(served.url) as transport:
        await transport.send(operation("InitiateLayerUpload", b"{}"))
        with pytest.raises(TransportError, match="no response came"):
            await transport.send(operation("UploadLayerPart", Part("f00d")))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_streamed_part_is_retried(transport: TransportName) -> None:
    """A retry iterates a streamed body again, and ECR receives the bytes of the blob."""
    digest = f"sha256:{sha256(LAYER).hexdigest()}"
    config = ClientConfig(transport=transport, retry=RetryPolicy(initial_backoff=0.001))
    make = partial(client_class(transport), region_name=REGION, config=config)
    async with (
        LocalECR(region=REGION) as ecr,
        make(endpoint_url=ecr.endpoint_url, session=ecr.session()) as client,
    ):
        ecr.create_repository("app")
        ecr.faults.add(operation="UploadLayerPart", error="ServerException", times=1)

        async def call(name: str, body: bytes | StreamedBody) -> dict[str, Any]:
            caller: Any = client._caller(name)
            result: dict[str, Any] = await caller.call(operation(name, body), OperationState())
            return result

        initiated = await call("InitiateLayerUpload", b'{"repositoryName": "app"}')
        part = Part(initiated["uploadId"])
        uploaded = await call("UploadLayerPart", part)
        assert (uploaded["lastByteReceived"], part.iterations) == (len(LAYER) - 1, 2)

        # ECR compares the digest with the bytes that it received.
        members = {"repositoryName": "app", "uploadId": part.upload_id, "layerDigests": [digest]}
        completed = await call("CompleteLayerUpload", json.dumps(members).encode())
        assert completed["layerDigest"] == digest
