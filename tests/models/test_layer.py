"""What ECR says of one digest, as values."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from ecr_layer_client import Layer, LayerAvailability, LayerFailure, LayerFailureCode, LayerOutcome
from ecr_layer_client._models.layer import (
    MAX_DIGEST_LENGTH,
    TaggedOutcome,
    canonical,
    is_well_formed,
)

DIGEST = "sha256:" + "a" * 64
OUTCOME: TypeAdapter[LayerOutcome] = TypeAdapter(TaggedOutcome)

KNOWN_LAYER = Layer(
    digest=DIGEST, availability=LayerAvailability.AVAILABLE, size=32, media_type="text/plain"
)
KNOWN_FAILURE = LayerFailure(
    digest=DIGEST, code=LayerFailureCode.MISSING_LAYER_DIGEST, reason="gone"
)
OUTCOMES = [
    pytest.param(KNOWN_LAYER, id="layer"),
    pytest.param(
        Layer(digest=DIGEST, availability=LayerAvailability.UNKNOWN, raw_availability="FROZEN"),
        id="unknown layer",
    ),
    pytest.param(KNOWN_FAILURE, id="failure"),
    pytest.param(
        LayerFailure(digest=DIGEST, code=LayerFailureCode.UNKNOWN, raw_code="Tired"),
        id="unknown failure",
    ),
    pytest.param(
        LayerFailure(digest="no\ndigest \x1b[31m", code=LayerFailureCode.INVALID_LAYER_DIGEST),
        id="failure of hostile text",
    ),
]


@pytest.mark.parametrize(
    ("digest", "well_formed"),
    [
        pytest.param(DIGEST, True, id="sha256"),
        pytest.param(DIGEST.upper(), True, id="upper case"),
        pytest.param("sha512+b64.x_y-z:0F", True, id="every sign of an algorithm"),
        pytest.param("a:" + "0" * (MAX_DIGEST_LENGTH - 2), True, id="longest"),
        pytest.param("a:" + "0" * (MAX_DIGEST_LENGTH - 1), False, id="too long"),
        pytest.param("", False, id="empty"),
        pytest.param("sha256:", False, id="no hex"),
        pytest.param(":aa", False, id="no algorithm"),
        pytest.param("latest", False, id="a tag"),
        pytest.param("sha256:xyz", False, id="not hex"),
        pytest.param(DIGEST + "\n", False, id="newline after"),
        pytest.param(" " + DIGEST, False, id="blank before"),
        pytest.param("sha256:\uff11\uff12", False, id="full-width digits"),
        pytest.param("sha256:aa\ud800", False, id="lone surrogate"),
    ],
)
def test_is_well_formed(digest: str, *, well_formed: bool) -> None:
    """A digest is well-formed when the whole of it matches ECR's pattern within ECR's length."""
    assert is_well_formed(digest) == well_formed


@pytest.mark.parametrize(
    ("digest", "spelling"),
    [
        pytest.param("SHA256:AbC", "sha256:abc", id="ASCII folds"),
        pytest.param("sha256:\u212a", "sha256:\u212a", id="the Kelvin sign does not become a k"),
        pytest.param("\u0130:AA", "\u0130:AA", id="beyond ASCII nothing changes"),
    ],
)
def test_canonical(digest: str, spelling: str) -> None:
    """The one spelling is lower case, of ASCII text alone."""
    assert canonical(digest) == spelling


@pytest.mark.parametrize("value", ["AVAILABLE", "UNAVAILABLE", "ARCHIVED"])
def test_availability_keeps_the_spelling_of_ecr(value: str) -> None:
    """Each availability of ECR's is a member of its own, with ECR's spelling."""
    assert (LayerAvailability(value).value, LayerAvailability(value).name) == (value, value)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("InvalidLayerDigest", "INVALID_LAYER_DIGEST"),
        ("MissingLayerDigest", "MISSING_LAYER_DIGEST"),
        ("NotReported", "NOT_REPORTED"),
        ("Unknown", "UNKNOWN"),
    ],
)
def test_failure_code_keeps_the_spelling_of_ecr(value: str, name: str) -> None:
    """Each failure code is a member of its own, with ECR's spelling."""
    assert (LayerFailureCode(value).value, LayerFailureCode(value).name) == (value, name)


@pytest.mark.parametrize("value", ["", "FROZEN", "available", "AVAILABLE ", "\x1b[31m"])
@pytest.mark.parametrize(
    "enum", [LayerAvailability, LayerFailureCode], ids=lambda enum: enum.__name__
)
def test_enums_are_open(enum: type[LayerAvailability | LayerFailureCode], value: str) -> None:
    """A str this version does not know reads as UNKNOWN."""
    assert enum(value) is enum.UNKNOWN


@pytest.mark.parametrize("value", [None, 1, True, ["AVAILABLE"]], ids=repr)
@pytest.mark.parametrize(
    "enum", [LayerAvailability, LayerFailureCode], ids=lambda enum: enum.__name__
)
def test_enums_are_of_str(enum: Any, value: object) -> None:
    """What is no str is no value of tomorrow either."""
    with pytest.raises(ValueError, match="is not a valid"):
        enum(value)


