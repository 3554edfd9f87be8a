"""`LayerCheckResult`: the partition, the container protocol, what it raises and how it travels."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from ecr_layer_client import (
    InvalidInputError,
    Layer,
    LayerAvailability,
    LayerCheckResult,
    LayerFailure,
    LayerFailureCode,
    LayerFailuresError,
    LayerOutcome,
    OutcomesByDigest,
    Repository,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def digest(letter: str) -> str:
    """Return a digest made of one hex digit."""
    return "sha256:" + letter * 64


HELD, ARCHIVED, NEW, GONE, ODD, BAD, SILENT, TIRED = map(digest, "abcdef01")
EMPTY = LayerCheckResult.of("team/app", {})
MIXED = LayerCheckResult.of(
    "team/app",
    {
        ODD: Layer(digest=ODD, availability=LayerAvailability.UNKNOWN, raw_availability="FROZEN"),
        NEW: LayerAvailability.UNAVAILABLE,
        HELD: Layer(
            digest=HELD, availability=LayerAvailability.AVAILABLE, size=32, media_type="text/plain"
        ),
        GONE: LayerFailureCode.MISSING_LAYER_DIGEST,
        "latest": LayerFailureCode.MISSING_LAYER_DIGEST,
        BAD: LayerFailure(digest=BAD, code=LayerFailureCode.INVALID_LAYER_DIGEST, reason="bad"),
        ARCHIVED: LayerAvailability.ARCHIVED,
        SILENT: LayerFailureCode.NOT_REPORTED,
        TIRED: LayerFailure(digest=TIRED, code=LayerFailureCode.UNKNOWN, raw_code="Tired"),
    },
)
PARTIAL = LayerCheckResult(
    repository=Repository(name="app"), outcomes=MIXED.outcomes[2:3], unanswered=("sha256:99",)
)


def pickled(result: LayerCheckResult) -> LayerCheckResult:
    """Return what is read back from a pickle."""
    travelled: LayerCheckResult = pickle.loads(pickle.dumps(result))
    return travelled


RESULTS = [
    pytest.param(EMPTY, id="empty"),
    pytest.param(MIXED, id="mixed"),
    pytest.param(PARTIAL, id="partial"),
]


@pytest.mark.parametrize(
    ("part", "digests"),
    [
        ("available", (HELD,)),
        ("archived", (ARCHIVED,)),
        ("absent", (NEW, GONE)),
        ("undetermined", (ODD, "latest", BAD, SILENT, TIRED)),
        ("not_available", (ODD, NEW, GONE, "latest", BAD, ARCHIVED, SILENT, TIRED)),
    ],
)
def test_part(part: str, digests: tuple[str, ...]) -> None:
    """Each part holds its digests, in input order."""
    assert getattr(MIXED, part) == digests


@pytest.mark.parametrize("result", RESULTS)
def test_partition(result: LayerCheckResult) -> None:
    """Each digest answered is in exactly one part."""
    parts = [*result.available, *result.archived, *result.absent, *result.undetermined]
    assert sorted(parts) == sorted(outcome.digest for outcome in result)


def test_layers_and_failures_part_the_outcomes_by_class() -> None:
    """Layers and failures keep the input's order, each with its own class alone."""
    layers = tuple(outcome for outcome in MIXED.outcomes if type(outcome) is Layer)
    failures = tuple(outcome for outcome in MIXED.outcomes if type(outcome) is LayerFailure)
    assert (MIXED.layers, MIXED.failures) == (layers, failures)


@pytest.mark.parametrize(
    ("result", "all_available"),
    [
        pytest.param(EMPTY, True, id="none asked"),
        pytest.param(
            LayerCheckResult.of("app", {HELD: LayerAvailability.AVAILABLE}), True, id="held"
        ),
        pytest.param(
            LayerCheckResult.of("app", {HELD: LayerAvailability.ARCHIVED}), False, id="archived"
        ),
        pytest.param(
            LayerCheckResult.of("app", {HELD: LayerAvailability.UNKNOWN}), False, id="unknown"
        ),
        pytest.param(
            LayerCheckResult.of("app", {HELD: LayerFailureCode.NOT_REPORTED}),
            False,
            id="not reported",
        ),
        pytest.param(MIXED, False, id="mixed"),
        pytest.param(PARTIAL, False, id="unanswered"),
    ],
)
def test_all_available(result: LayerCheckResult, *, all_available: bool) -> None:
    """All are available only when each digest is answered AVAILABLE."""
    assert result.all_available == all_available


