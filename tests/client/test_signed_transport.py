"""The signed transport: which requests it sends, and which go through the client's method."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock

import pytest
from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.credentials import AioCredentials

from client.chains import KEYS
from client.steps import client_of
from ecr_layer_client import InvalidInputError, Repository, ResponseError, RetryPolicy
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

APP = Repository(name="app")


async def _check(
    ecr: LocalECR, digests: list[str], transport: TransportName, session: Any
) -> tuple[str, ...]:
    """Check digests one batch after another, and return those that are absent."""
    async with client_of(ecr, session, transport=transport, max_concurrency=1) as client:
        return (await client.check_layers("app", digests)).absent


def _hooked(ecr: LocalECR, hook: Callable[[Any], object]) -> Any:
    """Return a session that calls `hook` before it sends a request."""

    def handler(request: object, **_: object) -> object:
        return hook(request)

    session: Any = ecr.session()
    session.register("before-send.ecr", handler)
    return session


@pytest.mark.parametrize("transport", ["signed"])
@pytest.mark.parametrize("is_warm", [False, True], ids=["first", "later"])
async def test_a_response_that_breaks_the_contract(
    ecr: LocalECR, digests: list[str], is_warm: bool
) -> None:
    """The error of a first or a later request names the operation once, and the request id."""
    async with ecr.client(retry=RetryPolicy(max_attempts=1)) as client:
        if is_warm:
            await client.check_layers("app", digests[:1])
        ecr.faults.add(drop_rows=1)
        with pytest.raises(ResponseError) as raised:
            await client.check_layers("app", digests[:1])
    assert str(raised.value).count("BatchCheckLayerAvailability on") == 1
    assert raised.value.request_id is not None


@pytest.mark.parametrize(("transport", "seen"), [("auto", 3), ("client", 3), ("signed", 1)])
async def test_hooks(
    ecr: LocalECR, digests: list[str], transport: TransportName, seen: int
) -> None:
    """Hooks of a caller's session see all requests; with the signed transport, the first alone."""
    requests: list[Any] = []
    absent = await _check(ecr, digests, transport, _hooked(ecr, requests.append))
    assert (absent, ecr.stats.requests, len(requests)) == (tuple(digests), 3, seen)


async def test_a_request_with_a_header_of_its_own(
    ecr: LocalECR, digests: list[str], transport: TransportName
) -> None:
    """All requests go through the client's method if later ones may not be like the first."""
    requests: list[Any] = []

    def hook(request: Any) -> None:
        request.headers["X-Amzn-Trace-Id"] = "Root=1"
        requests.append(request)

    absent = await _check(ecr, digests, transport, _hooked(ecr, hook))
    assert (absent, len(requests)) == (tuple(digests), 3)


class _Body:
    """A body of a response that a hook makes."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self) -> bytes:
        return self._body


async def test_a_hook_that_responds(
    ecr: LocalECR, digests: list[str], transport: TransportName
) -> None:
    """A hook that responds in place of ECR, as mocks do, responds to every request."""
    checked: list[str] = []

    def hook(request: Any) -> Any:
        checked.extend(json.loads(request.body)["layerDigests"])
        rows = [{"layerDigest": digest, "layerAvailability": "UNAVAILABLE"} for digest in checked]
        body: Any = _Body(json.dumps({"layers": rows}).encode())
        headers: Any = {}
        return AioAWSResponse(request.url, 200, headers, body)

    absent = await _check(ecr, digests, transport, _hooked(ecr, hook))
    assert (absent, checked, ecr.stats.requests) == (tuple(digests), digests, 0)


@dataclass(frozen=True)
class _Operation:
    """Any operation on the repository `app`."""

    name: str
    body: bytes
    repository: Repository = APP
    count: int = 0

    def request(self) -> bytes:
        return self.body

    def parse(self, body: bytes) -> Any:
        return json.loads(body)


async def test_other_operations(ecr: LocalECR, digests: list[str]) -> None:
    """Another operation than the check has the same response before and after a check."""
    names: Any = _Operation("DescribeRepositories", b"{}")
    async with ecr.client() as client:
        transport = client._connection.resources_for(CHECK).transport
        before = await transport.send(names)
        await client.check_layers("app", digests)
        assert await transport.send(names) == before
    assert [each["repositoryName"] for each in before["repositories"]] == ["app"]


@pytest.mark.parametrize("own", [None, ("base", "secret")], ids=["no-other-keys", "other-keys"])
async def test_keys_of_the_client(
    ecr: LocalECR, digests: list[str], own: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client whose keys are not its session's signs every request itself, by its method."""
    requests: list[Any] = []
    session = _hooked(ecr, requests.append)
    keys = None if own is None else AioCredentials(*own)
    monkeypatch.setattr(session, "get_credentials", AsyncMock(return_value=keys))
    session.create_client = partial(
        session.create_client, aws_access_key_id=KEYS[0], aws_secret_access_key=KEYS[1]
    )
    absent = await _check(ecr, digests, "signed", session)
    assert (absent, len(requests)) == (tuple(digests), 3)


async def test_a_session_that_cannot_sign(ecr: LocalECR) -> None:
    """A session that ignores the HTTP session it is given has no signed transport."""
    session: Any = ecr.session()

    class Other:
        def create_client(self, *args: Any, **options: Any) -> Any:
            return session.create_client(*args, **(options | {"config": None}))

    other: Any = Other()
    with pytest.raises(InvalidInputError, match="transport='signed' needs an aiobotocore session"):
        await client_of(ecr, other, transport="signed").open()
    assert ecr.connections == 0
