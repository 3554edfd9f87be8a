"""Single checks of many callers, gathered into batches: one request where each caller would have made one."""

from __future__ import annotations

import asyncio
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ecr_layer_client._calls.caller import Operation
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
    from ecr_layer_client._calls.observer import Observed
    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository

    _Answer = LayerOutcome | BaseException


_PATIENCE = 25  # windows that a partial batch waits at most for one of its repository that is on its way


@dataclass(slots=True, eq=False)
class _Group:
    """A batch that gathers, or is asked.

    Attributes:
        digests: What is to be asked; grows until its first request leaves.
        waiting: For each digest without an answer, how many wait for it.
        waiters: Who waits, and for which.
        callers: The context of each who waits, where somebody observes.
    """

    digests: list[str] = field(default_factory=list[str])
    waiting: dict[str, int] = field(default_factory=dict[str, int])
    waiters: dict[asyncio.Future[_Answer], str] = field(default_factory=dict["asyncio.Future[_Answer]", str])
    callers: dict[asyncio.Future[_Answer], Context] = field(default_factory=dict["asyncio.Future[_Answer]", Context])
    operation: Operation = field(default_factory=Operation)
    timer: asyncio.TimerHandle | None = None
    latest: float = 0.0  # when it leaves whatever else is on its way
    task: asyncio.Task[None] | None = None


