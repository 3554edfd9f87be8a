"""`LayerCheckResult`: its parts, how to look digests up in it, what it raises, and copies of it."""

from __future__ import annotations

import copy
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter, ValidationError

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
    from collections.abc import Callable, Mapping

HELD, ARCHIVED, NEW, GONE, ODD, BAD, SILENT, TIRED = (f"sha256:{hex_ * 64}" for hex_ in "abcdef01")
AVAILABLE, UNAVAILABLE = LayerAvailability.AVAILABLE, LayerAvailability.UNAVAILABLE
MISSING, INVALID = LayerFailureCode.MISSING_LAYER_DIGEST, LayerFailureCode.INVALID_LAYER_DIGEST
NOT_REPORTED = LayerFailureCode.NOT_REPORTED

EMPTY = LayerCheckResult.of("team/app", {})
ALL_HELD = LayerCheckResult.of("app", {HELD: AVAILABLE})
MIXED = LayerCheckResult.of(
    "team/app",
    {
        ODD: Layer(digest=ODD, availability=LayerAvailability.UNKNOWN, raw_availability="FROZEN"),
        NEW: UNAVAILABLE,
        HELD: Layer(digest=HELD, availability=AVAILABLE, size=32, media_type="text/plain"),
        GONE: MISSING,
        "latest": MISSING,
        BAD: LayerFailure(digest=BAD, code=INVALID, reason="bad"),
        ARCHIVED: LayerAvailability.ARCHIVED,
        SILENT: NOT_REPORTED,
        TIRED: LayerFailure(digest=TIRED, code=LayerFailureCode.UNKNOWN, raw_code="Tired"),
    },
)
PARTIAL = LayerCheckResult(
    repository=Repository(name="app"), outcomes=MIXED.outcomes[2:3], unanswered=("sha256:99",)
)
each_result = pytest.mark.parametrize(
    "result", [EMPTY, MIXED, PARTIAL], ids=["empty", "mixed", "partial"]
)


def of_one(outcome: LayerOutcome | LayerAvailability | LayerFailureCode) -> LayerCheckResult:
    """Return a result of one digest."""
    return LayerCheckResult.of("app", {HELD: outcome})


def refusal_of(outcomes: Any, repository: str = "app") -> str:
    """Return the message about arguments from which no result can be made."""
    with pytest.raises(InvalidInputError) as caught:
        LayerCheckResult.of(repository, outcomes)
    return str(caught.value)


def raised_by(check: Callable[[], object]) -> LayerFailuresError:
    """Return the error that a check of a result raises. Its message is one bounded line."""
    with pytest.raises(LayerFailuresError) as caught:
        check()
    message = str(caught.value)
    assert (len(message) < 1_000, message.isprintable()) == (True, True)
    return caught.value


@pytest.mark.parametrize(
    ("part", "digests"),
    [
        *(("available", (HELD,)), ("archived", (ARCHIVED,)), ("absent", (NEW, GONE))),
        ("undetermined", (ODD, "latest", BAD, SILENT, TIRED)),
        ("not_available", (ODD, NEW, GONE, "latest", BAD, ARCHIVED, SILENT, TIRED)),
    ],
)
def test_part(part: str, digests: tuple[str, ...]) -> None:
    """Each part has its digests, in input order."""
    assert getattr(MIXED, part) == digests


@each_result
def test_partition(result: LayerCheckResult) -> None:
    """Each answered digest is in exactly one part; each unanswered one is only not available."""
    parts = [*result.available, *result.archived, *result.absent, *result.undetermined]
    assert sorted(parts) == sorted(outcome.digest for outcome in result)
    rest = {*result.archived, *result.absent, *result.undetermined, *result.unanswered}
    assert {*result.not_available} == rest


def test_layers_and_failures() -> None:
    """Layers and failures are the outcomes of their class, in input order."""
    layers = tuple(outcome for outcome in MIXED.outcomes if type(outcome) is Layer)
    failures = tuple(outcome for outcome in MIXED.outcomes if type(outcome) is LayerFailure)
    assert (MIXED.layers, MIXED.failures) == (layers, failures)


@pytest.mark.parametrize(
    ("result", "all_available"),
    [
        *((EMPTY, True), (ALL_HELD, True), (MIXED, False), (PARTIAL, False)),
        *((of_one(LayerAvailability.ARCHIVED), False), (of_one(LayerAvailability.UNKNOWN), False)),
        (of_one(NOT_REPORTED), False),
    ],
    ids=["empty", "held", "mixed", "unanswered", "archived", "unknown", "not reported"],
)
def test_all_available(result: LayerCheckResult, *, all_available: bool) -> None:
    """All are available only if each digest is answered AVAILABLE."""
    assert result.all_available == all_available


