"""`Outcomes`: rows that are read as models, and compare as a tuple of them does."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from pydantic import TypeAdapter

from ecr_layer_client import (
    Layer,
    LayerAvailability,
    LayerCheckResult,
    LayerFailure,
    LayerFailureCode,
    LayerOutcome,
)
from ecr_layer_client._models.outcomes import Outcomes

if TYPE_CHECKING:
    from ecr_layer_client._models.outcomes import Row

HELD, NEW, BAD, ODD = (f"sha256:{letter * 64}" for letter in "abcd")
BAD_FAILURE = LayerFailure(digest=BAD, code=LayerFailureCode.INVALID_LAYER_DIGEST, reason="bad")
ODD_LAYER = Layer(digest=ODD, availability=LayerAvailability.UNKNOWN, raw_availability="FROZEN")
ROWS: dict[str, Row] = {
    HELD: ("AVAILABLE", 32, "text/plain"),
    NEW: ("UNAVAILABLE", None, None),
    BAD: BAD_FAILURE,
    ODD: ODD_LAYER,
}
MODELS: tuple[LayerOutcome, ...] = (
    Layer(digest=HELD, availability=LayerAvailability.AVAILABLE, size=32, media_type="text/plain"),
    Layer(digest=NEW, availability=LayerAvailability.UNAVAILABLE),
    BAD_FAILURE,
    ODD_LAYER,
)
OUTCOMES = Outcomes(tuple(ROWS), tuple(ROWS.values()))
READ = TypeAdapter(LayerCheckResult)


def test_rows_are_read_as_models() -> None:
    """A row reads as its model, by index, in a slice, in a loop and from the end."""
    assert [*OUTCOMES] == [*MODELS]
    assert ([*OUTCOMES[1:3]], OUTCOMES[0], OUTCOMES[-1]) == ([*MODELS[1:3]], MODELS[0], MODELS[-1])


@pytest.mark.parametrize("availability", ["AVAILABLE", "UNAVAILABLE", "ARCHIVED"])
def test_a_layer_of_a_row_is_as_if_validated(availability: str) -> None:
    """A layer that is made from a row has all that pydantic gives to a validated one."""
    [made] = Outcomes((HELD,), ((availability, 7, "text/plain"),))
    given = {"digest": HELD, "availability": availability, "size": 7, "media_type": "text/plain"}
    validated = Layer.model_validate(given)
    assert (made, made.__getstate__()) == (validated, validated.__getstate__())
    assert (pickle.loads(pickle.dumps(made)), made.model_copy()) == (validated, validated)
    assert (repr(made), hash(made)) == (repr(validated), hash(validated))


def test_a_given_model_is_kept() -> None:
    """A model that was given, or that is a failure, is the same object each time it is read."""
    assert OUTCOMES[2] is BAD_FAILURE
    assert next(iter(Outcomes.of(MODELS))) is MODELS[0]


def test_many_rows_are_read_in_order() -> None:
    """A loop over more rows than are made into models at once gives each once, in order."""
    digests = tuple(f"sha256:{number:064x}" for number in range(250))
    outcomes = Outcomes(digests, tuple(("AVAILABLE", number, None) for number in range(250)))
    read = [(each.digest, each.size) for each in outcomes if isinstance(each, Layer)]
    assert (len(outcomes), read) == (250, list(zip(digests, range(250), strict=True)))


def test_equality() -> None:
    """Outcomes equal the same outcomes in a tuple or in other rows, and nothing else."""
    given = Outcomes.of(MODELS)
    assert OUTCOMES == given == MODELS
    assert (hash(OUTCOMES), hash(given)) == (hash(MODELS), hash(MODELS))
    assert (MODELS[:3] == OUTCOMES, OUTCOMES[:3] == OUTCOMES, [*MODELS] == OUTCOMES) == (
        *(False, False, False),
    )


def test_membership() -> None:
    """An outcome is found by its value."""
    assert (MODELS[1] in OUTCOMES, MODELS[1] in OUTCOMES[2:]) == (True, False)


def test_pickle_and_repr() -> None:
    """A pickle reads back as equal, and the repr counts."""
    assert pickle.loads(pickle.dumps(OUTCOMES)) == OUTCOMES
    assert repr(OUTCOMES) == "<4 outcomes>"


@pytest.mark.parametrize("given", [MODELS, [*MODELS], OUTCOMES, Outcomes.of(MODELS)])
def test_a_result_keeps_outcomes_of_any_sequence(given: tuple[LayerOutcome, ...]) -> None:
    """A result of models, in any sequence, equals a result of rows, and so does its JSON."""
    result = LayerCheckResult.model_validate({"repository": {"name": "app"}, "outcomes": given})
    rows = LayerCheckResult.model_validate({"repository": {"name": "app"}, "outcomes": OUTCOMES})
    assert (result, result.model_dump_json()) == (rows, rows.model_dump_json())
    assert READ.validate_json(READ.dump_json(rows)) == rows
    groups = result.available, result.archived, result.absent, result.undetermined
    assert groups == ((HELD,), (), (NEW,), (BAD, ODD))
