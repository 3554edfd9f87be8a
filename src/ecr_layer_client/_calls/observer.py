"""The caller's observer, called so that its exceptions are logged and end no operation."""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from ecr_layer_client.protocols import Observer

_log = logging.getLogger("ecr_layer_client")
_NO_SPAN = nullcontext()


class SafeObserver:
    """Notifies the observer of a client, if it has one.

    Attributes:
        is_on: Whether the client has an observer.
    """

    __slots__ = ("_observer", "is_on")

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer
        self.is_on: bool = observer is not None

    def span(self, kind: str, *facts: Any) -> AbstractContextManager[object]:
        """Return the observer's context for an `operation` or an `attempt`."""
        return _NO_SPAN if self._observer is None else _guarded(self._observer, kind, facts)

    def notify(self, kind: str, *facts: Any) -> None:
        """Notify the observer of a `retry` or a `throttle`."""
        if self._observer is not None:
            _safely(_call, self._observer, kind, facts)


@contextmanager
def _guarded(observer: Observer, kind: str, facts: tuple[Any, ...]) -> Generator[None, None, None]:
    span = _safely(_enter, observer, kind, facts)
    try:
        yield
    except BaseException as error:
        if span is not None:
            _safely(span.__exit__, type(error), error, error.__traceback__)
        raise

    if span is not None:
        _safely(span.__exit__, None, None, None)


def _call(observer: Observer, kind: str, facts: tuple[Any, ...]) -> Any:
    return getattr(observer, kind)(*facts)


def _enter(
    observer: Observer, kind: str, facts: tuple[Any, ...]
) -> AbstractContextManager[object] | None:
    span: AbstractContextManager[object] | None = _call(observer, kind, facts)
    if span is not None:
        span.__enter__()
    return span


def _safely(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except Exception:  # noqa: BLE001 (the observer is the caller's code: logged, never fatal)
        _log.exception("the observer raised an exception; the operation continues")
        return None
