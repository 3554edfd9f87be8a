"""A progress bar, if tqdm is installed."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager


class Countable(Protocol):
    """The progress of an operation. Its `total` is None until it is known."""

    @property
    def answered(self) -> int:
        """The number of answered digests."""
        ...

    @property
    def total(self) -> int | None:
        """The number of digests."""
        ...


class CountableBytes(Protocol):
    """The progress of a transfer."""

    @property
    def sent(self) -> int:
        """The bytes so far."""
        ...

    @property
    def total(self) -> int:
        """The bytes of all of it."""
        ...


def progress_bar() -> AbstractContextManager[Callable[[Countable], None] | None]:
    """Show a bar of digests; see `_bar`."""
    return _bar(lambda progress: progress.answered, unit=" digests")


def byte_bar() -> AbstractContextManager[Callable[[CountableBytes], None] | None]:
    """Show a bar of bytes; see `_bar`."""
    return _bar(lambda progress: progress.sent, unit="B", unit_scale=True)


@contextmanager
def _bar(count: Callable[[Any], int], **options: Any) -> Generator[Any, None, None]:
    """Show a bar in a terminal or a notebook, and yield a function that updates it.

    If tqdm is not installed, warn and yield None.

    An error or a cancellation also closes the bar. A bar with a total then stays where it was. A
    bar without a total disappears, because it would look finished.
    """
    try:
        with warnings.catch_warnings():
            # In a notebook without ipywidgets, tqdm warns and shows a text bar.
            warnings.simplefilter("ignore")
            from tqdm.auto import tqdm  # noqa: PLC0415 (optional)
    except ImportError:
        warnings.warn(
            "progress=True shows a bar only if tqdm is installed: pip install tqdm", stacklevel=5
        )
        yield None
        return

    with tqdm(**options) as bar:

        def show(progress: Any) -> None:
            if progress.total != bar.total and not bar.disable:
                # Only `reset` gives a notebook's bar its total. It also resets the start time.
                began = bar.start_t
                bar.reset(total=progress.total)
                bar.start_t = began
            bar.update(count(progress) - bar.n)

        try:
            yield show
        except BaseException:
            bar.leave = bar.total is not None
            raise
