"""Progress on standard error for work that takes longer than a second, on terminals only.

`rich` draws the spinners and bars. They appear after a delay, and are erased at the end.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rich.console import Console, RenderableType

    from ecr_layer_client.transfers import TransferProgress

_DELAY_SECONDS = 1.0


@contextmanager
def waiting(text: str, *, quiet: bool = False) -> Generator[Callable[[str], None]]:
    """Show a spinner and a text after a second, and yield a function that changes the text.

    With `quiet`, nothing is shown.
    """
    console = None if quiet else _terminal()
    if console is None:
        yield lambda _: None
        return

    from rich.spinner import Spinner

    spinner = Spinner("dots", text)
    with _shown(console, lambda: spinner, _DELAY_SECONDS):
        yield lambda text: spinner.update(text=text)


@contextmanager
def counting(
    text: str, total: int | None, count: Callable[[], int], *, delay: float | None = None
) -> Generator[None]:
    """Show after `delay` seconds (default 1) how much is done.

    With a total, the display is a bar. Without one, it is the count and its rate per second.
    """
    console = _terminal()
    if console is None:
        yield
        return

    from rich import progress as bars

    rate = "{task.description} {task.completed:,}, {task.fields[rate]:,.0f} a second"
    columns = (
        (bars.SpinnerColumn(), bars.TextColumn(rate))
        if total is None
        else (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn())
    )
    progress = bars.Progress(*columns, bars.TimeElapsedColumn())
    progress.add_task(text, total=total, rate=0.0)
    (task,) = progress.tasks

    def draw() -> RenderableType:
        done = count()
        progress.update(task.id, completed=done, rate=done / max(task.elapsed or 0.0, 0.1))
        return progress.get_renderable()

    with _shown(console, draw, _DELAY_SECONDS if delay is None else delay):
        yield


@contextmanager
def bytes_bar() -> Generator[Callable[[TransferProgress], None] | None]:
    """Show a bar of bytes, the rate, the time left and the layers after a second.

    Yields a function that is given each progress; None if there is no terminal.
    """
    console = _terminal()
    if console is None:
        yield None
        return

    from rich import progress as bars

    progress = bars.Progress(
        bars.TextColumn("{task.fields[layers]}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    task = progress.add_task("", total=None, layers="")

    def show(latest: TransferProgress) -> None:
        layers = f"{latest.layers_done}/{latest.layers} layers"
        progress.update(task, completed=latest.sent, total=latest.total, layers=layers)

    with _shown(console, progress.get_renderable, _DELAY_SECONDS):
        yield show


@contextmanager
def _shown(console: Console, draw: Callable[[], RenderableType], delay: float) -> Generator[None]:
    from rich.live import Live

    # rich would replace sys.stdout and sys.stderr meanwhile, although stdout goes elsewhere.
    live = Live(
        get_renderable=draw,
        console=console,
        refresh_per_second=10,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    timer = asyncio.get_running_loop().call_later(delay, live.start, True)  # noqa: FBT003 (rich's)
    try:
        yield
    finally:
        timer.cancel()
        live.stop()


def _terminal() -> Console | None:
    """Return a console on standard error, or None if that is not a terminal that can be redrawn.

    A pipe is no terminal, whatever variables such as FORCE_COLOR say.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        return None

    from rich.console import Console

    console = Console(stderr=True)
    return console if console.is_interactive else None
