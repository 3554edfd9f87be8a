"""`wait_until_available`: polls for what is not there yet, tells of each layer as it comes, and ends in time."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import (
    AccessDeniedError,
    ClientStateError,
    InvalidInputError,
    LayerFailuresError,
    OperationTimeoutError,
    Progress,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

AA, BB, CC = "sha256:aa", "sha256:bb", "sha256:cc"


@pytest.fixture
def transport() -> TransportName:
    """Give one transport: how a request travels does not matter here."""
    return "signed"


def _push(ecr: LocalECR, seconds: float, *digests: str) -> None:
    """Let the repository hold more digests after some time."""
    asyncio.get_running_loop().call_later(
        seconds, ecr.seed, "app", [(digest, 1) for digest in digests]
    )


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _async(digests: list[str]) -> AsyncIterator[str]:
    for digest in digests:
        yield digest


async def test_all_there(ecr: LocalECR, digests: list[str]) -> None:
    """What is there already is one check, and its result that of `check_layers`."""
    ecr.seed("app", [(digest, 1) for digest in digests])
    async with ecr.client() as client:
        result = await client.wait_until_available("app", digests, timeout=60)
        assert (ecr.stats.requests, result) == (3, await client.check_layers("app", digests))


@pytest.mark.parametrize("nothing", [[], iter(())], ids=["list", "generator"])
async def test_nothing_to_wait_for(ecr: LocalECR, nothing: Iterable[str]) -> None:
    """Nothing is there at once."""
    async with ecr.client() as client:
        assert len(await client.wait_until_available("app", nothing, timeout=60)) == 0
    assert ecr.stats.requests == 0


SHAPES: list[Any] = [list, iter, _async]


@pytest.mark.parametrize("shaped", SHAPES, ids=["list", "generator", "async-generator"])
async def test_what_comes_later(ecr: LocalECR, shaped: Callable[[list[str]], Any]) -> None:
    """What comes later is waited for, whatever the shape of the input, and the result is whole and in input order."""
    ecr.seed("app", [(BB, 1)])
    _push(ecr, 3.0, AA)
    _push(ecr, 30.0, CC)
    async with ecr.client() as client:
        result = await client.wait_until_available(
            "app", shaped([CC, AA.upper(), BB, AA]), timeout=600
        )
    assert (result.available, 30 < _now() < 46) == ((CC, AA.upper(), BB), True)


async def test_only_what_is_missing_is_asked_again(ecr: LocalECR, digests: list[str]) -> None:
    """What is available is not asked again."""
    ecr.seed("app", [(digest, 1) for digest in digests[1:]])
    _push(ecr, 0.4, digests[0])
    async with ecr.client() as client:
        await client.wait_until_available("app", digests, timeout=60)
    assert ecr.stats.digests_checked in {251, 252}


async def test_more_than_a_batch_is_missing(ecr: LocalECR, digests: list[str]) -> None:
    """What is missing is asked again in full batches."""
    ecr.seed("app", [])
    _push(ecr, 0.1, *digests)
    async with ecr.client() as client:
        await client.wait_until_available("app", digests, timeout=60)
    assert (ecr.stats.requests, ecr.stats.digests_checked) == (6, 500)


async def test_restored(ecr: LocalECR) -> None:
    """An archived layer is waited for, too."""
    ecr.seed("app", [(AA, 1)])
    ecr.archive("app", AA)
    _push(ecr, 5.0, AA)
    async with ecr.client() as client:
        assert (await client.wait_until_available("app", [AA], timeout=60)).all_available


async def test_a_row_that_was_left_out(ecr: LocalECR) -> None:
    """So is what ECR's answers leave out for a while."""
    ecr.seed("app", [(AA, 1), (BB, 1)])
    ecr.faults.add(drop_rows=1, times=2)
    async with ecr.client() as client:
        assert (await client.wait_until_available("app", [AA, BB], timeout=60)).all_available


async def test_pauses(ecr: LocalECR) -> None:
    """The pauses between checks are drawn between a half and the whole of a bound that doubles from 0.5 to 15 seconds."""
    ecr.seed("app", [])
    arrivals: list[float] = []
    plain: Any = ecr._service.answer

    async def answer(request: Any) -> Any:
        arrivals.append(_now() - 0.025)
        return await plain(request)

    service: Any = ecr._service
    service.answer = answer
    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError):
            await client.wait_until_available("app", [AA], timeout=100)
    pauses = [later - earlier - 0.05 for earlier, later in pairwise(arrivals)]
    bounds = [0.5, 1, 2, 4, 8, 15, 15]
    assert [
        bound / 2 - 1e-6 <= pause <= bound + 1e-6
        for pause, bound in zip(pauses, bounds, strict=False)
    ] == [True] * 7


async def test_timeout(ecr: LocalECR) -> None:
    """When the time runs out the error says how many are missing, and `.partial` which, and what is known of them."""
    ecr.seed("app", [(BB, 1)])
    async with ecr.client() as client:
        with pytest.raises(
            OperationTimeoutError,
            match=r"2 of 3 layers are not available yet within timeout=20 s; \.partial",
        ) as raised:
            await client.wait_until_available("app", [AA, BB, CC], timeout=20)
    partial = raised.value.partial
    assert partial is not None
    assert (partial.not_available, partial.absent, partial.available, partial.unanswered) == (
        (AA, CC),
        (AA, CC),
        (BB,),
        (),
    )
    assert _now() == pytest.approx(20)


