"""Faults over real sockets: the same outcomes as in memory, and endpoints that are none."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
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
BOUND = 20.0  # seconds in which any of these must end; they take well under one

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
    """Return what a check of three digests comes to, and how many requests it took (None where time alone bounds them)."""
    digests = [f"sha256:{number:064x}" for number in range(ROWS)]
    found: Any
    async with LocalECR(in_memory=in_memory) as ecr:
        ecr.seed("app", [(digests[0], 1)])
        added = ecr.faults.add(times=times, **fault)
        policy = RetryPolicy(
            max_attempts=2,
            max_elapsed=0.3
            if added.script.error == THROTTLING or added.script.status == 429
            else 30.0,
        )
        bound = 0.3 if added.script.drip or added.script.latency else BOUND
        async with ecr.client(attempt_timeout=bound, retry=policy) as client:
            try:
                found = await client.check_layers("app", digests)
                facts = None
            except CallError as error:
                found = error
                facts = error.retryable, error.throttled, error.request_id is None, error.partial
        await until(
            lambda: ecr.in_flight == 0
        )  # a socket tells of a caller that gave up a little later
        requests = None if facts and facts[1] else ecr.stats.requests
        return type(found).__name__, facts or found, requests


@pytest.mark.parametrize(("fault", "kinds"), FAULTS)
async def test_lasting_faults_end_as_in_memory(fault: dict[str, Any], kinds: str) -> None:
    """A fault that lasts ends with the same error, facts and number of requests on a socket as in memory."""
    over_http = await outcome(in_memory=False, fault=fault, times=None)
    assert over_http == await outcome(in_memory=True, fault=fault, times=None)
    assert over_http[0] in kinds.split()


@pytest.mark.parametrize(
    ("fault", "kinds"), [each for each in FAULTS if each.id not in {"AccessDenied", "ExpiredToken"}]
)
async def test_passing_faults_are_survived_as_in_memory(fault: dict[str, Any], kinds: str) -> None:
    """A fault that passes costs as many requests on a socket as in memory, and no answer."""
    del kinds
    over_http = await outcome(in_memory=False, fault=fault, times=1)
    assert over_http == await outcome(in_memory=True, fault=fault, times=1)
    found: LayerCheckResult = over_http[1]
    assert (over_http[0], len(found.available), len(found.absent)) == ("LayerCheckResult", 1, 2)


async def test_an_answer_cut_anywhere_is_never_a_result(
    seeded: LocalECR, digests: list[str]
) -> None:
    """Cut at every thirteenth byte on the socket, an answer of three rows is asked again, and never believed."""
    async with seeded.client() as client:
        whole = await client.check_layers("app", digests[:3])
        seeded.stats.reset()
        for length in range(0, 330, 13):
            seeded.faults.add(cut_at=length, times=1)
            assert await client.check_layers("app", digests[:3]) == whole
    assert seeded.stats.by_operation["BatchCheckLayerAvailability"] == {"cut_at": 26, "ok": 26}


@asynccontextmanager
async def nobody() -> AsyncGenerator[str]:
    """Give an endpoint where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@asynccontextmanager
async def silent() -> AsyncGenerator[str]:
    """Give an endpoint that accepts, reads and never answers."""

    async def play(_: Served, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with serving(play) as served:
        yield served.url


@asynccontextmanager
async def closing() -> AsyncGenerator[str]:
    """Give an endpoint that accepts and closes at once."""

    async def play(*_: object) -> None:
        pass

    async with serving(play) as served:
        yield served.url


@asynccontextmanager
async def not_http() -> AsyncGenerator[str]:
    """Give an endpoint that speaks another protocol."""

    async def play(_: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()

    async with serving(play) as served:
        yield served.url


@asynccontextmanager
async def without_tls() -> AsyncGenerator[str]:
    """Give an https endpoint that is plain HTTP."""
    async with LocalECR() as ecr:
        yield ecr.endpoint_url.replace("http:", "https:")


DEAD: list[Any] = [
    pytest.param(nobody, "no answer, .*check the network.*endpoint_url", True, id="nobody-listens"),
    pytest.param(
        silent,
        "no response within attempt_timeout=0.5 s: check the network, or allow more",
        True,
        id="never-answers",
    ),
    pytest.param(
        closing, "no answer, .*check the network.*endpoint_url", True, id="closes-at-once"
    ),
    pytest.param(not_http, "Bad status line", True, id="not-http"),
    pytest.param(
        without_tls,
        "check endpoint_url, AWS_CA_BUNDLE and proxies",
        False,
        id="tls-to-a-plain-port",
    ),
]


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give keys, by the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")


@pytest.mark.parametrize(("endpoint", "advice", "retryable"), DEAD)
@pytest.mark.usefixtures("_keys")
async def test_dead_endpoints(endpoint: Any, advice: str, *, retryable: bool) -> None:
    """An endpoint that is none is a TransportError that says where and what to do, soon.

    Retried where that may help.
    """
    config = ClientConfig(
        attempt_timeout=0.5 if endpoint is silent else BOUND,
        retry=RetryPolicy(max_attempts=2, initial_backoff=0.001),
    )
    async with (
        asyncio.timeout(BOUND),
        endpoint() as url,
        ECRLayerClient(region_name="us-east-1", endpoint_url=url, config=config) as client,
    ):
        with pytest.raises(
            TransportError,
            match=rf"repository 'app' \(registry of the caller, Region us-east-1\): .*{advice}",
        ) as raised:
            await client.check_layers("app", ["sha256:00"])
    assert (raised.value.retryable, raised.value.attempts) == (retryable, 2 if retryable else 1)


@pytest.mark.usefixtures("_keys")
async def test_a_full_backlog_ends_by_connect_timeout() -> None:
    """An endpoint that does not even accept ends by `connect_timeout`, before `attempt_timeout`."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        waiting = [socket.socket() for _ in range(8)]
        for each in waiting:
            each.setblocking(False)  # noqa: FBT003 (the standard library's)
            each.connect_ex(address)
        config = ClientConfig(
            connect_timeout=0.2, attempt_timeout=BOUND, retry=RetryPolicy(max_attempts=1)
        )
        url = f"http://127.0.0.1:{address[1]}"
        async with (
            asyncio.timeout(BOUND),
            ECRLayerClient(region_name="us-east-1", endpoint_url=url, config=config) as client,
        ):
            with pytest.raises(TransportError, match="timeout on endpoint URL"):
                await client.check_layers("app", ["sha256:00"])
        for each in waiting:
            each.close()
