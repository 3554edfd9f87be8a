"""`LayerCheckResults`: results by repository, however it is spelled; errors beside them."""

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
A = LayerCheckResult.of(
    "team/a",
    {"sha256:aa": LayerAvailability.AVAILABLE, "latest": LayerFailureCode.INVALID_LAYER_DIGEST},
)
B = LayerCheckResult.of(URI, {"sha256:aa": LayerAvailability.UNAVAILABLE})
GONE = RepositoryNotFoundError(
    "there is no 'team/gone'", code="RepositoryNotFoundException", status=400
)
DENIED = AccessDeniedError("'team/shut' is denied")


@pytest.fixture
def results() -> LayerCheckResults:
    """Give two results and two errors."""
    return LayerCheckResults([A, B], {"team/gone": GONE, "team/shut": DENIED})


SPELLINGS: list[Any] = [
    URI,
    "arn:aws:ecr:eu-west-1:123456789012:repository/team/b",
    Repository.parse(URI),
    Repository(name="team/b", registry_id="123456789012"),
]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=["uri", "arn", "repository", "without-region"])
def test_any_spelling_finds_it(results: LayerCheckResults, spelling: str | Repository) -> None:
    """A repository is found by its URI, its ARN and its `Repository`, with or without the Region."""
    assert (results[spelling], spelling in results, results.get(spelling)) == (B, True, B)


OTHERS: list[Any] = [
    "team/b",
    "team/c",
    URI.replace("eu-west-1", "eu-west-2"),
    URI.replace("1234", "4321"),
]


@pytest.mark.parametrize(
    "other", OTHERS, ids=["name-alone", "other-name", "other-region", "other-registry"]
)
def test_others_do_not(results: LayerCheckResults, other: str) -> None:
    """Another repository is not found: not in another Region or registry, nor by a name that may be of any registry."""
    with pytest.raises(KeyError):
        results[other]
    assert (other in results, results.get(other)) == (False, None)


@pytest.mark.parametrize("nothing", ["Team/A", 3, None, "team/a:latest"])
def test_what_names_no_repository(results: LayerCheckResults, nothing: Any) -> None:
    """What names no repository is in no results, and asking for it is refused."""
    assert nothing not in results
    with pytest.raises(InvalidInputError):
        results[nothing]


def test_a_mapping_of_what_was_answered(results: LayerCheckResults) -> None:
    """It is a mapping of what was answered, in input order."""
    assert (len(results), list(results.items())) == (2, [(A.repository, A), (B.repository, B)])


def test_errors_beside(results: LayerCheckResults) -> None:
    """Errors are a mapping of what failed, in input order, and found in the same way."""
    assert (list(results.errors.values()), results.errors["team/gone"]) == ([GONE, DENIED], GONE)


def test_a_failed_repository_is_not_empty(results: LayerCheckResults) -> None:
    """Asking for a repository that failed raises a copy of its error: it can't pass for one without layers."""
    with pytest.raises(RepositoryNotFoundError) as raised:
        results["team/gone"]
    assert (raised.value is GONE, raised.value.code, "team/gone" in results) == (
        False,
        "RepositoryNotFoundException",
        False,
    )


def test_raise_for_errors(results: LayerCheckResults) -> None:
    """The first error is raised, with the others as its notes, as often as it is asked for."""
    for _ in range(2):
        with pytest.raises(RepositoryNotFoundError, match="there is no 'team/gone'") as raised:
            results.raise_for_errors()
        assert raised.value.__notes__ == ["then: AccessDeniedError: 'team/shut' is denied"]


def test_no_errors_to_raise() -> None:
    """Without errors the results themselves are returned."""
    results = LayerCheckResults([A])
    assert results.raise_for_errors() is results


HELD = LayerCheckResult.of("team/c", {"sha256:aa": LayerAvailability.AVAILABLE})
GATES: list[Any] = [
    (LayerCheckResults([]), True),
    (LayerCheckResults([HELD]), True),
    (LayerCheckResults([HELD, A]), False),
    (LayerCheckResults([HELD], {"team/gone": GONE}), False),
]


@pytest.mark.parametrize(
    ("results", "expected"), GATES, ids=["nothing", "held", "one-is-not", "one-failed"]
)
def test_all_available(results: LayerCheckResults, *, expected: bool) -> None:
    """All is available when every repository was answered and holds all that was asked of it."""
    assert results.all_available == expected


def test_no_truth_value(results: LayerCheckResults) -> None:
    """Results have no truth value."""
    with pytest.raises(TypeError, match=r"results\.all_available"):
        bool(results)


def test_repr_is_one_bounded_line() -> None:
    """The repr is one line of counts, however many there are."""
    many = LayerCheckResults(
        [
            LayerCheckResult.of(f"team/{number}", {"sha256:aa": LayerAvailability.ARCHIVED})
            for number in range(1000)
        ]
    )
    assert (
        repr(many)
        == "LayerCheckResults(repositories=1000, outcomes=1000, available=0, archived=1000, absent=0, undetermined=0, errors=0)"
    )


def test_repr_of_errors(results: LayerCheckResults) -> None:
    """The repr of a mapping by repository is bounded, too."""
    assert repr(results.errors) == "<2 by repository>"


def test_equal() -> None:
    """Results are equal by what was answered and by their errors."""
    same = LayerCheckResults([A, B], {"team/gone": GONE})
    assert LayerCheckResults([A, B], {Repository(name="team/gone"): GONE}) == same
    assert [
        same == other
        for other in (LayerCheckResults([A, B]), LayerCheckResults([A], {"team/gone": GONE}), 3)
    ] == [False] * 3


def test_pickled(results: LayerCheckResults) -> None:
    """Results cross processes with their errors."""
    back = pickle.loads(pickle.dumps(results))
    assert (list(back.items()), [str(error) for error in back.errors.values()]) == (
        list(results.items()),
        [str(GONE), str(DENIED)],
    )


def test_by_repository_with_the_region() -> None:
    """A name is found by the name with the Region, and so the other way round."""
    with_region = Repository(name="team/a", region="eu-west-1")
    assert (
        ByRepository({with_region: 1})["team/a"],
        ByRepository({Repository(name="team/a"): 1})[with_region],
    ) == (1, 1)


def test_repositories_that_differ_in_region_alone() -> None:
    """Results of one name in two Regions are refused: the one would stand for the other."""
    with pytest.raises(InvalidInputError, match="differ only in their Region"):
        ByRepository(
            {Repository(name="team/a", region=region): 1 for region in ("eu-west-1", "us-east-1")}
        )


def test_two_results_of_one_repository() -> None:
    """Two results of one repository are refused: the second would hide the first."""
    with pytest.raises(InvalidInputError, match="two of the results are of the same repository"):
        LayerCheckResults([A, A])
