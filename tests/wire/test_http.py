"""The guards of the HTTP session: it follows no redirect and bounds the size of a body."""

from __future__ import annotations

import gzip
import inspect
from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession

from ecr_layer_client import ECRLayerClient, ResponseError, RetryPolicy
from wire.servers import Served, read_head, serving

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from ecr_layer_client.local import LocalECR
    from transports import OwnClient

pytestmark = pytest.mark.asyncio

TOKEN = "session-token-that-must-not-leave"  # noqa: S105 (a canary)
LIMIT = 64 * 1024
ENDLESS = 1 << 30
MAX_BUFFERED = 32 << 20  # bytes that the two ends of a loopback connection may hold
CHUNK = b"[" * 65_536
ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put temporary keys in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "temporary")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)


async def answers_ok(
    served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Send an empty response of status 200."""
    await read_head(served, reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    await writer.drain()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.usefixtures("keys")
async def test_a_redirect_is_refused(
    own_client: OwnClient, ecr: LocalECR, digests: list[str], status: int
) -> None:
    """A redirect is an error, and the other origin gets no connection, hence no session token."""
    await _refused_redirect(own_client(ecr.endpoint_url), ecr, digests[:1], status)


@pytest.mark.usefixtures("keys")
async def test_a_redirect_is_refused_on_a_session_with_a_default_configuration(
    ecr: LocalECR, digests: list[str]
) -> None:
    """A redirect is an error on a caller's session with a default client configuration, too."""
    session: Any = AioSession()
    session.set_default_client_config(AioConfig(user_agent_extra="mine"))
    client = ECRLayerClient(region_name="us-east-1", endpoint_url=ecr.endpoint_url, session=session)
    await _refused_redirect(client, ecr, digests[:1], 302)


async def _refused_redirect(
    ours: ECRLayerClient, ecr: LocalECR, digests: list[str], status: int
) -> None:
    ecr.add_key("temporary", "secret", TOKEN)
    async with serving(answers_ok) as elsewhere, ours as client:
        ecr.faults.add(redirect_to=f"{elsewhere.url}/", status=status)
        with pytest.raises(ResponseError, match="redirects are refused"):
            await client.check_layers("app", digests)
    assert (elsewhere.accepted, ecr.stats.requests) == (0, 1)


@pytest.mark.usefixtures("keys")
async def test_aiobotocore_alone_follows_redirects(ecr: LocalECR, digests: list[str]) -> None:
    """Without the guard, aiobotocore sends the session token to the origin that a redirect names.

    When this test fails, the guard may no longer be needed.
    """
    ecr.add_key("temporary", "secret", TOKEN)
    config = AioConfig(retries={"total_max_attempts": 1})
    session: Any = AioSession()

    async with serving(answers_ok) as elsewhere:
        ecr.faults.add(redirect_to=f"{elsewhere.url}/")
        async with session.create_client(
            "ecr", region_name="us-east-1", endpoint_url=ecr.endpoint_url, config=config
        ) as client:
            await client.batch_check_layer_availability(
                repositoryName="app", layerDigests=digests[:1]
            )

    assert [TOKEN in head for head in elsewhere.heads] == [True]


def endless(
    status: str, framing: str
) -> Callable[[Served, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Return a script that sends a body of a gigabyte, as long as the client reads it."""
    size = f"{len(CHUNK):x}\r\n".encode()

    async def play(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await read_head(served, reader)
        writer.write(f"HTTP/1.1 {status}\r\n{framing}\r\n\r\n".encode())
        while served.sent < ENDLESS:
            writer.write(size + CHUNK + b"\r\n" if "chunked" in framing else CHUNK)
            await writer.drain()
            served.sent += len(CHUNK)

    return play


@pytest.mark.parametrize(
    "framing", ["Transfer-Encoding: chunked", f"Content-Length: {ENDLESS}", "Connection: close"]
)
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "503 Service Unavailable"])
@pytest.mark.usefixtures("keys")
async def test_an_endless_body_is_not_read(
    own_client: OwnClient, digests: list[str], status: str, framing: str
) -> None:
    """A response above `max_response_bytes` is an error, and its connection is closed."""
    async with (
        serving(endless(status, framing)) as served,
        own_client(served.url, max_response_bytes=LIMIT, retry=ONCE) as client,
    ):
        with pytest.raises(ResponseError, match=f"max_response_bytes={LIMIT}"):
            await client.check_layers("app", digests[:1])
        await served.idle()

    assert served.sent < MAX_BUFFERED


@pytest.mark.usefixtures("keys")
async def test_a_compressed_body_is_not_unpacked(own_client: OwnClient, digests: list[str]) -> None:
    """A compressed body is read as it is, because ECR's protocol has no compression."""
    packed = gzip.compress(b" " * (64 << 20))

    async def play(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await read_head(served, reader)
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
        writer.write(head.encode() + packed)
        await writer.drain()

    async with serving(play) as served, own_client(served.url, retry=ONCE) as client:
        with pytest.raises(ResponseError, match=f"in {len(packed)} bytes"):
            await client.check_layers("app", digests[:1])


async def test_a_response_as_large_as_the_bound_is_read(
    seeded: LocalECR, digests: list[str]
) -> None:
    """A response of exactly `max_response_bytes` is read, and one more byte is an error."""
    body = await _body(seeded, digests[:100])

    async with seeded.client(max_response_bytes=len(body), retry=ONCE) as client:
        assert len(await client.check_layers("app", digests[:100])) == 100

    async with seeded.client(max_response_bytes=len(body) - 1, retry=ONCE) as client:
        with pytest.raises(ResponseError, match=f"max_response_bytes={len(body) - 1}"):
            await client.check_layers("app", digests[:100])


async def _body(ecr: LocalECR, digests: list[str]) -> bytes:
    bodies: list[bytes] = []

    def keep(response_dict: dict[str, Any], **_: object) -> None:
        bodies.append(response_dict["body"])

    async with ecr.session().create_client("ecr", endpoint_url=ecr.endpoint_url) as client:
        client.meta.events.register("before-parse.ecr", keep)
        await client.batch_check_layer_availability(repositoryName="app", layerDigests=digests)
    return bodies[0]


async def test_the_private_method_of_aiobotocore() -> None:
    """The method of aiobotocore that the guard overrides is a coroutine with one parameter."""
    method: Any = getattr(AIOHTTPSession, "_get_session", None)
    assert (inspect.iscoroutinefunction(method), [*inspect.signature(method).parameters]) == (
        True,
        ["self", "proxy_url"],
    )
