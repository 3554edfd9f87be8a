"""`ManyCheck`: one check of many repositories. One that fails does not spoil the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Mapping, Sized
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from ecr_layer_client._calls.caller import OperationState
from ecr_layer_client._models.call_errors import CallError, OperationTimeoutError, ServiceError
from ecr_layer_client._models.errors import InvalidInputError, copied
from ecr_layer_client._models.progress import Progress
from ecr_layer_client._models.repository import Repository
from ecr_layer_client._models.result import LayerCheckResult
from ecr_layer_client._models.results import LayerCheckResults
from ecr_layer_client._text.quoting import quoted

from .batches import ITEMS_WITHOUT_PAUSE, Batch, DigestSource, iterators
from .check_batch import check_batch
from .in_flight import InFlight
from .operation import CHECK

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from ecr_layer_client._calls.caller import Caller
    from ecr_layer_client._calls.observer import SafeObserver
    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._models.layer import LayerOutcome

DigestsOfMany: TypeAlias = (
    Mapping[str, Iterable[str]]
    | Mapping[Repository, Iterable[str]]
    | Mapping[str | Repository, Iterable[str]]
    | Iterable[tuple[str | Repository, str]]
    | AsyncIterable[tuple[str | Repository, str]]
)
_ByRepository: TypeAlias = Mapping[str | Repository, Iterable[str]]

_PAIR_LENGTH = 2
_SHAPES = (
    "a mapping of repositories to digests, "
    "or an iterable or async iterable of pairs (repository, digest)"
)


@dataclass(slots=True, eq=False)
class _Group:
    """The digests of one repository.

    Attributes:
        repository: As it was named first.
        source: Makes batches of its digests.
        outcomes: By digest, in the registry's spelling.
        state: Of its calls.
        error: What ended its checks, if they failed.
    """

    repository: Repository
    source: DigestSource
    outcomes: dict[str, LayerOutcome] = field(default_factory=dict[str, "LayerOutcome"])
    state: OperationState = field(default_factory=OperationState)
    error: CallError | None = None

    def result(self) -> LayerCheckResult:
        """Return what became of its digests."""
        seen = self.source.seen
        outcomes = tuple(self.outcomes[digest] for digest in seen if digest in self.outcomes)
        rest = [spelling for digest, spelling in seen.items() if digest not in self.outcomes]
        # Not validated again, as in a stream.
        return LayerCheckResult.model_construct(
            repository=self.repository, outcomes=outcomes, unanswered=tuple(rest)
        )


class _Job(NamedTuple):
    group: _Group
    batch: Batch


class ManyCheck:
    """Checks digests of many repositories, in batches of one repository each.

    A full batch is sent at once, and the rest of each repository at the end of the input. So the
    memory grows with the input, and its order does not matter.

    Args:
        caller: Makes the calls.
        resolve: Makes a `Repository` of a name, and refuses one that the client can't ask.
        config: Batch size and concurrency.
        observer: Notified of each batch as an operation.
        on_progress: Called after each batch, or None.
    """

    def __init__(
        self,
        caller: Caller,
        resolve: Callable[[str | Repository], Repository],
        config: ClientConfig,
        observer: SafeObserver,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._caller = caller
        self._resolve = resolve
        self._batch_size = config.batch_size
        self._max_concurrency = config.max_concurrency
        self._observer = observer
        self._on_progress = on_progress
        self._groups: dict[tuple[str, str | None], _Group] = {}
        self._in_flight: InFlight[_Job] = InFlight()
        self._changed = asyncio.Event()
        self._limit = asyncio.timeout(None)
        self._error: BaseException | None = None
        self._is_input_read = False
        self._has_ended = False
        self._pairs = 0  # of the input
        self._last: _Group | None = None
        self._last_named: object = None
        self._pulled = self._answered = 0
        self._total: int | None = None

    async def results(
        self,
        digests: DigestsOfMany,
        timeout: float | None,  # noqa: ASYNC109 (it keeps what was answered)
    ) -> LayerCheckResults:
        """Check the digests.

        Raises:
            InvalidInputError: The input has a wrong shape.
            CallError: What failed concerns all repositories, or `timeout` expired; `.partials`
                holds what was answered and what was not.
        """
        is_sized = _is_sized(digests)
        jobs_of = self._jobs_of_mapping if isinstance(digests, Mapping) else self._jobs_of_pairs
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        self._limit = asyncio.timeout_at(deadline)
        try:
            async with self._limit, aclosing(jobs_of(cast("Any", digests))) as jobs:
                await self._start_all(jobs, is_sized=is_sized)
                while self._in_flight.batches:
                    self._stop_if_over()
                    await self._change()
        except TimeoutError:
            if self._error is None and not self._limit.expired():
                raise  # by the input
            await self._finish_attempts(deadline)
            if self._error is None:
                self._error = self._timed_out(timeout or 0.0)
        finally:
            # What the tasks end with from now on is of no use to anybody.
            self._has_ended = True
            await self._in_flight.stop()

        if isinstance(self._error, CallError):
            self._error.partials = self._results(self._error)
        if self._error is not None:
            raise self._error
        return self._results(None)

    async def _start_all(self, jobs: AsyncGenerator[_Job, None], *, is_sized: bool) -> None:
        """Check the full batches, and the rest of each repository at the end of the input."""
        if is_sized:
            # Nothing is sent before the whole input is known to be valid.
            ready = [job async for job in jobs] + self._rest()
            self._total = sum(len(job.batch) for job in ready)
        else:
            async for job in jobs:
                await self._start(job)
            self._stop_if_over()
            ready = self._rest()

        self._is_input_read = True
        for job in ready:
            await self._start(job)

    async def _jobs_of_mapping(self, digests: _ByRepository) -> AsyncGenerator[_Job, None]:
        for group, given in self._grouped(digests):
            for each in given:
                for batches in _filled(group.source, each):
                    for batch in batches:
                        yield _Job(group, batch)
                    await asyncio.sleep(0)
            for batch in group.source.rest():
                yield _Job(group, batch)

    async def _jobs_of_pairs(self, pairs: object) -> AsyncGenerator[_Job, None]:
        items, async_items = iterators(pairs, "digests", _SHAPES)
        if async_items is not None:
            async for item in async_items:
                for job in self._add_pair(item):
                    yield job
                self._stop_if_over()
                await self._pause()

        for item in items:
            for job in self._add_pair(item):
                yield job
            await self._pause()

    def _rest(self) -> list[_Job]:
        """Return the batches that are not full."""
        groups = self._groups.values()
        return [_Job(group, batch) for group in groups for batch in group.source.rest()]

    def _grouped(self, digests: _ByRepository) -> Iterable[tuple[_Group, list[Iterable[str]]]]:
        """Return the inputs of each repository; two spellings of one repository are one."""
        grouped: dict[int, tuple[_Group, list[Iterable[str]]]] = {}
        for named, given in digests.items():
            what = f"digests[{quoted(str(named))}]"
            if isinstance(given, AsyncIterable):
                msg = (
                    f"{what} is an async iterable: "
                    "pass an async iterable of pairs (repository, digest) instead"
                )
                raise InvalidInputError(msg)
            iterators(given, what, "a list, or any iterable, of digests")
            group = self._group_of(self._resolve(named))
            grouped.setdefault(id(group), (group, []))[1].append(given)
        return grouped.values()

    def _add_pair(self, item: object) -> list[_Job]:
        """Add a pair of the input; return the batch that it fills, if it fills one."""
        pair = cast("tuple[str | Repository, str]", item)
        if not isinstance(item, tuple | list) or len(pair) != _PAIR_LENGTH:
            msg = (
                f"digests[{self._pairs}] is {quoted(pair)}: "
                "every item is a pair (repository, digest)"
            )
            raise InvalidInputError(msg)

        self._pairs += 1
        repository, digest = pair
        # Most inputs give many digests of one repository in a row.
        if self._last is None or repository is not self._last_named:
            self._last_named = repository
            self._last = self._group_of(self._resolve(repository))
        batch = self._last.source.add(digest)
        return [] if batch is None else [_Job(self._last, batch)]

    async def _pause(self) -> None:
        """Let other tasks run after many pairs."""
        if self._pairs % ITEMS_WITHOUT_PAUSE == 0:
            await asyncio.sleep(0)

    def _group_of(self, repository: Repository) -> _Group:
        key = repository.name, repository.registry_id
        group = self._groups.get(key)
        if group is None:
            source = DigestSource((), self._batch_size, f"digests[{quoted(repository.name)}]")
            group = self._groups[key] = _Group(repository, source)
        return group

    async def _start(self, job: _Job) -> None:
        """Check a batch, as soon as fewer than `max_concurrency` are in flight."""
        self._stop_if_over()
        while len(self._in_flight.batches) >= self._max_concurrency:
            await self._change()
            self._stop_if_over()

        group, batch = job
        self._pulled += len(batch)
        if batch.refused:
            self._settle(group, batch.refused)
        if batch.digests and group.error is None:
            self._in_flight.start(job, self._check(job), self._done)

    def _stop_if_over(self) -> None:
        """Stop after a failure, and where the input caught its cancellation and continued."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        if self._error is not None:
            raise TimeoutError  # as `_limit` is about to do

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _check(self, job: _Job) -> None:
        group, batch = job

        def settle(outcomes: Mapping[str, LayerOutcome]) -> None:
            self._settle(group, batch.settle(outcomes))

        repository, digests = group.repository, tuple(batch.digests)
        told = self._caller.repository_for_observer(repository)
        with self._observer.span("operation", CHECK, told):
            await check_batch(self._caller, repository, digests, group.state, settle)

    def _settle(self, group: _Group, outcomes: Mapping[str, LayerOutcome]) -> None:
        group.outcomes.update(outcomes)
        self._answered += len(outcomes)
        if self._on_progress is not None:
            self._on_progress(Progress(self._pulled, self._answered, self._total))

    def _done(self, job: _Job, error: BaseException | None) -> None:
        self._changed.set()
        group = job.group
        if error is None or self._has_ended:
            return
        if group.state.is_over and isinstance(error, asyncio.CancelledError):
            return  # cancelled here
        if self._error is None and isinstance(error, CallError) and _is_of_one(error, group):
            self._give_up(group, error)
        else:
            self._fail(error)

    def _give_up(self, group: _Group, error: CallError) -> None:
        """Keep a repository's first error, and send no more requests for it."""
        if group.error is not None:
            group.error.add_note(f"then: {type(error).__name__}: {error}")
            return
        group.error = error
        group.state.is_over = True
        self._in_flight.cancel(group.state.attempting, lambda job: job.group is group)

    def _fail(self, error: BaseException) -> None:
        """Keep the first error of all repositories, and start nothing more."""
        if self._error is not None:
            self._error.add_note(f"then: {type(error).__name__}: {error}")
            return
        self._error = error
        self._stop_starting()
        if not self._limit.expired():
            # It interrupts whatever the input or a free place is waited for.
            self._limit.reschedule(asyncio.get_running_loop().time())

    def _stop_starting(self) -> None:
        attempting = set[asyncio.Task[object] | None]()
        for group in self._groups.values():
            group.state.is_over = True
            attempting |= group.state.attempting
        self._in_flight.cancel(attempting)

    async def _finish_attempts(self, deadline: float | None) -> None:
        """Let running attempts finish after a failure, so that their outcomes are kept."""
        if self._error is None:
            return
        try:
            async with asyncio.timeout_at(deadline):
                while self._in_flight.batches:
                    await self._change()
        except TimeoutError:
            self._stop_starting()

    def _timed_out(self, timeout: float) -> OperationTimeoutError:
        what = f"{CHECK} on {len(self._groups)} repositories"
        msg = f"{what}: not done within timeout={timeout} s; .partials keeps what was answered"
        states = [group.state for group in self._groups.values() if not group.state.is_over]
        last = next((state.last_failure for state in states if state.last_failure), None)
        if last is not None:
            msg = f"{msg}; an attempt had failed: {last}"
        error = OperationTimeoutError(msg, elapsed=timeout)
        error.__cause__ = last
        return error

    def _results(self, error_of_all: CallError | None) -> LayerCheckResults:
        """Return what there is of each repository.

        Args:
            error_of_all: The error of those that were not answered and did not fail themselves.
        """
        results: list[LayerCheckResult] = []
        errors: dict[Repository, CallError] = {}
        for group in self._groups.values():
            result, error = group.result(), group.error
            is_incomplete = bool(result.unanswered) or not self._is_input_read
            if error is None and error_of_all is not None and is_incomplete:
                error = cast("CallError", copied(error_of_all))
                error.repository = group.repository
            if error is None:
                results.append(result)
            else:
                error.partial = result
                errors[group.repository] = error
        return LayerCheckResults(results, errors)


def _is_sized(digests: object) -> bool:
    if isinstance(digests, Mapping):
        lists = cast("Mapping[object, object]", digests).values()
        return all(isinstance(each, Sized) for each in lists)
    return isinstance(digests, Sized) and not isinstance(digests, AsyncIterable)


def _is_of_one(error: CallError, group: _Group) -> bool:
    """Return whether an error concerns one repository: ECR refused it for good.

    Transient errors, credentials and the clock concern all repositories.
    """
    return group.error is not None or (isinstance(error, ServiceError) and not error.retryable)


def _filled(source: DigestSource, digests: Iterable[str]) -> Iterator[list[Batch]]:
    """Yield the full batches of a repository's digests, from time to time."""
    if isinstance(digests, Sized):
        items = list(digests)
        for start in range(0, len(items), ITEMS_WITHOUT_PAUSE):
            yield source.add_all(items[start : start + ITEMS_WITHOUT_PAUSE])
        return

    for number, digest in enumerate(digests, start=1):
        batch = source.add(digest)
        if batch is not None or number % ITEMS_WITHOUT_PAUSE == 0:
            yield [] if batch is None else [batch]
