"""An event loop in a thread of its own: where a local ECR serves callers that block, or that have loops of their own."""

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
        """Start, and return once the loop runs."""
        self._thread = threading.Thread(
            target=self._live, name="local-ecr", daemon=True
        )  # a program may end without stopping it
        self._is_ready = threading.Event()
        self._process = os.getpid()
        self._thread.start()
        self._is_ready.wait()

    @property
    def is_here(self) -> bool:
        """Whether it runs in this process; in a forked child it does not."""
        return self._process == os.getpid()

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Run a coroutine on the loop to its end.

        Return or raise as it does. Raises RuntimeError in a forked child.
        """
        if not self.is_here:
            work.close()
            message = "this LocalECR was opened before this process was forked, and is served there: reach it at its endpoint_url"
            raise RuntimeError(message)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on the loop, between whatever else runs there.

        Return or raise as it does.
        """
        return (
            function()
            if threading.current_thread() is self._thread
            else self.run(_called(function))
        )

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
