"""Mutated responses, compared with a small model: no digest is ever settled wrongly."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from ecr_layer_client import (
    Layer,
    LayerAvailability,
    LayerFailure,
    LayerFailureCode,
    LayerOutcome,
    Repository,
    ResponseError,
)
from ecr_layer_client._checks.operation import Check, Settled
from ecr_layer_client._models.outcomes import Row as OutcomeRow
from ecr_layer_client._models.outcomes import outcome_of

CHECKED = [f"sha256:{number:064x}" for number in range(6)]
UNRELATED = ["sha256:dd", "", "latest", CHECKED[0].upper(), "\n"]
REQUIRED = ("layerDigest", "layerAvailability", "failureCode")
UNKNOWN_MEMBER = "aNewMember"

Row = dict[str, Any]
Rows = tuple[list[Row], list[Row]]
DIGEST = st.sampled_from(CHECKED) | st.sampled_from(UNRELATED)
STATES = ["AVAILABLE", "UNAVAILABLE", "ARCHIVED", "FROZEN", "available", ""]
CODES = ["InvalidLayerDigest", "MissingLayerDigest", "Tired", ""]
LAYERS = st.fixed_dictionaries(
    {"layerDigest": DIGEST, "layerAvailability": st.sampled_from(STATES)},
    optional={
        "layerSize": st.none() | st.integers(0, 2**63 - 1),
        "mediaType": st.none() | st.text(max_size=5),
        UNKNOWN_MEMBER: st.none(),
    },
)
FAILURES = st.fixed_dictionaries(
    {"layerDigest": DIGEST, "failureCode": st.sampled_from(CODES)},
    optional={"failureReason": st.none() | st.text(max_size=5), UNKNOWN_MEMBER: st.booleans()},
)
WRONG: st.SearchStrategy[Any] = st.sampled_from([True, -1, 2**63, 1.5, [], {}, [None], {"a": 1}])
ROWS = st.tuples(st.lists(LAYERS, max_size=10), st.lists(FAILURES, max_size=6))


def body_of(rows: Rows) -> bytes:
    """Return the body of a response."""
    layers, failures = rows
    return json.dumps({"layers": layers, "failures": failures}).encode()


def modelled(rows: Rows, digests: list[str]) -> dict[str, LayerOutcome]:
    """Settle by the rules alone: a digest's first failure, else its first layer."""
    layers = {row["layerDigest"]: layer_of(row) for row in reversed(rows[0])}
    failures = {row["layerDigest"]: failure_of(row) for row in reversed(rows[1])}
    settled: dict[str, LayerOutcome] = {**layers, **failures}
    return {digest: settled[digest] for digest in digests if digest in settled}


def layer_of(row: Row) -> Layer:
    """Return what a row says."""
    availability = LayerAvailability(row["layerAvailability"])
    raw = row["layerAvailability"] if availability is LayerAvailability.UNKNOWN else None
    return Layer(
        digest=row["layerDigest"],
        availability=availability,
        size=row.get("layerSize"),
        media_type=row.get("mediaType"),
        raw_availability=raw,
    )


def failure_of(row: Row) -> LayerFailure:
    """Return what a row says."""
    code = LayerFailureCode(row["failureCode"])
    raw = row["failureCode"] if code is LayerFailureCode.UNKNOWN else None
    return LayerFailure(
        digest=row["layerDigest"], code=code, reason=row.get("failureReason"), raw_code=raw
    )


def settled(body: bytes, digests: list[str], *, again: bool = False) -> Settled | None:
    """Return what a response settles, or None when it is refused."""
    try:
        return Check(Repository(name="app"), digests, again).parse(body)
    except ResponseError:
        return None


@given(ROWS, st.permutations(CHECKED), st.integers(1, 6), st.booleans())
def test_any_rows(rows: Rows, order: list[str], count: int, again: bool) -> None:
    """Any rows settle what the model says, and the other rows are counted."""
    digests = order[:count]
    expected = modelled(rows, digests)
    result = settled(body_of(rows), digests, again=again)
    if not expected and not again:
        assert result is None
    else:
        ignored = len(rows[0]) + len(rows[1]) - len(expected)
        assert result is not None
        outcomes = {digest: outcome_of(digest, row) for digest, row in result.rows.items()}
        assert (outcomes, result.ignored) == (expected, ignored)


@given(ROWS, st.data(), st.none() | WRONG)
def test_one_wrong_or_missing_member(rows: Rows, data: st.DataObject, wrong: object) -> None:
    """One value of a wrong type or one missing member, in any row, refuses the whole response."""
    every = [*rows[0], *rows[1]]
    assume(every)
    row = data.draw(st.sampled_from(every))
    if wrong is None:
        del row[data.draw(st.sampled_from([name for name in REQUIRED if name in row]))]
    else:
        known = [name for name in row if name != UNKNOWN_MEMBER]
        row[data.draw(st.sampled_from(known))] = wrong
    assert settled(body_of(rows), CHECKED, again=True) is None


@given(ROWS, st.data())
def test_mutated_bytes(rows: Rows, data: st.DataObject) -> None:
    """Mutated bytes are refused, or settle digests of the request, each under its own name."""
    body = bytearray(body_of(rows))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))

    result = settled(bytes(body), CHECKED[:4], again=True)
    found = dict[str, OutcomeRow]() if result is None else result.rows
    assert set(found) <= set(CHECKED[:4])
    failures = {digest: row for digest, row in found.items() if isinstance(row, LayerFailure)}
    assert [digest for digest, each in failures.items() if each.digest != digest] == []


MEMBERS = st.sampled_from(["layers", "failures", *REQUIRED, "x"])
TEXTS = st.sampled_from(["", "AVAILABLE", "sha256:dd"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=3),
    max_leaves=10,
)


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body(body: bytes) -> None:
    """Any bytes and any JSON are refused as the response to a first request."""
    assert settled(body, CHECKED) is None
