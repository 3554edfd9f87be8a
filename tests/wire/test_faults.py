"""Faults over real sockets: the outcomes are those of the in-memory local ECR."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import (
    CallError,
    ClientConfig,
    ECRLayerClient,
    LayerCheckResult,
    RetryPolicy,
    TransportError,
)
from ecr_layer_client.local import LocalECR
from wire.servers import Served, serving, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.asyncio

ROWS = 3
THROTTLING = "ThrottlingException"
MAX_SECONDS = 20.0  # any of these tests takes less than one

FAULTS: list[Any] = [
    *(
        pytest.param({"cut_at": length}, "ResponseError TransportError", id=f"cut-at-{length}")
        for length in (0, 1, 40, 200, 329)
    ),
    pytest.param(
        {"cut_at": 40, "reset": True}, "ResponseError TransportError", id="reset-in-the-body"
    ),
    pytest.param({"reset": True}, "TransportError", id="reset"),
    pytest.param({"drip": 20}, "TransportError", id="drip"),
    pytest.param({"latency": 5.0}, "TransportError", id="slow"),
    pytest.param({"status": 200, "body": b"<html>busy</html>"}, "ResponseError", id="html-200"),
    pytest.param({"body": b""}, "ResponseError", id="empty-200"),
    pytest.param({"status": 503}, "ServerError", id="html-503"),
    pytest.param({"error": "ServerException"}, "ServerError", id="ServerException"),
    pytest.param({"error": THROTTLING}, "ThrottledError", id="throttled"),
    pytest.param({"status": 429}, "ThrottledError", id="429"),
    pytest.param({"error": "AccessDeniedException"}, "AccessDeniedError", id="AccessDenied"),
    pytest.param({"error": "ExpiredTokenException"}, "CredentialsError", id="ExpiredToken"),
    pytest.param({"drop_rows": 1}, "LayerCheckResult", id="drop_rows"),
    pytest.param({"double_rows": 2, "shuffle": True}, "LayerCheckResult", id="double_rows"),
]


async def outcome(*, in_memory: bool, fault: dict[str, Any], times: int | None) -> tuple[Any, ...]:
    """Return the result or the error's facts of a check of three digests, and its requests.

    The number of requests is None if only time bounds it.
    """
    digests = [f"sha256:{number:064x}" for number in range(ROWS)]
    found: Any

    async with LocalECR(in_memory=in_memory) as ecr:
        ecr.seed("app", [(digests[0], 1)])
        script = ecr.faults.add(times=times, **fault).script
        is_throttled = script.error == THROTTLING or script.status == 429
        policy = RetryPolicy(max_attempts=2, max_elapsed=0.3 if is_throttled else 30.0)
        attempt_timeout = 0.3 if script.drip or script.latency else MAX_SECONDS

        async with ecr.client(attempt_timeout=attempt_timeout, retry=policy) as client:
            try:
                found = await client.check_layers("app", digests)
                facts = None
            except CallError as error:
                found = error
                facts = error.retryable, error.throttled, error.request_id is None, error.partial

        # On a socket, the server notices a little later that the caller has given up.
        await until(lambda: ecr.in_flight == 0)
        requests = None if facts and facts[1] else ecr.stats.requests
        return type(found).__name__, facts or found, requests


@pytest.mark.parametrize(("fault", "kinds"), FAULTS)
async def test_lasting_faults_end_as_in_memory(fault: dict[str, Any], kinds: str) -> None:
    """A lasting fault gives the same error, facts and number of requests as in memory."""
    over_http = await outcome(in_memory=False, fault=fault, times=None)
    assert over_http == await outcome(in_memory=True, fault=fault, times=None)
    assert over_http[0] in kinds.split()


@pytest.mark.parametrize(
    ("fault", "kinds"), [each for each in FAULTS if each.id not in {"AccessDenied", "ExpiredToken"}]
)
async def test_transient_faults_end_as_in_memory(fault: dict[str, Any], kinds: str) -> None:
    """A transient fault costs as many requests as in memory, and no answer is lost."""
    del kinds
    over_http = await outcome(in_memory=False, fault=fault, times=1)
    assert over_http == await outcome(in_memory=True, fault=fault, times=1)
    found: LayerCheckResult = over_http[1]
    assert (over_http[0], len(found.available), len(found.absent)) == ("LayerCheckResult", 1, 2)


async def test_a_truncated_response_is_never_a_result(seeded: LocalECR, digests: list[str]) -> None:
    """A response that is truncated at any thirteenth byte is discarded, and the request retried."""
    async with seeded.client() as client:
        complete = await client.check_layers("app", digests[:3])
        seeded.stats.reset()
        for length in range(0, 330, 13):
            seeded.faults.add(cut_at=length, times=1)
            assert await client.check_layers("app", digests[:3]) == complete

    assert seeded.stats.by_operation["BatchCheckLayerAvailability"] == {"cut_at": 26, "ok": 26}


@asynccontextmanager
async def nobody() -> AsyncGenerator[str]:
    """Give an endpoint where no server listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


