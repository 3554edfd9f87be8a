"""Connections, counted where they arrive: as many as max_concurrency, used again, and none left."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from ecr_layer_client import ClientConfig, ECRLayerClient, RetryPolicy
from ecr_layer_client._calls import caller
from ecr_layer_client._checks.operation import CHECK
from wire.servers import FarECR, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.asyncio

CONCURRENCY = 7


@pytest_asyncio.fixture
async def far() -> AsyncIterator[FarECR]:
    """Give a local ECR on another thread's loop, 10 ms away."""
    async with FarECR(latency=0.01) as far:
        far.ecr.create_repository("app")
        yield far


def client_of(far: FarECR, *, max_concurrency: int = CONCURRENCY, **options: Any) -> ECRLayerClient:
    """Return a client that asks through the counting relay, a digest a request."""
    config = ClientConfig(batch_size=1, max_concurrency=max_concurrency, **options)
    return ECRLayerClient(
        endpoint_url=far.served.url,
        session=far.ecr.session(),
        region_name=far.ecr.region,
        config=config,
    )


def state(client: ECRLayerClient) -> tuple[int, int, int]:
    """Return a client's free slots, its pacer's requests in flight and the calls that wait for a turn."""
    resources = client._connection.resources_for(CHECK)
    rate_limiter, slots = resources.rate_limiter, resources.slots
    return slots._value, rate_limiter.pacer._in_flight, len(rate_limiter._waiting)


QUIET = (CONCURRENCY, 0, 0)


@pytest.mark.parametrize("max_concurrency", [1, CONCURRENCY, 25])
async def test_as_many_connections_as_concurrency(
    far: FarECR, digests: list[str], max_concurrency: int
) -> None:
    """Requests travel on `max_concurrency` connections, open at once and used again."""
    asked = digests[: 10 * max_concurrency]
    async with client_of(far, max_concurrency=max_concurrency, requests_per_second=1e6) as client:
        await client.check_layers("app", asked)
        assert (far.served.accepted, far.served.most, far.ecr.stats.requests) == (
            max_concurrency,
            max_concurrency,
            len(asked),
        )


async def test_operations_share_connections(far: FarECR, digests: list[str]) -> None:
    """Operations at once, and views, share the client's connections."""
    async with client_of(far) as client:
        views = [client, client.with_config(batch_size=3), client.with_config(batch_size=2)]
        await asyncio.gather(*(view.check_layers("app", digests[:100]) for view in views))
        assert (far.served.accepted, far.served.most) == (CONCURRENCY, CONCURRENCY)


async def test_closing_leaves_no_connection(far: FarECR, digests: list[str]) -> None:
    """After `aclose` every connection is closed."""
    async with client_of(far) as client:
        await client.check_layers("app", digests[:50])
        assert far.served.open_now == CONCURRENCY
    await far.far(far.served.idle())
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closing_in_the_middle_leaves_no_connection(far: FarECR, digests: list[str]) -> None:
    """Closing while requests are under way closes their connections, too."""
    async with client_of(far) as client:
        task = asyncio.create_task(client.check_layers("app", digests))
        await until(lambda: far.ecr.in_flight == CONCURRENCY)
    await asyncio.wait([task])
    await far.far(far.served.idle())
    assert (type(task.exception()).__name__, asyncio.all_tasks()) == (
        "ClientStateError",
        {asyncio.current_task()},
    )


async def test_cancelling_leaves_nothing(far: FarECR, digests: list[str]) -> None:
    """Cancelled with its requests on the way, a check leaves no task, slot, turn or connection behind."""
    far.ecr.faults.add(latency=30.0)
    async with client_of(far) as client:
        task = asyncio.create_task(client.check_layers("app", digests))
        await until(lambda: far.ecr.in_flight == CONCURRENCY)
        task.cancel()
        await asyncio.wait([task])
        left = task.cancelled(), state(client), asyncio.all_tasks() - {asyncio.current_task()}
        await far.far(far.served.idle())
        assert left == (True, QUIET, set())


@pytest.mark.parametrize("when", [0, 1, 5, 8, 20])
async def test_a_client_goes_on_after_a_cancellation(
    far: FarECR, digests: list[str], when: int
) -> None:
    """Cancelled after any number of answers, a check leaves a client that answers the next one."""
    async with client_of(far) as client:
        task = asyncio.create_task(client.check_layers("app", digests))
        await until(lambda: far.ecr.stats.requests >= when)
        task.cancel()
        await asyncio.wait([task])
        found = await client.check_layers("app", digests[:20])
        assert (task.cancelled(), found.absent, state(client)) == (True, tuple(digests[:20]), QUIET)


async def test_a_stream_that_is_left_leaves_nothing(far: FarECR, digests: list[str]) -> None:
    """Broken out of at its first outcome, a stream leaves no task, slot or turn behind."""
    async with client_of(far) as client:
        async with client.stream_layers("app", digests) as stream:
            async for _ in stream:
                break
        assert (state(client), asyncio.all_tasks()) == (QUIET, {asyncio.current_task()})


async def test_timeouts_give_connections_back(
    far: FarECR, digests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that ran into `attempt_timeout` leave no connection open, and new ones take their place."""
    # The longest wait before each retry: the server has seen the old connections' end by then.
    monkeypatch.setattr(caller, "Caller", partial(caller.Caller, jitter=max))
    far.ecr.faults.add(latency=30.0, times=CONCURRENCY)
    async with client_of(
        far, attempt_timeout=1.0, retry=RetryPolicy(initial_backoff=0.5)
    ) as client:
        found = [
            len(await client.check_layers("app", asked))
            for asked in (digests[:CONCURRENCY], digests)
        ]
        assert (found, far.served.accepted, far.served.open_now) == (
            [CONCURRENCY, 250],
            2 * CONCURRENCY,
            CONCURRENCY,
        )
        assert far.served.most == CONCURRENCY
