"""A progress bar while people wait, where tqdm is installed."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Countable(Protocol):
    """How far an operation is; its `total` is None while that is not known."""

    @property
    def answered(self) -> int:
        """How many are answered."""
        ...

    @property
    def total(self) -> int | None:
        """How many there are."""
        ...


@contextmanager
def progress_bar() -> Generator[Callable[[Countable], None] | None, None, None]:
    """Show a bar, in a terminal or a notebook, and give what moves it.

    Without tqdm, warn and give None.

    An error or a cancellation closes it, too: a bar with a total stays where it stood, one without
    goes away, for it would look done.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # tqdm's own, in a notebook without ipywidgets: the bar is then one of text
            from tqdm.auto import tqdm  # noqa: PLC0415 (optional)
    except ImportError:
        warnings.warn(
            "progress=True shows a bar where tqdm is installed: pip install tqdm", stacklevel=4
        )
        yield None
        return
    with tqdm(unit=" digests") as bar:

        def show(progress: Countable) -> None:
            if progress.total != bar.total and not bar.disable:
                began = bar.start_t
                bar.reset(total=progress.total)  # a notebook's bar takes a total in no other way
                bar.start_t = began
            bar.update(progress.answered - bar.n)

        try:
            yield show
        except BaseException:
            bar.leave = bar.total is not None
            raise
