"""`LayerStream`: the outcomes of one check, read one by one or collected into one result."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import ExitStack
from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Self

from ecr_layer_client._calls.caller import OperationState
from ecr_layer_client._models.call_errors import CallError, OperationTimeoutError
from ecr_layer_client._models.errors import ClientStateError
from ecr_layer_client._models.progress import Progress
from ecr_layer_client._models.result import LayerCheckResult
from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import line
from ecr_layer_client.display import Description, DisplayMixin, Part, Tone

from .batches import STREAM_WINDOW
from .check_batch import check_batch
from .in_flight import InFlight
from .operation import CHECK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from ecr_layer_client._calls.caller import Caller
    from ecr_layer_client._calls.observer import SafeObserver
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository

    from .batches import Batch, DigestSource


class StreamOptions(NamedTuple):
    """How a stream is read.

    Attributes:
        max_concurrency: The largest number of batches that are in flight or not yet read.
        timeout: Seconds for the whole operation, or None.
        observer: Notified of the operation.
        check_home: Refuses another event loop or process than the client's.
    """

    max_concurrency: int
    timeout: float | None
    observer: SafeObserver
    check_home: Callable[[], None]


class _Phase(Enum):
    NEW = auto()
    ENTERED = auto()
    READING = auto()
    ENDED = auto()
    CLOSED = auto()


class LayerStream(DisplayMixin):
    """The outcomes of one check, as their batches complete; or, collected, in input order.

    `ECRLayerClient.stream_layers` makes it. No request is sent before the first outcome is pulled.
    At most `max_concurrency` batches are in flight, and none is started while nobody reads. One
    task reads it.

    Example:
        ```python
        async with client.stream_layers("team/app", digests) as stream:
            async for outcome in stream:
                print(outcome.digest, outcome.is_available)
        ```
    """

    def __init__(
        self,
        caller: Caller,
        repository: Repository,
        source: DigestSource,
        options: StreamOptions,
    ) -> None:
        self._caller = caller
        self._repository = repository
        self._source = source
        self._options = options
        self._phase = _Phase.NEW
        self._is_collected = False
        self._is_being_read = False
        self._deadline: float | None = None
        self._home: tuple[asyncio.AbstractEventLoop, int] | None = None
        self._span = ExitStack()

        self._state = OperationState()
        self._in_flight: InFlight[Batch] = InFlight()
        self._feeder: asyncio.Task[None] | None = None
        self._has_room = asyncio.Event()
        self._changed = asyncio.Event()

        # Batches without all their outcomes; outcomes that nobody has read; those being read.
        self._open: list[Batch] = []
        self._settled: deque[Mapping[str, LayerOutcome]] = deque()
        self._current: Iterator[LayerOutcome] = iter(())
        self._answered = 0

        self._error: BaseException | None = None
        self._is_error_of_input = False

    @property
    def repository(self) -> Repository:
        """The repository that is checked."""
        return self._repository

    @property
    def progress(self) -> Progress:
        """How far the check is, in distinct digests.

        `total` is None until the first outcome is pulled, and for an input without a length.
        """
        return Progress(self._source.pulled, self._answered, self._source.total)

    def __repr__(self) -> str:
        """Return one bounded line of counts."""
        pulled, answered, total = self.progress.pulled, self._answered, self._source.total
        return f"<{type(self).__name__} pulled={pulled} answered={answered} total={total}>"

    async def __aenter__(self) -> Self:
        """Enter the stream. No request is sent.

        Raises:
            ClientStateError: The stream was entered before, or its client was opened on another
                event loop or before a fork.
        """
        self._check_home()
        if self._phase is not _Phase.NEW:
            msg = "a LayerStream is entered once: make another with stream_layers()"
            raise ClientStateError(msg)
        self._phase = _Phase.ENTERED
        observer = self._options.observer
        if observer.is_on:
            repository = self._caller.repository_for_observer(self._repository)
            self._span.enter_context(observer.span("operation", CHECK, repository))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Cancel what is running, and wait until it has stopped.

        Raises:
            ClientStateError: On another event loop than the client's, or after a fork. Nothing is
                cancelled.
        """
        try:
            self._check_home()
            self._current = iter(())
            self._settled.clear()
            msg = "the stream's block was left while this was running"
            await self._abort(ClientStateError(msg))
            self._phase = _Phase.CLOSED
        finally:
            self._span.__exit__(kind, error, traceback)

    def __aiter__(self) -> Self:
        """Iterate over the outcomes as their batches complete."""
        return self

    async def __anext__(self) -> LayerOutcome:
        """Return the next outcome.

        Raises:
            CallError: A call failed for good. Everything that was answered was yielded before;
                `.partial` holds what was not answered.
            ClientStateError: The stream is read outside `async with`, on another event loop, after
                a fork, or while another task reads it.
        """
        for outcome in self._current:
            return outcome

        outcomes = await self._next(STREAM_WINDOW, {})
        if outcomes is None:
            raise StopAsyncIteration
        self._current = iter(outcomes.values())
        return await anext(self)

    async def collect(
        self, on_progress: Callable[[Progress], None] | None = None
    ) -> LayerCheckResult:
        """Read the stream to its end and return the whole result, in input order.

        Args:
            on_progress: Called after each batch. Default None.

        Raises:
            CallError: A call failed for good; `.partial` holds what was answered and what was not.
            ClientStateError: The stream is read outside `async with`, or was iterated before.
        """
        if self._phase in (_Phase.READING, _Phase.ENDED):
            msg = "a LayerStream is either iterated or collected: make another with stream_layers()"
            raise ClientStateError(msg)

        self._is_collected = True
        answers: dict[str, LayerOutcome] = {}
        while (outcomes := await self._next(None, answers)) is not None:
            answers.update(outcomes)
            if on_progress is not None:
                on_progress(self.progress)
        return self._result(answers, ())

    async def _next(
        self, window: int | None, answers: Mapping[str, LayerOutcome]
    ) -> Mapping[str, LayerOutcome] | None:
        """Return the next outcomes; None at the end.

        Args:
            window: For the source.
            answers: What was read so far, for an error's `.partial`.
        """
        self._begin(window)
        self._is_being_read = True
        try:
            while not self._settled:
                is_paused = self._refill()
                if self._settled or self._is_at_end():
                    break
                await self._wait(is_paused=is_paused)
        finally:
            self._is_being_read = False

        if self._settled:
            outcomes = self._settled.popleft()
            # So that requests are on their way while the reader works on these.
            self._refill()
            if not self._in_flight.batches:
                # An input that needs no request must not keep other tasks from running.
                await asyncio.sleep(0)
            return outcomes

        self._phase = _Phase.ENDED
        if self._error is None:
            return None
        if isinstance(self._error, CallError) and not self._is_error_of_input:
            self._error.partial = self._result(answers, self._unanswered(answers))
        raise self._error

    def _check_home(self) -> None:
        """Refuse another event loop or process than the client's."""
        home = asyncio.get_running_loop(), os.getpid()
        if home != self._home:
            self._options.check_home()
            self._home = home

    def _begin(self, window: int | None) -> None:
        self._check_home()
        if self._phase in (_Phase.NEW, _Phase.CLOSED):
            msg = (
                "a LayerStream is read inside its own block: "
                "async with client.stream_layers(...) as stream"
            )
            raise ClientStateError(msg)
        if self._is_being_read:
            msg = "a LayerStream has one reader, and another task is reading this one"
            raise ClientStateError(msg)
        if self._phase is not _Phase.ENTERED:
            return

        self._phase = _Phase.READING
        try:
            self._source.start(window)
        except Exception as error:  # noqa: BLE001 (as in `_refill`)
            raise self._fail_by_input(error)  # noqa: B904 (the same error, or caused by it)
        if self._options.timeout is not None:
            self._deadline = asyncio.get_running_loop().time() + self._options.timeout

    def _is_at_end(self) -> bool:
        if self._in_flight.batches or (self._feeder is not None and not self._feeder.done()):
            return False
        return self._error is not None or self._source.is_exhausted

    async def _wait(self, *, is_paused: bool) -> None:
        """Wait for a change, or only let other tasks run if the input paused."""
        self._changed.clear()
        try:
            async with asyncio.timeout_at(self._deadline):
                await (asyncio.sleep(0) if is_paused else self._changed.wait())
        except TimeoutError:
            await self._abort(self._timed_out())

    def _timed_out(self) -> OperationTimeoutError:
        what, timeout = self._caller.attempted(CHECK, self._repository), self._options.timeout
        msg = f"{what}: not done within timeout={timeout} s; .partial keeps what was answered"
        failure = self._state.last_failure
        if failure is not None and not self._state.is_over:
            msg = f"{msg}; an attempt had failed: {str(failure).removeprefix(f'{what}: ')}"

        error = OperationTimeoutError(msg, repository=self._repository, elapsed=timeout or 0.0)
        error.__cause__ = None if self._state.is_over else failure
        return error

    async def _abort(self, error: Exception) -> None:
        """Cancel what is running, and raise `error` for the reader after everything answered."""
        if self._phase in (_Phase.ENDED, _Phase.CLOSED):
            return
        # First, so that the reader does not mistake the end of the tasks for the end of the check.
        self._fail(error)
        await self._in_flight.stop(self._feeder)

    def _refill(self) -> bool:
        """Start batches while fewer than `max_concurrency` are open.

        Return whether the input only wants other tasks to run.
        """
        if self._source.is_async:
            if self._feeder is None:
                self._feeder = asyncio.create_task(self._feed())
                self._feeder.add_done_callback(self._fed)
            if self._is_room():
                self._has_room.set()
            return False

        while self._is_room() and not self._source.is_exhausted:
            try:
                batch = self._source.take()
            except Exception as error:  # noqa: BLE001 (the caller's own, raised unchanged)
                self._fail_by_input(error)
                return False
            if batch is None:
                return not self._source.is_exhausted
            self._start(batch)
        return False

    def _is_room(self) -> bool:
        if self._error is not None:
            return False
        if self._deadline is not None and asyncio.get_running_loop().time() >= self._deadline:
            return False
        return len(self._open) + len(self._settled) < self._options.max_concurrency

    async def _feed(self) -> None:
        """Pull an async iterable, always in this task: it may hold things such as timeouts."""
        while not (self._state.is_over or self._source.is_exhausted):
            await self._has_room.wait()
            batch = await self._source.pull()
            if batch is None:
                await asyncio.sleep(0)
            else:
                self._start(batch)
            if not self._is_room():
                self._has_room.clear()

    def _fed(self, feeder: asyncio.Task[None]) -> None:
        error = asyncio.CancelledError() if feeder.cancelled() else feeder.exception()
        if error is not None and not self._state.is_over:
            self._fail_by_input(error)
        self._changed.set()

    def _start(self, batch: Batch) -> None:
        if self._state.is_over:
            # The caller's iterator caught its cancellation, and continued.
            self._open.append(batch)
            return
        if batch.refused:
            self._add(batch.refused)
        if batch.digests:
            self._open.append(batch)
            self._in_flight.start(batch, self._check(batch), self._done)

    async def _check(self, batch: Batch) -> None:
        def settle(outcomes: Mapping[str, LayerOutcome]) -> None:
            spelled = batch.settle(outcomes)
            if not batch.digests:
                self._open.remove(batch)
            if spelled:
                self._add(spelled)

        digests = tuple(batch.digests)
        await check_batch(self._caller, self._repository, digests, self._state, settle)

    def _add(self, outcomes: Mapping[str, LayerOutcome]) -> None:
        self._settled.append(outcomes)
        self._answered += len(outcomes)
        self._changed.set()

    def _done(self, _: Batch, error: BaseException | None) -> None:
        self._changed.set()
        was_cancelled_by_us = isinstance(error, asyncio.CancelledError) and self._state.is_over
        if error is not None and not was_cancelled_by_us:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Keep the first error and start nothing more; let running attempts finish."""
        if self._error is None:
            self._error = error
        elif not self._is_error_of_input:
            self._error.add_note(f"then: {type(error).__name__}: {error}")

        self._state.is_over = True
        if self._feeder is not None:
            self._feeder.cancel()
        self._in_flight.cancel(self._state.attempting)

    def _fail_by_input(self, error: BaseException) -> BaseException:
        """Pull no more, and let everything in flight finish; return the error for the reader."""
        if isinstance(error, StopAsyncIteration):
            # The reader would mistake it for the end of the stream.
            cause, error = error, RuntimeError("the input raised StopAsyncIteration")
            error.__cause__ = cause
        self._error = error
        self._is_error_of_input = True
        return error

    def _unanswered(self, answers: Mapping[str, LayerOutcome]) -> list[str]:
        if self._is_collected:
            seen = self._source.seen.items()
            return [spelling for digest, spelling in seen if digest not in answers]
        waiting = [digest for batch in self._open for digest in batch.remaining]
        return waiting + self._source.not_handed_out

    def _result(
        self, answers: Mapping[str, LayerOutcome], unanswered: Iterable[str]
    ) -> LayerCheckResult:
        outcomes = tuple(filter(None, map(answers.get, self._source.seen)))
        # Not validated again: each part is this library's own, and many of them take a while.
        return LayerCheckResult.model_construct(
            repository=self._repository, outcomes=outcomes, unanswered=tuple(unanswered)
        )

    def _describe(self) -> Description:
        progress = self.progress
        total = progress.pulled if progress.total is None else progress.total
        parts = (
            Part("answered", Tone.GOOD, progress.answered),
            Part("asked, not answered", Tone.HELD, progress.pulled - progress.answered),
            Part("to come", Tone.REST, total - progress.pulled),
        )
        title = f"Checking layers of {line(self._repository)}"
        return Description(title, _verdict(progress), parts)


def _verdict(progress: Progress) -> str:
    if progress.total is not None:
        return f"{progress.answered:,} of {counted(progress.total, 'digest')} answered"
    if not progress.pulled:
        return "nothing asked yet"
    return f"{progress.answered:,} of {counted(progress.pulled, 'digest')} answered so far"
