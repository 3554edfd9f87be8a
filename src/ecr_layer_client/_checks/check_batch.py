"""`check_batch`: the requests of one batch. `BatchRun`: the batches of one check, as tasks."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecr_layer_client._models.call_errors import OperationTimeoutError
from ecr_layer_client._models.layer import LayerFailure, LayerFailureCode

from .operation import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from ecr_layer_client._calls.caller import Caller, OperationState
    from ecr_layer_client._models.outcomes import Row
    from ecr_layer_client._models.repository import Repository

_log = logging.getLogger("ecr_layer_client")
_MAX_REQUESTS = 2  # a digest that so many responses leave out is NOT_REPORTED


async def check_batch(
    caller: Caller,
    repository: Repository,
    digests: Sequence[str],
    state: OperationState,
    settle: Callable[[dict[str, Row]], None],
) -> None:
    """Check a batch, and give `settle` the rows of each response.

    The digests are read when the first request is sent. Those that the response leaves out are
    checked once more, unless the operation is over.
    """
    for again in (False, True):
        settled = await caller.call(Check(repository, digests, again), state)
        rows = settled.rows
        if settled.ignored:
            # Their digests are not in the request, or have a row already.
            _log.warning("%d rows of a response were ignored", settled.ignored)
        if len(rows) == len(digests):
            settle(rows)
            return

        digests = [digest for digest in digests if digest not in rows]
        settle(rows)
        if state.is_over:
            return

    reason = f"sent {_MAX_REQUESTS} times, but no response mentioned it"
    code = LayerFailureCode.NOT_REPORTED
    settle({each: LayerFailure(digest=each, code=code, reason=reason) for each in digests})


@dataclass(slots=True, eq=False)
class BatchRun:
    """Runs the tasks of a check: one for each batch in flight, and one that waits for the input.

    Attributes:
        tasks: The tasks that check batches, with the state of their calls.
        feeder: The task that reads the input, while there is one.
        changed: Set it to wake those who wait.
        error: The error that ends the check, if any.
        is_error_of_input: Whether the caller's own input raised it.
        is_over: Whether nothing more may be started: a call failed, or the check was ended.
    """

    tasks: dict[asyncio.Task[None], OperationState] = field(
        default_factory=dict["asyncio.Task[None]", "OperationState"]
    )
    feeder: asyncio.Task[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    error: BaseException | None = None
    is_error_of_input: bool = False
    is_over: bool = False
    _deadline: float | None = None

    @property
    def is_late(self) -> bool:
        """Whether the timeout has expired."""
        return self._deadline is not None and asyncio.get_running_loop().time() >= self._deadline

    def set_timeout(self, seconds: float) -> None:
        """Let `wait` end in so many seconds."""
        self._deadline = asyncio.get_running_loop().time() + seconds

    def feed(self, reading: Coroutine[Any, Any, None]) -> None:
        """Read the input in one task, because it may hold things such as timeouts."""
        self.feeder = asyncio.create_task(reading)
        self.feeder.add_done_callback(self._fed)

    def _fed(self, feeder: asyncio.Task[None]) -> None:
        self.feeder = None
        error = _error_of(feeder)
        if error is not None and not self.is_over:
            self.fail_by_input(error)
        self.changed.set()

    def start(
        self,
        check: Coroutine[Any, Any, None],
        state: OperationState,
        on_error: Callable[[BaseException], None],
    ) -> None:
        """Check a batch in a task, and call `on_error` with the error that ends it."""

        def done(task: asyncio.Task[None]) -> None:
            del self.tasks[task]
            self.changed.set()
            error = _error_of(task)
            was_cancelled_here = isinstance(error, asyncio.CancelledError) and state.is_over
            if error is not None and not was_cancelled_here:
                on_error(error)

        task = asyncio.create_task(check)
        self.tasks[task] = state
        task.add_done_callback(done)

    async def wait(self) -> bool:
        """Wait until something changes; return False if the timeout expired before."""
        self.changed.clear()
        try:
            async with asyncio.timeout_at(self._deadline):
                await self.changed.wait()
        except TimeoutError:
            # What ended at the same moment is not known before the next round of the event loop.
            await asyncio.sleep(0)
            return self.changed.is_set()
        return True

    async def wait_for(self, has_room: Callable[[], bool]) -> None:
        """Wait until there is room for a batch. Only the feeder waits here."""
        while not has_room():
            self.cancel_if_over()
            self.changed.clear()
            await self.changed.wait()
        self.cancel_if_over()

    def cancel_if_over(self) -> None:
        """End the feeder if the check is over: the input may have caught its cancellation."""
        if self.is_over:
            raise asyncio.CancelledError

    def fail(self, error: BaseException) -> None:
        """Keep the first error and start nothing more; let running attempts finish."""
        if self.error is None:
            self.error = error
        elif not self.is_error_of_input:
            self.error.add_note(f"another error: {type(error).__name__}: {error}")

        self.is_over = True
        if self.feeder is not None:
            self.feeder.cancel()
        self.finish_attempts()

    def finish_attempts(self, state: OperationState | None = None) -> None:
        """Cancel the tasks that are not in the middle of an attempt: of one state, or all."""
        for task, its in self.tasks.items():
            if state is None or its is state:
                its.is_over = True
                if task not in its.attempting:
                    task.cancel()

    def fail_by_input(self, error: BaseException) -> None:
        """Keep the error for the reader; what is in flight finishes."""
        if isinstance(error, StopAsyncIteration):
            # The reader would mistake it for the end of the stream.
            cause, error = error, RuntimeError("the input raised StopAsyncIteration")
            error.__cause__ = cause
        self.error = error
        self.is_error_of_input = True

    async def abort(self, error: BaseException) -> None:
        """End the check with an error, now."""
        self.fail(error)
        await self.stop()

    async def stop(self) -> None:
        """Cancel all tasks, and wait until they have ended."""
        self.is_over = True
        tasks = [*self.tasks, *filter(None, [self.feeder])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _error_of(task: asyncio.Task[None]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def timed_out(
    what: str, outcome: str, timeout: float, kept: str, cause: BaseException | None
) -> OperationTimeoutError:
    """Return the error of a timeout; `kept` is the attribute that keeps what was answered."""
    advice = f"allow more time; {kept} has the outcomes that were received"
    msg = f"{what}: {outcome} within timeout={timeout} s: {advice}"
    if cause is not None:
        failed = str(cause).removeprefix(f"{what}: ")
        msg = f"{msg}; the last failed attempt before the timeout: {failed}"
    error = OperationTimeoutError(msg, elapsed=timeout)
    error.__cause__ = cause
    return error
