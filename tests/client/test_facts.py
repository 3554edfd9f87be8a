"""The facts of errors, texts and observed operations, in full."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from client.steps import QuietObserver, now
from ecr_layer_client import (
    CallError,
    InvalidInputError,
    LayerAvailability,
    LayerCheckResult,
    OperationTimeoutError,
    Repository,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ecr_layer_client.local import LocalECR

pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("transport", ["signed"])]

AA, BB = "sha256:aa", "sha256:bb"
CHECK = "BatchCheckLayerAvailability"
ON_APP = f"{CHECK} on repository 'app' (registry of the caller, Region us-east-1)"


async def test_a_single_check_is_observed(ecr: LocalECR) -> None:
    """The observer of a single check is told the operation, the repository and its Region."""
    begun: list[tuple[str, Repository]] = []

    class Observer(QuietObserver):
        def operation(self, *facts: Any) -> AbstractContextManager[object]:
            begun.append(facts)
            return nullcontext()

    async with ecr.client(observer=Observer()) as client:
        await client.check_layer("app", AA)
    where = Repository(name="app", region=ecr.region)
    assert begun == [(CHECK, where)]


async def test_repr_of_a_stream(ecr: LocalECR) -> None:
    """The repr of a stream has its class and its numbers."""
    async with ecr.client() as client, client.stream_layers("app", [AA, BB]) as stream:
        await anext(stream)
        assert repr(stream) == "<LayerStream pulled=2 answered=2 total=2>"
        assert [outcome.digest async for outcome in stream] == [BB]


async def test_a_check_that_times_out(ecr: LocalECR) -> None:
    """The error of a timeout has the repository, the seconds, and what `.partial` is."""
    ecr.faults.add(latency=1_000.0)
    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.check_layers("app", [AA], timeout=5.0)
    error = raised.value
    assert (now(), error.elapsed, str(error.repository)) == (5.0, 5.0, "app")
    advice = "allow more time; .partial has the outcomes that were received"
    assert str(error) == f"{ON_APP}: not done within timeout=5.0 s: {advice}"


@pytest.mark.parametrize("after", [0, 1, 2])
async def test_a_wait_ends_in_any_check(ecr: LocalECR, after: int) -> None:
    """A wait ends at its timeout in whichever check, with an error of all that is missing."""
    ecr.faults.add(latency=1_000.0, after=after)
    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.wait_until_available("app", [AA, BB], timeout=5.0)
    assert (now(), str(raised.value.repository)) == (5.0, "app")
    assert str(raised.value) == (
        f"{ON_APP}: 2 of 2 layers were not available within timeout=5.0 s: allow more time; "
        ".partial has the outcomes that were received"
    )


async def test_a_wait_that_ends_in_a_pause(ecr: LocalECR) -> None:
    """A wait that ends between two checks makes no request at its end, and has no cause."""
    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.wait_until_available("app", [AA], timeout=0.3)
    assert (now(), ecr.stats.requests, raised.value.__cause__) == (0.3, 1, None)


async def test_the_input_of_a_wait_raises_a_call_error(ecr: LocalECR) -> None:
    """An error that the input raises passes unchanged, with the partial result that it has."""
    own = CallError("raised by the input")
    own.partial = LayerCheckResult.of("other", {BB: LayerAvailability.AVAILABLE})

    def given() -> Iterator[str]:
        yield AA
        raise own

    async with ecr.client() as client:
        with pytest.raises(CallError) as raised:
            await client.wait_until_available("app", given(), timeout=5.0)
    assert raised.value is own
    assert [outcome.digest for outcome in own.partial] == [BB]


async def test_a_third_item_that_is_not_a_pair(ecr: LocalECR) -> None:
    """The error of an item that is not a pair has its place in the input."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError) as raised:
            await client.check_many([("app", AA), ("app", BB), "x"])  # type: ignore[list-item]
    message = "digests[2] is 'x': every item must be a pair (repository, digest)"
    assert str(raised.value) == message