@pytest.mark.parametrize("spelled", [str, str.upper, str.title])
def test_look_up_in_any_letter_case(spelled: Callable[[str], str]) -> None:
    """A digest is found in any letter case, and keeps the spelling that it was passed in."""
    key = spelled(HELD)
    assert (MIXED[key].digest, key in MIXED, key in MIXED.by_digest) == (HELD, True, True)

    result = LayerCheckResult.of("app", {key: AVAILABLE})
    assert (result[HELD].digest, result.available) == (key, (key,))


@pytest.mark.parametrize("key", ["sha256:00", "", 0, None, [], b"sha256:00"], ids=repr)
def test_unknown_key(key: Any) -> None:
    """A value that was not checked is not in the result, and raises KeyError."""
    assert (key in MIXED, key in MIXED.by_digest) == (False, False)
    with pytest.raises(KeyError) as caught:
        MIXED[key]
    assert caught.value.args == (key,)


def test_by_digest() -> None:
    """A result has its outcomes in order, and as a read-only mapping that is built once."""
    assert (len(MIXED), tuple(MIXED)) == (9, MIXED.outcomes)
    expected = {outcome.digest: outcome for outcome in MIXED.outcomes}
    assert OutcomesByDigest(MIXED.outcomes) == expected
    assert list(MIXED.by_digest.items()) == list(expected.items())
    assert (MIXED.by_digest is MIXED.by_digest, MIXED.absent is MIXED.absent) == (True, True)
    assert not hasattr(MIXED.by_digest, "__setitem__")
    assert repr(MIXED.by_digest) == "<9 outcomes by digest>"


def test_no_truth_value() -> None:
    """A result has no truth value; the error names what to use instead."""
    rule = r"has no truth value: use result\.all_available, or len\(result\)"
    with pytest.raises(TypeError, match=f"^LayerCheckResult {rule}$"):
        bool(MIXED)


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (EMPTY, "'team/app', outcomes=0, available=0, archived=0, absent=0, undetermined=0"),
        (MIXED, "'team/app', outcomes=9, available=1, archived=1, absent=2, undetermined=5"),
        (
            PARTIAL,
            "'app', outcomes=1, available=1, archived=0, absent=0, undetermined=0, unanswered=1",
        ),
    ],
    ids=["empty", "mixed", "partial"],
)
def test_repr(result: LayerCheckResult, shown: str) -> None:
    """A result shows its counts in one line, also as text."""
    assert (repr(result), str(result)) == (f"LayerCheckResult(repository={shown})",) * 2


def test_repr_is_bounded() -> None:
    """The repr of the largest result is one short line."""
    outcomes = tuple(
        Layer(digest=f"sha256:{n:064x}", availability=AVAILABLE) for n in range(100_000)
    )
    repository = Repository(name="a" * 256, registry_id="123456789012", region="eu-west-1")
    result = LayerCheckResult(repository=repository, outcomes=outcomes, unanswered=("\n" * 10_000,))
    assert (len(repr(result)) < 500, "\n" in repr(result)) == (True, False)


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        (AVAILABLE, Layer(digest=HELD, availability=AVAILABLE)),
        (NOT_REPORTED, LayerFailure(digest=HELD, code=NOT_REPORTED)),
        (MIXED[HELD], MIXED[HELD]),
    ],
    ids=["availability", "failure code", "layer"],
)
def test_of(
    given: LayerOutcome | LayerAvailability | LayerFailureCode, outcome: LayerOutcome
) -> None:
    """`of` makes outcomes from availabilities and codes, and takes any repository."""
    assert of_one(given).outcomes == (outcome,)
    repository = Repository(name="team/app")
    made = [LayerCheckResult.of(each, {HELD: given}) for each in ("team/app", repository)]
    assert [result.repository for result in made] == [repository] * 2


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        ({NEW: MIXED[HELD]}, f"the outcome of '{NEW}' must be a Layer "),
        *(({HELD: value}, f"not {value!r}") for value in ("AVAILABLE", None, True, 32)),
        ({HELD: AVAILABLE, HELD.upper(): UNAVAILABLE}, ""),
        *((value, "outcomes=") for value in (None, ["sha256:aa"], {3: AVAILABLE})),
    ],
    ids=repr,
)
def test_of_refuses_outcomes(outcomes: Mapping[str, Any], message: str) -> None:
    """`of` refuses a value that is not an outcome, another digest's, and a digest twice."""
    assert message in refusal_of(outcomes)


def test_of_refuses_a_repository() -> None:
    """`of` refuses a repository as a client does."""
    assert refusal_of({}, "App").startswith("'App' is not a valid ECR repository name")


