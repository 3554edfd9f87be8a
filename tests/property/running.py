"""Checks in an event loop of their own, in virtual time, under faults."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from ecr_layer_client import RetryPolicy
from ecr_layer_client._models.digest import canonical
from services import ECRS
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from ecr_layer_client import ECRLayerClient, ECRPublicLayerClient

    Client = ECRLayerClient | ECRPublicLayerClient
    Plan = list[tuple[dict[str, Any], int, int]]

T = TypeVar("T")


def quick(max_examples: int, **options: Any) -> settings:
    """Return settings for slow claims: fewer examples, unless another profile is chosen."""
    is_default = "HYPOTHESIS_PROFILE" not in os.environ
    return settings(max_examples=max_examples, **options) if is_default else settings()


def plans(faults: list[dict[str, Any]], max_size: int) -> st.SearchStrategy[Plan]:
    """Return plans: faults, for how many requests, and after how many."""
    fault = st.tuples(st.sampled_from(faults), st.integers(1, 4), st.integers(0, 4))
    return st.lists(fault, max_size=max_size)


def checked(
    held: Mapping[str, Iterable[str]],
    plan: Plan,
    check: Callable[[Client], Coroutine[Any, Any, T]],
    service: str,
    **options: Any,
) -> T:
    """Run a check of repositories that hold digests, and see that it leaves nothing behind."""

    async def run() -> T:
        async with ECRS[service](in_memory=True, latency=0.05) as ecr:
            for name, digests in held.items():
                ecr.seed(name, [(digest, 1) for digest in digests])
            for fault, times, after in plan:
                ecr.faults.add(times=times, after=after, **fault)
            async with ecr.client(**options) as client:
                result = await check(client)
                assert (ecr.in_flight, asyncio.all_tasks()) == (0, {asyncio.current_task()})
                return result

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())


def retries(max_attempts: int) -> RetryPolicy:
    """Return a retry policy that gives up soon."""
    return RetryPolicy(max_attempts=max_attempts, max_elapsed=30.0)


def distinct(digests: Iterable[str]) -> dict[str, str]:
    """Return each digest once, in order: the registry's spelling -> the first one given."""
    firsts: dict[str, str] = {}
    for digest in digests:
        firsts.setdefault(canonical(digest), digest)
    return firsts
