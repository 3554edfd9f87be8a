"""Bounds that the transfers of a client share: they hold, in order, and nothing is lost."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from client.steps import now
from ecr_layer_client import ClientConfig
from ecr_layer_client._calls.bounds import (
    MAX_LAYERS_IN_FLIGHT,
    Bandwidth,
    Bounds,
    ByteBudget,
    LayerTurns,
    Threads,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine

pytestmark = pytest.mark.asyncio


async def _begun(*works: Coroutine[object, object, object]) -> list[asyncio.Task[object]]:
    """Start some works, and return them after each ran as far as it can without waiting."""
    tasks = [asyncio.create_task(work) for work in works]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def _end(tasks: list[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@pytest.mark.parametrize(
    ("sizes", "admitted"),
    [
        pytest.param([4, 6, 1], [True, True, False], id="up to the limit"),
        pytest.param([4, 7], [True, False], id="more than the limit"),
        pytest.param([11, 1], [True, False], id="one that is larger than the limit"),
        pytest.param([1, 11], [True, False], id="a larger one after another"),
        pytest.param([9, 2, 1], [True, False, False], id="a small one waits behind a large one"),
    ],
)
async def test_a_budget(sizes: list[int], admitted: list[bool]) -> None:
    """Parts have room up to the limit in all, and one that is larger has room alone."""
    budget = ByteBudget(10)
    tasks = await _begun(*map(budget.acquire, sizes))
    assert [task.done() for task in tasks] == admitted
    await _end(tasks)


@pytest.mark.parametrize(
    ("released", "size", "is_admitted"),
    [(5, 7, True), (5, 8, False), (3, 5, True), (3, 6, False)],
)
async def test_room_that_is_given_back(released: int, size: int, is_admitted: bool) -> None:
    """Bytes that are given back make room for others, beside those still held."""
    budget = ByteBudget(10)
    await budget.acquire(5)
    await budget.acquire(3)
    budget.release(released)
    tasks = await _begun(budget.acquire(size))
    assert tasks[0].done() == is_admitted
    await _end(tasks)


async def test_room_for_several() -> None:
    """As many as fit have room at once when a large part ends, and they hold what they took."""
    budget = ByteBudget(10)
    await budget.acquire(10)
    tasks = await _begun(*map(budget.acquire, (4, 5, 2)))
    budget.release(10)
    await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [True, True, False]
    await _end(tasks)


async def test_a_large_part_that_is_cancelled() -> None:
    """Parts that wait behind a large one have room when that one is cancelled."""
    budget = ByteBudget(10)
    await budget.acquire(5)
    large, small = await _begun(budget.acquire(9), budget.acquire(5))
    await _end([large])
    await small
    assert large.cancelled()


async def test_all_are_cancelled_at_once() -> None:
    """If the holder and those in line end together, as at a timeout, nobody gets room or fails."""
    budget = ByteBudget(10)
    await budget.acquire(10)
    tasks = await _begun(*map(budget.acquire, (5, 6, 7)))
    for task in tasks:
        task.cancel()
    budget.release(10)
    await asyncio.wait(tasks)
    assert [task.cancelled() for task in tasks] == [True, True, True]
    await budget.acquire(10)


async def test_a_budget_serves_in_order() -> None:
    """The task that waits longest for room is next, and a cancelled task takes none."""
    budget, order = ByteBudget(10), list[str]()
    await budget.acquire(8)

    async def wait(name: str, size: int) -> None:
        await budget.acquire(size)
        order.append(name)

    tasks = [asyncio.create_task(wait(*each)) for each in (("big", 9), ("gone", 5), ("small", 1))]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.sleep(0)
    assert order == []
    budget.release(8)
    await asyncio.gather(tasks[0], tasks[2])

    assert order == ["big", "small"]


async def test_a_turn_that_comes_too_late() -> None:
    """A task that is cancelled in the moment of its turn gives the room back."""
    budget = ByteBudget(10)
    await budget.acquire(10)
    task = asyncio.create_task(budget.acquire(10))
    await asyncio.sleep(0)
    budget.release(10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(budget.acquire(10), 1)


async def test_clients_of_other_regions_share_the_memory() -> None:
    """`for_region` shares the budget and the bandwidth, and has its own layers in flight."""
    bounds = Bounds.of(ClientConfig())
    other = bounds.for_another_connection()

    assert (other.budget, other.bandwidth) == (bounds.budget, bounds.bandwidth)
    async with bounds.turns.turn("layer"), other.turns.turn("layer") as has_waited:
        assert has_waited is False


async def test_connections_share_no_threads() -> None:
    """Closing one connection does not cancel what the threads of another one have to do."""
    bounds, go_on = Bounds.of(ClientConfig()), threading.Event()
    other = bounds.for_another_connection()
    works = await _begun(other.threads.run(go_on.wait), other.threads.run(go_on.wait))
    bounds.threads.close()
    go_on.set()
    assert await asyncio.gather(*works) == [True, True]
    other.threads.close()


async def test_bounds_of_a_client() -> None:
    """The budget and the bandwidth are those of the client's options."""
    bounds = Bounds.of(ClientConfig(max_bytes_in_flight=10, max_bandwidth=5.0))
    tasks = await _begun(*map(bounds.budget.acquire, (9, 1, 1)))
    assert [task.done() for task in tasks] == [True, True, False]
    await _end(tasks)

    for _ in range(2):
        await bounds.bandwidth.take(10)
    assert now() == 2.0


