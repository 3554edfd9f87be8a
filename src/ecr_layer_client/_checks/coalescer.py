"""`Coalescer`: single checks of many callers, gathered into batches."""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from ecr_layer_client._calls.caller import OperationState
from ecr_layer_client._models.call_errors import CallError
from ecr_layer_client._models.digest import canonical, is_well_formed
from ecr_layer_client._models.errors import ECRLayerError, InvalidInputError, copied
from ecr_layer_client._models.outcomes import outcome_of
from ecr_layer_client._models.result import LayerCheckResult
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client.protocols import CALLERS

from .batches import refused
from .check_batch import check_batch
from .operation import CHECK

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from ecr_layer_client._calls.caller import Caller
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.outcomes import Row
    from ecr_layer_client._models.repository import Repository

    _Answer = Row | BaseException
    _Waiter = asyncio.Future[_Answer]

_MAX_WINDOWS = 25  # that a partial batch waits for another one of its repository to be answered


@dataclass(slots=True, eq=False)
class PendingBatch:
    """A batch that is being gathered, or was sent.

    Attributes:
        digests: The digests to check. It grows until the first request is sent.
        waiting: For each digest without an outcome, how many callers wait for it.
        waiters: The callers that wait, with the digest that each waits for.
        contexts: The context of each of them, where somebody observes.
        state: Of its calls.
        timer: Sends it.
        task: Checks it.
    """

    digests: list[str] = field(default_factory=list[str])
    waiting: dict[str, int] = field(default_factory=dict[str, int])
    waiters: dict[_Waiter, str] = field(default_factory=dict["_Waiter", str])
    contexts: dict[_Waiter, Context] = field(default_factory=dict["_Waiter", Context])
    state: OperationState = field(default_factory=OperationState)
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = None


