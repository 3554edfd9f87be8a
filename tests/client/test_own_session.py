"""The library's own sessions, made from the environment, on loopback and in real time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from client.chains import KEYS
from client.steps import on_loopback
from ecr_layer_client import (
    ClientConfig,
    ECRLayerClient,
    ResponseError,
    RetryPolicy,
    TransportError,
)
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture(autouse=True)
def _environment(no_aws_environment: pytest.MonkeyPatch) -> None:
    """Leave the local ECR's keys and nothing else in the environment."""
    settings = {
        "AWS_ACCESS_KEY_ID": KEYS[0],
        "AWS_SECRET_ACCESS_KEY": KEYS[1],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        no_aws_environment.setenv(name, value)


def _client(endpoint_url: str, **options: Any) -> ECRLayerClient:
    return ECRLayerClient(endpoint_url=endpoint_url, config=ClientConfig(retry=ONCE, **options))


async def _available(client: ECRLayerClient) -> tuple[str, ...]:
    return (await client.check_layers("app", ["sha256:aa"])).available


async def _check(endpoint_url: str, **options: Any) -> tuple[str, ...]:
    async with _client(endpoint_url, **options) as client:
        return await _available(client)


def test_signs_with_the_environment() -> None:
    """A client without a session of the caller's signs with the keys of the environment."""
    assert on_loopback(lambda ecr: _check(ecr.endpoint_url)) == ("sha256:aa",)


def test_one_session_of_a_loop() -> None:
    """Clients of one event loop share one session, so they share a rate limiter."""

    async def check(ecr: LocalECR) -> bool:
        async with _client(ecr.endpoint_url) as one, _client(ecr.endpoint_url) as two:
            limiters = [each._connection.resources_for(CHECK).rate_limiter for each in (one, two)]
        return limiters[0] is limiters[1]

    assert on_loopback(check)


def test_rotated_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read again when ECR does not know the keys any more."""

    async def check(ecr: LocalECR) -> tuple[str, ...]:
        async with _client(ecr.endpoint_url) as client:
            await _available(client)
            ecr.remove_key(KEYS[0])
            ecr.add_key("another", "another-secret")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
            return await _available(client)

    assert on_loopback(check) == ("sha256:aa",)


@pytest.mark.parametrize(
    ("options", "path", "match"),
    [
        pytest.param({"max_response_bytes": 20}, None, "max_response_bytes=20", id="too-large"),
        pytest.param({}, "/elsewhere", "redirects are refused", id="redirect"),
    ],
)
def test_refused_responses(options: dict[str, Any], path: str | None, match: str) -> None:
    """A body that is too large and a redirect are refused; no request goes where it points."""

    async def check(ecr: LocalECR) -> int:
        if path is not None:
            ecr.faults.add(redirect_to=f"{ecr.endpoint_url}{path}")
        with pytest.raises(ResponseError, match=match):
            await _check(ecr.endpoint_url, **options)
        return ecr.stats.requests

    assert on_loopback(check) == 1


async def _respond_in_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request with a body of unknown length."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length:")[2].partition("\r")[0])
    await reader.readexactly(length)

    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(10):
        writer.write(b"64\r\n" + b" " * 100 + b"\r\n")
    body = b'{"layers": [{"layerDigest": "sha256:aa", "layerAvailability": "AVAILABLE"}]}'
    writer.write(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
    writer.close()


async def _check_in_chunks(max_response_bytes: int) -> tuple[str, ...]:
    async with await asyncio.start_server(_respond_in_chunks, "127.0.0.1", 0) as server:
        endpoint_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return await _check(endpoint_url, max_response_bytes=max_response_bytes)


def test_a_body_of_unknown_length() -> None:
    """A body of unknown length is read up to `max_response_bytes`, and no further."""
    assert asyncio.run(_check_in_chunks(10_000)) == ("sha256:aa",)
    with pytest.raises(ResponseError, match="max_response_bytes=500"):
        asyncio.run(_check_in_chunks(500))


def test_nobody_listens() -> None:
    """An endpoint where nobody listens is a TransportError."""
    with pytest.raises(TransportError, match="check the network"):
        asyncio.run(_check("http://127.0.0.1:1"))
