"""Single checks of many callers, gathered into batches: one request where each caller would have made one."""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecr_layer_client._calls.caller import OperationState
from ecr_layer_client._models.call_errors import CallError
from ecr_layer_client._models.errors import ECRLayerError, InvalidInputError, copied
from ecr_layer_client._models.layer import canonical, is_well_formed
from ecr_layer_client._models.result import LayerCheckResult
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client.protocols import CALLERS

from .batches import refused
from .check_batch import ask, spelled
from .operation import OPERATION

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from ecr_layer_client._calls.caller import Caller
    from ecr_layer_client._calls.observer import SafeObserver
    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository

    _Answer = LayerOutcome | BaseException


_PATIENCE = (
    25  # windows that a partial batch waits at most for one of its repository that is on its way
)


@dataclass(slots=True, eq=False)
class PendingBatch:
    """A batch that gathers, or is asked.

    Attributes:
        digests: What is to be asked; grows until its first request leaves.
        waiting: For each digest without an answer, how many wait for it.
        waiters: Who waits, and for which.
        callers: The context of each who waits, where somebody observes.
    """

    digests: list[str] = field(default_factory=list[str])
    waiting: dict[str, int] = field(default_factory=dict[str, int])
    waiters: dict[asyncio.Future[_Answer], str] = field(
        default_factory=dict["asyncio.Future[_Answer]", str]
    )
    callers: dict[asyncio.Future[_Answer], Context] = field(
        default_factory=dict["asyncio.Future[_Answer]", Context]
    )
    operation: OperationState = field(default_factory=OperationState)
    timer: asyncio.TimerHandle | None = None
    latest: float = 0.0  # when it leaves whatever else is on its way
    task: asyncio.Task[None] | None = None


