"""The errors: their tree, their facts, and how they travel."""

from __future__ import annotations

import copy
import pickle
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import ecr_layer_client as library
from ecr_layer_client import (
    AccessDeniedError,
    CallError,
    ClientStateError,
    ClockSkewError,
    CredentialsError,
    ECRLayerError,
    InvalidInputError,
    InvalidParameterError,
    LayerAvailability,
    LayerCheckResult,
    LayerFailuresError,
    OperationTimeoutError,
    Repository,
    RepositoryNotFoundError,
    ResponseError,
    ServerError,
    ServiceError,
    ThrottledError,
    TransportError,
)
from ecr_layer_client._text.quoting import escaped, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Repository(name="team/app", registry_id="123456789012", region="eu-west-1")
RESULT = LayerCheckResult.of(REPOSITORY, {"sha256:aa": LayerAvailability.AVAILABLE})
FACTS: dict[str, Any] = {
    "operation": "PutImage",
    "repository": REPOSITORY,
    "attempts": 3,
    "elapsed": 1.5,
    "retryable": True,
    "throttled": True,
    "refreshable": True,
    "request_id": "5f1c",
    "partial": RESULT,
}
ANSWER: dict[str, Any] = {"code": "SomeException", "message": "said\nso", "status": 418}

ERRORS = [
    pytest.param(ECRLayerError("text"), {}, id="ECRLayerError"),
    pytest.param(InvalidInputError("text"), {}, id="InvalidInputError"),
    pytest.param(ClientStateError("text"), {}, id="ClientStateError"),
    *(
        pytest.param(cls("text", **FACTS), FACTS, id=cls.__name__)
        for cls in (
            CallError,
            OperationTimeoutError,
            TransportError,
            ResponseError,
            CredentialsError,
        )
    ),
    *(
        pytest.param(cls("text", **ANSWER, **FACTS), ANSWER | FACTS, id=cls.__name__)
        for cls in (
            ServiceError,
            RepositoryNotFoundError,
            AccessDeniedError,
            InvalidParameterError,
            ThrottledError,
            ServerError,
        )
    ),
    pytest.param(
        ClockSkewError("text", skew=-301.5, **FACTS), {"skew": -301.5} | FACTS, id="ClockSkewError"
    ),
    pytest.param(LayerFailuresError("text", RESULT), {"result": RESULT}, id="LayerFailuresError"),
]


def pickled(protocol: int, error: ECRLayerError) -> ECRLayerError:
    """Return what is read back from a pickle."""
    travelled: ECRLayerError = pickle.loads(pickle.dumps(error, protocol))
    return travelled


TRAVELS = [
    pytest.param(copy.copy, id="copied"),
    pytest.param(copy.deepcopy, id="deeply copied"),
    *(
        pytest.param(partial(pickled, protocol), id=f"pickled, protocol {protocol}")
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    ),
]


def test_every_public_error_is_tried_here() -> None:
    """No public error is left out of the tests below."""
    public = {
        name
        for name in library.__all__
        if isinstance(value := getattr(library, name), type) and issubclass(value, ECRLayerError)
    }
    assert {type(case.values[0]).__name__ for case in ERRORS} == public


@pytest.mark.parametrize(("error", "facts"), ERRORS)
def test_facts(error: ECRLayerError, facts: dict[str, Any]) -> None:
    """An error has the facts it was made with, and its text is its message alone."""
    assert (str(error), error.args, {name: getattr(error, name) for name in facts}) == (
        "text",
        ("text",),
        facts,
    )


@pytest.mark.parametrize("travel", TRAVELS)
@pytest.mark.parametrize(("error", "facts"), ERRORS)
def test_error_survives_travel(
    error: ECRLayerError, facts: dict[str, Any], travel: Callable[[ECRLayerError], ECRLayerError]
) -> None:
    """A pickled or copied error keeps class, message and every fact."""
    travelled = travel(error)
    assert (
        type(travelled),
        travelled.args,
        {name: getattr(travelled, name) for name in facts},
    ) == (type(error), ("text",), facts)


@pytest.mark.parametrize("travel", TRAVELS)
def test_notes_survive_travel(travel: Callable[[ECRLayerError], ECRLayerError]) -> None:
    """A pickled or copied error keeps its notes, in a list of its own."""
    error = TransportError("text")
    error.add_note("first")
    travelled = travel(error)
    travelled.add_note("second")
    assert (travelled.__notes__, error.__notes__) == (["first", "second"], ["first"])


