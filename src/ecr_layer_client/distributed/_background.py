"""The event loop of callers that block: one for each process, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

# By process id, because a forked process has no thread of its parent.
_loops: dict[int, asyncio.AbstractEventLoop] = {}
_starting = threading.Lock()


def _background_loop() -> asyncio.AbstractEventLoop:
    """Return the background loop of this process, and start it for the first caller."""
    process = os.getpid()
    with _starting:
        if process not in _loops:
            loop = _loops[process] = asyncio.new_event_loop()
            # A daemon thread, because any later call needs it, too.
            thread = threading.Thread(target=loop.run_forever, name="ecr-layer-client", daemon=True)
            thread.start()
        return _loops[process]


def is_background(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether a loop is the background loop of this process."""
    return _loops.get(os.getpid()) is loop


def run_in_background(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the background loop, and return its result or raise its exception.

    An exception that is raised here meanwhile, such as KeyboardInterrupt, cancels it.
    """
    future = asyncio.run_coroutine_threadsafe(work, _background_loop())
    try:
        return future.result()
    finally:
        future.cancel()