class Loader:
    """Gathers the single checks of one repository, made through one client or view.

    Callers for a digest that is already asked share the question. A full batch leaves at once, a partial one after the window. While
    another is on its way, a partial one waits on, until the window after that is answered but no longer than 25 windows in all: callers
    that ask one digest after the other come back together. Until its request really leaves, it takes more in. Nothing is kept once it is
    answered.

    Args:
        caller: Gives what makes the calls.
        repository: What is asked.
        config: Batch size and window.
        observed: Told of each check as an operation.
    """

    def __init__(self, caller: Callable[[], Caller], repository: Repository, config: ClientConfig, observed: Observed) -> None:
        self._caller = caller
        self._repository = repository
        self._batch_size = config.batch_size
        self._window = config.coalesce_window
        self._observed = observed
        self._groups: dict[str, _Group] = {}  # by digest that is asked and not answered
        self._gathering: _Group | None = None
        self._told: Repository | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def check(self, digest: str) -> Coroutine[Any, Any, LayerOutcome]:
        """Return what became of one digest, when that is awaited.

        Raises:
            InvalidInputError: It is no str.
            CallError: The call it was asked in failed for good; `.partial` speaks of this digest alone.
            ClientStateError: The client was closed meanwhile.
        """
        return self._observed_check(digest) if self._observed.is_on else self._check(digest)  # each context costs, times callers

    async def _observed_check(self, digest: str) -> LayerOutcome:
        if self._told is None:
            self._told = self._caller().told(self._repository)
        with self._observed.span("operation", OPERATION, self._told):
            return await self._check(digest)

    async def _check(self, digest: str) -> LayerOutcome:
        if not isinstance(digest, str):
            msg = f"digest is {quoted(digest)}, of type {type(digest).__name__}: a digest is a str"
            raise InvalidInputError(msg)
        asked = canonical(digest)
        group = self._groups.get(asked)
        if group is None:
            if not is_well_formed(asked):
                return refused(digest)
            group = self._gather(asked)
        waiter: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        group.waiting[asked] += 1
        group.waiters[waiter] = asked
        if self._observed.is_on:
            group.callers[waiter] = copy_context()
        try:
            answer = await waiter
        except asyncio.CancelledError:
            self._leave(group, waiter)
            raise
        if isinstance(answer, BaseException):
            raise self._own(answer, digest)
        return spelled(answer, digest)

    def _gather(self, digest: str) -> _Group:
        """Put a digest into the batch that gathers."""
        group = self._gathering
        if group is None or group.operation.begun:
            group = self._gathering = _Group()
            self._arm(group)
        group.digests.append(digest)
        group.waiting[digest] = 0
        self._groups[digest] = group
        if len(group.digests) == self._batch_size:
            self._gathering = None
            self._send(group)
        return group

    def _arm(self, group: _Group) -> None:
        loop = asyncio.get_running_loop()
        group.latest = loop.time() + _PATIENCE * self._window
        group.timer = loop.call_later(self._window, self._due, group)

    def _due(self, group: _Group) -> None:
        """Its window is over."""
        loop = asyncio.get_running_loop()
        if self._tasks and loop.time() < group.latest:
            group.timer = loop.call_at(group.latest, self._send, group)
        else:
            self._send(group)

    def _hasten(self) -> None:
        """Nothing is on its way any more: give the callers that have their answers the window to come back, and wait no longer."""
        group = self._gathering
        soon = asyncio.get_running_loop().time() + self._window
        if group is not None and group.timer is not None and group.timer.when() > soon:
            group.timer.cancel()
            group.timer = asyncio.get_running_loop().call_at(soon, self._send, group)

    def _send(self, group: _Group) -> None:
        if group.timer is not None:
            group.timer.cancel()
            group.timer = None
        if group.task is None:
            context = Context()  # it is no one caller's own
            if self._observed.is_on:
                context.run(CALLERS.set, group.callers.values())
            group.task = asyncio.get_running_loop().create_task(self._ask(group), context=context)
            self._tasks.add(group.task)
            group.task.add_done_callback(lambda task: self._done(group, task))

    async def _ask(self, group: _Group) -> None:
        await ask(self._caller(), self._repository, group.digests, group.operation, lambda outcomes: self._settle(group, outcomes))

    def _settle(self, group: _Group, outcomes: Mapping[str, _Answer]) -> None:
        for digest in outcomes:
            del self._groups[digest], group.waiting[digest]
        for waiter in [waiter for waiter, digest in group.waiters.items() if digest in outcomes]:
            answer = outcomes[group.waiters.pop(waiter)]
            group.callers.pop(waiter, None)
            if not waiter.done():  # its task was cancelled, and comes to know of it later
                waiter.set_result(answer)
        if group.waiting and not group.waiters:
            self._drop(group)

    def _done(self, group: _Group, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._hasten()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self._fail(group, error)

    def _fail(self, group: _Group, error: BaseException) -> None:
        self._settle(group, dict.fromkeys(group.waiting, error))
        self._drop(group)

    def _leave(self, group: _Group, waiter: asyncio.Future[_Answer]) -> None:
        """Let one go that was cancelled; the last one of a question takes it along, unless it has left already, among others."""
        group.callers.pop(waiter, None)
        digest = group.waiters.pop(waiter, None)
        if digest is None:
            return
        group.waiting[digest] -= 1
        if not group.waiters:
            self._drop(group)
        elif not (group.waiting[digest] or group.operation.begun):
            group.digests.remove(digest)
            del group.waiting[digest], self._groups[digest]

    def _drop(self, group: _Group) -> None:
        """Ask no more of it: nobody waits."""
        for digest in group.waiting:
            del self._groups[digest]
        group.waiting.clear()
        if self._gathering is group:
            self._gathering = None
        if group.timer is not None:
            group.timer.cancel()
        if group.task is not None:
            group.task.cancel()

    async def _abort(self, error: Exception) -> None:
        """Let all who wait have `error`, and cancel what is under way."""
        for group in set(self._groups.values()):
            self._fail(group, error)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _own(self, error: BaseException, digest: str) -> BaseException:
        """Return an error of one caller's own, which speaks of its digest."""
        if not isinstance(error, ECRLayerError):
            return error
        own = copied(error)
        if isinstance(own, CallError):
            own.args = (f"{error}; it was to check {quoted(digest)}",)
            own.partial = LayerCheckResult(repository=self._repository, outcomes=(), unanswered=(digest,))
        return own
