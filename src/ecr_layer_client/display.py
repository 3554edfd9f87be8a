"""What people see while they wait: a progress bar, where tqdm is installed."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .protocols import Progress


@contextmanager
def progress_bar() -> Generator[Callable[[Progress], None] | None, None, None]:
    """Show a bar, in a terminal or a notebook, and give what moves it; without tqdm, warn and give None."""
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415 (optional)
    except ImportError:
        warnings.warn("progress=True shows a bar where tqdm is installed: pip install tqdm", stacklevel=4)
        yield None
        return
    with tqdm(unit=" digests", unit_scale=True) as bar:

        def show(progress: Progress) -> None:
            bar.total = progress.total
            bar.update(progress.answered - bar.n)

        yield show
