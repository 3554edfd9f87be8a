"""An event loop in its own thread, where a local ECR serves callers of other threads.

Such callers block, or run event loops of their own.
"""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class LoopThread:
    """A thread that runs an event loop until `stop()`.

    >>> thread = LoopThread()
    >>> thread.run(asyncio.sleep(0, "done"))
    'done'
    >>> thread.stop()
    """

    def __init__(self) -> None:
        """Start the thread, and return once the loop runs."""
        # A daemon thread, because a program may end without stopping it.
        self._thread = threading.Thread(target=self._live, name="local-ecr", daemon=True)
        self._is_ready = threading.Event()
        self._process = os.getpid()

        self._thread.start()
        self._is_ready.wait()

    @property
    def is_here(self) -> bool:
        """Whether the thread runs in this process. It does not run in a forked child."""
        return self._process == os.getpid()

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Run a coroutine on the loop to its end, and return its result or raise its exception.

        Raises RuntimeError in a forked child.
        """
        if not self.is_here:
            work.close()
            message = (
                "this LocalECR was opened before this process was forked, and only the parent "
                "process serves it: use its endpoint_url"
            )
            raise RuntimeError(message)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on the loop, and return its result or raise its exception.

        The function runs between the other callbacks of the loop.
        """
        if threading.current_thread() is self._thread:
            return function()
        return self.run(_called(function))

    def stop(self) -> None:
        """Cancel what still runs, close the loop and end the thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _live(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._stopping = asyncio.Event()
            self._is_ready.set()
            runner.run(self._stopping.wait())


async def _called(function: Callable[[], T]) -> T:
    return function()
