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
    from rich.live import Live
    from rich.spinner import Spinner

    spinner = Spinner("dots", text)
    live = Live(
        spinner, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
    )
    timer = asyncio.get_running_loop().call_later(_PATIENCE, live.start)
    try:
        yield lambda text: spinner.update(text=text)
    finally:
        timer.cancel()
        live.stop()


@contextmanager
def counting(
    text: str, total: int | None, count: Callable[[], int], *, patience: float | None = None
) -> Generator[None]:
    """Show after `patience` seconds (default 1) how far `count` has come: a bar where the total is known, else how many a second."""
    console = _terminal()
    if console is None:
        yield
        return
    progress = _progress(console, is_endless=total is None)
    task = progress.add_task(text, total=total)
    began = monotonic()

    def show() -> None:
        done = count()
        rate = f"{done:,}, {done / max(monotonic() - began, _TICK):,.0f} a second"
        progress.update(
            task,
            completed=done,
            description=f"{text} {rate}" if total is None else text,
            refresh=True,
        )

    async def tick() -> None:
        await asyncio.sleep(_PATIENCE if patience is None else patience)
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
    """Return standard error, if it is a terminal that can move its cursor.

    A variable that asks for colours makes it none.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    from rich.console import Console

    console = Console(stderr=True)
    return console if console.is_interactive else None


def _progress(console: Console, *, is_endless: bool) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    description = TextColumn("{task.description}", markup=False)
    columns = (
        (SpinnerColumn(), description)
        if is_endless
        else (description, BarColumn(), MofNCompleteColumn())
    )
    # What is printed meanwhile is for other places: rich would put a stand-in where sys.stdout is.
    return Progress(
        *columns,
        TimeElapsedColumn(),
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