class Coalescer:
    """Gathers the single checks of one repository, made through one client or view.

    Callers that check a digest which is already being checked share its outcome. A full batch is
    sent at once, a partial one after the window. While another batch is in flight, a partial one
    waits longer: until the window after that one is answered, but at most 25 windows in all. So
    callers that check one digest after the other come back together. Until its request is really
    sent, a batch takes more digests. Nothing is kept once it is answered.
    """

    def __init__(self, caller_of: Callable[[], Caller], repository: Repository) -> None:
        caller = caller_of()
        self._caller_of = caller_of
        self._repository = repository
        self._repository_for_observer = caller.repository_for_observer(repository)
        self._observer = caller.observer
        self._batch_size = caller.config.batch_size
        self._window = caller.config.coalesce_window
        self._batches: dict[str, PendingBatch] = {}  # by digest without an outcome
        self._gathering: PendingBatch | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def check(self, digest: str) -> Coroutine[Any, Any, LayerOutcome]:
        """Return what became of one digest. A CallError's `.partial` is about it alone."""
        # Each context costs, and there may be many thousand callers.
        return self._observed_check(digest) if self._observer.is_on else self._check(digest)

    async def _observed_check(self, digest: str) -> LayerOutcome:
        with self._observer.span("operation", CHECK, self._repository_for_observer):
            return await self._check(digest)

    async def _check(self, digest: str) -> LayerOutcome:
        if not isinstance(digest, str):
            kind = type(digest).__name__
            msg = f"digest is {quoted(digest)}, of type {kind}: a digest must be a str"
            raise InvalidInputError(msg)

        asked = canonical(digest)
        batch = self._batches.get(asked)
        if batch is None:
            if not is_well_formed(asked):
                return refused(digest)
            batch = self._gather(asked)

        waiter: _Waiter = asyncio.get_running_loop().create_future()
        batch.waiting[asked] += 1
        batch.waiters[waiter] = asked
        if self._observer.is_on:
            batch.contexts[waiter] = copy_context()

        try:
            answer = await waiter
        except asyncio.CancelledError:
            self._leave(batch, waiter)
            raise
        if isinstance(answer, BaseException):
            raise self._own_error(answer, digest)
        return outcome_of(digest, answer)

    def _gather(self, digest: str) -> PendingBatch:
        """Put a digest into the batch that is being gathered."""
        batch = self._gathering
        if batch is None or batch.state.has_begun:
            batch = self._gathering = PendingBatch()
            loop = asyncio.get_running_loop()
            batch.timer = loop.call_later(self._window, self._window_over, batch)

        batch.digests.append(digest)
        batch.waiting[digest] = 0
        self._batches[digest] = batch
        if len(batch.digests) == self._batch_size:
            self._gathering = None
            self._send(batch)
        return batch

    def _window_over(self, batch: PendingBatch) -> None:
        """Send a partial batch, or let it wait for the one in flight."""
        if self._tasks:
            loop, seconds = asyncio.get_running_loop(), (_MAX_WINDOWS - 1) * self._window
            batch.timer = loop.call_later(seconds, self._send, batch)
        else:
            self._send(batch)

    def _shorten_wait(self) -> None:
        """Send the partial batch after one more window: no other batch is in flight.

        Callers that have their outcomes now may come back within that window.
        """
        batch = self._gathering
        soon = asyncio.get_running_loop().time() + self._window
        if batch is not None and batch.timer is not None and batch.timer.when() > soon:
            batch.timer.cancel()
            batch.timer = asyncio.get_running_loop().call_at(soon, self._send, batch)

    def _send(self, batch: PendingBatch) -> None:
        if batch.timer is not None:
            batch.timer.cancel()
            batch.timer = None
        if batch.task is not None:
            return

        # The batch belongs to no single caller, so it runs in an empty context.
        context = Context()
        if self._observer.is_on:
            context.run(CALLERS.set, batch.contexts.values())
        loop = asyncio.get_running_loop()
        settle, caller = partial(self._settle, batch), self._caller_of()
        check = check_batch(caller, self._repository, batch.digests, batch.state, settle)
        batch.task = loop.create_task(check, context=context)
        self._tasks.add(batch.task)
        batch.task.add_done_callback(lambda task: self._done(batch, task))

    def _settle(self, batch: PendingBatch, answers: Mapping[str, _Answer]) -> None:
        """Give the waiters their outcomes, or an error."""
        for digest in answers:
            del self._batches[digest], batch.waiting[digest]

        for waiter in [waiter for waiter, digest in batch.waiters.items() if digest in answers]:
            answer = answers[batch.waiters.pop(waiter)]
            batch.contexts.pop(waiter, None)
            # A waiter whose task was just cancelled is done, and its task learns of it later.
            if not waiter.done():
                waiter.set_result(answer)

        if batch.waiting and not batch.waiters:
            self._drop(batch)

    def _done(self, batch: PendingBatch, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._shorten_wait()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self._fail(batch, error)

    def _fail(self, batch: PendingBatch, error: BaseException) -> None:
        self._settle(batch, dict.fromkeys(batch.waiting, error))
        self._drop(batch)

    def _leave(self, batch: PendingBatch, waiter: _Waiter) -> None:
        """Let a caller go that was cancelled.

        The last caller of a batch takes it along. The last caller of a digest takes that along,
        unless it was sent already, among others.
        """
        batch.contexts.pop(waiter, None)
        digest = batch.waiters.pop(waiter, None)
        if digest is None:
            return

        batch.waiting[digest] -= 1
        if not batch.waiters:
            self._drop(batch)
        elif not (batch.waiting[digest] or batch.state.has_begun):
            batch.digests.remove(digest)
            del batch.waiting[digest], self._batches[digest]

    def _drop(self, batch: PendingBatch) -> None:
        """Stop a batch that nobody waits for."""
        for digest in batch.waiting:
            del self._batches[digest]
        batch.waiting.clear()
        if self._gathering is batch:
            self._gathering = None
        if batch.timer is not None:
            batch.timer.cancel()
        if batch.task is not None:
            batch.task.cancel()

    async def _abort(self, error: Exception) -> None:
        """Raise `error` for all who wait, and cancel what is running."""
        for batch in set(self._batches.values()):
            self._fail(batch, error)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _own_error(self, error: BaseException, digest: str) -> BaseException:
        """Return one caller's own copy of an error, which is about its digest."""
        if not isinstance(error, ECRLayerError):
            return error
        own = copied(error)
        if isinstance(own, CallError):
            own.args = (f"{error}; the digest to check was {quoted(digest)}",)
            own.partial = LayerCheckResult(
                repository=self._repository, outcomes=(), unanswered=(digest,)
            )
        return own