async def test_timeout_before_an_answer(ecr: LocalECR, digests: list[str]) -> None:
    """What has not been answered at all is told as unanswered."""
    ecr.seed("app", [])
    async with ecr.client(max_concurrency=1) as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.wait_until_available("app", digests, timeout=0.08)
    partial = raised.value.partial
    assert partial is not None
    assert (len(partial), len(partial.unanswered), len(partial.not_available)) == (100, 150, 250)


@pytest.mark.parametrize("seconds", [99.0, 98.0, 92.0])
async def test_late_is_not_too_late(ecr: LocalECR, seconds: float) -> None:
    """Pauses become shorter as the time runs out, so what comes in the last second is still seen."""
    ecr.seed("app", [])
    _push(ecr, seconds, AA)
    async with ecr.client() as client:
        assert (await client.wait_until_available("app", [AA], timeout=100)).all_available


@pytest.mark.parametrize("shaped", SHAPES, ids=["list", "generator", "async-generator"])
async def test_what_can_never_come(ecr: LocalECR, shaped: Callable[[list[str]], Any]) -> None:
    """What is no digest can never be available: that is told after one check of all, with its result."""
    ecr.seed("app", [(BB, 1)])
    async with ecr.client() as client:
        with pytest.raises(
            LayerFailuresError,
            match=r"2 of 4 digests are malformed and can never become available, such as 'latest'",
        ) as raised:
            await client.wait_until_available("app", shaped([AA, "latest", BB, ""]), timeout=600)
    result = raised.value.result
    assert (result.absent, result.available, result.undetermined, _now() < 1) == (
        (AA,),
        (BB,),
        ("latest", ""),
        True,
    )


async def test_a_call_that_fails(ecr: LocalECR) -> None:
    """A call that fails for good ends the wait, with what is known."""
    ecr.seed("app", [(BB, 1)])
    ecr.faults.add(error="AccessDeniedException", after=3)
    async with ecr.client() as client:
        with pytest.raises(AccessDeniedError) as raised:
            await client.wait_until_available("app", [AA, BB], timeout=600)
    partial = raised.value.partial
    assert partial is not None
    assert (partial.absent, partial.available) == ((AA,), (BB,))


async def test_passing_trouble(ecr: LocalECR) -> None:
    """Passing trouble is retried as in any call, and the wait goes on."""
    ecr.seed("app", [])
    ecr.faults.add(status=503, after=1, times=2)
    _push(ecr, 3.0, AA)
    async with ecr.client() as client:
        assert (await client.wait_until_available("app", [AA], timeout=60)).all_available


async def test_closing_ends_it(ecr: LocalECR) -> None:
    """Closing the client ends a wait in its pause."""
    ecr.seed("app", [])
    client = await ecr.client().open()
    waiting = asyncio.create_task(client.wait_until_available("app", [AA], timeout=600))
    await asyncio.sleep(5)
    await client.aclose()
    with pytest.raises(ClientStateError, match="closed"):
        await waiting


async def test_cancelled(ecr: LocalECR) -> None:
    """A wait that is cancelled in its pause leaves nothing behind."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        waiting = asyncio.create_task(client.wait_until_available("app", [AA], timeout=600))
        await asyncio.sleep(5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        loop: Any = asyncio.get_running_loop()
        assert [timer for timer in loop._scheduled if not timer.cancelled()] == []


async def test_progress(ecr: LocalECR) -> None:
    """Progress counts what is available."""
    ecr.seed("app", [(BB, 1)])
    _push(ecr, 3.0, AA)
    told: list[Progress] = []
    async with ecr.client() as client:
        await client.wait_until_available("app", [AA, BB], timeout=60, progress=told.append)
    assert told == [Progress(2, 1, 2), Progress(2, 2, 2)]


@pytest.mark.parametrize("timeout", [None, 0, -1.0, "60", float("inf"), True])
async def test_refused_timeouts(ecr: LocalECR, timeout: Any) -> None:
    """A wait has an end: the timeout is a number of seconds."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="timeout="):
            await client.wait_until_available("app", [AA], timeout=timeout)


async def test_refused_items(ecr: LocalECR) -> None:
    """An item that is no str is refused before any request."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=r"digests\[1\]"):
            await client.wait_until_available("app", [AA, 3], timeout=60)  # type: ignore[list-item]
    assert ecr.stats.requests == 0


async def test_an_error_of_the_callers_iterator(ecr: LocalECR) -> None:
    """What the caller's iterator raises passes unchanged."""
    ecr.seed("app", [])

    def digests() -> Iterator[str]:
        yield AA
        raise LookupError("the disk is gone")

    async with ecr.client() as client:
        with pytest.raises(LookupError, match="the disk is gone"):
            await client.wait_until_available("app", digests(), timeout=60)


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_a_call_error_of_the_callers_iterator(ecr: LocalECR, is_async: bool) -> None:
    """A CallError that the input raises is the caller's own, and passes unchanged."""
    ecr.seed("app", [])
    own = OperationTimeoutError("the other registry is slow")

    def plain() -> Iterator[str]:
        yield AA
        raise own

    async def asynchronous() -> AsyncIterator[str]:
        yield AA
        raise own

    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.wait_until_available(
                "app", asynchronous() if is_async else plain(), timeout=60
            )
    assert (raised.value is own, own.partial) == (True, None)
