"""A sign of life on standard error, for what takes longer than a second."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_PATIENCE = 1.0  # seconds


@contextmanager
def waiting(text: str) -> Generator[Callable[[str], None]]:
    """Show a text after a second, on a terminal alone; what it gives changes the text."""
    console = Console(stderr=True)
    status = console.status(text)
    timer = asyncio.get_running_loop().call_later(_PATIENCE, status.start) if console.is_terminal else None
    try:
        yield status.update
    finally:
        if timer is not None:
            timer.cancel()
        status.stop()
