"""Arguments that each check refuses before any request, and errors of its input."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from client.steps import CHECKS, one_by_one
from ecr_layer_client import (
    ClientStateError,
    InvalidInputError,
    LayerCheckResult,
    Repository,
    ServerError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from client.steps import Work
    from ecr_layer_client import Progress
    from ecr_layer_client.local import LocalECR

pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("transport", ["signed"])]

AA = "sha256:aa"
EACH_CHECK = pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))


@EACH_CHECK
@pytest.mark.parametrize(
    ("digests", "match"),
    [
        pytest.param(AA, "is one str, 'sha256:aa'", id="one-str"),
        pytest.param(None, "is None", id="none"),
        pytest.param(7, "is 7", id="int"),
        pytest.param([AA, None], r"digests(\['app'\])?\[1\] is None", id="item"),
        pytest.param([b"sha256:aa"], r"digests(\['app'\])?\[0\] is b'sha256:aa'", id="bytes-item"),
    ],
)
async def test_digests(ecr: LocalECR, check: Work, digests: object, match: str) -> None:
    """An input that is not an iterable of str is refused before any request."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=match):
            await check(client, digests)
    assert ecr.stats.requests == 0


def _service_error() -> ServerError:
    """Return the error of another operation, which knows what became of it."""
    error = ServerError("HTTP 503", code="ServerException", status=503, request_id="1")
    error.partial = LayerCheckResult(repository=Repository(name="other"), outcomes=())
    return error


@EACH_CHECK
@pytest.mark.parametrize(
    "error", [LookupError("the disk is gone"), _service_error()], ids=["any", "ours"]
)
async def test_an_error_of_the_input(
    ecr: LocalECR, check: Work, digests: list[str], error: Exception
) -> None:
    """An error of the caller's iterator is raised unchanged, and nothing stays in flight."""
    facts = dict(vars(error))

    def failing() -> Iterator[str]:
        yield from digests[:150]
        raise error

    async with ecr.client(max_concurrency=1) as client:
        with pytest.raises(type(error)) as raised:
            await check(client, failing())
    assert (raised.value is error, vars(error), ecr.in_flight) == (True, facts, 0)


REPOSITORY_OF_A_CHECK: dict[str, Work] = {
    "check_layer": lambda client, where: client.check_layer(where, AA),
    "check_layers": lambda client, where: client.check_layers(where, [AA]),
    "check_many": lambda client, where: client.check_many([(where, AA)]),
    "wait": lambda client, where: client.wait_until_available(where, [AA], timeout=60),
}


@pytest.mark.parametrize("check", REPOSITORY_OF_A_CHECK.values(), ids=list(REPOSITORY_OF_A_CHECK))
async def test_a_repository_of_another_region(ecr: LocalECR, check: Work) -> None:
    """A repository of another Region is refused, even while one of the same name is checked."""
    async with ecr.client() as client:
        here = asyncio.create_task(client.check_layer("app", AA))
        await asyncio.sleep(0)
        with pytest.raises(InvalidInputError, match=r"'eu-west-1'.*'us-east-1'.*for_region"):
            await check(client, Repository(name="app", region="eu-west-1"))
        await here
    assert ecr.stats.requests == 1


@pytest.mark.parametrize("check", REPOSITORY_OF_A_CHECK.values(), ids=list(REPOSITORY_OF_A_CHECK))
@pytest.mark.parametrize("was_open", [False, True], ids=["before", "after"])
async def test_a_client_that_is_not_open(ecr: LocalECR, check: Work, was_open: bool) -> None:
    """A client that is not open yet, or closed, checks nothing, and says which it is."""
    client = ecr.client()
    if was_open:
        await client.open()
        await client.aclose()

    with pytest.raises(ClientStateError, match="closed" if was_open else "not open yet"):
        await check(client, "app")


TIMEOUT_OF_A_CHECK: dict[str, Work] = {
    "check_layers": lambda client, timeout: client.check_layers("app", [], timeout=timeout),
    "check_many": lambda client, timeout: client.check_many({}, timeout=timeout),
    "wait": lambda client, timeout: client.wait_until_available("app", [], timeout=timeout),
}
BAD_TIMEOUTS = [0, -1, float("inf"), float("nan"), "1", True, 10**400]


@pytest.mark.parametrize(
    ("name", "timeout"),
    [*((name, timeout) for name in TIMEOUT_OF_A_CHECK for timeout in BAD_TIMEOUTS), ("wait", None)],
)
async def test_timeouts(ecr: LocalECR, name: str, timeout: object) -> None:
    """A timeout is a number of seconds, more than 0, and a wait needs one."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="timeout="):
            await TIMEOUT_OF_A_CHECK[name](client, timeout)


async def _async_progress(_: Progress) -> None: ...


@pytest.mark.parametrize("progress", [None, 0, "x", [], _async_progress])
async def test_progress(ecr: LocalECR, progress: Any) -> None:
    """A progress that is neither a bool nor a plain function is refused."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=r"progress=.*function \(not async\)"):
            await client.check_layers("app", [], progress=progress)


@pytest.mark.parametrize(
    ("digest", "what"),
    [
        (None, "None, of type NoneType"),
        (3, "3, of type int"),
        (b"sha256:aa", "b'sha256:aa', of type bytes"),
        ([AA], "['sha256:aa'], of type list"),
    ],
)
async def test_a_single_digest(ecr: LocalECR, digest: Any, what: str) -> None:
    """A single digest that is not a str is refused, with its value and type."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError) as raised:
            await client.check_layer("app", digest)
    assert str(raised.value) == f"digest is {what}: a digest must be a str"


async def test_digests_of_many(ecr: LocalECR) -> None:
    """An input that is neither a mapping nor pairs is refused with what to pass instead."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=r"^digests is 7: pass a mapping of .*, or an"):
            await client.check_many(7)  # type: ignore[arg-type]


async def test_async_digests_of_a_mapping(ecr: LocalECR) -> None:
    """An async iterable in a mapping is refused, and the message says what to pass instead."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError) as raised:
            await client.check_many({"app": one_by_one([AA])})  # type: ignore[arg-type]
    assert str(raised.value) == (
        "digests['app'] is an async iterable: "
        "pass an async iterable of pairs (repository, digest) instead"
    )
