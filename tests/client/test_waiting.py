"""`wait_until_available`: checks what is missing again, notifies of progress, and ends in time."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from client.steps import QuietObserver, now, on_request, one_by_one, partial_of, pending_timers
from ecr_layer_client import (
    AccessDeniedError,
    LayerFailuresError,
    OperationTimeoutError,
    Progress,
)
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from ecr_layer_client.local import LocalECR

pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("transport", ["signed"])]

AA, BB, CC = "sha256:aa", "sha256:bb", "sha256:cc"
EACH_SHAPE = pytest.mark.parametrize(
    "shaped", [list, iter, one_by_one], ids=["list", "generator", "async-generator"]
)


def _push(ecr: LocalECR, seconds: float, *digests: str) -> None:
    """Add digests to the repository after some seconds."""
    layers = [(digest, 1) for digest in digests]
    asyncio.get_running_loop().call_later(seconds, ecr.seed, "app", layers)


async def test_all_there(ecr: LocalECR, digests: list[str]) -> None:
    """If every layer is there already, one check is made, with the result of `check_layers`."""
    ecr.seed("app", [(digest, 1) for digest in digests])
    async with ecr.client() as client:
        result = await client.wait_until_available("app", digests, timeout=60)
        assert (ecr.stats.requests, result) == (3, await client.check_layers("app", digests))


@EACH_SHAPE
async def test_nothing_to_wait_for(ecr: LocalECR, shaped: Callable[[list[str]], Any]) -> None:
    """An empty input has an empty result at once."""
    async with ecr.client() as client:
        assert len(await client.wait_until_available("app", shaped([]), timeout=60)) == 0
    assert ecr.stats.requests == 0


@EACH_SHAPE
async def test_layers_that_come_later(ecr: LocalECR, shaped: Callable[[list[str]], Any]) -> None:
    """Layers that come later are waited for, and the result is complete and in input order."""
    ecr.seed("app", [(BB, 1)])
    _push(ecr, 3.0, AA)
    _push(ecr, 30.0, CC)
    given = shaped([CC, AA.upper(), BB, AA])
    async with ecr.client() as client:
        result = await client.wait_until_available("app", given, timeout=600)
    assert (result.available, 30 < now() < 46) == ((CC, AA.upper(), BB), True)


@pytest.mark.parametrize(
    ("missing", "requests", "checked"),
    [pytest.param(1, {4, 5}, {251, 252}, id="one"), pytest.param(250, {6}, {500}, id="all")],
)
async def test_only_what_is_missing_is_checked_again(
    ecr: LocalECR, digests: list[str], missing: int, requests: set[int], checked: set[int]
) -> None:
    """Only what is missing is checked again, in full batches."""
    ecr.seed("app", [(digest, 1) for digest in digests[missing:]])
    _push(ecr, 0.1, *digests[:missing])
    async with ecr.client() as client:
        await client.wait_until_available("app", digests, timeout=60)
    assert ecr.stats.requests in requests
    assert ecr.stats.digests_checked in checked


async def test_an_archived_layer(ecr: LocalECR) -> None:
    """An archived layer is waited for until it is restored."""
    ecr.seed("app", [(AA, 1)])
    ecr.archive("app", AA)
    _push(ecr, 5.0, AA)
    async with ecr.client() as client:
        assert (await client.wait_until_available("app", [AA], timeout=60)).all_available


@pytest.mark.parametrize(
    "fault",
    [{"drop_rows": 1, "times": 2}, {"status": 503, "after": 1, "times": 2}],
    ids=["left-out", "transient"],
)
async def test_a_wait_that_goes_on(ecr: LocalECR, fault: dict[str, Any]) -> None:
    """A wait goes on after responses that leave a digest out, and after transient errors."""
    ecr.seed("app", [(BB, 1)])
    ecr.faults.add(**fault)
    _push(ecr, 3.0, AA)
    async with ecr.client() as client:
        assert (await client.wait_until_available("app", [AA, BB], timeout=60)).all_available


async def test_pauses(ecr: LocalECR) -> None:
    """A pause is between half and all of a bound that doubles from 0.5 to 15 seconds."""
    arrivals: list[float] = []
    on_request(ecr, lambda _: arrivals.append(now()))
    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError):
            await client.wait_until_available("app", [AA], timeout=100)

    pauses = [later - earlier - 0.05 for earlier, later in pairwise(arrivals)]
    bounds = [0.5, 1, 2, 4, 8, 15, 15]
    assert len(pauses) >= len(bounds)
    assert [
        (pause, bound)
        for pause, bound in zip(pauses, bounds, strict=False)
        if not bound / 2 - 1e-6 <= pause <= bound + 1e-6
    ] == []


async def test_the_last_pauses(ecr: LocalECR) -> None:
    """A pause is at most half of the time that is left, or else half a second."""
    arrivals: list[float] = []
    on_request(ecr, lambda _: arrivals.append(now()))
    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError):
            await client.wait_until_available("app", [AA], timeout=40)

    begun = [arrival + 0.05 for arrival in arrivals]
    # Without this bound, the pauses of the last 15 seconds would be of 7.5 seconds or more.
    late = [(begin, end) for begin, end in zip(begun, arrivals[1:], strict=False) if begin > 25]
    expected = [begin + max(0.5, (40 - begin) / 2) for begin, _ in late]
    assert len(late) > 2
    assert [end for _, end in late] == pytest.approx(expected)


async def test_timeout(ecr: LocalECR) -> None:
    """A timeout says how many layers are missing; `.partial` has them and what is known of them."""
    ecr.seed("app", [(BB, 1)])
    message = r"2 of 3 layers were not available within timeout=20 s: allow"
    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError, match=message) as raised:
            await client.wait_until_available("app", [AA, BB, CC], timeout=20)

    partial = partial_of(raised.value)
    assert (partial.not_available, partial.absent) == ((AA, CC), (AA, CC))
    assert (partial.available, partial.unanswered) == ((BB,), ())
    assert now() == pytest.approx(20)


async def test_timeout_of_the_first_check(ecr: LocalECR, digests: list[str]) -> None:
    """Digests without any outcome at the timeout are unanswered."""
    async with ecr.client(max_concurrency=1) as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.wait_until_available("app", digests, timeout=0.08)
    partial = partial_of(raised.value)
    assert (len(partial), len(partial.unanswered), len(partial.not_available)) == (100, 150, 250)


@pytest.mark.parametrize("seconds", [99.0, 98.0, 92.0])
async def test_a_layer_that_comes_last(ecr: LocalECR, seconds: float) -> None:
    """Pauses become shorter before the timeout, so that a layer of the last second is seen."""
    _push(ecr, seconds, AA)
    async with ecr.client() as client:
        assert (await client.wait_until_available("app", [AA], timeout=100)).all_available


@EACH_SHAPE
async def test_malformed_digests(ecr: LocalECR, shaped: Callable[[list[str]], Any]) -> None:
    """A malformed digest can never be available: one check is made, and its result is kept."""
    ecr.seed("app", [(BB, 1)])
    given = shaped([AA, "latest", BB, ""])
    message = r"2 of 4 digests are malformed and can never become available, such as 'latest'"
    async with ecr.client() as client:
        with pytest.raises(LayerFailuresError, match=message) as raised:
            await client.wait_until_available("app", given, timeout=600)

    result = raised.value.result
    assert (result.absent, result.available) == ((AA,), (BB,))
    assert (result.undetermined, now() < 1) == (("latest", ""), True)


async def test_a_call_that_fails(ecr: LocalECR) -> None:
    """A call that fails after all retries ends the wait, and its error keeps what is known."""
    ecr.seed("app", [(BB, 1)])
    ecr.faults.add(error="AccessDeniedException", after=3)
    async with ecr.client() as client:
        with pytest.raises(AccessDeniedError) as raised:
            await client.wait_until_available("app", [AA, BB], timeout=600)
    partial = partial_of(raised.value)
    assert (partial.absent, partial.available) == ((AA,), (BB,))


async def test_cancelled(ecr: LocalECR) -> None:
    """A wait that is cancelled in a pause leaves nothing behind."""
    async with ecr.client() as client:
        waiting = asyncio.create_task(client.wait_until_available("app", [AA], timeout=600))
        await asyncio.sleep(5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert pending_timers() == []


async def test_progress(ecr: LocalECR) -> None:
    """Progress counts the available layers."""
    ecr.seed("app", [(BB, 1)])
    _push(ecr, 3.0, AA)
    reports: list[Progress] = []
    async with ecr.client() as client:
        await client.wait_until_available("app", [AA, BB], timeout=60, progress=reports.append)
    assert reports == [Progress(2, 1, 2), Progress(2, 2, 2)]


async def test_one_operation(ecr: LocalECR) -> None:
    """The observer is notified of one operation, however often is checked."""
    begun: list[str] = []

    class Observer(QuietObserver):
        def operation(self, *facts: Any) -> Any:
            begun.append(facts[0])
            return super().operation()

    _push(ecr, 3.0, AA)
    async with ecr.client(observer=Observer()) as client:
        await client.wait_until_available("app", [AA], timeout=60)
    assert (begun, ecr.stats.requests > 1) == ([CHECK], True)


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
