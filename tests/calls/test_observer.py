"""The caller's observer: told everything, and never fatal."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client._calls.observer import SafeObserver

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager
    from types import TracebackType

FATAL = RuntimeError("the observer's own")


class Span:
    """A context that notes how it ends, and raises where it is told to."""

    def __init__(self, told: list[Any], raising: str) -> None:
        self._told = told
        self._raising = raising

    def __enter__(self) -> None:
        self._told.append("enter")
        if self._raising == "enter":
            raise FATAL

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool:
        self._told.append(("exit", kind, error))
        if self._raising == "exit":
            raise FATAL
        return True  # an observer that would swallow the error


class Recorder:
    """An observer that notes what it is told, and raises where it is told to."""

    def __init__(self, raising: str = "") -> None:
        self.told: list[Any] = []
        self._raising = raising

    def attempt(self, *facts: Any) -> AbstractContextManager[object]:
        """Note it."""
        self.told.append(facts)
        if self._raising == "make":
            raise FATAL
        return Span(self.told, self._raising)

    def retry(self, *facts: Any) -> None:
        """Note it."""
        self.told.append(facts)
        if self._raising == "tell":
            raise FATAL


def observed(observer: object) -> SafeObserver:
    """Observe with what need not be a whole observer."""
    whole: Any = observer
    return SafeObserver(whole)


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int, str]]:
    """Return what was logged, each with its error beside it."""
    return [(record.name, record.levelno, record.getMessage()) for record in caplog.records]


ONE_ERROR = [
    ("ecr_layer_client", logging.ERROR, "the observer raised an exception; the operation continues")
]


def test_without_an_observer() -> None:
    """Without an observer nothing is told, and nothing fails."""
    nobody = SafeObserver(None)
    nobody.notify("retry", 1)
    with nobody.span("attempt", 1), nobody.span("attempt", 2):
        pass


def test_span() -> None:
    """A span tells the facts, its beginning and its end."""
    recorder = Recorder()
    with observed(recorder).span("attempt", "op", 1):
        recorder.told.append("within")
    assert recorder.told == [("op", 1), "enter", "within", ("exit", None, None)]


@pytest.mark.parametrize(
    "error", [LookupError("x"), KeyboardInterrupt()], ids=lambda error: type(error).__name__
)
def test_error_passes_through_a_span(error: BaseException) -> None:
    """An error that ends a span is told and passes through, though the observer would swallow it."""
    recorder = Recorder()
    with pytest.raises(type(error)) as caught, observed(recorder).span("attempt"):
        raise error
    assert (caught.value is error, recorder.told) == (
        True,
        [(), "enter", ("exit", type(error), error)],
    )


def test_tell() -> None:
    """A retry is told with its facts."""
    recorder = Recorder()
    observed(recorder).notify("retry", "op", 0.5)
    assert recorder.told == [("op", 0.5)]


@pytest.mark.parametrize(
    ("raising", "told"),
    [
        ("make", [()]),
        ("enter", [(), "enter"]),
        ("exit", [(), "enter", ("exit", None, None)]),
    ],
)
def test_span_that_raises_is_logged(
    raising: str, told: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """What a span raises anywhere is logged once and not fatal.

    What was not entered is not exited.
    """
    recorder = Recorder(raising)
    with observed(recorder).span("attempt"):
        pass
    assert (recorder.told, logged(caplog)) == (told, ONE_ERROR)


def test_log_holds_what_was_raised(caplog: pytest.LogCaptureFixture) -> None:
    """What the observer raised is logged with its traceback."""
    observed(Recorder("tell")).notify("retry")
    assert [record.exc_info and record.exc_info[1] for record in caplog.records] == [FATAL]


def test_span_that_raises_does_not_hide_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """An error that ends a span passes through, though the span raises another."""
    with pytest.raises(LookupError), observed(Recorder("exit")).span("attempt"):
        raise LookupError
    assert logged(caplog) == ONE_ERROR


def test_tell_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What an observer raises when told is logged and not fatal."""
    observed(Recorder("tell")).notify("retry")
    assert logged(caplog) == ONE_ERROR


def test_observer_that_interrupts() -> None:
    """An interrupt that falls into the observer passes, like anywhere."""

    class Interrupted:
        def retry(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        observed(Interrupted()).notify("retry")


@pytest.mark.parametrize("returned", [None, 5], ids=["None", "no context manager"])
def test_observer_that_returns_no_context(returned: Any) -> None:
    """An observer whose method returns no context manager is not fatal."""

    class Careless:
        def attempt(self) -> Any:
            return returned

    with observed(Careless()).span("attempt"):
        pass


def test_observer_that_lacks_a_method() -> None:
    """An observer that lacks a method is not fatal."""
    careless = observed(object())
    careless.notify("retry")
    with careless.span("attempt"):
        pass


def test_generator_based_span() -> None:
    """A context made from a generator sees the error that ends it."""
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


def test_error_passes_a_span_that_could_not_be_made(caplog: pytest.LogCaptureFixture) -> None:
    """An error passes through where the observer raised before there was a span."""
    recorder = Recorder("make")
    with pytest.raises(LookupError), observed(recorder).span("attempt"):
        raise LookupError
    assert (recorder.told, logged(caplog)) == ([()], ONE_ERROR)