class Coalescer:
    """Gathers the single checks of one repository, made through one client or view.

    Callers for a digest that is already asked share the question. A full batch leaves at once, a
    partial one after the window. While another is on its way, a partial one waits on, until the
    window after that is answered but no longer than 25 windows in all: callers that ask one digest
    after the other come back together. Until its request really leaves, it takes more in. Nothing
    is kept once it is answered.

    Args:
        caller: Gives what makes the calls.
        repository: What is asked.
        config: Batch size and window.
        observed: Told of each check as an operation.
    """

    def __init__(
        self,
        caller: Callable[[], Caller],
        repository: Repository,
        config: ClientConfig,
        observed: SafeObserver,
    ) -> None:
        self._caller = caller
        self._repository = repository
        self._batch_size = config.batch_size
        self._window = config.coalesce_window
        self._observed = observed
        self._batches: dict[str, PendingBatch] = {}  # by digest that is asked and not answered
        self._gathering: PendingBatch | None = None
        self._told: Repository | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def check(self, digest: str) -> Coroutine[Any, Any, LayerOutcome]:
        """Return what became of one digest, when that is awaited.

        Raises:
            InvalidInputError: It is no str.
            CallError: The call it was asked in failed for good; `.partial` speaks of this digest
                alone.
            ClientStateError: The client was closed meanwhile.
        """
        return (
            self._observed_check(digest) if self._observed.is_on else self._check(digest)
        )  # each context costs, times callers

    async def _observed_check(self, digest: str) -> LayerOutcome:
        if self._told is None:
            self._told = self._caller().repository_for_observer(self._repository)
        with self._observed.span("operation", OPERATION, self._told):
            return await self._check(digest)

    async def _check(self, digest: str) -> LayerOutcome:
        if not isinstance(digest, str):
            msg = f"digest is {quoted(digest)}, of type {type(digest).__name__}: a digest is a str"
            raise InvalidInputError(msg)
        asked = canonical(digest)
        batch = self._batches.get(asked)
        if batch is None:
            if not is_well_formed(asked):
                return refused(digest)
            batch = self._gather(asked)
        waiter: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        batch.waiting[asked] += 1
        batch.waiters[waiter] = asked
        if self._observed.is_on:
            batch.callers[waiter] = copy_context()
        try:
            answer = await waiter
        except asyncio.CancelledError:
            self._leave(batch, waiter)
            raise
        if isinstance(answer, BaseException):
            raise self._own(answer, digest)
        return spelled(answer, digest)

    def _gather(self, digest: str) -> PendingBatch:
        """Put a digest into the batch that gathers."""
        batch = self._gathering
        if batch is None or batch.operation.begun:
            batch = self._gathering = PendingBatch()
            self._arm(batch)
        batch.digests.append(digest)
        batch.waiting[digest] = 0
        self._batches[digest] = batch
        if len(batch.digests) == self._batch_size:
            self._gathering = None
            self._send(batch)
        return batch

    def _arm(self, batch: PendingBatch) -> None:
        loop = asyncio.get_running_loop()
        batch.latest = loop.time() + _PATIENCE * self._window
        batch.timer = loop.call_later(self._window, self._due, batch)

    def _due(self, batch: PendingBatch) -> None:
        """Its window is over."""
        loop = asyncio.get_running_loop()
        if self._tasks and loop.time() < batch.latest:
            batch.timer = loop.call_at(batch.latest, self._send, batch)
        else:
            self._send(batch)

    def _hasten(self) -> None:
        """Nothing is on its way any more: give the callers that have their answers the window to come back, and wait no longer."""
        batch = self._gathering
        soon = asyncio.get_running_loop().time() + self._window
        if batch is not None and batch.timer is not None and batch.timer.when() > soon:
            batch.timer.cancel()
            batch.timer = asyncio.get_running_loop().call_at(soon, self._send, batch)

    def _send(self, batch: PendingBatch) -> None:
        if batch.timer is not None:
            batch.timer.cancel()
            batch.timer = None
        if batch.task is None:
            context = Context()  # it is no one caller's own
            if self._observed.is_on:
                context.run(CALLERS.set, batch.callers.values())
            batch.task = asyncio.get_running_loop().create_task(self._ask(batch), context=context)
            self._tasks.add(batch.task)
            batch.task.add_done_callback(lambda task: self._done(batch, task))

    async def _ask(self, batch: PendingBatch) -> None:
        await ask(
            self._caller(),
            self._repository,
            batch.digests,
            batch.operation,
            lambda outcomes: self._settle(batch, outcomes),
        )

    def _settle(self, batch: PendingBatch, outcomes: Mapping[str, _Answer]) -> None:
        for digest in outcomes:
            del self._batches[digest], batch.waiting[digest]
        for waiter in [waiter for waiter, digest in batch.waiters.items() if digest in outcomes]:
            answer = outcomes[batch.waiters.pop(waiter)]
            batch.callers.pop(waiter, None)
            if not waiter.done():  # its task was cancelled, and comes to know of it later
                waiter.set_result(answer)
        if batch.waiting and not batch.waiters:
            self._drop(batch)

    def _done(self, batch: PendingBatch, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._hasten()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self._fail(batch, error)

    def _fail(self, batch: PendingBatch, error: BaseException) -> None:
        self._settle(batch, dict.fromkeys(batch.waiting, error))
        self._drop(batch)

    def _leave(self, batch: PendingBatch, waiter: asyncio.Future[_Answer]) -> None:
        """Let one go that was cancelled.

        The last one of a question takes it along, unless it has left already, among others.
        """
        batch.callers.pop(waiter, None)
        digest = batch.waiters.pop(waiter, None)
        if digest is None:
            return
        batch.waiting[digest] -= 1
        if not batch.waiters:
            self._drop(batch)
        elif not (batch.waiting[digest] or batch.operation.begun):
            batch.digests.remove(digest)
            del batch.waiting[digest], self._batches[digest]

    def _drop(self, batch: PendingBatch) -> None:
        """Ask no more of it: nobody waits."""
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
        """Let all who wait have `error`, and cancel what is under way."""
        for batch in set(self._batches.values()):
            self._fail(batch, error)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _own(self, error: BaseException, digest: str) -> BaseException:
        """Return an error of one caller's own, which speaks of its digest."""
        if not isinstance(error, ECRLayerError):
            return error
        own = copied(error)
        if isinstance(own, CallError):
            own.args = (f"{error}; it was to check {quoted(digest)}",)
            own.partial = LayerCheckResult(
                repository=self._repository, outcomes=(), unanswered=(digest,)
            )
        return own
