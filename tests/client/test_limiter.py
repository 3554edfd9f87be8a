"""`limiter=`: asked before each request, so that processes share one limit."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest

from client.steps import now
from ecr_layer_client import ClientConfig, ECRLayerClient, InvalidInputError, Quota

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.parametrize("transport", ["signed"])

CHECK = "BatchCheckLayerAvailability"
URI = "123456789012.dkr.ecr.us-east-1.amazonaws.com/app"


class Spacing:
    """A limiter that allows a request a second, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Quota] = []
        self._lock = asyncio.Lock()

    async def acquire(self, quota: Quota, /) -> None:
        """Wait a second, and then as long as others do."""
        self.asked.append(quota)
        async with self._lock:
            await asyncio.sleep(1.0)


class Broken:
    """A limiter that can't be reached."""

    async def acquire(self, _: Quota, /) -> None:
        """Raise an exception."""
        msg = "nobody answers"
        raise ConnectionError(msg)


def _client(ecr: LocalECR, **options: Any) -> ECRLayerClient:
    where: dict[str, Any] = {"region_name": ecr.region, "endpoint_url": ecr.endpoint_url}
    config = ClientConfig(transport="signed")
    return ECRLayerClient(**where, session=ecr.session(), config=config, **options)


@pytest.mark.asyncio
async def test_spaced(ecr: LocalECR, digests: list[str]) -> None:
    """No request is sent before the limiter allows it, on views of the client neither."""
    limiter = Spacing()
    async with _client(ecr, limiter=limiter) as client:
        await client.check_layers("app", digests)
        await client.with_config(batch_size=50).check_layers("app", digests[:100])
    assert now() == pytest.approx(5.1)
    assert ecr.stats.requests == 5


@pytest.mark.asyncio
async def test_retries(ecr: LocalECR, digests: list[str]) -> None:
    """The limiter is asked before a retry, and before a throttled request is sent again."""
    ecr.faults.add(status=503, times=1)
    ecr.faults.add(error="ThrottlingException", after=1, times=1)
    limiter = Spacing()
    async with _client(ecr, limiter=limiter) as client:
        await client.check_layers("app", digests[:1])
    assert len(limiter.asked) == 3


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("repository", "scope", "account"),
    [("app", None, None), ("app", "222222222222", "222222222222"), (URI, "2", "123456789012")],
    ids=["none", "scope", "uri"],
)
async def test_quotas(
    ecr: LocalECR, digests: list[str], repository: str, scope: str | None, account: str | None
) -> None:
    """A quota is of an operation, an account and a Region; the scope stands in for the account."""
    limiter = Spacing()
    async with _client(ecr, limiter=limiter, limiter_scope=scope) as client:
        await client.check_layers(repository, digests[:1])
    assert limiter.asked == [Quota(CHECK, account, "us-east-1")]


@pytest.mark.asyncio
async def test_other_region(ecr: LocalECR) -> None:
    """A client of another Region asks the same limiter."""
    limiter = Spacing()
    async with _client(ecr, limiter=limiter, limiter_scope="2").for_region("eu-west-1") as client:
        await client.check_many({"app": ["sha256:aa"]})
    assert limiter.asked == [Quota(CHECK, "2", "eu-west-1")]


@pytest.mark.asyncio
async def test_unreachable(
    ecr: LocalECR, digests: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """An exception of the limiter is logged once, and ends no check."""
    async with _client(ecr, limiter=Broken()) as client:
        result = await client.check_layers("app", digests)
    logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(result) == 250
    assert logged == ["the limiter raised an exception; requests are sent without it"]


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limiter": print}, "limiter=<builtin_function_or_method> must be an object with the"),
        ({"limiter_scope": ""}, "limiter_scope='' must be a str that is not empty, or None"),
    ],
    ids=["limiter", "scope"],
)
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    """A value that is not a limiter, or not an account, is refused when the client is made."""
    with pytest.raises(InvalidInputError, match=message):
        ECRLayerClient(**options)
