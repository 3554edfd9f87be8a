"""The whole client, in virtual time: whatever is asked, in whatever order and under whatever faults, each digest is accounted for."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_layer_client import CallError, LayerCheckResult, RetryPolicy
from ecr_layer_client._models.layer import canonical, is_well_formed
from ecr_layer_client.local import LocalECR
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

POOL = [f"sha256:{number:x}" for number in range(8, 40)]
HELD = frozenset(POOL[::2])
SPELLED = st.sampled_from([spelled(digest) for digest in POOL for spelled in (str, str.upper)])
DIGESTS = st.lists(SPELLED | st.sampled_from(["", "latest", "sha256:", "\u212a:aa"]), max_size=30)
FAULTS: list[dict[str, Any]] = [
    {"error": "ThrottlingException"},
    {"error": "ServerException"},
    {"error": "AccessDeniedException"},
    {"status": 503},
    {"status": 404},
    {"reset": True},
    {"cut_at": 40},
    {"body": b"{}"},
    {"body": b"<html>"},
    {"latency": 60.0},
    {"drop_rows": 1},
    {"drop_rows": 3},
    {"double_rows": 2},
    {"shuffle": True},
    {"drip": 300.0},
]
PLANS = st.lists(
    st.tuples(st.sampled_from(FAULTS), st.integers(1, 4), st.integers(0, 4)), max_size=4
)


async def as_async(digests: list[str]) -> AsyncIterator[str]:
    """Yield each, and let others run."""
    for digest in digests:
        await asyncio.sleep(0)
        yield digest


SHAPES = st.sampled_from([list, iter, as_async])


def checked(
    digests: Any,
    batch_size: int,
    max_concurrency: int,
    plan: list[tuple[dict[str, Any], int, int]],
    timeout: float | None = None,
) -> tuple[LayerCheckResult, bool]:
    """Check in a loop of its own.

    Return the result, or what an error kept of it, and whether it is whole.
    """

    async def check() -> tuple[LayerCheckResult, bool]:
        async with LocalECR(in_memory=True, latency=0.05) as ecr:
            ecr.seed("app", [(digest, 1) for digest in HELD])
            for fault, times, after in plan:
                ecr.faults.add(times=times, after=after, **fault)
            policy = RetryPolicy(max_attempts=3, max_elapsed=30.0)
            async with ecr.client(
                batch_size=batch_size, max_concurrency=max_concurrency, retry=policy
            ) as client:
                try:
                    return await client.check_layers("app", digests, timeout=timeout), True
                except CallError as error:
                    assert error.partial is not None
                    return error.partial, False
                finally:
                    assert (ecr.in_flight, asyncio.all_tasks()) == (0, {asyncio.current_task()})

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(check())


def distinct(digests: list[str]) -> dict[str, str]:
    """Return each once, in order: registry's spelling -> the first one given."""
    firsts: dict[str, str] = {}
    for digest in digests:
        firsts.setdefault(canonical(digest), digest)
    return firsts


def wrong(result: LayerCheckResult) -> list[str]:
    """Return what is answered otherwise than the registry holds it.

    What is undetermined, or refused as malformed, is not wrong.
    """
    available = {digest for digest in map(canonical, result.available) if digest not in HELD}
    absent = {digest for digest in map(canonical, result.absent) if digest in HELD}
    malformed = {
        digest for digest in (*result.available, *result.absent) if not is_well_formed(digest)
    }
    return sorted(available | absent | malformed)


quick = settings() if "HYPOTHESIS_PROFILE" in os.environ else settings(max_examples=60)


@quick
@given(DIGESTS, st.integers(1, 12), st.integers(1, 6), PLANS, SHAPES)
def test_every_digest_is_accounted_for(
    digests: list[str],
    batch_size: int,
    max_concurrency: int,
    plan: list[tuple[dict[str, Any], int, int]],
    shaped: Callable[[Any], Any],
) -> None:
    """Outcomes and unanswered are exactly the distinct digests (of a lazy input that failed: a prefix), and no answer is wrong."""
    result, is_whole = checked(shaped(digests), batch_size, max_concurrency, plan)
    found = [outcome.digest for outcome in result]
    expected = list(distinct(digests).values())
    assert wrong(result) == []
    if is_whole:
        assert (found, result.unanswered) == (expected, ())
    else:
        accounted = {*found, *result.unanswered}
        assert len(found) + len(result.unanswered) == len(accounted)
        taken = (
            len(digests)
            if shaped is list
            else next(
                (
                    n
                    for n in range(len(digests) + 1)
                    if len(distinct(digests[:n])) == len(accounted)
                ),
                -1,
            )
        )
        assert accounted == set(distinct(digests[:taken]).values())


@quick
@given(DIGESTS, st.integers(1, 12), PLANS, st.floats(0.01, 20.0))
def test_every_digest_is_accounted_for_in_time(
    digests: list[str], batch_size: int, plan: list[tuple[dict[str, Any], int, int]], timeout: float
) -> None:
    """So are they when `timeout=` runs out at any moment."""
    result, _ = checked(digests, batch_size, 2, plan, timeout)
    assert sorted([*(outcome.digest for outcome in result), *result.unanswered]) == sorted(
        distinct(digests).values()
    )
    assert wrong(result) == []


@quick
@given(st.data(), DIGESTS, st.integers(1, 12), st.integers(1, 6))
def test_order_and_batches_change_no_answer(
    data: st.DataObject, digests: list[str], batch_size: int, max_concurrency: int
) -> None:
    """Any permutation, batch size and concurrency gives the same answer for each digest."""
    permuted = data.draw(st.permutations(digests))
    first, _ = checked(digests, 100, 10, [])
    second, _ = checked(permuted, batch_size, max_concurrency, [])
    assert [second[digest].model_dump(exclude={"digest", "reason"}) for digest in digests] == [
        first[digest].model_dump(exclude={"digest", "reason"}) for digest in digests
    ]