async def play_silence(_: Served, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Read, and never respond."""
    await reader.read(-1)


async def close_at_once(*_: object) -> None:
    """Close an accepted connection."""


async def speak_smtp(_: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond in another protocol."""
    await reader.read(1)
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()


@asynccontextmanager
async def playing(play: Any, scheme: str = "http") -> AsyncGenerator[str]:
    """Give the URL of a server that runs a script."""
    async with serving(play) as served:
        yield served.url.replace("http", scheme)


NETWORK = "no response came .*check the network.*endpoint_url"
NO_TLS = "check endpoint_url, AWS_CA_BUNDLE and proxies"
SLOW = "no response within attempt_timeout=0.5 s: check the network, or allow more time"
DEAD: list[Any] = [
    pytest.param(nobody, NETWORK, True, id="nobody-listens"),
    pytest.param(partial(playing, play_silence), SLOW, True, id="never-answers"),
    pytest.param(partial(playing, close_at_once), NETWORK, True, id="closes-at-once"),
    pytest.param(partial(playing, speak_smtp), "Bad status line", True, id="not-http"),
    pytest.param(partial(playing, speak_smtp, "https"), NO_TLS, False, id="tls-to-a-plain-port"),
]


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put keys in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")


@pytest.mark.parametrize(("endpoint", "advice", "retryable"), DEAD)
@pytest.mark.usefixtures("_keys")
async def test_dead_endpoints(endpoint: Any, advice: str, *, retryable: bool) -> None:
    """A dead endpoint soon raises TransportError with advice, and is retried if that may help."""
    config = ClientConfig(
        attempt_timeout=0.5 if advice == SLOW else MAX_SECONDS,
        retry=RetryPolicy(max_attempts=2, initial_backoff=0.001),
    )
    message = rf"repository 'app' \(registry of the caller, Region us-east-1\): .*{advice}"

    async with (
        asyncio.timeout(MAX_SECONDS),
        endpoint() as url,
        ECRLayerClient(region_name="us-east-1", endpoint_url=url, config=config) as client,
    ):
        with pytest.raises(TransportError, match=message) as raised:
            await client.check_layers("app", ["sha256:00"])

    assert (raised.value.retryable, raised.value.attempts) == (retryable, 2 if retryable else 1)


@pytest.mark.usefixtures("_keys")
async def test_a_full_backlog_ends_by_connect_timeout() -> None:
    """A connection that the endpoint never accepts ends by `connect_timeout`."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        waiting = [socket.socket() for _ in range(8)]
        for each in waiting:
            each.setblocking(False)  # noqa: FBT003 (the standard library's)
            each.connect_ex(address)

        config = ClientConfig(
            connect_timeout=0.2, attempt_timeout=MAX_SECONDS, retry=RetryPolicy(max_attempts=1)
        )
        url = f"http://127.0.0.1:{address[1]}"
        async with (
            asyncio.timeout(MAX_SECONDS),
            ECRLayerClient(region_name="us-east-1", endpoint_url=url, config=config) as client,
        ):
            with pytest.raises(TransportError, match="timeout on endpoint URL"):
                await client.check_layers("app", ["sha256:00"])

        for each in waiting:
            each.close()