def test_notes_stand_in_the_traceback() -> None:
    """A note is shown below the message."""
    error = ThrottledError("text", code="ThrottlingException")
    error.add_note("also failed: another call")
    assert (
        "".join(traceback.format_exception_only(error))
        == "ecr_layer_client._models.call_errors.ThrottledError: text\nalso failed: another call\n"
    )


@pytest.mark.parametrize(
    ("cls", "base"),
    [
        (InvalidInputError, ValueError),
        (ClientStateError, RuntimeError),
        (OperationTimeoutError, TimeoutError),
    ],
)
def test_builtin_base(cls: type[ECRLayerError], base: type[Exception]) -> None:
    """An error is also the builtin that a caller would expect."""
    assert (issubclass(cls, base), issubclass(cls, ECRLayerError)) == (True, True)


@pytest.mark.parametrize(
    ("cls", "retryable", "throttled"),
    [
        (CallError, False, False),
        (OperationTimeoutError, True, False),
        (ServiceError, False, False),
        (RepositoryNotFoundError, False, False),
        (AccessDeniedError, False, False),
        (InvalidParameterError, False, False),
        (ThrottledError, True, True),
        (ServerError, True, False),
        (TransportError, True, False),
        (ResponseError, True, False),
        (CredentialsError, False, False),
        (ClockSkewError, False, False),
    ],
)
def test_facts_by_class(cls: type[CallError], *, retryable: bool, throttled: bool) -> None:
    """Whether asking again may help, and whether it was for rate, is the class's to say when nothing else does."""
    error = cls("text")
    assert (error.retryable, error.throttled, error.refreshable) == (retryable, throttled, False)


@pytest.mark.parametrize("fact", ["retryable", "throttled", "refreshable"])
def test_fact_of_one_error_wins(fact: str) -> None:
    """A fact given to one error wins over its class's and leaves the class alone."""
    class_says = getattr(ServerError, fact)
    facts: dict[str, Any] = {fact: not class_says}
    error = ServerError("text", **facts)
    assert (getattr(error, fact), getattr(ServerError, fact)) == (not class_says, class_says)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain", "'plain'", id="plain"),
        pytest.param("a\nb\r\x1b[31m\x00", r"'a\nb\r\x1b[31m\x00'", id="control characters"),
        pytest.param(
            "\u2028\u202e\x85", r"'\u2028\u202e\x85'", id="separators and overrides of Unicode"
        ),
        pytest.param("\ud800", r"'\ud800'", id="lone surrogate"),
        pytest.param("x" * 198, "'" + "x" * 198 + "'", id="longest"),
        pytest.param("x" * 199, "'" + "x" * 199 + "...", id="cut"),
        pytest.param("x" * 10_000, "'" + "x" * 199 + "...", id="10 kB"),
        pytest.param("\n" * 10_000, "'" + r"\n" * 99 + "\\" + "...", id="10 kB of newlines"),
        pytest.param(b"\x00\n", r"b'\x00\n'", id="bytes"),
        pytest.param(None, "None", id="None"),
        pytest.param(["x" * 10_000], "['" + "x" * 198 + "...", id="a long list"),
    ],
)
def test_quoted(text: object, shown: str) -> None:
    """Text from outside comes out on one line, escaped, and cut at 200 characters."""
    assert quoted(text) == shown


@pytest.mark.parametrize(
    "text", ["\x1b]0;title\x07", "a\nERROR root: forged", "\ud800", "x" * 10_000], ids=ascii
)
def test_quoted_can_be_logged(text: str) -> None:
    """What comes out is printable and encodes as UTF-8."""
    shown = quoted(text)
    assert (shown.isprintable(), shown.encode().decode()) == (True, shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a word", "a word"),
        ("two\nlines", "two\\nlines"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "..."),
        ("https://me:secret@host", "https://***@host"),
    ],
    ids=["plain", "newline", "just fits", "cut", "password"],
)
def test_words_within_a_sentence_are_escaped_and_cut(text: str, shown: str) -> None:
    """`escaped` is `quoted` without the quotes: a cut is marked, and nothing is lost but what was cut."""
    assert escaped(text) == shown
