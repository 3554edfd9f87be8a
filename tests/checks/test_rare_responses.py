"""Responses that ECR hardly sends: what their messages name, and what is kept of them."""

from __future__ import annotations

import pytest

from ecr_layer_client import (
    LayerFailure,
    LayerFailureCode,
    LayerOutcome,
    Repository,
    ResponseError,
)
from ecr_layer_client._checks.operation import Check
from ecr_layer_client._models.outcomes import outcome_of

APP, AA, BB = Repository(name="app"), "sha256:aa", "sha256:bb"


def settle(body: str) -> dict[str, LayerOutcome]:
    """Read the response to a check of two digests."""
    rows = Check(APP, [AA, BB]).parse(body.encode()).rows
    return {digest: outcome_of(digest, row) for digest, row in rows.items()}


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_are_not_json(constant: str) -> None:
    """A constant that only some parsers accept breaks the contract, in any member."""
    row = f'{{"layerDigest":"{AA}","layerAvailability":"AVAILABLE","note":{constant}}}'
    with pytest.raises(ResponseError) as raised:
        settle(f'{{"layers":[{row}]}}')
    rule = f"it has {constant}, which is not JSON"
    assert str(raised.value) == f"ECR's response breaks its contract: {rule}"


def test_the_repeated_member_is_named() -> None:
    """The message names the member that is repeated, wherever it is among the others."""
    with pytest.raises(ResponseError) as raised:
        settle('{"note":1,"failures":[],"layers":[],"layers":[]}')
    rule = "it has the key 'layers' twice"
    assert str(raised.value) == f"ECR's response breaks its contract: {rule}"


def test_only_a_failure_is_unknown() -> None:
    """The spelling of an unknown code is kept, beside a layer that is known."""
    layers = f'[{{"layerDigest":"{AA}","layerAvailability":"AVAILABLE"}}]'
    failures = f'[{{"layerDigest":"{BB}","failureCode":"Tired"}}]'
    settled = settle(f'{{"layers":{layers},"failures":{failures}}}')
    unknown = LayerFailure(digest=BB, code=LayerFailureCode.UNKNOWN, raw_code="Tired")
    assert settled[BB] == unknown


def test_fields_set_of_a_layer() -> None:
    """A layer of a response names all members of ECR as set, those too that were not given."""
    settled = settle(f'{{"layers":[{{"layerDigest":"{AA}","layerAvailability":"AVAILABLE"}}]}}')
    members = {"digest", "availability", "size", "media_type"}
    assert settled[AA].model_fields_set == members