@each_result
def test_copies(result: LayerCheckResult) -> None:
    """A result read from JSON, pickled or copied is equal, and finds its digests."""
    # Build the views before the copies.
    len(result.by_digest)
    copies = [
        LayerCheckResult.model_validate_json(result.model_dump_json()),
        *(pickle.loads(pickle.dumps(result)), copy.deepcopy(result), copy.copy(result)),
    ]

    for each in copies:
        assert (each, hash(each)) == (result, hash(result))
        assert (each.undetermined, each.outcomes) == (result.undetermined, result.outcomes)
        assert dict(each.by_digest) == dict(result.by_digest)


def test_views_of_other_results() -> None:
    """Views that were built don't count in equality, and a changed copy has its own."""
    assert MIXED.available == (HELD,)
    assert LayerCheckResult(repository=MIXED.repository, outcomes=MIXED.outcomes) == MIXED
    assert MIXED.model_copy(update={"outcomes": ()}).available == ()


def test_counts() -> None:
    """The counts are the lengths of the groups, and of what is unanswered."""
    assert (MIXED.counts, sum(PARTIAL.counts.values())) == (
        {"available": 1, "archived": 1, "absent": 2, "undetermined": 5, "unanswered": 0},
        2,
    )


def test_json_has_the_groups() -> None:
    """The JSON of a result has its groups, and reads back with and without them."""
    members = json.loads(MIXED.model_dump_json())
    assert (members["available"], members["absent"]) == ([HELD], [NEW, GONE])
    assert LayerCheckResult.model_validate(members) == MIXED
    del members["available"], members["undetermined"]
    assert LayerCheckResult.model_validate_json(json.dumps(members)) == MIXED


@pytest.mark.parametrize("given", [[], [NEW], [GONE, NEW], f"{NEW}{GONE}", None, {}], ids=repr)
def test_groups_that_do_not_agree(given: object) -> None:
    """A group that is not what the outcomes say is refused."""
    members = json.loads(MIXED.model_dump_json()) | {"absent": given}
    with pytest.raises(ValidationError, match="does not agree with the outcomes"):
        LayerCheckResult.model_validate(members)


def test_a_result_validates_as_itself() -> None:
    """A result that is given where a result is wanted is taken as it is, and a text is refused."""
    assert TypeAdapter(LayerCheckResult).validate_python(MIXED) is MIXED
    with pytest.raises(ValidationError, match="valid dictionary"):
        LayerCheckResult.model_validate("team/app")


def test_result_is_immutable() -> None:
    """A result is immutable and has no other members."""
    result: Any = MIXED
    with pytest.raises(ValidationError, match="frozen"):
        result.outcomes = ()

    members: Any = {"repository": {"name": "app"}, "outcomes": [], "complete": True}
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        LayerCheckResult.model_validate(members)


def test_raise_for_failures() -> None:
    """Failures other than absent layers are raised with the result; three of them are named."""
    error = raised_by(MIXED.raise_for_failures)
    named = f"'latest' (MissingLayerDigest), '{BAD}' (InvalidLayerDigest), '{SILENT}' (NotReported)"
    advice = "see .failures for the reasons"
    assert str(error) == (
        f"4 of 9 layers of team/app could not be determined: {named}, ...; {advice}"
    )
    assert error.result is MIXED


def test_raise_for_an_unknown_code() -> None:
    """The message has ECR's spelling of an unknown failure code."""
    result = LayerCheckResult.of("app", {TIRED: MIXED[TIRED]})
    assert f": '{TIRED}' (Tired); " in str(raised_by(result.raise_for_failures))


def test_raise_if_not_available() -> None:
    """Layers that are not available, unanswered ones included, are raised with the result."""
    error = raised_by(PARTIAL.raise_if_not_available)
    said = "1 of 2 layers of app are not available: 'sha256:99'; .not_available has all of them"
    assert str(error) == said
    assert error.result == PARTIAL


def test_nothing_to_raise() -> None:
    """A result without a failure is returned; an absent layer is not a failure."""
    absent = LayerCheckResult.of("app", {NEW: UNAVAILABLE, GONE: MISSING})
    assert absent.raise_for_failures() is absent
    assert ALL_HELD.raise_for_failures() is ALL_HELD.raise_if_not_available() is ALL_HELD


def test_raised_message_is_bounded() -> None:
    """Long digests and codes with newlines make a message of one bounded line."""
    outcomes = {f"{n}\n\x1b[31m" + "x" * 10_000: INVALID for n in range(1_000)}
    raised_by(LayerCheckResult.of("app", outcomes).raise_for_failures)

    code = "Tired\nERROR root: forged" + "x" * 10_000
    failure = LayerFailure(digest=HELD, code=LayerFailureCode.UNKNOWN, raw_code=code)
    raised_by(of_one(failure).raise_for_failures)
