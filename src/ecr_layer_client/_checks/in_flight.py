"""`InFlight`: the tasks that check batches, and the ways to stop them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Coroutine

B = TypeVar("B")


class InFlight(Generic[B]):
    """Runs checks of batches as tasks.

    Attributes:
        batches: By task, the batches in flight.
    """

    def __init__(self) -> None:
        self.batches: dict[asyncio.Task[None], B] = {}

    def start(
        self,
        batch: B,
        check: Coroutine[Any, Any, None],
        on_done: Callable[[B, BaseException | None], None],
    ) -> None:
        """Run the check of a batch.

        Args:
            batch: The batch.
            check: Its check.
            on_done: Called when the check has ended, with the batch, and its error if it failed.
        """

        def done(task: asyncio.Task[None]) -> None:
            del self.batches[task]
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            on_done(batch, error)

        task = asyncio.create_task(check)
        self.batches[task] = batch
        task.add_done_callback(done)

    def cancel(
        self, attempting: Container[object], which: Callable[[B], bool] | None = None
    ) -> None:
        """Cancel the tasks that are not in the middle of an attempt.

        Args:
            attempting: The tasks that are.
            which: Which batches. Default None: all.
        """
        for task, batch in list(self.batches.items()):
            if task not in attempting and (which is None or which(batch)):
                task.cancel()

    async def stop(self, *others: asyncio.Task[None] | None) -> None:
        """Cancel all tasks, and `others`, and wait until they have ended."""
        tasks = {task for task in (*self.batches, *others) if task is not None and not task.done()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
