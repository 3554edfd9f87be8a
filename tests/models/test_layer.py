"""The outcome of one digest is a value: a layer or a failure."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from ecr_layer_client import Layer, LayerAvailability, LayerFailure, LayerFailureCode, LayerOutcome
from ecr_layer_client._models.layer import TaggedOutcome

DIGEST = "sha256:" + "a" * 64
OUTCOME: TypeAdapter[LayerOutcome] = TypeAdapter(TaggedOutcome)
AVAILABLE, MISSING = LayerAvailability.AVAILABLE, LayerFailureCode.MISSING_LAYER_DIGEST
INVALID = LayerFailureCode.INVALID_LAYER_DIGEST

LAYER = Layer(digest=DIGEST, availability=AVAILABLE, size=32, media_type="text/plain")
FAILURE = LayerFailure(digest=DIGEST, code=MISSING, reason="gone")
each_outcome = pytest.mark.parametrize(
    "outcome",
    [
        LAYER,
        Layer(digest=DIGEST, availability=LayerAvailability.UNKNOWN, raw_availability="FROZEN"),
        FAILURE,
        LayerFailure(digest=DIGEST, code=LayerFailureCode.UNKNOWN, raw_code="Tired"),
        LayerFailure(digest="no\ndigest \x1b[31m", code=INVALID),
    ],
    ids=["layer", "unknown layer", "failure", "unknown failure", "failure of hostile text"],
)
each_enum = pytest.mark.parametrize("enum", [LayerAvailability, LayerFailureCode])


@each_enum
@pytest.mark.parametrize("value", ["", "FROZEN", "available", "AVAILABLE ", "\x1b[31m"])
def test_enums_are_open(enum: type[LayerAvailability | LayerFailureCode], value: str) -> None:
    """A str that this version does not know reads as UNKNOWN."""
    assert enum(value) is enum.UNKNOWN


@each_enum
@pytest.mark.parametrize("value", [None, 1, True, ["AVAILABLE"]], ids=repr)
def test_enums_are_of_str(enum: Any, value: object) -> None:
    """A value that is not a str is not an unknown value; it is refused."""
    with pytest.raises(ValueError, match="is not a valid"):
        enum(value)


@pytest.mark.parametrize(
    ("outcome", "is_available", "is_absent"),
    [
        (LAYER, True, False),
        (Layer(digest=DIGEST, availability=LayerAvailability.UNAVAILABLE), False, True),
        (Layer(digest=DIGEST, availability=LayerAvailability.ARCHIVED), False, False),
        (Layer(digest=DIGEST, availability=LayerAvailability.UNKNOWN), False, False),
        *((LayerFailure(digest=digest, code=MISSING), False, True) for digest in (DIGEST, "A:B")),
        *((LayerFailure(digest=digest, code=MISSING), False, False) for digest in ("", "latest")),
        (LayerFailure(digest=DIGEST, code=INVALID), False, False),
        (LayerFailure(digest=DIGEST, code=LayerFailureCode.NOT_REPORTED), False, False),
        (LayerFailure(digest=DIGEST, code=LayerFailureCode.UNKNOWN), False, False),
    ],
    ids=repr,
)
def test_available_and_absent(
    outcome: LayerOutcome, *, is_available: bool, is_absent: bool
) -> None:
    """AVAILABLE is available; UNAVAILABLE and a missing well-formed digest are absent."""
    assert (outcome.is_available, outcome.is_absent) == (is_available, is_absent)


@each_outcome
def test_outcome_is_a_value(outcome: Any) -> None:
    """An outcome is immutable, and equal when read back from JSON, a dict, a pickle or a copy."""
    read = [
        OUTCOME.validate_json(OUTCOME.dump_json(outcome)),
        OUTCOME.validate_python(outcome.model_dump(mode="json")),
        pickle.loads(pickle.dumps(outcome)),
        copy.deepcopy(outcome),
    ]
    assert [(type(each), each) for each in read] == [(type(outcome), outcome)] * 4
    assert len({outcome, *read}) == 1
    with pytest.raises(ValidationError, match="frozen"):
        outcome.digest = "sha256:bb"


def test_outcomes_in_json() -> None:
    """The JSON of an outcome has this library's names, and the kind of the outcome."""
    layer = {"digest": DIGEST, "outcome": "layer", "raw_availability": None}
    facts = {"availability": "AVAILABLE", "size": 32, "media_type": "text/plain"}
    assert LAYER.model_dump(mode="json") == layer | facts

    failure = {"digest": DIGEST, "outcome": "failure", "raw_code": None}
    facts = {"code": "MissingLayerDigest", "reason": "gone"}
    assert FAILURE.model_dump(mode="json") == failure | facts


def test_ecrs_names_are_for_responses_alone() -> None:
    """ECR's member names are only read in responses."""
    with pytest.raises(ValidationError, match="digest"):
        Layer.model_validate({"layerDigest": DIGEST, "layerAvailability": "AVAILABLE"})


@pytest.mark.parametrize("size", [0, 2**63 - 1], ids=["empty", "largest"])
def test_size(size: int) -> None:
    """A size is not negative and fits into 64 bits."""
    for wrong in (-1, 2**63):
        with pytest.raises(ValidationError, match="size"):
            Layer(digest=DIGEST, availability=AVAILABLE, size=wrong)
    assert Layer(digest=DIGEST, availability=AVAILABLE, size=size).size == size
