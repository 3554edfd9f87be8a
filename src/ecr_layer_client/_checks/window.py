"""A sliding window of batches in flight, read by one: what every stream is made of."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

from ecr_layer_client._calls.caller import OperationState
from ecr_layer_client._models.call_errors import CallError, OperationTimeoutError
from ecr_layer_client._models.errors import ClientStateError
from ecr_layer_client._models.progress import Progress
from ecr_layer_client._text.plurals import counted
from ecr_layer_client.display import Description, DisplayMixin, Part, Tone

from .batches import STREAM_WINDOW
from .check_batch import ask, spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from ecr_layer_client._calls.caller import Caller
    from ecr_layer_client._calls.observer import SafeObserver
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.display import Table

    from .batches import Batch, BatchSource

T = TypeVar("T")


class Reading(NamedTuple):
    """How a stream is read: batches in flight at most, seconds for the whole, who is told, and what refuses another loop or process."""

    max_concurrency: int
    timeout: float | None
    observed: SafeObserver
    check_home: Callable[[], None]


class Window(DisplayMixin, ABC, Generic[T]):
    """Asks for batches as its one reader takes what they settle: at most `max_concurrency` are in flight.

    A stream says what is yielded for an answer, which repository a batch is of, and what an error
    keeps.
    """

    _MADE_BY: str
    _KEPT_IN: str = ".partial"

    def __init__(self, caller: Caller, source: BatchSource, how: Reading) -> None:
        self._caller = caller
        self._source = source
        self._max_concurrency, self._timeout, self._observed, self._check_home = how
        self._state = _State.NEW
        self._deadline: float | None = None
        self._operations: dict[Repository, OperationState] = {}
        self._tasks: dict[asyncio.Task[None], Batch] = {}
        self._feeder: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._changed = asyncio.Event()
        self._open: list[Batch] = []
        self._settled: deque[tuple[Batch, Mapping[str, LayerOutcome]]] = deque()
        self._current: Iterator[T] = iter(())
        self._answered = 0
        self._over = False
        self._error: BaseException | None = None
        self._is_foreign = False  # whether the error is the caller's own
        self._is_collected = False
        self._reading = False
        self._is_paused = False  # whether there is room, and the source only lets others run

    @property
    def progress(self) -> Progress:
        """How far it is, in distinct digests.

        `total` is None until the first pull, and for an input without a length.
        """
        return Progress(self._source.pulled, self._answered, self._source.total)

    def __repr__(self) -> str:
        """Return one bounded line of counts."""
        progress = self.progress
        return f"<{type(self).__name__} pulled={progress.pulled} answered={progress.answered} total={progress.total}>"

    @abstractmethod
    def _describe(self) -> Description:
        """Return what there is to see of it while it moves."""

    async def __aenter__(self) -> Self:
        """Enter once; nothing is asked yet.

        Raises:
            ClientStateError: It was entered before, or its client was opened on another event loop
                or before a fork.
        """
        self._check_home()
        if self._state is not _State.NEW:
            msg = f"a {type(self).__name__} is entered once: make another with {self._MADE_BY}()"
            raise ClientStateError(msg)
        self._state = _State.ENTERED
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Stop what is under way, and wait until it has stopped.

        Raises:
            ClientStateError: On another event loop than the client's, or after a fork: nothing is
                stopped.
        """
        self._check_home()
        self._current = iter(())
        self._settled.clear()
        try:
            await self._abort(
                ClientStateError("the stream's block was left while this was under way")
            )
        finally:
            self._state = _State.CLOSED

    def __aiter__(self) -> Self:
        """Iterate over the outcomes as their batches complete."""
        return self

    async def __anext__(self) -> T:
        """Return the next outcome.

        Raises:
            CallError: A call failed for good, and all that was answered has been yielded; it keeps
                what was not.
            ClientStateError: Outside `async with`, on another event loop, after a fork, or while
                another task reads.
        """
        for item in self._current:
            return item
        settled = await self._next_or_error(STREAM_WINDOW, {})
        if settled is None:
            self._end()
            raise StopAsyncIteration
        self._current = self._items(*settled)
        return await anext(self)

    @abstractmethod
    def _repository_of(self, batch: Batch) -> Repository:
        """Return which repository a batch is asked of."""

    @abstractmethod
    def _items(self, batch: Batch, outcomes: Mapping[str, LayerOutcome]) -> Iterator[T]:
        """Return what is yielded for an answer."""

    @abstractmethod
    def _asked(self) -> tuple[str, Repository | None]:
        """Say what is asked, to begin a message with, and of which repository, if of one."""

    def _undone(self) -> str:
        return "not done"

    @abstractmethod
    def _keep(self, error: CallError, answers: Mapping[Any, LayerOutcome]) -> None:
        """Let an error keep what was answered and not yielded, and what was not answered."""

    # For streams of several repositories.
    def _spares(self, batch: Batch, error: BaseException) -> bool:  # noqa: ARG002
        """Say whether the batch's error leaves the rest alone, and see to it."""
        return False

    def _end(self) -> None:
        """All was yielded."""

    def _keyed(
        self,
        batch: Batch,  # noqa: ARG002 (as above)
        outcomes: Mapping[str, LayerOutcome],
    ) -> Mapping[Any, LayerOutcome]:
        """Return an answer's outcomes by what tells digests of the whole stream apart."""
        return outcomes

    async def _read(
        self, on_progress: Callable[[Progress], None] | None
    ) -> dict[Any, LayerOutcome]:
        """Read to the end."""
        if self._state in (_State.READ, _State.ENDED):
            msg = f"a {type(self).__name__} is either iterated or collected: make another with {self._MADE_BY}()"
            raise ClientStateError(msg)
        self._is_collected = True
        answers: dict[Any, LayerOutcome] = {}
        while (settled := await self._next_or_error(None, answers)) is not None:
            answers.update(self._keyed(*settled))
            if on_progress is not None:
                on_progress(self.progress)
        return answers

    async def _next_or_error(
        self, window: int | None, answers: Mapping[Any, LayerOutcome]
    ) -> tuple[Batch, Mapping[str, LayerOutcome]] | None:
        try:
            return await self._next(window)
        except CallError as error:
            if not self._is_foreign:
                self._keep(error, answers)
            raise

    async def _next(self, window: int | None) -> tuple[Batch, Mapping[str, LayerOutcome]] | None:
        """Return what an answer settled; None at the end."""
        self._begin(window)
        self._reading = True
        try:
            if not self._tasks:
                await asyncio.sleep(
                    0
                )  # an input that needs no request must not keep others from running
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
        self._check_home()
        if self._state in (_State.NEW, _State.CLOSED):
            msg = f"a {type(self).__name__} is read inside its own block: async with client.{self._MADE_BY}(...) as stream"
            raise ClientStateError(msg)
        if self._reading:
            msg = f"a {type(self).__name__} has one reader, and another task is reading this one"
            raise ClientStateError(msg)
        if self._state is _State.ENTERED:
            self._state = _State.READ
            try:
                self._source.start(window)
            except Exception as error:  # noqa: BLE001 (as in `_refill`)
                raise self._fail_foreign(error)  # noqa: B904 (that one, or caused by it)
            if self._timeout is not None:
                self._deadline = asyncio.get_running_loop().time() + self._timeout

    def _at_end(self) -> bool:
        if self._tasks or (self._feeder is not None and not self._feeder.done()):
            return False
        return self._error is not None or self._source.exhausted

    async def _change(self) -> None:
        self._changed.clear()
        if self._is_paused:
            self._changed.set()
        try:
            async with asyncio.timeout_at(self._deadline):
                await asyncio.sleep(0)
                await self._changed.wait()
        except TimeoutError:
            await self._abort(self._timed_out())

    def _timed_out(self) -> OperationTimeoutError:
        what, repository = self._asked()
        msg = f"{what}: {self._undone()} within timeout={self._timeout} s; {self._KEPT_IN} keeps what was answered"
        failures = (
            operation.last_failure for operation in self._operations.values() if not operation.over
        )
        last = next((failure for failure in failures if failure is not None), None)
        if last is not None:
            msg = f"{msg}; an attempt had failed: {str(last).removeprefix(f'{what}: ')}"
        error = OperationTimeoutError(msg, repository=repository, elapsed=self._timeout or 0.0)
        error.__cause__ = last
        return error

    async def _abort(self, error: Exception) -> None:
        """Let the reader have `error`, after all that was answered, and cancel what is under way.

        At its end there is nothing to do.
        """
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
        self._is_paused = False
        while self._has_room() and not self._source.exhausted:
            try:
                batch = self._source.take()
            except Exception as error:  # noqa: BLE001
                # The caller's own, raised to the caller unchanged.
                self._fail_foreign(error)
                return
            if batch is None or not self._start(batch):
                self._is_paused = True
                return

    def _has_room(self) -> bool:
        if self._deadline is not None and asyncio.get_running_loop().time() >= self._deadline:
            return False
        return self._error is None and len(self._open) + len(self._settled) < self._max_concurrency

    async def _feed(self) -> None:
        """Pull an async iterable, always in this one task, for it may hold task-bound things such as timeouts."""
        while not (self._over or self._source.exhausted) and await self._room.wait():
            batch = await self._source.pull()
            if batch is None or not self._start(batch):
                await asyncio.sleep(0)
            if not self._has_room():
                self._room.clear()

    def _fed(self, feeder: asyncio.Task[None]) -> None:
        error = asyncio.CancelledError() if feeder.cancelled() else feeder.exception()
        if error is not None and not self._over:
            self._fail_foreign(error)
        self._changed.set()

    def _fail_foreign(self, error: BaseException) -> BaseException:
        """Pull no more, let what is under way go on, and let the reader have what the caller's own iterator raised; return that."""
        if isinstance(
            error, StopAsyncIteration
        ):  # the reader would take it for the end of the stream
            cause, error = error, RuntimeError("the input raised StopAsyncIteration")
            error.__cause__ = cause
        self._error = error
        self._is_foreign = True
        return error

    def _start(self, batch: Batch) -> bool:
        """Ask for a batch, and say whether there may be more."""
        if self._over:  # the caller's iterator swallowed its cancellation, and went on
            self._open.append(batch)
            return False
        if batch.refused:
            self._add(batch, batch.refused)
        if not batch.digests:
            return True
        repository = self._repository_of(batch)
        operation = self._operations.setdefault(repository, OperationState())
        self._open.append(batch)
        task = asyncio.create_task(self._ask(batch, repository, operation))
        self._tasks[task] = batch
        task.add_done_callback(lambda task: self._done(batch, task))
        return True

    async def _ask(self, batch: Batch, repository: Repository, operation: OperationState) -> None:
        await ask(
            self._caller,
            repository,
            batch.digests,
            operation,
            lambda outcomes: self._settle(batch, outcomes),
        )

    def _settle(self, batch: Batch, outcomes: Mapping[str, LayerOutcome]) -> None:
        if batch.spellings:
            outcomes = {
                digest: spelled(outcome, batch.spellings.get(digest, digest))
                for digest, outcome in outcomes.items()
            }
        if not batch.digests:
            self._open.remove(batch)
        if outcomes:
            self._add(batch, outcomes)

    def _add(self, batch: Batch, outcomes: Mapping[str, LayerOutcome]) -> None:
        self._settled.append((batch, outcomes))
        self._answered += len(outcomes)
        self._changed.set()

    def _done(self, batch: Batch, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._changed.set()
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None or self._spares(batch, error):
            return
        if not (task.cancelled() and self._over):  # cancelled by somebody else, or failed
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Start no batch any more, let the attempts under way finish, and keep the first error."""
        if self._error is None:
            self._error = error
        elif not self._is_foreign:
            self._error.add_note(f"then: {type(error).__name__}: {error}")
        self._over = True
        if self._feeder is not None:
            self._feeder.cancel()
        for operation in self._operations.values():
            operation.over = True
        for task in self._tasks.keys() - self._attempting():
            task.cancel()

    def _attempting(self) -> set[asyncio.Task[Any] | None]:
        return set[asyncio.Task[Any] | None]().union(
            *(operation.attempting for operation in self._operations.values())
        )

    async def _stop(self) -> None:
        running = {
            task for task in (*self._tasks, self._feeder) if task is not None and not task.done()
        }
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


def moving(title: str, progress: Progress, tables: Iterable[Table] = ()) -> Description:
    """Return the description of a stream that is under way."""
    total = progress.pulled if progress.total is None else progress.total
    parts = (
        Part("answered", Tone.GOOD, progress.answered),
        Part("asked, not answered", Tone.HELD, progress.pulled - progress.answered),
        Part("to come", Tone.REST, total - progress.pulled),
    )
    return Description(title, so_far(progress, "answered"), parts, tables=tuple(tables))


def so_far(progress: Progress, what: str) -> str:
    """Return how many digests are answered or available, in a few words."""
    if progress.total is not None:
        return f"{progress.answered:,} of {counted(progress.total, 'digest')} {what}"
    if not progress.pulled:
        return "nothing asked yet"
    return f"{progress.answered:,} of {counted(progress.pulled, 'digest')} {what} so far"