def test_unanswered_are_not_available() -> None:
    """A digest without an answer is not available, and in no part of those answered."""
    assert (PARTIAL.not_available, PARTIAL.undetermined) == (("sha256:99",), ())


@pytest.mark.parametrize(
    "spelled", [str, str.upper, str.title], ids=["as asked", "upper case", "mixed case"]
)
def test_digest_is_found_in_either_letter_case(spelled: Callable[[str], str]) -> None:
    """A digest is found whichever letter case it is given in."""
    assert (
        MIXED[spelled(HELD)].digest,
        spelled(HELD) in MIXED,
        spelled(HELD) in MIXED.by_digest,
    ) == (HELD, True, True)


def test_digest_asked_in_upper_case_is_found_in_lower_case() -> None:
    """A digest keeps the spelling it was asked in and is found by another."""
    result = LayerCheckResult.of("app", {HELD.upper(): LayerAvailability.AVAILABLE})
    assert (result[HELD].digest, result.available) == (HELD.upper(), (HELD.upper(),))


@pytest.mark.parametrize("key", ["sha256:00", "", 0, None, [], b"sha256:00"], ids=repr)
def test_what_was_not_asked_is_not_found(key: Any) -> None:
    """What was not asked is not in a result, whatever it is."""
    assert (key in MIXED, key in MIXED.by_digest) == (False, False)


@pytest.mark.parametrize("key", ["sha256:00", 0], ids=repr)
def test_what_was_not_asked_is_a_key_error(key: Any) -> None:
    """Asking a result for what was not asked raises KeyError with it."""
    with pytest.raises(KeyError) as caught:
        MIXED[key]
    assert caught.value.args == (key,)


def test_length_and_iteration_are_of_outcomes() -> None:
    """A result has the length of its outcomes and iterates over them."""
    assert (len(MIXED), tuple(MIXED)) == (len(MIXED.outcomes), MIXED.outcomes)


def test_by_digest_is_a_mapping_in_input_order() -> None:
    """The mapping holds each digest as it was asked, in input order."""
    assert dict(MIXED.by_digest) == {outcome.digest: outcome for outcome in MIXED.outcomes}
    assert list(MIXED.by_digest) == [outcome.digest for outcome in MIXED.outcomes]


def test_by_digest_is_built_once() -> None:
    """The mapping and each view are built once."""
    assert (MIXED.by_digest is MIXED.by_digest, MIXED.absent is MIXED.absent) == (True, True)


def test_by_digest_is_read_only() -> None:
    """The mapping takes no new item."""
    assert not hasattr(MIXED.by_digest, "__setitem__")


def test_by_digest_in_one_line() -> None:
    """The mapping's repr is one line with a count."""
    assert repr(MIXED.by_digest) == "<9 outcomes by digest>"


def test_truth_is_refused() -> None:
    """A result has no truth value; the error names what to ask."""
    with pytest.raises(
        TypeError,
        match=r"^LayerCheckResult has no truth value: use result\.all_available, or len\(result\)$",
    ):
        bool(MIXED)


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        pytest.param(
            EMPTY,
            "repository='team/app', outcomes=0, available=0, archived=0, absent=0, undetermined=0",
            id="empty",
        ),
        pytest.param(
            MIXED,
            "repository='team/app', outcomes=9, available=1, archived=1, absent=2, undetermined=5",
            id="mixed",
        ),
        pytest.param(
            PARTIAL,
            "repository='app', outcomes=1, available=1, archived=0, absent=0, undetermined=0, unanswered=1",
            id="partial",
        ),
    ],
)
def test_repr(result: LayerCheckResult, shown: str) -> None:
    """A result shows its counts in one line, as text too."""
    assert (repr(result), str(result)) == (
        f"LayerCheckResult({shown})",
        f"LayerCheckResult({shown})",
    )


