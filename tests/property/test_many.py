"""Many repositories in one check, in virtual time: whatever is asked and whatever fails, each digest of each is accounted for."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_layer_client import CallError, LayerCheckResult, LayerCheckResults, RetryPolicy
from ecr_layer_client.local import LocalECR
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    Pair = tuple[str, str]

POOL = [f"sha256:{number:x}" for number in range(16, 28)]
HELD = {"one": frozenset(POOL[::2]), "two": frozenset(POOL[1::2])}  # "gone" is not there
FAULTS: list[dict[str, Any]] = [
    {"error": "ServerException"},
    {"error": "AccessDeniedException"},
    {"error": "ThrottlingException"},
    {"error": "ExpiredTokenException"},
    {"reset": True},
    {"drop_rows": 1},
    {"latency": 1.0},
]
PLANS = st.lists(
    st.tuples(st.sampled_from(FAULTS), st.integers(1, 4), st.integers(0, 4)), max_size=3
)
PAIRS = st.lists(
    st.tuples(
        st.sampled_from([*HELD, "gone"]), st.sampled_from([*POOL, *map(str.upper, POOL), "latest"])
    ),
    max_size=30,
)


def as_mapping(pairs: list[Pair]) -> dict[str, list[str]]:
    """Return the digests by repository."""
    digests: defaultdict[str, list[str]] = defaultdict(list)
    for name, digest in pairs:
        digests[name].append(digest)
    return digests


async def as_async(pairs: list[Pair]) -> AsyncIterator[Pair]:
    """Yield each, and let others run."""
    for pair in pairs:
        await asyncio.sleep(0)
        yield pair


def checked(
    pairs: Any, batch_size: int, max_concurrency: int, plan: list[tuple[dict[str, Any], int, int]]
) -> LayerCheckResults:
    """Check in a loop of its own; return the results, or what an error kept of them."""

    async def check() -> LayerCheckResults:
        async with LocalECR(in_memory=True, latency=0.05) as ecr:
            for name, held in HELD.items():
                ecr.seed(name, [(digest, 1) for digest in held])
            for fault, times, after in plan:
                ecr.faults.add(times=times, after=after, **fault)
            policy = RetryPolicy(max_attempts=2, max_elapsed=30.0)
            async with ecr.client(
                batch_size=batch_size, max_concurrency=max_concurrency, retry=policy
            ) as client:
                try:
                    return await client.check_many(pairs)
                except CallError as error:
                    assert error.partials is not None
                    return error.partials
                finally:
                    assert (ecr.in_flight, asyncio.all_tasks()) == (0, {asyncio.current_task()})

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(check())


def wrong(result: LayerCheckResult) -> list[str]:
    """Return what is answered otherwise than its repository holds it."""
    held = HELD.get(result.repository.name, frozenset())
    return [digest for digest in result.available if digest.lower() not in held] + [
        digest for digest in result.absent if digest.lower() in held
    ]


quick = settings() if "HYPOTHESIS_PROFILE" in os.environ else settings(max_examples=30)


@quick
@given(
    PAIRS,
    st.integers(1, 12),
    st.integers(1, 6),
    PLANS,
    st.sampled_from([list, as_mapping, iter, as_async]),
)
def test_every_digest_of_every_repository_is_accounted_for(
    pairs: list[Pair],
    batch_size: int,
    max_concurrency: int,
    plan: list[tuple[dict[str, Any], int, int]],
    shaped: Callable[[list[Pair]], Any],
) -> None:
    """Each repository's outcomes, and what its error kept, are exactly its distinct digests, and no answer is wrong."""
    results = checked(shaped(pairs), batch_size, max_concurrency, plan)
    firsts: dict[Pair, str] = {}
    for name, digest in pairs:
        firsts.setdefault((name, digest.lower()), digest)
    expected = as_mapping([(name, digest) for (name, _), digest in firsts.items()])
    parts = {where.name: result for where, result in results.items()}
    for where, error in results.errors.items():
        assert error.partial is not None
        parts[where.name] = error.partial
    accounted = {
        name: [*(outcome.digest for outcome in part), *part.unanswered]
        for name, part in parts.items()
    }
    assert [wrong(part) for part in parts.values()] == [[]] * len(parts)
    assert [result.unanswered for result in results.values()] == [()] * len(results)
    if shaped in {list, as_mapping}:
        assert {name: sorted(digests) for name, digests in accounted.items()} == {
            name: sorted(digests) for name, digests in expected.items()
        }
    else:  # what an error left in the caller's iterator was not asked
        assert [
            name for name, digests in accounted.items() if not set(digests) <= set(expected[name])
        ] == []
        assert {where.name: accounted[where.name] for where in results} == {
            where.name: expected[where.name] for where in results
        }
