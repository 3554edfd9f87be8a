"""Mutated answers, held against a small reference model: no digest is ever settled wrongly, and none that was not asked."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
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

ASKED = [f"sha256:{number:064x}" for number in range(6)]
FOREIGN = ["sha256:dd", "", "latest", ASKED[0].upper(), "\n"]

Row = dict[str, Any]
DIGEST = st.sampled_from(ASKED) | st.sampled_from(FOREIGN)
LAYERS = st.fixed_dictionaries(
    {
        "layerDigest": DIGEST,
        "layerAvailability": st.sampled_from(
            ["AVAILABLE", "UNAVAILABLE", "ARCHIVED", "FROZEN", "available", ""]
        ),
    },
    optional={
        "layerSize": st.none() | st.integers(0, 2**63 - 1),
        "mediaType": st.none() | st.text(max_size=5),
        "ofTomorrow": st.none(),
    },
)
FAILURES = st.fixed_dictionaries(
    {
        "layerDigest": DIGEST,
        "failureCode": st.sampled_from(["InvalidLayerDigest", "MissingLayerDigest", "Tired", ""]),
    },
    optional={"failureReason": st.none() | st.text(max_size=5), "ofTomorrow": st.booleans()},
)
WRONG: st.SearchStrategy[Any] = st.sampled_from([True, -1, 2**63, 1.5, [], {}, [None], {"a": 1}])
ANSWERS = st.tuples(st.lists(LAYERS, max_size=10), st.lists(FAILURES, max_size=6))


def written(layers: list[Row], failures: list[Row]) -> bytes:
    """Return the answer's bytes."""
    return json.dumps({"layers": layers, "failures": failures}).encode()


def modelled(layers: list[Row], failures: list[Row], asked: list[str]) -> dict[str, LayerOutcome]:
    """Settle by the rules alone: each digest asked by its first failure, else by its first layer."""
    outcomes: dict[str, LayerOutcome] = {}
    for digest in asked:
        failure = next((row for row in failures if row["layerDigest"] == digest), None)
        layer = next((row for row in layers if row["layerDigest"] == digest), None)
        if failure is not None:
            outcomes[digest] = failure_of(failure)
        elif layer is not None:
            outcomes[digest] = layer_of(layer)
    return outcomes


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


def settled(body: bytes, asked: list[str], *, again: bool = False) -> Settled | None:
    """Return what the answer settles, or None when it is refused."""
    try:
        return Check(Repository(name="app"), asked, again).parse(body)
    except ResponseError:
        return None


@given(ANSWERS, st.permutations(ASKED), st.integers(1, 6), st.booleans())
def test_dropped_doubled_foreign_and_contradicting_rows(
    answer: tuple[list[Row], list[Row]],
    order: list[str],
    count: int,
    again: bool,
) -> None:
    """Whatever rows there are, they settle what the model says, and the rest of them are counted."""
    layers, failures = answer
    asked = order[:count]
    expected = modelled(layers, failures, asked)
    result = settled(written(layers, failures), asked, again=again)
    if not expected and not again:
        assert result is None
    else:
        assert result is not None
        assert (result.outcomes, result.ignored) == (
            expected,
            len(layers) + len(failures) - len(expected),
        )


@given(ANSWERS, st.data())
def test_order_of_the_digests_asked_changes_nothing(
    answer: tuple[list[Row], list[Row]], data: st.DataObject
) -> None:
    """The digests asked are a set to the answer: their order changes nothing."""
    body = written(*answer)
    first, second = (
        settled(body, ASKED, again=True),
        settled(body, data.draw(st.permutations(ASKED)), again=True),
    )
    assert first == second


@given(ANSWERS, st.data(), WRONG)
def test_one_value_of_a_wrong_type_refuses_the_whole(
    answer: tuple[list[Row], list[Row]], data: st.DataObject, wrong: object
) -> None:
    """One value of a wrong type, in any row, refuses the whole answer."""
    layers, failures = answer
    rows = layers + failures
    if not rows:
        return
    row = data.draw(st.sampled_from(rows))
    known = [name for name in row if name != "ofTomorrow"]
    row[data.draw(st.sampled_from(known))] = wrong
    assert settled(written(layers, failures), ASKED, again=True) is None


@given(ANSWERS, st.data())
def test_one_missing_member_refuses_the_whole(
    answer: tuple[list[Row], list[Row]], data: st.DataObject
) -> None:
    """One row without a member that ECR must give refuses the whole answer."""
    layers, failures = answer
    if not layers + failures:
        return
    row = data.draw(st.sampled_from(layers + failures))
    del row[
        data.draw(
            st.sampled_from(
                [
                    name
                    for name in ("layerDigest", "layerAvailability", "failureCode")
                    if name in row
                ]
            )
        )
    ]
    assert settled(written(layers, failures), ASKED, again=True) is None


@given(ANSWERS, st.data())
def test_cut_answer_is_refused(answer: tuple[list[Row], list[Row]], data: st.DataObject) -> None:
    """An answer cut anywhere is refused."""
    body = written(*answer)
    assert settled(body[: data.draw(st.integers(0, len(body) - 1))], ASKED, again=True) is None


@given(ANSWERS, st.data())
def test_mutated_bytes_never_settle_what_was_not_asked(
    answer: tuple[list[Row], list[Row]], data: st.DataObject
) -> None:
    """Bytes changed, dropped or inserted anywhere: either refused, or settling digests that were asked, each under its own name."""
    body = bytearray(written(*answer))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    result = settled(bytes(body), ASKED[:4], again=True)
    if result is not None:
        assert set(result.outcomes) <= set(ASKED[:4])
        assert [
            digest for digest, outcome in result.outcomes.items() if outcome.digest != digest
        ] == []


@given(st.binary(max_size=200))
def test_any_bytes_at_all_settle_nothing(body: bytes) -> None:
    """Bytes that come from nowhere settle nothing: the answer to a first request that they make is refused."""
    assert settled(body, ASKED) is None


MEMBERS = st.sampled_from(
    ["layers", "failures", "layerDigest", "layerAvailability", "failureCode", "x"]
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-1, 1) | st.sampled_from(["", "AVAILABLE", "sha256:dd"])
)


@given(
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=3),
        max_leaves=10,
    )
)
def test_any_json_at_all_settles_nothing(value: Any) -> None:
    """JSON that comes from nowhere settles nothing."""
    assert settled(json.dumps(value).encode(), ASKED) is None
