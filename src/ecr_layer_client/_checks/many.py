"""`ManyCheck`: one check of many repositories. One that fails does not spoil the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Mapping, Sized
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeAlias, cast

from ecr_layer_client._calls.caller import OperationState
from ecr_layer_client._models.call_errors import CallError, concerns_one_repository
from ecr_layer_client._models.errors import InvalidInputError, copied
from ecr_layer_client._models.progress import Progress
from ecr_layer_client._models.repository import Repository
from ecr_layer_client._models.result import result_of
from ecr_layer_client._models.results import LayerCheckResults
from ecr_layer_client._text.quoting import quoted

from .batches import ITEMS_WITHOUT_PAUSE, Batch, Batcher, iterators
from .check_batch import BatchRun, check_batch, timed_out
from .operation import CHECK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ecr_layer_client._calls.caller import Caller
    from ecr_layer_client._models.outcomes import Row
    from ecr_layer_client._models.result import LayerCheckResult

DigestsOfMany: TypeAlias = (
    Mapping[str, Iterable[str]]
    | Mapping[Repository, Iterable[str]]
    | Mapping[str | Repository, Iterable[str]]
    | Iterable[tuple[str | Repository, str]]
    | AsyncIterable[tuple[str | Repository, str]]
)

_PAIR_LENGTH = 2
_SHAPES = (
    "a mapping of repositories to digests, "
    "or an iterable or async iterable of pairs (repository, digest)"
)


@dataclass(slots=True, eq=False)
class _Group:
    """The digests of one repository, their rows, and the error that ended its checks."""

    repository: Repository
    batcher: Batcher
    inputs: list[Iterator[object]] = field(default_factory=list["Iterator[object]"])
    rows: dict[str, Row] = field(default_factory=dict[str, "Row"])
    state: OperationState = field(default_factory=OperationState)
    error: CallError | None = None

    def result(self) -> LayerCheckResult:
        """Return what became of its digests."""
        spellings = self.batcher.seen.spellings.values()
        rest = [spelling for spelling in spellings if spelling not in self.rows]
        return result_of(self.repository, spellings, self.rows, rest)


class ManyCheck:
    """Checks digests of many repositories, in batches of one repository each.

    A full batch is sent at once, and the rest of each repository at the end of the input. So the
    memory grows with the input, and its order does not matter. `resolve` makes a `Repository` of a
    name, and refuses one that the client can't ask.
    """

    def __init__(
        self,
        caller: Caller,
        resolve: Callable[[str | Repository], Repository],
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._caller = caller
        self._resolve = resolve
        self._on_progress = on_progress
        self._groups: dict[tuple[str, str | None], _Group] = {}
        self._run = BatchRun()
        self._is_sized = self._is_input_read = False
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
        """Check the digests. The error of all repositories keeps what was answered."""
        run = self._run
        if timeout is not None:
            run.set_timeout(timeout)
        run.feed(self._feed(digests))
        try:
            while (run.tasks or run.feeder) and not run.is_error_of_input:
                if not await run.wait():
                    await run.abort(self._timed_out(timeout or 0.0))
        finally:
            await run.stop()

        if run.error is None:
            return self._results(None)
        if isinstance(run.error, CallError) and not run.is_error_of_input:
            run.error.partials = self._results(run.error)
        raise run.error

    async def _feed(self, digests: DigestsOfMany) -> None:
        """Read the input, and check the full batches; at its end the rest of each repository.

        Nothing is sent before an input with lengths is known to be valid.
        """
        self._is_sized = _is_sized(digests)
        if isinstance(digests, Mapping):
            await self._read_mapping(cast("Mapping[str | Repository, object]", digests))
        else:
            await self._read_pairs(digests)

        self._is_input_read = True
        groups = self._groups.values()
        for group in groups:
            group.batcher.finish()
        if self._is_sized:
            self._total = sum(len(batch) for group in groups for batch in group.batcher.made)
        for group in groups:
            await self._start_ready(group)

    async def _read_mapping(self, digests: Mapping[str | Repository, object]) -> None:
        for named, given in digests.items():
            what = f"digests[{quoted(str(named))}]"
            if isinstance(given, AsyncIterable):
                msg = (
                    f"{what} is an async iterable: "
                    "pass an async iterable of pairs (repository, digest) instead"
                )
                raise InvalidInputError(msg)
            items, _ = iterators(given, what, "a list, or any iterable, of digests")
            self._group_of(named).inputs.append(items)

        for group in self._groups.values():
            items = chain.from_iterable(group.inputs)
            while chunk := list(islice(items, ITEMS_WITHOUT_PAUSE)):
                group.batcher.add_all(chunk)
                await self._start_ready(group)
                await asyncio.sleep(0)
            group.batcher.finish()
            await self._start_ready(group)

    async def _read_pairs(self, pairs: object) -> None:
        items, async_items = iterators(pairs, "digests", _SHAPES)
        if async_items is not None:
            async for item in async_items:
                if (group := self._add_pair(item)) is not None:
                    await self._start_ready(group)
                    await asyncio.sleep(0)
                self._run.cancel_if_over()

        for item in items:
            if (group := self._add_pair(item)) is not None:
                await self._start_ready(group)
                await asyncio.sleep(0)

    def _add_pair(self, item: object) -> _Group | None:
        """Add a pair of the input; return its group if a batch is ready, or others should run."""
        pair = cast("tuple[str | Repository, str]", item)
        if not isinstance(item, tuple | list) or len(pair) != _PAIR_LENGTH:
            msg = (
                f"digests[{self._pairs}] is {quoted(pair)}: "
                "every item must be a pair (repository, digest)"
            )
            raise InvalidInputError(msg)

        self._pairs += 1
        repository, digest = pair
        # Most inputs give many digests of one repository in a row.
        if self._last is None or repository is not self._last_named:
            self._last_named = repository
            self._last = self._group_of(repository)
        self._last.batcher.add(digest)
        is_ready = self._last.batcher.made and not self._is_sized
        return self._last if is_ready or not self._pairs % ITEMS_WITHOUT_PAUSE else None

    def _group_of(self, named: str | Repository) -> _Group:
        repository = self._resolve(named)
        key = repository.name, repository.registry_id
        group = self._groups.get(key)
        if group is None:
            name = f"digests[{quoted(repository.name)}]"
            batcher = Batcher(self._caller.config.batch_size, name)
            group = self._groups[key] = _Group(repository, batcher)
        return group

    async def _start_ready(self, group: _Group) -> None:
        """Check the batches of a repository, each as soon as there is room for it."""
        while group.batcher.made and (self._is_input_read or not self._is_sized):
            await self._run.wait_for(self._has_room)
            batch = group.batcher.made.popleft()
            self._pulled += len(batch)
            if batch.refused:
                self._settle(group, batch.refused)
            if batch.digests and group.error is None:
                self._run.start(self._check(group, batch), group.state, partial(self._fail, group))

    def _has_room(self) -> bool:
        return len(self._run.tasks) < self._caller.config.max_concurrency

    async def _check(self, group: _Group, batch: Batch) -> None:
        def settle(rows: dict[str, Row]) -> None:
            self._settle(group, batch.settle(rows))

        with self._caller.span(CHECK, group.repository):
            await check_batch(self._caller, group.repository, batch.digests, group.state, settle)

    def _settle(self, group: _Group, rows: dict[str, Row]) -> None:
        group.rows.update(rows)
        self._answered += len(rows)
        if self._on_progress is not None:
            self._on_progress(Progress(self._pulled, self._answered, self._total))

    def _fail(self, group: _Group, error: BaseException) -> None:
        """End the checks of one repository if ECR refused the repository, or else all checks.

        Transient errors, credentials and the clock concern all repositories.
        """
        if group.error is not None:
            group.error.add_note(f"another error: {type(error).__name__}: {error}")
        elif concerns_one_repository(error):
            group.error = cast("CallError", error)
            self._run.finish_attempts(group.state)
        else:
            self._run.fail(error)

    def _timed_out(self, timeout: float) -> CallError:
        what = f"{CHECK} on {len(self._groups)} repositories"
        failures = (each.state.last_failure for each in self._groups.values() if not each.error)
        cause = next(filter(None, failures), None)
        return timed_out(what, "not done", timeout, ".partials", cause)

    def _results(self, error_of_all: CallError | None) -> LayerCheckResults:
        """Return what there is of each repository. An incomplete one has the error of all."""
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
