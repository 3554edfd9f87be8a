"""The signed transport: which requests take it, and which don't.

What both transports do is in the other files of this folder, run on each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from unittest.mock import AsyncMock

import pytest
from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.credentials import AioCredentials

from ecr_layer_client import (
    ClientConfig,
    ECRLayerClient,
    InvalidInputError,
    Repository,
    ResponseError,
    RetryPolicy,
)
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


def _hooked(ecr: LocalECR, hook: Callable[..., object]) -> Any:
    """Return a session that calls `hook` before it sends a request."""
    session: Any = ecr.session()
    session.register("before-send.ecr", hook)
    return session


@pytest.mark.parametrize("warm", [False, True], ids=["first", "later"])
async def test_an_answer_that_breaks_the_contract(
    ecr: LocalECR, digests: list[str], warm: bool
) -> None:
    """A first request's error is told as a later one's: once, and with the answer's request id."""
    async with ecr.client(transport="signed", retry=RetryPolicy(max_attempts=1)) as client:
        ecr.seed("app", [])
        if warm:
            await client.check_layers("app", digests[:1])
        ecr.faults.add(drop_rows=1)
        with pytest.raises(ResponseError) as raised:
            await client.check_layers("app", digests[:1])
    assert (
        str(raised.value).count("BatchCheckLayerAvailability on"),
        raised.value.request_id is None,
    ) == (1, False)


@pytest.mark.parametrize(("transport", "seen"), [("auto", 3), ("client", 3), ("signed", 1)])
async def test_hooks(
    ecr: LocalECR, digests: list[str], transport: TransportName, seen: int
) -> None:
    """A session of the caller's keeps its hooks, unless the signed transport is asked for: then they see the first request alone."""
    ecr.seed("app", [])
    requests: list[Any] = []

    def hook(request: Any, **_: object) -> None:
        requests.append(request)

    session = _hooked(ecr, hook)
    config = ClientConfig(transport=transport, max_concurrency=1)
    async with ECRLayerClient(
        region_name=ecr.region, endpoint_url=ecr.endpoint_url, session=session, config=config
    ) as client:
        result = await client.check_layers("app", digests)
    assert (len(result.absent), ecr.stats.requests, len(requests)) == (250, 3, seen)


async def test_a_request_that_others_may_not_be_like(
    ecr: LocalECR, digests: list[str], transport: TransportName
) -> None:
    """Where the first request is not one to learn from, all go the ordinary way."""
    ecr.seed("app", [])
    requests: list[Any] = []

    def hook(request: Any, **_: object) -> None:
        request.headers["X-Amzn-Trace-Id"] = "Root=1"
        requests.append(request)

    config = ClientConfig(transport=transport, max_concurrency=1)
    session = _hooked(ecr, hook)
    async with ECRLayerClient(
        region_name=ecr.region, endpoint_url=ecr.endpoint_url, session=session, config=config
    ) as client:
        result = await client.check_layers("app", digests)
    assert (len(result.absent), len(requests)) == (250, 3)


class _Body:
    """What a hook that answers in ECR's place gives aiobotocore to read."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self) -> bytes:
        return self._body


async def test_a_hook_that_answers(
    ecr: LocalECR, digests: list[str], transport: TransportName
) -> None:
    """A hook that answers in ECR's place, as mocks do, answers every request, on the signed transport too."""
    asked: list[Any] = []

    def hook(request: Any, **_: object) -> Any:
        asked.extend(json.loads(request.body)["layerDigests"])
        rows = [{"layerDigest": digest, "layerAvailability": "AVAILABLE"} for digest in asked]
        headers: Any = {}
        body: Any = _Body(json.dumps({"layers": rows}).encode())
        return AioAWSResponse(request.url, 200, headers, body)

    config = ClientConfig(transport=transport, max_concurrency=1)
    session = _hooked(ecr, hook)
    async with ECRLayerClient(
        region_name=ecr.region, endpoint_url=ecr.endpoint_url, session=session, config=config
    ) as client:
        result = await client.check_layers("app", digests)
    assert (result.available, asked, ecr.stats.requests) == (tuple(digests), digests, 0)


async def test_a_borrowed_client_has_no_direct_lane(ecr: LocalECR) -> None:
    """A borrowed client's HTTP session can't be reached by public names, so the signed transport is refused."""
    session: Any = ecr.session()
    async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as borrowed:
        with (
            pytest.raises(InvalidInputError, match="transport='signed' needs a session"),
            pytest.warns(UserWarning, match="attempts"),
        ):
            ECRLayerClient.from_client(borrowed, config=ClientConfig(transport="signed"))


@dataclass(frozen=True)
class _Names:
    """Which repositories there are."""

    name: ClassVar[str] = "DescribeRepositories"
    repository: Repository
    count: int = 0

    def request(self) -> bytes:
        return b"{}"

    def parse(self, body: bytes) -> bytes:
        return body


async def test_other_operations(ecr: LocalECR, digests: list[str]) -> None:
    """Another operation than the check has the same response before and after a check."""
    ecr.seed("app", [])
    where = Repository(name="app")
    async with ecr.client() as client:
        transport = client._connection.resources_for(CHECK).transport
        before = await transport.send(_Names(where))
        await client.check_layers("app", digests)
        after = await transport.send(_Names(where))
    assert (before == after, b'"repositoryName":"app"' in after) == (True, True)


@pytest.mark.parametrize("base", [None, ("base", "secret")], ids=["no other keys", "other keys"])
async def test_keys_that_the_client_was_given(
    ecr: LocalECR, digests: list[str], base: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a session gives its client other keys than its own, every request is signed with those: none takes the signed transport."""
    ecr.seed("app", [])
    session: Any = ecr.session()
    own = None if base is None else AioCredentials(*base)
    monkeypatch.setattr(session, "get_credentials", AsyncMock(return_value=own))
    make = session.create_client
    requests: list[Any] = []

    def hook(request: Any, **_: object) -> None:
        requests.append(request)

    session.register("before-send.ecr", hook)
    session.create_client = partial(
        make,
        aws_access_key_id="local-ecr-access-key",
        aws_secret_access_key="local-ecr-secret-key",  # noqa: S106
    )
    config = ClientConfig(transport="signed", max_concurrency=1)
    async with ECRLayerClient(
        region_name=ecr.region, endpoint_url=ecr.endpoint_url, session=session, config=config
    ) as client:
        result = await client.check_layers("app", digests)
    assert (len(result.absent), len(requests)) == (250, 3)


async def test_a_session_without_the_means(ecr: LocalECR) -> None:
    """A session whose clients don't take the HTTP session they are told to has no signed transport, and nothing stays open."""
    session: Any = ecr.session()

    class Other:
        def create_client(self, *args: Any, **options: Any) -> Any:
            return session.create_client(*args, **(options | {"config": None}))

    other: Any = Other()
    client = ECRLayerClient(
        region_name=ecr.region,
        endpoint_url=ecr.endpoint_url,
        session=other,
        config=ClientConfig(transport="signed"),
    )
    with pytest.raises(InvalidInputError, match="transport='signed' needs an aiobotocore session"):
        await client.open()
    assert ecr.connections == 0
