"""The library's own sessions, made from the environment: they need a real socket, so these tests run on loopback and on real time."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import (
    ClientConfig,
    ECRLayerClient,
    ResponseError,
    RetryPolicy,
    TransportError,
)
from ecr_layer_client._checks.operation import CHECK
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

OFF = RetryPolicy(max_attempts=1)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the local ECR's keys and nothing else in the environment."""
    for name in [
        name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")
    ]:
        monkeypatch.delenv(name)
    settings = {
        "AWS_ACCESS_KEY_ID": "local-ecr-access-key",
        "AWS_SECRET_ACCESS_KEY": "local-ecr-secret-key",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)


def _run(check: Callable[[LocalECR], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with LocalECR() as ecr:
            ecr.seed("app", [("sha256:aa", 1)])
            return await check(ecr)

    return asyncio.run(run())


def _client(ecr: LocalECR, **options: Any) -> ECRLayerClient:
    return ECRLayerClient(endpoint_url=ecr.endpoint_url, config=ClientConfig(retry=OFF, **options))


def test_signs_with_the_environment() -> None:
    """A client without a session of the caller's signs with the keys of the environment."""

    async def check(ecr: LocalECR) -> tuple[str, ...]:
        async with _client(ecr) as client:
            return (await client.check_layers("app", ["sha256:aa", "sha256:bb"])).available

    assert _run(check) == ("sha256:aa",)


def test_one_session_of_a_loop() -> None:
    """Clients of one loop share one session, and so one line and one set of credentials."""

    async def check(ecr: LocalECR) -> bool:
        async with _client(ecr) as one, _client(ecr) as two:
            return (
                one._connection.resources_for(CHECK).rate_limiter
                is two._connection.resources_for(CHECK).rate_limiter
            )

    assert _run(check)


def test_keys_that_were_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    """When ECR knows the keys no more, the environment is read again and the check goes on."""

    async def check(ecr: LocalECR) -> int:
        async with _client(ecr) as client:
            await client.check_layers("app", ["sha256:aa"])
            ecr.remove_key("local-ecr-access-key")
            ecr.add_key("another", "another-secret")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
            return len((await client.check_layers("app", ["sha256:aa"])).available)

    assert _run(check) == 1


def test_a_body_beyond_the_bound() -> None:
    """A body that says that it is larger than `max_response_bytes` is not read."""

    async def check(ecr: LocalECR) -> str:
        async with _client(ecr, max_response_bytes=20) as client:
            with pytest.raises(ResponseError) as raised:
                await client.check_layers("app", ["sha256:aa"])
            return str(raised.value)

    assert "max_response_bytes=20" in _run(check)


def test_no_redirect_is_followed() -> None:
    """A redirect is an error, and nothing goes where it points."""

    async def check(ecr: LocalECR) -> int:
        ecr.faults.add(redirect_to=f"{ecr.endpoint_url}/elsewhere")
        async with _client(ecr) as client:
            with pytest.raises(ResponseError, match="redirects are refused"):
                await client.check_layers("app", ["sha256:aa"])
        return ecr.stats.requests

    assert _run(check) == 1


async def _answered_in_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request with a body whose length is not told."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length:")[2].partition("\r")[0])
    await reader.readexactly(length)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(10):
        writer.write(b"64\r\n" + b" " * 100 + b"\r\n")
    body = b'{"layers": [{"layerDigest": "sha256:aa", "layerAvailability": "AVAILABLE"}]}'
    writer.write(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
    writer.close()


def _run_chunked(limit: int) -> int:
    async def check() -> int:
        async with await asyncio.start_server(_answered_in_chunks, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            config = ClientConfig(retry=OFF, max_response_bytes=limit)
            async with ECRLayerClient(endpoint_url=url, config=config) as client:
                return len((await client.check_layers("app", ["sha256:aa"])).available)

    return asyncio.run(check())


def test_a_body_of_unknown_length() -> None:
    """A body whose length is not told is read up to `max_response_bytes`."""
    assert _run_chunked(10_000) == 1


def test_a_body_of_unknown_length_beyond_the_bound() -> None:
    """A body whose length is not told is read no further than `max_response_bytes`."""
    with pytest.raises(ResponseError, match="max_response_bytes=500"):
        _run_chunked(500)


def test_nobody_listens() -> None:
    """An endpoint where nobody listens is a TransportError."""

    async def check() -> None:
        async with ECRLayerClient(
            endpoint_url="http://127.0.0.1:1", config=ClientConfig(retry=OFF)
        ) as client:
            await client.check_layers("app", ["sha256:aa"])

    with pytest.raises(TransportError, match="check the network"):
        asyncio.run(check())
