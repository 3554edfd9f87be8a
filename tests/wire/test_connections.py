"""The client's connections, counted by the server: at most max_concurrency, reused, and closed."""

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
    """Give a local ECR on another thread's loop, with a latency of 10 ms."""
    async with FarECR(latency=0.01) as far:
        far.ecr.create_repository("app")
        yield far


def client_of(far: FarECR, *, max_concurrency: int = CONCURRENCY, **options: Any) -> ECRLayerClient:
    """Return a client that sends one digest a request, through the counting relay."""
    config = ClientConfig(batch_size=1, max_concurrency=max_concurrency, **options)
    return ECRLayerClient(
        endpoint_url=far.served.url,
        session=far.ecr.session(),
        region_name=far.ecr.region,
        config=config,
    )


def state(client: ECRLayerClient) -> tuple[int, int, int]:
    """Return a client's free slots, its requests in flight and its calls that wait to be sent."""
    resources = client._connection.resources_for(CHECK)
    rate_limiter, slots = resources.rate_limiter, resources.slots
    return slots._value, rate_limiter.pacer._in_flight, len(rate_limiter._waiting)


QUIET = (CONCURRENCY, 0, 0)


@pytest.mark.parametrize("max_concurrency", [1, CONCURRENCY, 25])
async def test_as_many_connections_as_concurrency(
    far: FarECR, digests: list[str], max_concurrency: int
) -> None:
    """Requests use `max_concurrency` connections, which are open at once and reused."""
    asked = digests[: 10 * max_concurrency]
    async with client_of(far, max_concurrency=max_concurrency, requests_per_second=1e6) as client:
        await client.check_layers("app", asked)
        assert (far.served.accepted, far.served.most, far.ecr.stats.requests) == (
            max_concurrency,
            max_concurrency,
            len(asked),
        )


async def test_operations_share_connections(far: FarECR, digests: list[str]) -> None:
    """Concurrent operations and views share the client's connections."""
    async with client_of(far) as client:
        views = [client, client.with_config(batch_size=3), client.with_config(batch_size=2)]
        await asyncio.gather(*(view.check_layers("app", digests[:100]) for view in views))
        assert (far.served.accepted, far.served.most) == (CONCURRENCY, CONCURRENCY)


async def test_closing_leaves_no_connection(far: FarECR, digests: list[str]) -> None:
    """After `aclose`, every connection is closed."""
    async with client_of(far) as client:
        await client.check_layers("app", digests[:50])
        assert far.served.open_now == CONCURRENCY
    await far.far(far.served.idle())
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closing_in_the_middle_leaves_no_connection(far: FarECR, digests: list[str]) -> None:
    """Closing a client closes the connections of running requests, too."""
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
    """A check that is cancelled with requests in flight leaves no task, slot or connection."""
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
async def test_a_client_works_after_a_cancellation(
    far: FarECR, digests: list[str], when: int
) -> None:
    """After a check was cancelled at any moment, the client completes the next check."""
    async with client_of(far) as client:
        task = asyncio.create_task(client.check_layers("app", digests))
        await until(lambda: far.ecr.stats.requests >= when)
        task.cancel()
        await asyncio.wait([task])

        found = await client.check_layers("app", digests[:20])
        assert (task.cancelled(), found.absent, state(client)) == (True, tuple(digests[:20]), QUIET)


async def test_a_stream_that_is_left_leaves_nothing(far: FarECR, digests: list[str]) -> None:
    """A stream that is left at its first outcome leaves no task, slot or waiting call behind."""
    async with client_of(far) as client:
        async with client.stream_layers("app", digests) as stream:
            async for _ in stream:
                break
        assert (state(client), asyncio.all_tasks()) == (QUIET, {asyncio.current_task()})


async def test_timeouts_give_connections_back(
    far: FarECR, digests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that exceeds `attempt_timeout` closes its connection, and a new one replaces it."""
    # The longest pause before each retry: the server has seen the old connections close by then.
    monkeypatch.setattr(caller, "Caller", partial(caller.Caller, jitter=max))
    far.ecr.faults.add(latency=30.0, times=CONCURRENCY)
    retry = RetryPolicy(initial_backoff=0.5)

    async with client_of(far, attempt_timeout=1.0, retry=retry) as client:
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