@pytest.mark.parametrize(
    ("availability", "is_available", "is_absent"),
    [
        (LayerAvailability.AVAILABLE, True, False),
        (LayerAvailability.UNAVAILABLE, False, True),
        (LayerAvailability.ARCHIVED, False, False),
        (LayerAvailability.UNKNOWN, False, False),
    ],
)
def test_layer_says_what_its_availability_means(
    availability: LayerAvailability, *, is_available: bool, is_absent: bool
) -> None:
    """Only AVAILABLE is available and only UNAVAILABLE is absent."""
    layer = Layer(digest=DIGEST, availability=availability)
    assert (layer.is_available, layer.is_absent) == (is_available, is_absent)


@pytest.mark.parametrize(
    ("digest", "code", "is_absent"),
    [
        pytest.param(DIGEST, LayerFailureCode.MISSING_LAYER_DIGEST, True, id="missing"),
        pytest.param(
            DIGEST.upper(), LayerFailureCode.MISSING_LAYER_DIGEST, True, id="missing, in upper case"
        ),
        pytest.param(
            "", LayerFailureCode.MISSING_LAYER_DIGEST, False, id="missing, of an empty str"
        ),
        pytest.param(
            "latest", LayerFailureCode.MISSING_LAYER_DIGEST, False, id="missing, of no digest"
        ),
        pytest.param(DIGEST, LayerFailureCode.INVALID_LAYER_DIGEST, False, id="invalid"),
        pytest.param(DIGEST, LayerFailureCode.NOT_REPORTED, False, id="not reported"),
        pytest.param(DIGEST, LayerFailureCode.UNKNOWN, False, id="unknown"),
    ],
)
def test_failure_means_absent_only_when_a_digest_is_missing(
    digest: str, code: LayerFailureCode, *, is_absent: bool
) -> None:
    """A failure means absent only where it says that a well-formed digest is missing, and never means available."""
    failure = LayerFailure(digest=digest, code=code)
    assert (failure.is_absent, failure.is_available) == (is_absent, False)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_outcome_survives_json(outcome: LayerOutcome) -> None:
    """An outcome read back from its JSON is equal to it and of its class, ECR's own spelling included."""
    read = OUTCOME.validate_json(OUTCOME.dump_json(outcome))
    assert (type(read), read) == (type(outcome), outcome)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_outcome_survives_a_dict(outcome: LayerOutcome) -> None:
    """An outcome read back from its plain members is equal to it."""
    assert OUTCOME.validate_python(outcome.model_dump(mode="json")) == outcome


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_outcome_survives_pickling_and_copying(outcome: LayerOutcome) -> None:
    """A pickled and a deeply copied outcome are equal to it."""
    assert (pickle.loads(pickle.dumps(outcome)), copy.deepcopy(outcome)) == (outcome, outcome)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_outcome_is_hashable(outcome: LayerOutcome) -> None:
    """Equal outcomes are one member of a set."""
    assert len({outcome, copy.deepcopy(outcome)}) == 1


def test_layer_in_json() -> None:
    """A layer's JSON has this library's names, and says that it is one."""
    assert KNOWN_LAYER.model_dump(mode="json") == {
        "digest": DIGEST,
        "availability": "AVAILABLE",
        "size": 32,
        "media_type": "text/plain",
        "raw_availability": None,
        "outcome": "layer",
    }


def test_failure_in_json() -> None:
    """A failure's JSON has this library's names, and says that it is one."""
    assert KNOWN_FAILURE.model_dump(mode="json") == {
        "digest": DIGEST,
        "code": "MissingLayerDigest",
        "reason": "gone",
        "raw_code": None,
        "outcome": "failure",
    }


@pytest.mark.parametrize("outcome", [KNOWN_LAYER, KNOWN_FAILURE], ids=["layer", "failure"])
def test_outcome_can_not_be_changed(outcome: Any) -> None:
    """An outcome is immutable."""
    with pytest.raises(ValidationError, match="frozen"):
        outcome.digest = "sha256:bb"


def test_names_of_ecr_are_for_the_wire_alone() -> None:
    """ECR's own member names are not taken where the wire does not ask for them."""
    with pytest.raises(ValidationError, match="digest"):
        Layer.model_validate({"layerDigest": DIGEST, "layerAvailability": "AVAILABLE"})


@pytest.mark.parametrize("size", [-1, 2**63], ids=["negative", "beyond 64 bits"])
def test_size_is_a_count_of_bytes(size: int) -> None:
    """A size is not negative and fits 64 bits."""
    with pytest.raises(ValidationError, match="size"):
        Layer(digest=DIGEST, availability=LayerAvailability.AVAILABLE, size=size)


@pytest.mark.parametrize("size", [0, 2**63 - 1], ids=["nothing", "largest"])
def test_size_at_its_bounds(size: int) -> None:
    """An empty layer and the largest size a table can hold are sizes."""
    assert Layer(digest=DIGEST, availability=LayerAvailability.AVAILABLE, size=size).size == size
