"""`check_many` accounts for each digest of each repository, whatever fails, in virtual time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_layer_client import CallError, LayerCheckResult, LayerCheckResults
from property.running import checked, distinct, plans, quick, retries
from services import ECRS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from property.running import Client, Plan

    Pair = tuple[str, str]

POOL = [f"sha256:{number:x}" for number in range(16, 28)]
# There is no repository "gone".
HELD = {"one": frozenset(POOL[::2]), "two": frozenset(POOL[1::2])}
FAULTS: list[dict[str, Any]] = [
    *({"error": "ServerException"}, {"error": "AccessDeniedException"}),
    *({"error": "ThrottlingException"}, {"error": "ExpiredTokenException"}),
    *({"reset": True}, {"drop_rows": 1}, {"latency": 1.0}),
]
NAMES = st.sampled_from([*HELD, "gone"])
PAIRS = st.lists(
    st.tuples(NAMES, st.sampled_from([*POOL, *map(str.upper, POOL), "latest"])), max_size=30
)


def as_mapping(pairs: list[Pair]) -> dict[str, list[str]]:
    """Return the digests by repository."""
    digests: defaultdict[str, list[str]] = defaultdict(list)
    for name, digest in pairs:
        digests[name].append(digest)
    return digests


async def as_async(pairs: list[Pair]) -> AsyncIterator[Pair]:
    """Yield each pair, and let other tasks run."""
    for pair in pairs:
        await asyncio.sleep(0)
        yield pair


def check(service: str, pairs: Any, plan: Plan, **options: Any) -> LayerCheckResults:
    """Return the results of a check, or those that its error keeps."""

    async def run(client: Client) -> LayerCheckResults:
        try:
            return await client.check_many(pairs)
        except CallError as error:
            assert error.partials is not None
            return error.partials

    return checked(HELD, plan, run, service, retry=retries(2), **options)


def wrong(result: LayerCheckResult) -> list[str]:
    """Return the digests whose outcome is not what their repository holds."""
    held = HELD.get(result.repository.name, frozenset())
    available = [digest for digest in result.available if digest.lower() not in held]
    return available + [digest for digest in result.absent if digest.lower() in held]


@pytest.mark.parametrize("service", ECRS)
@quick(30)
@given(
    PAIRS,
    st.integers(1, 12),
    st.integers(1, 6),
    plans(FAULTS, 3),
    st.sampled_from([list, as_mapping, iter, as_async]),
)
def test_every_digest_is_accounted_for(
    service: str,
    pairs: list[Pair],
    batch_size: int,
    max_concurrency: int,
    plan: Plan,
    shaped: Callable[[list[Pair]], Any],
) -> None:
    """Results, and the parts that errors keep, have the distinct digests; no outcome is wrong."""
    results = check(
        service, shaped(pairs), plan, batch_size=batch_size, max_concurrency=max_concurrency
    )
    given_by_name = as_mapping(pairs)
    expected = {name: list(distinct(given).values()) for name, given in given_by_name.items()}

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
    complete = {where.name: expected[where.name] for where in results}
    assert {name: accounted[name] for name in complete} == complete

    if shaped in {list, as_mapping}:
        assert {name: sorted(digests) for name, digests in accounted.items()} == {
            name: sorted(digests) for name, digests in expected.items()
        }
    else:
        # What an error left in the caller's iterator was not checked.
        unexpected = {name: set(given) - set(expected[name]) for name, given in accounted.items()}
        assert [name for name, digests in unexpected.items() if digests] == []
