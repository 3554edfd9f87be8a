"""`LayerStream`: a sliding window of batches in flight, read as a stream or collected into one result."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import ExitStack
from enum import Enum, auto
from typing import TYPE_CHECKING, Self

from ._asking import ask, spelled
from ._batching import STREAM_WINDOW
from ._caller import Operation
from ._errors import CallError, ClientStateError, OperationTimeoutError
from ._result import LayerCheckResult
from ._wire import OPERATION
from .protocols import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from ._batching import Batch, DigestSource
    from ._caller import Caller
    from ._models import LayerOutcome
    from ._observing import Observed
    from ._repository import Repository


class LayerStream:
    """The outcomes of one check, as their batches complete; or, collected, in input order.

    Made by `ECRLayerClient.stream_layers`. Nothing is asked before the first pull; at most `max_concurrency` batches are in
    flight, and none is started while the reader does not read. One task reads it.

    Example:
        ```python
        async with client.stream_layers("team/app", digests) as stream:
            async for outcome in stream:
                print(outcome.digest, outcome.is_available)
        ```
    """

    def __init__(  # noqa: PLR0913 (made by the client alone)
        self,
        caller: Caller,
        repository: Repository,
        source: DigestSource,
        *,
        max_concurrency: int,
        timeout: float | None,
        observed: Observed,
    ) -> None:
        self._caller = caller
        self._repository = repository
        self._source = source
        self._max_concurrency = max_concurrency
        self._timeout = timeout
        self._observed = observed
        self._span = ExitStack()
        self._state = _State.NEW
        self._deadline: float | None = None
        self._operation = Operation()
        self._tasks: set[asyncio.Task[None]] = set()
        self._feeder: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._changed = asyncio.Event()
        self._open: list[Batch] = []
        self._settled: deque[Mapping[str, LayerOutcome]] = deque()
        self._current: Iterator[LayerOutcome] = iter(())
        self._answered = 0
        self._error: BaseException | None = None
        self._is_foreign = False  # whether the error is the caller's own
        self._reading = False

    @property
    def progress(self) -> Progress:
        """How far it is, in distinct digests; `total` is None until the first pull, and for an input without a length."""
        return Progress(self._source.pulled, self._answered, self._source.total)

    async def __aenter__(self) -> Self:
        """Enter once; nothing is asked yet.

        Raises:
            ClientStateError: It was entered before.
        """
        if self._state is not _State.NEW:
            msg = "a LayerStream is entered once: make another with stream_layers()"
            raise ClientStateError(msg)
        self._state = _State.ENTERED
        self._span.enter_context(self._observed.span("operation", OPERATION, self._repository))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /) -> None:
        """Stop what is under way, and wait until it has stopped."""
        self._current = iter(())
        self._settled.clear()
        try:
            await self._abort(ClientStateError("the stream's block was left while this was under way"))
        finally:
            self._state = _State.CLOSED
            self._span.__exit__(kind, error, traceback)

    def __aiter__(self) -> Self:
        """Iterate over the outcomes as their batches complete."""
        return self

    async def __anext__(self) -> LayerOutcome:
        """Return the next outcome.

        Raises:
            CallError: A call failed for good, and all that was answered has been yielded; `.partial.unanswered` is the rest.
            ClientStateError: Outside `async with`, or while another task reads.
        """
        for outcome in self._current:
            return outcome
        try:
            settled = await self._next(STREAM_WINDOW)
        except CallError as error:
            if not self._is_foreign:
                error.partial = self._result({}, self._unanswered())
            raise
        if settled is None:
            raise StopAsyncIteration
        self._current = iter(settled.values())
        return await anext(self)

    async def collect(self, on_progress: Callable[[Progress], None] | None = None) -> LayerCheckResult:
        """Read it to its end and return the whole result, in input order.

        Args:
            on_progress: Called after each batch. Default None.

        Raises:
            CallError: A call failed for good; `.partial` holds what was answered and what was not.
            ClientStateError: Outside `async with`, or after iterating.
        """
        if self._state in (_State.READ, _State.ENDED):
            msg = "a LayerStream is either iterated or collected: make another with stream_layers()"
            raise ClientStateError(msg)
        answers: dict[str, LayerOutcome] = {}
        try:
            while (settled := await self._next(None)) is not None:
                answers.update(settled)
                if on_progress is not None:
                    on_progress(self.progress)
        except CallError as error:
            if not self._is_foreign:
                unanswered = [spelling for digest, spelling in self._source.seen.items() if digest not in answers]
                error.partial = self._result(answers, unanswered)
            raise
        return self._result(answers, ())

    def _result(self, answers: Mapping[str, LayerOutcome], unanswered: Iterable[str]) -> LayerCheckResult:
        outcomes = tuple(answers[digest] for digest in self._source.seen if digest in answers)
        return LayerCheckResult(repository=self._repository, outcomes=outcomes, unanswered=tuple(unanswered))

    def _unanswered(self) -> list[str]:
        return [digest for batch in self._open for digest in batch.left] + self._source.untaken

    async def _next(self, window: int | None) -> Mapping[str, LayerOutcome] | None:
        """Return what an answer settled; None at the end."""
        self._begin(window)
        self._reading = True
        try:
            if not self._tasks:
                await asyncio.sleep(0)  # an input that needs no request must not keep others from running
            while not self._settled:
                self._refill()
                if self._settled or self._at_end():
                    break
                await self._change()
        finally:
            self._reading = False
        if self._settled:
            settled = self._settled.popleft()
            self._refill()  # while the reader works on this
            return settled
        if self._state is _State.READ:
            self._state = _State.ENDED
        if self._error is not None:
            raise self._error
        return None

    def _begin(self, window: int | None) -> None:
        if self._state in (_State.NEW, _State.CLOSED):
            msg = "a LayerStream is read inside its own block: async with client.stream_layers(...) as stream"
            raise ClientStateError(msg)
        if self._reading:
            msg = "a LayerStream has one reader, and another task is reading this one"
            raise ClientStateError(msg)
        if self._state is _State.ENTERED:
            self._state = _State.READ
            try:
                self._source.start(window)
            except Exception as error:
                self._fail_foreign(error)
                raise
            if self._timeout is not None:
                self._deadline = asyncio.get_running_loop().time() + self._timeout

    def _at_end(self) -> bool:
        if self._tasks or (self._feeder is not None and not self._feeder.done()):
            return False
        return self._error is not None or self._source.exhausted

    async def _change(self) -> None:
        self._changed.clear()
        if not self._tasks and self._feeder is None:
            self._changed.set()  # the source paused, to let others run
        try:
            async with asyncio.timeout_at(self._deadline):
                await asyncio.sleep(0)
                await self._changed.wait()
        except TimeoutError:
            await self._abort(self._timed_out())

    def _timed_out(self) -> OperationTimeoutError:
        what = self._caller.attempted(OPERATION, self._repository)
        msg = f"{what}: not done within timeout={self._timeout} s; .partial keeps what was answered"
        last = self._operation.last_failure
        error = OperationTimeoutError(
            msg if last is None else f"{msg}; an attempt had failed: {last}", repository=self._repository, elapsed=self._timeout or 0.0
        )
        error.__cause__ = last
        return error

    async def _abort(self, error: Exception) -> None:
        """Let the reader have `error`, after all that was answered, and cancel what is under way; at its end there is nothing to do."""
        if self._state in (_State.ENDED, _State.CLOSED):
            return
        self._fail(error)  # first, lest the reader takes the end of its tasks for the end
        await self._stop()

    def _refill(self) -> None:
        if self._source.is_async:
            if self._feeder is None:
                self._feeder = asyncio.create_task(self._feed())
                self._feeder.add_done_callback(self._fed)
            if self._has_room():
                self._room.set()
            return
        while self._has_room() and not self._source.exhausted:
            try:
                batch = self._source.take()
            except Exception as error:  # noqa: BLE001 (the caller's own, raised to the caller unchanged)
                self._fail_foreign(error)
                return
            if batch is None:
                return
            self._start(batch)

    def _has_room(self) -> bool:
        if self._deadline is not None and asyncio.get_running_loop().time() >= self._deadline:
            return False
        return self._error is None and len(self._open) + len(self._settled) < self._max_concurrency

    async def _feed(self) -> None:
        """Pull an async iterable, always in this one task, for it may hold task-bound things such as timeouts."""
        while not self._source.exhausted and await self._room.wait():
            batch = await self._source.pull()
            if batch is not None:
                self._start(batch)
            if not self._has_room():
                self._room.clear()

    def _fed(self, feeder: asyncio.Task[None]) -> None:
        error = asyncio.CancelledError() if feeder.cancelled() else feeder.exception()
        if error is not None and not self._operation.over:
            self._fail_foreign(error)
        self._changed.set()

    def _fail_foreign(self, error: BaseException) -> None:
        """Pull no more, let what is under way go on, and let the reader have what the caller's own iterator raised."""
        self._error = error
        self._is_foreign = True

    def _start(self, batch: Batch) -> None:
        if batch.refused:
            self._add(batch.refused)
        if batch.digests:
            self._open.append(batch)
            task = asyncio.create_task(self._ask(batch))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    async def _ask(self, batch: Batch) -> None:
        await ask(self._caller, self._repository, batch.digests, self._operation, lambda outcomes: self._settle(batch, outcomes))

    def _settle(self, batch: Batch, outcomes: Mapping[str, LayerOutcome]) -> None:
        if batch.spellings:
            outcomes = {digest: spelled(outcome, batch.spellings.get(digest, digest)) for digest, outcome in outcomes.items()}
        if not batch.digests:
            self._open.remove(batch)
        if outcomes:
            self._add(outcomes)

    def _add(self, outcomes: Mapping[str, LayerOutcome]) -> None:
        self._settled.append(outcomes)
        self._answered += len(outcomes)
        self._changed.set()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._changed.set()
        if task.cancelled():
            if not self._operation.over:  # by somebody else
                self._fail(asyncio.CancelledError())
        elif (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Start no batch any more, let the attempts under way finish, and keep the first error."""
        if self._error is None:
            self._error = error
        elif not self._is_foreign:
            self._error.add_note(f"then: {type(error).__name__}: {error}")
        self._operation.over = True
        if self._feeder is not None:
            self._feeder.cancel()
        for task in self._tasks - self._operation.attempting:
            task.cancel()

    async def _stop(self) -> None:
        self._operation.over = True
        running = {task for task in (*self._tasks, self._feeder) if task is not None and not task.done()}
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


class _State(Enum):
    NEW = auto()
    ENTERED = auto()
    READ = auto()
    ENDED = auto()
    CLOSED = auto()
