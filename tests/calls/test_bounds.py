"""Bounds that the transfers of a client share: they hold, in order, and nothing is lost."""

from __future__ import annotations

import asyncio

import pytest

from ecr_layer_client import ClientConfig
from ecr_layer_client._calls.bounds import Bounds, ByteBudget

pytestmark = pytest.mark.asyncio


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
    assert other.turns is not bounds.turns
