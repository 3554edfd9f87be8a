"""`LayerStream`: the outcomes of one check, read one by one or collected into one result."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import nullcontext
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Self

from ecr_layer_client._calls.caller import OperationState
from ecr_layer_client._models.call_errors import CallError
from ecr_layer_client._models.errors import ClientStateError
from ecr_layer_client._models.outcomes import outcomes_of
from ecr_layer_client._models.progress import Progress
from ecr_layer_client._models.result import result_of
from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import line
from ecr_layer_client.display import Description, DisplayMixin, Part, Tone

from .batches import STREAM_WINDOW, DigestSource
from .check_batch import BatchRun, check_batch, timed_out
from .operation import CHECK

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Iterator
    from types import TracebackType

    from ecr_layer_client._calls.caller import Caller
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.outcomes import Row
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client._models.result import LayerCheckResult

    from .batches import Batch


class _Phase(Enum):
    NEW = auto()
    ENTERED = auto()
    READING = auto()
    ENDED = auto()
    CLOSED = auto()


class LayerStream(DisplayMixin):
    """The outcomes of one check, in the order in which batches complete.

    `ECRLayerClient.stream_layers` makes it. The first request is sent when you read the first
    outcome. At most `max_concurrency` batches are in flight. While you do not read, no new batch
    starts. Only one task may read a stream. `collect()` returns the outcomes in input order.

    Example:
        ```python
        async with client.stream_layers("team/app", digests) as stream:
            async for outcome in stream:
                print(outcome.digest, outcome.is_available)
        ```
    """

    def __init__(  # noqa: PLR0913 (only the client makes it)
        self,
        caller: Caller,
        repository: Repository,
        digests: Iterable[str] | AsyncIterable[str],
        timeout: float | None,
        check_home: Callable[[], None],
        *,
        is_operation: bool = True,
    ) -> None:
        self._caller = caller
        self._repository = repository
        self._source = DigestSource(digests, caller.config.batch_size)
        self._timeout = timeout
        self._check_home_of_client = check_home
        self._home: tuple[asyncio.AbstractEventLoop, int] | None = None
        self._span = caller.span(CHECK, repository) if is_operation else nullcontext()
        self._phase = _Phase.NEW
        self._is_being_read = False

        # Batches without all their outcomes; outcomes that nobody has read; those being read.
        self._open: list[Batch] = []
        self._settled: deque[dict[str, Row]] = deque()
        self._current: Iterator[LayerOutcome] = iter(())
        self._answered = 0
        self._state = OperationState()
        self._run = BatchRun()

    @property
    def repository(self) -> Repository:
        """The repository that is checked."""
        return self._repository

    @property
    def progress(self) -> Progress:
        """How far the check is, in distinct digests.

        `total` is None until the first outcome is read. It stays None if the input has no length.
        """
        return Progress(self._source.pulled, self._answered, self._source.total)

    def __repr__(self) -> str:
        """Return one bounded line of counts."""
        pulled, answered, total = self._source.pulled, self._answered, self._source.total
        return f"<{type(self).__name__} pulled={pulled} answered={answered} total={total}>"

    async def __aenter__(self) -> Self:
        """Enter the stream. No request is sent.

        Raises:
            ClientStateError: The stream was entered before, or its client was opened on another
                event loop or before a fork.
        """
        self._check_home()
        if self._phase is not _Phase.NEW:
            msg = "a LayerStream can be entered only once: make another with stream_layers()"
            raise ClientStateError(msg)
        self._phase = _Phase.ENTERED
        self._span.__enter__()
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
            msg = "the 'async with' block ended while another task was still reading the stream"
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
            CallError: A call failed. Everything that was answered was yielded before;
                `.partial` holds what was not answered.
            ClientStateError: The stream is read outside `async with`, on another event loop, after
                a fork, or while another task reads it.
        """
        for outcome in self._current:
            return outcome

        rows = await self._next(STREAM_WINDOW, {})
        if rows is None:
            raise StopAsyncIteration
        self._current = iter(outcomes_of(rows, rows.values()))
        return await anext(self)

    async def collect(
        self, on_progress: Callable[[Progress], None] | None = None
    ) -> LayerCheckResult:
        """Read the stream to its end and return the whole result, in input order.

        Args:
            on_progress: Called after each batch. Default None.

        Raises:
            CallError: A call failed. `.partial` has the outcomes that were received, and the
                digests without an outcome.
            ClientStateError: The stream is read outside `async with`, or was iterated before.
        """
        if self._phase in (_Phase.READING, _Phase.ENDED):
            msg = (
                "a LayerStream can be read only once, by `async for` or by collect(): "
                "make another with stream_layers()"
            )
            raise ClientStateError(msg)

        answers: dict[str, Row] = {}
        while (rows := await self._next(None, answers)) is not None:
            answers.update(rows)
            if on_progress is not None:
                on_progress(self.progress)
        return self._result(answers, ())

    async def _next(self, window: int | None, answers: dict[str, Row]) -> dict[str, Row] | None:
        """Return the next rows; None at the end. An error keeps the answers so far."""
        self._begin(window)
        self._is_being_read = True
        try:
            has_paused = self._refill()
            while not (self._settled or self._is_at_end()):
                if has_paused:
                    await asyncio.sleep(0)
                elif not await self._run.wait():
                    await self._abort(self._timed_out())
                has_paused = self._refill()
        finally:
            self._is_being_read = False

        if self._settled:
            rows = self._settled.popleft()
            # So that requests are on their way while the reader works on these.
            self._refill()
            self._run.changed.set()
            if not self._run.tasks:
                # An input that needs no request must not keep other tasks from running.
                await asyncio.sleep(0)
            return rows

        self._phase = _Phase.ENDED
        error = self._run.error
        if isinstance(error, CallError) and not self._run.is_error_of_input:
            waiting = [digest for batch in self._open for digest in batch.remaining]
            error.partial = self._result(answers, waiting + self._source.not_handed_out)
        if error is not None:
            raise error
        return None

    def _check_home(self) -> None:
        """Refuse another event loop or process than the client's."""
        home = asyncio.get_running_loop(), os.getpid()
        if home != self._home:
            self._check_home_of_client()
            self._home = home

    def _begin(self, window: int | None) -> None:
        """Refuse a second reader and one outside the block; start with the first."""
        self._check_home()
        if self._phase in (_Phase.NEW, _Phase.CLOSED):
            msg = (
                "a LayerStream can be read only inside its async with block: "
                "async with client.stream_layers(...) as stream"
            )
            raise ClientStateError(msg)
        if self._is_being_read:
            msg = (
                "another task is already reading this LayerStream: "
                "let one task read it and pass the outcomes to the others"
            )
            raise ClientStateError(msg)
        if self._phase is not _Phase.ENTERED:
            return

        self._phase = _Phase.READING
        if self._timeout is not None:
            self._run.set_timeout(self._timeout)
        self._source.seen.window = window
        if self._source.is_async:
            self._run.feed(self._feed())
        else:
            self._pull()

    async def _feed(self) -> None:
        """Pull an async input, which may wait, a batch at a time."""
        while self._source.has_more:
            await self._run.wait_for(self._has_room)
            await self._source.pull_async()
            if not self._source.ready:
                await asyncio.sleep(0)
            self._refill()

    def _refill(self) -> bool:
        """Start the batches that have room; return whether to go on after other tasks have run."""
        source = self._source
        while self._has_room():
            may_pull = source.has_more and self._run.feeder is None
            if may_pull and not source.ready:
                self._pull()
            if not source.ready:
                return may_pull and source.has_more
            batch = source.take()
            if batch.refused:
                self._settle(batch.refused)
            if batch.digests:
                self._start(batch)
        return False

    def _pull(self) -> None:
        try:
            self._source.pull()
        except Exception as error:  # noqa: BLE001 (the caller's own, raised by the reader)
            self._source.fail()
            self._run.fail_by_input(error)

    def _has_room(self) -> bool:
        """Return whether fewer than `max_concurrency` batches are in flight or not yet read."""
        if self._run.is_over or (self._timeout is not None and self._run.is_late):
            return False
        return len(self._open) + len(self._settled) < self._caller.config.max_concurrency

    def _is_at_end(self) -> bool:
        run, source = self._run, self._source
        has_batches = self._open or source.ready or source.has_more
        return not (run.feeder or (run.tasks if run.is_over else has_batches))

    def _start(self, batch: Batch) -> None:
        self._open.append(batch)
        settle, state = partial(self._settle_batch, batch), self._state
        check = check_batch(self._caller, self._repository, batch.digests, state, settle)
        self._run.start(check, state, self._run.fail)

    def _settle_batch(self, batch: Batch, rows: dict[str, Row]) -> None:
        spelled = batch.settle(rows)
        if not batch.digests:
            self._open.remove(batch)
        self._settle(spelled)

    def _settle(self, rows: dict[str, Row]) -> None:
        self._settled.append(rows)
        self._answered += len(rows)
        self._run.changed.set()

    def _timed_out(self) -> CallError:
        what, cause = self._caller.attempted(CHECK, self._repository), self._state.last_failure
        error = timed_out(what, "not done", self._timeout or 0.0, ".partial", cause)
        error.repository = self._repository
        return error

    async def _abort(self, error: Exception) -> None:
        """Cancel what is running, and raise `error` for the reader after everything answered."""
        if self._phase not in (_Phase.ENDED, _Phase.CLOSED):
            await self._run.abort(error)

    def _result(self, answers: dict[str, Row], unanswered: Iterable[str]) -> LayerCheckResult:
        spellings = self._source.seen.spellings.values()
        return result_of(self._repository, spellings, answers, unanswered)

    def _describe(self) -> Description:
        progress = self.progress
        total = progress.pulled if progress.total is None else progress.total
        parts = (
            Part("answered", Tone.GOOD, progress.answered),
            Part("sent, not answered", Tone.HELD, progress.pulled - progress.answered),
            Part("to come", Tone.REST, total - progress.pulled),
        )
        title = f"Checking layers of {line(self._repository)}"
        return Description(title, _verdict(progress), parts)


def _verdict(progress: Progress) -> str:
    if progress.total is not None:
        return f"{progress.answered:,} of {counted(progress.total, 'digest')} answered"
    if not progress.pulled:
        return "no digest sent yet"
    return f"{progress.answered:,} of {counted(progress.pulled, 'digest')} answered so far"
