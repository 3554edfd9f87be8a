"""`LayerCheckResults` finds results by repository, in any spelling, and has errors beside them."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from ecr_layer_client import (
    AccessDeniedError,
    ByRepository,
    InvalidInputError,
    LayerAvailability,
    LayerCheckResult,
    LayerCheckResults,
    LayerFailureCode,
    Repository,
    RepositoryNotFoundError,
)

URI = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/b"
AVAILABLE = LayerAvailability.AVAILABLE
A = LayerCheckResult.of(
    "team/a", {"sha256:aa": AVAILABLE, "latest": LayerFailureCode.INVALID_LAYER_DIGEST}
)
B = LayerCheckResult.of(URI, {"sha256:aa": LayerAvailability.UNAVAILABLE})
HELD = LayerCheckResult.of("team/c", {"sha256:aa": AVAILABLE})
GONE = RepositoryNotFoundError(
    "there is no 'team/gone'", code="RepositoryNotFoundException", status=400
)
DENIED = AccessDeniedError("'team/shut' is denied")
RESULTS = LayerCheckResults([A, B], {"team/gone": GONE, "team/shut": DENIED})


@pytest.mark.parametrize(
    "spelling",
    [
        *(URI, "arn:aws:ecr:eu-west-1:123456789012:repository/team/b", Repository.parse(URI)),
        Repository(name="team/b", registry_id="123456789012"),
    ],
    ids=["URI", "ARN", "Repository", "without Region"],
)
def test_any_spelling(spelling: str | Repository) -> None:
    """A repository is found by its URI, its ARN and its `Repository`, also without the Region."""
    assert (RESULTS[spelling], spelling in RESULTS, RESULTS.get(spelling)) == (B, True, B)


@pytest.mark.parametrize(
    "other",
    ["team/b", "team/c", URI.replace("eu-west-1", "eu-west-2"), URI.replace("1234", "4321")],
    ids=["name alone", "other name", "other Region", "other registry"],
)
def test_other_repository(other: str) -> None:
    """A repository of another name, Region or registry is not found, nor one by its name alone."""
    with pytest.raises(KeyError):
        RESULTS[other]
    assert (other in RESULTS, RESULTS.get(other)) == (False, None)


@pytest.mark.parametrize("value", ["Team/A", 3, None, "team/a:latest"])
def test_not_a_repository(value: Any) -> None:
    """A value that does not name a repository is not in the results, and is refused as a key."""
    assert value not in RESULTS
    with pytest.raises(InvalidInputError):
        RESULTS[value]


def test_mappings() -> None:
    """Results and errors are mappings by repository, in input order."""
    assert (len(RESULTS), list(RESULTS.items())) == (2, [(A.repository, A), (B.repository, B)])
    assert list(RESULTS.errors.values()) == [GONE, DENIED]
    assert RESULTS.errors["team/gone"] == GONE


def test_failed_repository() -> None:
    """A repository that failed raises a copy of its error, so that it does not pass for empty."""
    with pytest.raises(RepositoryNotFoundError) as raised:
        RESULTS["team/gone"]
    assert (raised.value is GONE, raised.value.code) == (False, "RepositoryNotFoundException")
    assert "team/gone" not in RESULTS


def test_raise_for_errors() -> None:
    """The first error is raised with the others as its notes, each time."""
    for _ in range(2):
        with pytest.raises(RepositoryNotFoundError, match="there is no 'team/gone'") as raised:
            RESULTS.raise_for_errors()
        assert raised.value.__notes__ == ["another error: AccessDeniedError: 'team/shut' is denied"]

    without_errors = LayerCheckResults([A])
    assert without_errors.raise_for_errors() is without_errors


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        *((LayerCheckResults([]), True), (LayerCheckResults([HELD]), True)),
        (LayerCheckResults([HELD, A]), False),
        (LayerCheckResults([HELD], {"team/gone": GONE}), False),
    ],
    ids=["empty", "held", "one is not available", "one failed"],
)
def test_all_available(results: LayerCheckResults, *, expected: bool) -> None:
    """All are available if no repository failed and each has all its layers."""
    assert results.all_available == expected


def test_no_truth_value() -> None:
    """Results have no truth value."""
    with pytest.raises(TypeError, match=r"results\.all_available"):
        bool(RESULTS)


def test_repr() -> None:
    """The repr is one line of counts, however many results there are."""
    outcomes = {"sha256:aa": LayerAvailability.ARCHIVED}
    many = LayerCheckResults(LayerCheckResult.of(f"team/{n}", outcomes) for n in range(1000))
    counts = "available=0, archived=1000, absent=0, undetermined=0, errors=0"
    assert repr(many) == f"LayerCheckResults(repositories=1000, outcomes=1000, {counts})"
    assert repr(RESULTS.errors) == "<2 by repository>"


def test_description() -> None:
    """The description counts the failed repositories, if there are any."""
    assert RESULTS._describe().verdict.endswith("; 2 repositories failed")
    assert "failed" not in LayerCheckResults([A])._describe().verdict


def test_equality() -> None:
    """Results are equal if their outcomes and their errors are."""
    same = LayerCheckResults([A, B], {"team/gone": GONE})
    assert LayerCheckResults([A, B], {Repository(name="team/gone"): GONE}) == same
    others = (LayerCheckResults([A, B]), LayerCheckResults([A], {"team/gone": GONE}), 3)
    assert [same == other for other in others] == [False] * 3


def test_pickled() -> None:
    """Results are pickled with their errors."""
    back = pickle.loads(pickle.dumps(RESULTS))
    assert list(back.items()) == list(RESULTS.items())
    assert [str(error) for error in back.errors.values()] == [str(GONE), str(DENIED)]


def test_name_with_and_without_the_region() -> None:
    """A name is found by the name with the Region, and the other way round."""
    name, with_region = Repository(name="team/a"), Repository(name="team/a", region="eu-west-1")
    assert (ByRepository({with_region: 1})[name], ByRepository({name: 1})[with_region]) == (1, 1)


def test_one_repository_twice() -> None:
    """Two results of one repository, or of one name in two Regions, are refused."""
    with pytest.raises(InvalidInputError, match="two of the results are of the same repository"):
        LayerCheckResults([A, A])

    regions = ("eu-west-1", "us-east-1")
    with pytest.raises(InvalidInputError, match="differ only in their Region"):
        ByRepository({Repository(name="team/a", region=region): 1 for region in regions})
