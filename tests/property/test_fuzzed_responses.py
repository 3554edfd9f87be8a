"""Many mutated responses: the library's reader agrees with an independent, strict one."""

from __future__ import annotations

from random import Random, SystemRandom

import pytest

from ecr_layer_client import Layer, LayerOutcome, Repository, ResponseError
from ecr_layer_client._checks.operation import Check
from ecr_layer_client._models.outcomes import outcome_of
from property.mutated_responses import DIGESTS, responses
from property.strict_responses import Outcome, read

APP = Repository(name="app")

Reading = tuple[dict[str, Outcome], int] | None
"""The outcomes and the number of ignored rows, or None for a response that is refused."""


def of_the_library(body: bytes, digests: list[str], *, again: bool) -> Reading:
    """Return what the library reads."""
    try:
        settled = Check(APP, digests, again).parse(body)
    except ResponseError:
        return None
    outcomes = {digest: outcome_of(digest, row) for digest, row in settled.rows.items()}
    return {digest: members(outcome) for digest, outcome in outcomes.items()}, settled.ignored


def members(row: LayerOutcome) -> Outcome:
    """Return the members of an outcome as the independent reader does."""
    if isinstance(row, Layer):
        state = None if row.availability == "UNKNOWN" else row.availability.value
        return "layer", state, row.raw_availability, row.size, row.media_type
    return "failure", None if row.code == "Unknown" else row.code.value, row.raw_code, row.reason


def of_the_strict(body: bytes, digests: list[str], *, again: bool) -> Reading:
    """Return what the independent reader reads."""
    try:
        return read(body, digests, again=again)
    except ValueError:
        return None


def compare(seed: int, count: int) -> tuple[list[str], int]:
    """Return the responses of a seed that the two read differently, and how many are accepted."""
    random = Random(seed)  # noqa: S311 - drawn again from the seed
    misread: list[str] = []
    accepted = 0
    for number, body in enumerate(responses(random, count)):
        digests, again = DIGESTS[: random.randrange(1, 5)], random.random() < 0.5
        library = of_the_library(body, digests, again=again)
        strict = of_the_strict(body, digests, again=again)
        accepted += strict is not None
        if library != strict:
            misread.append(
                f"seed {seed}, response {number}: {body!r}, {digests=}, {again=}: "
                f"the library reads {library}, the strict reader {strict}"
            )
    return misread, accepted


def test_some_thousand_responses() -> None:
    """No response of a fixed seed is misread, and both accepted and refused ones are many."""
    misread, accepted = compare(seed=1, count=5_000)
    assert misread[:10] == []
    assert (accepted > 1_000, accepted < 4_000) == (True, True)


@pytest.mark.full
@pytest.mark.parametrize("seed", [SystemRandom().getrandbits(32) for _ in range(10)], ids=range(10))
def test_a_million_responses(seed: int) -> None:
    """No response of ten new seeds is misread; the message names the seed and the response."""
    misread, _ = compare(seed, 100_000)
    assert misread[:10] == []
