"""`check_layers` accounts for each digest, for any input and under any faults, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_layer_client import CallError, LayerCheckResult
from ecr_layer_client._models.digest import canonical, is_well_formed
from property.running import checked, distinct, plans, quick, retries
from services import ECRS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from property.running import Client, Plan

POOL = [f"sha256:{number:x}" for number in range(8, 40)]
HELD = frozenset(POOL[::2])
SPELLED = st.sampled_from([spelled(digest) for digest in POOL for spelled in (str, str.upper)])
DIGESTS = st.lists(SPELLED | st.sampled_from(["", "latest", "sha256:", "\u212a:aa"]), max_size=30)
FAULTS: list[dict[str, Any]] = [
    *({"error": "ThrottlingException"}, {"error": "ServerException"}, {"status": 503}),
    *({"error": "AccessDeniedException"}, {"status": 404}, {"reset": True}, {"cut_at": 40}),
    *({"body": b"{}"}, {"body": b"<html>"}, {"latency": 60.0}, {"drip": 300.0}),
    *({"drop_rows": 1}, {"drop_rows": 3}, {"double_rows": 2}, {"shuffle": True}),
]
PLANS = plans(FAULTS, 4)


async def as_async(digests: list[str]) -> AsyncIterator[str]:
    """Yield each digest, and let other tasks run."""
    for digest in digests:
        await asyncio.sleep(0)
        yield digest


def check(
    service: str, digests: Any, plan: Plan, timeout: float | None = None, **options: Any
) -> tuple[LayerCheckResult, bool]:
    """Return the result of a check, or the part that its error keeps, and whether it is all."""

    async def run(client: Client) -> tuple[LayerCheckResult, bool]:
        try:
            return await client.check_layers("app", digests, timeout=timeout), True
        except CallError as error:
            assert error.partial is not None
            return error.partial, False

    return checked({"app": HELD}, plan, run, service, retry=retries(3), **options)


def wrong(result: LayerCheckResult) -> list[str]:
    """Return the digests whose outcome is not what the registry holds, undetermined ones aside."""
    held = {digest: canonical(digest) in HELD for digest in (*result.available, *result.absent)}
    return [
        digest
        for digest, is_held in held.items()
        if is_held != result[digest].is_available or not is_well_formed(digest)
    ]


@pytest.mark.parametrize("service", ECRS)
@quick(60)
@given(
    DIGESTS, st.integers(1, 12), st.integers(1, 6), PLANS, st.sampled_from([list, iter, as_async])
)
def test_every_digest_is_accounted_for(
    service: str,
    digests: list[str],
    batch_size: int,
    max_concurrency: int,
    plan: Plan,
    shaped: Callable[[Any], Any],
) -> None:
    """The outcomes and the unanswered are the distinct digests, and no outcome is wrong."""
    result, is_complete = check(
        service, shaped(digests), plan, batch_size=batch_size, max_concurrency=max_concurrency
    )
    found = [outcome.digest for outcome in result]
    assert wrong(result) == []
    if is_complete:
        assert (found, result.unanswered) == (list(distinct(digests).values()), ())
        return

    accounted = [*found, *result.unanswered]
    assert len(accounted) == len(set(accounted))
    # Of a lazy input that failed, what was pulled is accounted for: a part from its start.
    pulled = [digests[:length] for length in range(len(digests) + 1)]
    parts = [set(distinct(part).values()) for part in pulled]
    assert set(accounted) in (parts[-1:] if shaped is list else parts)


@pytest.mark.parametrize("service", ECRS)
@quick(60)
@given(DIGESTS, st.integers(1, 12), PLANS, st.floats(0.01, 20.0))
def test_every_digest_is_accounted_for_in_time(
    service: str, digests: list[str], batch_size: int, plan: Plan, timeout: float
) -> None:
    """Each digest is accounted for when the timeout expires at any moment."""
    result, _ = check(service, digests, plan, timeout, batch_size=batch_size, max_concurrency=2)
    accounted = [*(outcome.digest for outcome in result), *result.unanswered]
    assert sorted(accounted) == sorted(distinct(digests).values())
    assert wrong(result) == []
