"""The caller's observer, called so that what it raises is logged and never fatal."""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from ecr_layer_client.protocols import Observer

_log = logging.getLogger("ecr_layer_client")
_SPAN = nullcontext()


class SafeObserver:
    """What a client tells its observer, if it has one.

    Attributes:
        is_on: Whether it has one.
    """

    __slots__ = ("_observer", "is_on")

    def __init__(self, observer: Observer | None) -> None:
        self._observer = observer
        self.is_on: bool = observer is not None

    def span(self, kind: str, *facts: Any) -> AbstractContextManager[object]:
        """Return the observer's context for an `operation` or an `attempt`."""
        return _SPAN if self._observer is None else _guarded(self._observer, kind, facts)

    def notify(self, kind: str, *facts: Any) -> None:
        """Tell the observer of a `retry` or a `throttle`."""
        if self._observer is not None:
            _safely(_told, self._observer, kind, facts)


@contextmanager
def _guarded(observer: Observer, kind: str, facts: tuple[Any, ...]) -> Generator[None, None, None]:
    span = _safely(_entered, observer, kind, facts)
    try:
        yield
    except BaseException as error:
        if span is not None:
            _safely(span.__exit__, type(error), error, error.__traceback__)
        raise
    if span is not None:
        _safely(span.__exit__, None, None, None)


def _told(observer: Observer, kind: str, facts: tuple[Any, ...]) -> Any:
    return getattr(observer, kind)(*facts)


def _entered(
    observer: Observer, kind: str, facts: tuple[Any, ...]
) -> AbstractContextManager[object] | None:
    span: AbstractContextManager[object] | None = _told(observer, kind, facts)
    if span is not None:
        span.__enter__()
    return span


def _safely(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except Exception:  # noqa: BLE001 (somebody else's code: logged, never fatal)
        _log.exception("the observer raised; the operation goes on")
        return None
