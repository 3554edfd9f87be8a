"""The in-memory server behaves as an HTTP session."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiobotocore.config import AioConfig
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError

from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._in_memory import MemoryServer, MemorySession
from ecr_layer_client.local._interceptors import Call
from ecr_layer_client.local._registry.registry import Registry
from ecr_layer_client.local._service import Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio

TARGET = {"X-Amz-Target": b"AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"}


class Gate:
    """An interceptor that holds every call until it opens, and counts the calls that it holds."""

    def __init__(self) -> None:
        """Start closed."""
        self.opened = asyncio.Event()
        self.held = self.most = 0

    async def before(self, call: Call) -> None:
        """Hold the call."""
        assert isinstance(call, Call)
        self.held += 1
        self.most = max(self.most, self.held)
        await self.opened.wait()
        self.held -= 1

    async def after(self, call: Call, reply: Any) -> Any:
        """Return the reply unchanged."""
        assert isinstance(call, Call)
        return reply


def a_request(body: Any = b"{}", *, stream: bool = False) -> Any:
    """Return a prepared request, as botocore makes them."""
    request: Any = AWSRequest(
        method="POST", url="http://127.0.0.1:1/", headers=TARGET, data=body, stream_output=stream
    ).prepare()
    return request


async def a_session(**options: Any) -> MemorySession:
    """Return an open session on an open server."""
    server = MemoryServer(Service(Registry(account="123456789012", region="us-east-1")))
    await server.open()
    return await server.session_class()(**options).__aenter__()


class Chunks:
    """A body that is produced while it is sent."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{"
        yield b"}"


@pytest.mark.parametrize(
    "body",
    [b"{}", "{}", None, bytearray(b"{}"), io.BytesIO(b"{}"), Chunks()],
    ids=["bytes", "str", "none", "bytearray", "file", "chunks"],
)
async def test_every_kind_of_body_is_sent(body: Any) -> None:
    """A body may be bytes, text, a file, chunks that are produced meanwhile, or nothing."""
    response = await (await a_session()).send(a_request(body))
    assert (response.status_code, await response.content) == (200, b'{"repositories":[]}')


async def test_a_streamed_response_is_read_in_chunks() -> None:
    """A streamed response is in flight until its body was read."""
    session = await a_session()
    response = await session.send(a_request(stream=True))

    assert session.server.in_flight == 1
    assert [chunk async for chunk in response.raw.content.iter_chunked(8)] == [
        b'{"reposi',
        b'tories":',
        b"[]}",
    ]
    assert session.server.in_flight == 0


async def test_leaving_a_streamed_response_gives_its_slot_back() -> None:
    """A streamed response is a context manager, as aiohttp's is."""
    session = await a_session()
    async with (await session.send(a_request(stream=True))).raw as body:
        assert await body.read() == b'{"repositories":[]}'
    assert session.server.in_flight == 0


@pytest.mark.parametrize("how", ["close", "release"])
async def test_a_streamed_response_may_be_given_up(how: str) -> None:
    """Closing or releasing an unread response, even twice, gives its slot back."""
    session = await a_session(max_pool_connections=1)
    response = await session.send(a_request(stream=True))
    getattr(response.raw, how)()
    getattr(response.raw, how)()
    assert (await session.send(a_request())).status_code == 200
    assert session.server.in_flight == 0


async def test_the_pool_bounds_what_is_in_flight() -> None:
    """At most max_pool_connections requests of one session are in flight. The others wait."""
    session, gate = await a_session(max_pool_connections=2), Gate()
    session.server.service.interceptors.append(gate)
    tasks = [asyncio.create_task(session.send(a_request())) for _ in range(5)]
    for _ in range(20):
        await asyncio.sleep(0)
    gate.opened.set()
    assert ([(await task).status_code for task in tasks], gate.most) == ([200] * 5, 2)


async def test_cancelling_gives_everything_back() -> None:
    """A cancelled request leaves nothing in flight and its slot free."""
    session, gate = await a_session(max_pool_connections=1), Gate()
    session.server.service.interceptors.append(gate)
    task = asyncio.create_task(session.send(a_request()))
    for _ in range(5):
        await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    gate.opened.set()
    assert (session.server.in_flight, (await session.send(a_request())).status_code) == (0, 200)


async def test_a_session_closes_twice_and_then_sends_no_more() -> None:
    """Closing twice is safe, and a closed session sends nothing, as in aiobotocore."""
    session = await a_session()
    await session.close()
    await session.close()
    assert session.server.connections == 0
    with pytest.raises(HTTPClientError, match="closed"):
        await session.send(a_request())


async def test_a_truncated_streamed_body_raises_as_aiohttp_does() -> None:
    """A reader of a streamed body gets aiohttp's own exception when the body ends early."""
    session = await a_session()
    response = await session.send(a_request(stream=True))
    response.raw._left += 1
    response.raw._chunks = aiter_of()
    with pytest.raises(aiohttp.ClientPayloadError):
        await response.raw.read()


async def aiter_of() -> Any:
    """Yield one byte."""
    yield b"{"


async def test_open_sessions_are_counted() -> None:
    """`connections` counts the open clients, so that a test can prove that none is left."""
    async with LocalECR(in_memory=True) as ecr:
        session: Any = ecr.session()
        async with session.create_client("ecr", endpoint_url=ecr.endpoint_url):
            assert ecr.connections == 1
        assert ecr.connections == 0


async def test_a_clients_own_config_keeps_it_in_memory() -> None:
    """A config of create_client is merged over the session's config and opens no socket."""
    async with LocalECR(in_memory=True) as ecr:
        session: Any = ecr.session()
        async with session.create_client(
            "ecr", endpoint_url=ecr.endpoint_url, config=AioConfig(max_pool_connections=3)
        ) as client:
            assert (await client.describe_repositories())["repositories"] == []
