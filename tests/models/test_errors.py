"""The errors: their tree and their facts, also after pickling; and quoted text in messages."""

from __future__ import annotations

import copy
import pickle
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
FACTS: dict[str, Any] = (
    {"operation": "PutImage", "repository": REPOSITORY, "attempts": 3, "elapsed": 1.5}
    | dict.fromkeys(("retryable", "throttled", "refreshable"), True)
    | {"request_id": "5f1c", "partial": RESULT}
)
SERVICE_FACTS = {"code": "SomeException", "message": "said\nso", "status": 418, **FACTS}

# The class of each error that is raised for a call, and whether it is retryable and throttled.
CALL_ERRORS: dict[type[CallError], tuple[bool, bool]] = {
    CallError: (False, False),
    OperationTimeoutError: (True, False),
    TransportError: (True, False),
    ResponseError: (True, False),
    CredentialsError: (False, False),
    ClockSkewError: (False, False),
    ServiceError: (False, False),
    RepositoryNotFoundError: (False, False),
    AccessDeniedError: (False, False),
    InvalidParameterError: (False, False),
    ThrottledError: (True, True),
    ServerError: (True, False),
}


def facts_of(cls: type[CallError]) -> dict[str, Any]:
    """Return a value for each fact of a class."""
    if issubclass(cls, ClockSkewError):
        return {"skew": -301.5, **FACTS}
    return SERVICE_FACTS if issubclass(cls, ServiceError) else FACTS


ERRORS: list[tuple[ECRLayerError, dict[str, Any]]] = [
    *((cls("text"), {}) for cls in (ECRLayerError, InvalidInputError, ClientStateError)),
    *((cls("text", **facts_of(cls)), facts_of(cls)) for cls in CALL_ERRORS),
    (LayerFailuresError("text", RESULT), {"result": RESULT}),
]
each_error = pytest.mark.parametrize(
    ("error", "facts"), ERRORS, ids=[type(error).__name__ for error, _ in ERRORS]
)


def pickled(protocol: int, error: ECRLayerError) -> ECRLayerError:
    """Return an error read back from its pickle."""
    back: ECRLayerError = pickle.loads(pickle.dumps(error, protocol))
    return back


COPIES: list[Callable[[ECRLayerError], ECRLayerError]] = [
    *(copy.copy, copy.deepcopy),
    *(partial(pickled, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)),
]


def test_every_public_error_is_tested() -> None:
    """The tests below test every public error."""
    values = (getattr(library, name) for name in library.__all__)
    public = {each for each in values if isinstance(each, type) and issubclass(each, ECRLayerError)}
    assert {type(error) for error, _ in ERRORS} == public


@each_error
def test_facts(error: ECRLayerError, facts: dict[str, Any]) -> None:
    """An error has the message and the facts that it was made with, also when copied."""
    for each in (error, *(copied(error) for copied in COPIES)):
        assert (type(each), str(each), each.args) == (type(error), "text", ("text",))
        assert {name: getattr(each, name) for name in facts} == facts


@pytest.mark.parametrize("copied", COPIES)
def test_notes_are_copied(copied: Callable[[ECRLayerError], ECRLayerError]) -> None:
    """A pickled or copied error has the notes in a list of its own."""
    error = TransportError("text")
    error.add_note("first")
    other = copied(error)
    other.add_note("second")
    assert (other.__notes__, error.__notes__) == (["first", "second"], ["first"])


@pytest.mark.parametrize("cls", CALL_ERRORS)
def test_facts_by_class(cls: type[CallError]) -> None:
    """The class says whether a new attempt may help, unless the error was given other facts."""
    error = cls("text")
    assert (error.retryable, error.throttled, error.refreshable) == (*CALL_ERRORS[cls], False)

    for fact in ("retryable", "throttled", "refreshable"):
        by_class = getattr(cls, fact)
        facts: dict[str, Any] = {fact: not by_class}
        assert getattr(cls("text", **facts), fact) is not by_class
        assert getattr(cls, fact) is by_class


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain", "'plain'", id="plain"),
        pytest.param("a\nb\r\x1b[31m\x00", r"'a\nb\r\x1b[31m\x00'", id="control characters"),
        pytest.param("\x1b]0;title\x07", r"'\x1b]0;title\x07'", id="escape sequence"),
        pytest.param("\u2028\u202e\x85", r"'\u2028\u202e\x85'", id="separators and overrides"),
        pytest.param("\ud800", r"'\ud800'", id="lone surrogate"),
        pytest.param("x" * 198, f"'{'x' * 198}'", id="longest"),
        pytest.param("x" * 199, f"'{'x' * 199}...", id="truncated"),
        pytest.param("x" * 10_000, f"'{'x' * 199}...", id="10 kB"),
        pytest.param("\n" * 10_000, "'" + r"\n" * 99 + "\\" + "...", id="10 kB of newlines"),
        pytest.param(b"\x00\n", r"b'\x00\n'", id="bytes"),
        pytest.param(None, "None", id="None"),
        pytest.param(["x" * 10_000], f"['{'x' * 198}...", id="a long list"),
    ],
)
def test_quoted(text: object, shown: str) -> None:
    """Text from outside becomes one escaped, printable line, truncated after 200 characters."""
    assert quoted(text) == shown
    assert (shown.isprintable(), shown.encode().decode()) == (True, shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *(("a word", "a word"), ("two\nlines", "two\\nlines"), ("x" * 200, "x" * 200)),
        ("x" * 201, "x" * 200 + "..."),
        ("https://me:secret@host", "https://***@host"),
    ],
    ids=["plain", "newline", "just fits", "truncated", "password"],
)
def test_escaped(text: str, shown: str) -> None:
    """`escaped` is `quoted` without the quotes, for words within a sentence."""
    assert escaped(text) == shown
