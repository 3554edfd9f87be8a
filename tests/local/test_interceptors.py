"""Interceptors behave alike on both servers."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._protocol import Reply
from ecr_layer_client.local._registry.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ecr_layer_client.local._interceptors import Call

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"]),
]


class Script:
    """An interceptor that does one thing."""

    def __init__(self, **does: Any) -> None:
        """Take what to do: `error`, `reset`, `sleep`, `early` before, `status`, `stream` after."""
        self.does = does

    async def before(self, call: Call) -> Reply | None:
        """Do what comes before the registry."""
        assert call.operation == "DescribeRepositories"
        await asyncio.sleep(self.does.get("sleep", 0))
        if "error" in self.does:
            raise self.does["error"]
        early: Reply | None = self.does.get("early")
        return early

    async def after(self, call: Call, reply: Reply) -> Reply:
        """Do what comes on the way out."""
        assert call.at <= asyncio.get_running_loop().time()
        return replace(
            reply, stream=self.does.get("stream"), outcome=self.does.get("outcome", reply.outcome)
        )


async def cut(body: bytes) -> AsyncIterator[bytes]:
    """Send ten bytes."""
    yield body[:10]


async def drip(body: bytes) -> AsyncIterator[bytes]:
    """Send a byte at a time, after an empty chunk."""
    yield b""
    for byte in body:
        await asyncio.sleep(0)
        yield bytes([byte])


async def stall(body: bytes) -> AsyncIterator[bytes]:
    """Send ten bytes and then nothing."""
    yield body[:10]
    await asyncio.sleep(60)


async def reset(body: bytes) -> AsyncIterator[bytes]:
    """Send ten bytes and reset the connection."""
    yield body[:10]
    raise ConnectionResetError


async def describe(ecr: LocalECR, script: Script, **config: Any) -> dict[str, Any]:
    """Describe repositories through aiobotocore with a script."""
    ecr._service.interceptors.append(script)  # pyright: ignore[reportPrivateUsage]
    options = Config(retries={"total_max_attempts": 1}, **config)
    session: Any = ecr.session()
    async with session.create_client(
        "ecr", endpoint_url=ecr.endpoint_url, config=options
    ) as client:
        answer: dict[str, Any] = await client.describe_repositories()
        return answer


async def test_a_dripped_body_arrives_completely(*, in_memory: bool) -> None:
    """A body sent byte by byte is the same body."""
    async with LocalECR(in_memory=in_memory) as ecr:
        ecr.create_repository("app")
        answer = await describe(ecr, Script(stream=drip))
        assert [each["repositoryName"] for each in answer["repositories"]] == ["app"]


@pytest.mark.parametrize(
    ("does", "error"),
    [
        ({"error": AwsError("ThrottlingException", "Rate exceeded")}, ClientError),
        ({"error": ConnectionResetError()}, EndpointConnectionError),
        ({"sleep": 60}, ReadTimeoutError),
        ({"stream": cut}, ConnectionClosedError),
        ({"stream": stall}, ReadTimeoutError),
        ({"stream": reset}, ConnectionClosedError),
        ({"early": Reply(503, {}, b"busy")}, ClientError),
        ({"error": ZeroDivisionError()}, ClientError),
    ],
    ids=["throttled", "reset", "late", "cut", "stalled", "reset-midway", "503", "bug"],
)
async def test_a_failure_raises_the_same_on_both_servers(
    *, in_memory: bool, does: dict[str, Any], error: type[Exception]
) -> None:
    """Each failure raises one botocore exception on both servers, and leaves nothing in flight."""
    async with asyncio.timeout(20), LocalECR(in_memory=in_memory) as ecr:
        with pytest.raises(error):
            await describe(ecr, Script(**does), read_timeout=0.2)
    assert (ecr.in_flight, ecr.connections) == (0, 0)


@pytest.mark.parametrize(
    ("does", "outcome"),
    [
        ({}, "ok"),
        ({"outcome": "cut", "stream": cut}, "cut"),
        ({"error": ConnectionResetError()}, "reset"),
        ({"error": AwsError("ThrottlingException", "Rate exceeded")}, "ThrottlingException"),
        ({"sleep": 60}, "abandoned"),
    ],
    ids=["ok", "named", "reset", "code", "abandoned"],
)
async def test_outcomes_are_counted(*, in_memory: bool, does: dict[str, Any], outcome: str) -> None:
    """The statistics count each request once, by its outcome."""
    async with LocalECR(in_memory=in_memory) as ecr:
        with contextlib.suppress(ClientError, BotoCoreError):
            await describe(ecr, Script(**does), read_timeout=0.2)
    assert ecr.stats.by_operation == {"DescribeRepositories": {outcome: 1}}


async def test_a_bug_is_a_server_exception_without_a_traceback(
    *, in_memory: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug of ours causes ServerException 500 in JSON, and the traceback is in the log."""
    async with LocalECR(in_memory=in_memory) as ecr:
        with pytest.raises(ClientError) as caught:
            await describe(ecr, Script(error=ZeroDivisionError("secret")))
    error: Any = caught.value
    assert error.response["Error"]["Code"] == "ServerException"
    assert "secret" not in error.response["Error"]["Message"]
    assert "ZeroDivisionError" in caplog.text


async def test_after_close_nobody_listens(*, in_memory: bool) -> None:
    """A client that outlives the registry gets botocore's EndpointConnectionError."""
    async with LocalECR(in_memory=in_memory) as ecr:
        session: Any = ecr.session()
        url = ecr.endpoint_url
    async with session.create_client(
        "ecr", endpoint_url=url, config=Config(retries={"total_max_attempts": 1})
    ) as client:
        with pytest.raises(EndpointConnectionError):
            await client.describe_repositories()