def test_repr_is_bounded() -> None:
    """A result of 100,000 outcomes, the longest repository and an unanswered rest still shows as one short line."""
    outcomes = tuple(
        Layer(digest=f"sha256:{n:064x}", availability=LayerAvailability.AVAILABLE)
        for n in range(100_000)
    )
    repository = Repository(name="a" * 256, registry_id="123456789012", region="eu-west-1")
    result = LayerCheckResult(repository=repository, outcomes=outcomes, unanswered=("\n" * 10_000,))
    assert (len(repr(result)) < 500, "\n" in repr(result)) == (True, False)


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        pytest.param(
            LayerAvailability.ARCHIVED,
            Layer(digest=HELD, availability=LayerAvailability.ARCHIVED),
            id="availability",
        ),
        pytest.param(
            LayerFailureCode.NOT_REPORTED,
            LayerFailure(digest=HELD, code=LayerFailureCode.NOT_REPORTED),
            id="failure code",
        ),
        pytest.param(MIXED[HELD], MIXED[HELD], id="layer"),
    ],
)
def test_of(
    given: LayerOutcome | LayerAvailability | LayerFailureCode, outcome: LayerOutcome
) -> None:
    """A result made by hand holds the outcome given, or made from what was given."""
    assert LayerCheckResult.of("app", {HELD: given}).outcomes == (outcome,)


@pytest.mark.parametrize(
    "repository", ["team/app", Repository(name="team/app")], ids=["str", "Repository"]
)
def test_of_takes_a_repository_as_a_client_does(repository: str | Repository) -> None:
    """A result made by hand takes a repository as text or as a value."""
    assert LayerCheckResult.of(repository, {}).repository == Repository(name="team/app")


def test_of_refuses_an_outcome_under_another_digest() -> None:
    """An outcome given under another digest than its own is refused."""
    with pytest.raises(InvalidInputError, match=rf"^the outcome of '{NEW}' must be a Layer "):
        LayerCheckResult.of("app", {NEW: MIXED[HELD]})


@pytest.mark.parametrize("value", ["AVAILABLE", None, True, 32], ids=repr)
def test_of_refuses_what_is_no_outcome(value: Any) -> None:
    """What is no outcome, availability or failure code is refused, naming it."""
    with pytest.raises(InvalidInputError, match=rf"not {value!r}$"):
        LayerCheckResult.of("app", {HELD: value})


def test_of_refuses_one_digest_twice() -> None:
    """Two letter cases of one digest are one digest, which has one outcome."""
    with pytest.raises(InvalidInputError):
        LayerCheckResult.of(
            "app", {HELD: LayerAvailability.AVAILABLE, HELD.upper(): LayerAvailability.UNAVAILABLE}
        )


def test_of_refuses_a_bad_repository() -> None:
    """A result made by hand refuses a repository as a client does."""
    with pytest.raises(InvalidInputError, match=r"^'App' is not a valid ECR repository name"):
        LayerCheckResult.of("App", {})


@pytest.mark.parametrize("result", RESULTS)
def test_result_survives_json(result: LayerCheckResult) -> None:
    """A result read back from its JSON is equal to it, its views too."""
    read = LayerCheckResult.model_validate_json(result.model_dump_json())
    assert (read, read.undetermined, read.outcomes) == (
        result,
        result.undetermined,
        result.outcomes,
    )


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize(
    "travel",
    [
        pytest.param(pickled, id="pickled"),
        pytest.param(copy.deepcopy, id="deeply copied"),
        pytest.param(copy.copy, id="copied"),
    ],
)
def test_result_survives_travel(
    result: LayerCheckResult, travel: Callable[[LayerCheckResult], LayerCheckResult]
) -> None:
    """A pickled or copied result is equal to it, of one hash, and finds its digests, after its views were built as before."""
    len(result.by_digest)
    travelled = travel(result)
    assert (travelled, hash(travelled), dict(travelled.by_digest)) == (
        result,
        hash(result),
        dict(result.by_digest),
    )


def test_views_do_not_count_in_equality() -> None:
    """A result whose views were built is equal to one whose were not."""
    fresh = LayerCheckResult(repository=MIXED.repository, outcomes=MIXED.outcomes)
    assert (MIXED.available, fresh) == ((HELD,), MIXED)


