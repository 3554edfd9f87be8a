"""`SafeObserver`: it notifies the caller's observer, and what the observer raises is not fatal.

The facts of each event are in `tests/client/test_observer.py`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client._calls.observer import SafeObserver

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

LOGGED = "the observer raised an exception; the operation continues"


class Recorder:
    """An observer that records its events, and raises at one place."""

    def __init__(self, raises_at: str = "") -> None:
        self.events: list[Any] = []
        self._raises_at = raises_at

    def _record(self, event: object, place: str) -> None:
        self.events.append(event)
        if self._raises_at == place:
            raise RuntimeError(place)

    def attempt(self, *facts: Any) -> AbstractContextManager[object]:
        """Record an attempt."""
        self._record(facts, "make")
        return Span(self)

    def retry(self, *facts: Any) -> None:
        """Record a retry."""
        self._record(facts, "notify")


class Span:
    """A context that records how it ends, and would suppress an error."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __enter__(self) -> None:
        self._recorder._record("enter", "enter")

    def __exit__(self, kind: object, error: object, traceback: object, /) -> bool:
        self._recorder._record(("exit", kind, error), "exit")
        return True


def observed(observer: Any) -> SafeObserver:
    """Return a safe observer of an observer that need not have all methods."""
    return SafeObserver(observer)


class Careless:
    """An observer whose method returns something that is not a context manager."""

    def __init__(self, returned: object) -> None:
        self._returned = returned

    def attempt(self) -> Any:
        """Return it."""
        return self._returned


@pytest.mark.parametrize(
    "observer",
    [None, object(), Careless(None), Careless(5)],
    ids=["no-observer", "no-methods", "returns-none", "returns-no-context"],
)
def test_an_observer_that_cannot_be_called(observer: object) -> None:
    """A missing observer, method or context manager is not fatal."""
    safe = observed(observer)
    safe.notify("retry")
    with safe.span("attempt"), safe.span("attempt"):
        pass


def test_no_observer(caplog: pytest.LogCaptureFixture) -> None:
    """Without an observer nothing is logged, because nothing can fail."""
    with observed(None).span("attempt"):
        observed(None).notify("retry")
    assert caplog.records == []


def test_events() -> None:
    """A span has the facts, its beginning and its end; a retry has its facts."""
    recorder = Recorder()
    with observed(recorder).span("attempt", "op", 1):
        observed(recorder).notify("retry", "op", 0.5)
    assert recorder.events == [("op", 1), "enter", ("op", 0.5), ("exit", None, None)]


@pytest.mark.parametrize(
    "error", [LookupError("x"), KeyboardInterrupt()], ids=lambda error: type(error).__name__
)
def test_an_error_passes_a_span(error: BaseException) -> None:
    """An error that ends a span is recorded and raised, even if the observer suppresses it."""
    recorder = Recorder()
    with pytest.raises(type(error)) as caught, observed(recorder).span("attempt"):
        raise error
    assert caught.value is error
    assert recorder.events == [(), "enter", ("exit", type(error), error)]


@pytest.mark.parametrize(
    ("place", "events"),
    [
        ("make", [()]),
        ("enter", [(), "enter"]),
        ("exit", [(), "enter", ("exit", None, None)]),
        ("notify", [(), "enter", (), ("exit", None, None)]),
    ],
)
def test_an_observer_that_raises(
    place: str, events: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the observer is logged once; a span is left only if it was entered."""
    safe = observed(recorder := Recorder(place))
    with safe.span("attempt"):
        if place == "notify":
            safe.notify("retry")
    assert recorder.events == events

    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == ("ERROR", LOGGED)
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == place


@pytest.mark.parametrize("place", ["make", "exit"])
def test_a_span_that_raises_hides_no_error(place: str) -> None:
    """An error passes a span that raises another error, and one that could not be made."""
    with pytest.raises(LookupError), observed(Recorder(place)).span("attempt"):
        raise LookupError


def test_an_interrupt() -> None:
    """A KeyboardInterrupt inside the observer is raised."""

    class Interrupted:
        def retry(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        observed(Interrupted()).notify("retry")


def test_a_span_of_a_generator() -> None:
    """A context made from a generator gets the error that ends it."""
    seen: list[BaseException] = []

    class Traced:
        @contextmanager
        def attempt(self) -> Generator[None, None, None]:
            try:
                yield
            except LookupError as error:
                seen.append(error)
                raise

    error = LookupError("x")
    with pytest.raises(LookupError), observed(Traced()).span("attempt"):
        raise error
    assert seen == [error]