async def test_bandwidth() -> None:
    """Bytes leave at the rate, and the first ones at once."""
    bandwidth, left = Bandwidth(10.0), list[float]()
    for _ in range(3):
        await bandwidth.take(20)
        left.append(now())
    assert left == [0.0, 2.0, 4.0]


async def test_bandwidth_that_is_not_used() -> None:
    """A quiet time gives no right to leave faster after it."""
    bandwidth, left = Bandwidth(10.0), list[float]()
    await asyncio.sleep(60.0)
    for _ in range(2):
        await bandwidth.take(20)
        left.append(now())
    assert left == [60.0, 62.0]


async def test_unlimited_bandwidth() -> None:
    """Without a rate nothing waits."""
    bandwidth = Bandwidth(None)
    for _ in range(3):
        await bandwidth.take(10**9)
    assert now() == 0.0


async def _upload(turns: LayerTurns, layer: str, ended: list[tuple[str, bool, float]]) -> None:
    """Upload a layer for a second, and note whether another upload of it was waited for."""
    async with turns.turn(layer) as has_waited:
        await asyncio.sleep(1.0)
    ended.append((layer, has_waited, now()))


async def test_turns_of_a_layer() -> None:
    """Transfers upload the same layer one after the other, and different ones at once."""
    turns, ended = LayerTurns(), list[tuple[str, bool, float]]()
    await asyncio.gather(*(_upload(turns, layer, ended) for layer in "aab"))
    await _upload(turns, "a", ended)
    assert ended == [("a", False, 1.0), ("b", False, 1.0), ("a", True, 2.0), ("a", False, 3.0)]


async def test_layers_in_flight() -> None:
    """At most 32 layers are in flight."""
    turns, ended = LayerTurns(), list[tuple[str, bool, float]]()
    names = [str(number) for number in range(MAX_LAYERS_IN_FLIGHT + 1)]
    await asyncio.gather(*(_upload(turns, name, ended) for name in names))
    assert [end for _, _, end in ended] == [1.0] * 32 + [2.0]


async def test_threads() -> None:
    """Work runs in one thread, which is kept until the end."""
    threads = Threads()
    names = [await threads.run(lambda: threading.current_thread().name) for _ in range(2)]
    threads.close()
    assert names == ["ecr-layer-parts_0"] * 2


async def test_work_with_arguments() -> None:
    """Work has its arguments, and its value is returned."""
    threads = Threads()
    assert await threads.run(divmod, 17, 5) == (3, 2)
    threads.close()


async def test_threads_that_end() -> None:
    """Closing waits for no thread, cancels the work that has not begun, and can be done twice."""
    threads, go_on = Threads(), threading.Event()
    running, waiting = await _begun(threads.run(go_on.wait), threads.run(go_on.wait))
    threads.close()
    threads.close()
    go_on.set()
    await asyncio.wait([running, waiting])
    assert (running.cancelled(), waiting.cancelled()) == (False, True)


async def test_threads_after_the_end() -> None:
    """Work after the end has a thread of its own."""
    threads = Threads()
    await threads.run(int)
    threads.close()
    assert await threads.run(int, "7") == 7
    threads.close()
