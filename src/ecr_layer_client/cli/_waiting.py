"""Signs of life on standard error, for what takes longer than a second; on a terminal alone."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rich.console import Console
    from rich.progress import Progress

_PATIENCE = 1.0  # seconds
_TICK = 0.1  # seconds


@contextmanager
def waiting(text: str) -> Generator[Callable[[str], None]]:
    """Show a text after a second; what it gives changes the text."""
    console = _terminal()
    if console is None:
        yield lambda _: None
        return
    status = console.status(text)
    timer = asyncio.get_running_loop().call_later(_PATIENCE, status.start)
    try:
        yield status.update
    finally:
        timer.cancel()
        status.stop()


@contextmanager
def counting(text: str, total: int | None, count: Callable[[], int], *, patience: float = _PATIENCE) -> Generator[None]:
    """Show, after `patience` seconds, a text and how far `count` has come: a bar where the total is known, else how many a second."""
    console = _terminal()
    if console is None:
        yield
        return
    progress = _progress(console, is_endless=total is None)
    task = progress.add_task(text, total=total)
    began = monotonic()

    def show() -> None:
        done = count()
        rate = f"{done:,}, {done / (monotonic() - began):,.0f} a second"
        progress.update(task, completed=done, description=f"{text} {rate}" if total is None else text, refresh=True)

    async def tick() -> None:
        await asyncio.sleep(patience)
        progress.start()
        while True:
            show()
            await asyncio.sleep(_TICK)

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticking.cancel()
        show()
        progress.stop()


def _terminal() -> Console | None:
    """Return standard error, if it is a terminal that can move its cursor; a variable that asks for colours makes it none."""
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    from rich.console import Console

    console = Console(stderr=True)
    return console if console.is_interactive else None


def _progress(console: Console, *, is_endless: bool) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    description = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), description) if is_endless else (description, BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console, auto_refresh=False, transient=True)