def test_changed_copy_has_views_of_its_own() -> None:
    """A copy with other outcomes shows those, though the first result's views were built."""
    assert (MIXED.available, MIXED.model_copy(update={"outcomes": ()}).available) == ((HELD,), ())


def test_result_can_not_be_changed() -> None:
    """A result is immutable."""
    part = "outcomes"
    with pytest.raises(ValidationError, match="frozen"):
        setattr(MIXED, part, ())


def test_unknown_member_is_refused() -> None:
    """A member that a result does not have is refused."""
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        LayerCheckResult.model_validate(
            {"repository": {"name": "app"}, "outcomes": [], "complete": True}
        )


def test_raise_for_failures() -> None:
    """Failures that do not merely mean absent are raised, named up to three, with the result."""
    with pytest.raises(LayerFailuresError) as caught:
        MIXED.raise_for_failures()
    assert str(caught.value) == (
        "4 of 9 layers of team/app could not be determined; see .failures for the reasons: "
        f"'latest' (MissingLayerDigest), '{BAD}' (InvalidLayerDigest), '{SILENT}' (NotReported), ..."
    )
    assert caught.value.result is MIXED


def test_raise_for_failures_names_a_code_of_tomorrow() -> None:
    """A failure code this version does not know is named in ECR's own spelling."""
    result = LayerCheckResult.of("app", {TIRED: MIXED[TIRED]})
    with pytest.raises(LayerFailuresError, match=rf": '{TIRED}' \(Tired\)$"):
        result.raise_for_failures()


def test_raise_if_not_available() -> None:
    """What is not available is raised, named up to three, the unanswered counted, with the result."""
    with pytest.raises(LayerFailuresError) as caught:
        PARTIAL.raise_if_not_available()
    assert (str(caught.value), caught.value.result) == (
        "1 of 2 layers of app are not available; see .not_available for all: 'sha256:99'",
        PARTIAL,
    )


@pytest.mark.parametrize("check", ["raise_for_failures", "raise_if_not_available"])
def test_nothing_to_raise_returns_the_result(check: str) -> None:
    """A result with nothing to raise is returned, to go on with."""
    result = LayerCheckResult.of("app", {HELD: LayerAvailability.AVAILABLE})
    assert getattr(result, check)() is result


def test_absent_is_no_failure() -> None:
    """Absent in either of ECR's two ways of saying so is nothing to raise for."""
    result = LayerCheckResult.of(
        "app", {NEW: LayerAvailability.UNAVAILABLE, GONE: LayerFailureCode.MISSING_LAYER_DIGEST}
    )
    assert result.raise_for_failures() is result


def test_raised_message_is_bounded() -> None:
    """Digests of 10 kB with newlines make a message of one bounded line."""
    result = LayerCheckResult.of(
        "app",
        {
            f"{n}\n\x1b[31m" + "x" * 10_000: LayerFailureCode.INVALID_LAYER_DIGEST
            for n in range(1_000)
        },
    )
    with pytest.raises(LayerFailuresError) as caught:
        result.raise_for_failures()
    message = str(caught.value)
    assert (len(message) < 1_000, message.isprintable()) == (True, True)


def test_raised_code_can_not_forge_a_line() -> None:
    """ECR's own spelling of a code is quoted and cut like any text from outside."""
    failure = LayerFailure(
        digest=HELD,
        code=LayerFailureCode.UNKNOWN,
        raw_code="Tired\nERROR root: forged" + "x" * 10_000,
    )
    with pytest.raises(LayerFailuresError) as caught:
        LayerCheckResult.of("app", {HELD: failure}).raise_for_failures()
    assert (len(str(caught.value)) < 1_000, str(caught.value).isprintable()) == (True, True)


def test_outcomes_by_digest_equals_a_dict() -> None:
    """As a mapping it equals the dict of the same items."""
    assert OutcomesByDigest(MIXED.outcomes) == {
        outcome.digest: outcome for outcome in MIXED.outcomes
    }


@pytest.mark.parametrize(
    "outcomes", [None, ["sha256:aa"], {3: LayerAvailability.AVAILABLE}], ids=repr
)
def test_of_no_mapping_of_digests(outcomes: Any) -> None:
    """What is no mapping of digests is refused."""
    with pytest.raises(InvalidInputError, match="outcomes="):
        LayerCheckResult.of("team/app", outcomes)
