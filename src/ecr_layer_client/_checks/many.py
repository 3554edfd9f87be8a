"""`ManyLayerStream`: one check of many repositories, read as it comes or collected.

One that fails does not spoil the others.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, cast

from ecr_layer_client._models.call_errors import CallError, ServiceError
from ecr_layer_client._models.errors import copied
from ecr_layer_client._models.result import LayerCheckResult
from ecr_layer_client._models.results import ByRepository, LayerCheckResults, error_tables

from .operation import OPERATION
from .window import Window, moving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ecr_layer_client._calls.caller import Caller, OperationState
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.progress import Progress
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.display import Description

    from .batches import Batch
    from .pairs import PairSource, RepositoryBatch
    from .window import Reading

    _Answers = Mapping[tuple[Repository, str], LayerOutcome]


class ManyLayerStream(Window["tuple[Repository, LayerOutcome]"]):
    """The outcomes of one check of many repositories, as their batches complete.

    Or, collected, by repository and in input order.

    Made by `ECRLayerClient.stream_many`. It yields pairs of repository and outcome, and works as
    `LayerStream` does: nothing is asked before the first pull, at most `max_concurrency` batches
    are in flight, and one task reads it. Its memory grows with that and with the number of
    repositories, not with the number of digests: the error of a repository that failed keeps what
    had been asked and was not answered, and what the input gives of it later is passed over. An
    observer is told of each batch as an operation. When all that was answered has been yielded, it
    raises what `LayerCheckResults.raise_for_errors` would, if a repository failed.

    Example:
        ```python
        async with client.stream_many({"team/app": digests}) as stream:
            async for repository, outcome in stream:
                print(repository.name, outcome.digest, outcome.is_available)
        ```
    """

    _MADE_BY = "stream_many"
    _KEPT_IN = ".partials"
    _source: PairSource

    def __init__(self, caller: Caller, source: PairSource, how: Reading) -> None:
        super().__init__(caller, source, how)
        self._failed: dict[Repository, CallError] = {}
        self._left: defaultdict[Repository, list[str]] = defaultdict(
            list
        )  # what was not answered of those that failed

    @property
    def errors(self) -> ByRepository[CallError]:
        """The errors of the repositories that failed so far.

        Nothing more is asked of these, and what comes of them is passed over.
        """
        return ByRepository(self._failed)

    async def collect(
        self, on_progress: Callable[[Progress], None] | None = None
    ) -> LayerCheckResults:
        """Read it to its end and return the results by repository, in input order.

        Args:
            on_progress: Called after each batch. Default None.

        Raises:
            CallError: What failed concerns all repositories; `.partials` holds what was answered
                and what was not.
            ClientStateError: Outside `async with`, or after iterating.
        """
        answers = await self._read(on_progress)
        return self._results(answers, None)

    def _describe(self) -> Description:
        title = "Checking layers of many repositories"
        return moving(title, self.progress, error_tables(self.errors))

    def _repository_of(self, batch: Batch) -> Repository:
        return cast("RepositoryBatch", batch).repository

    def _items(
        self, batch: Batch, outcomes: Mapping[str, LayerOutcome]
    ) -> Iterator[tuple[Repository, LayerOutcome]]:
        repository = self._repository_of(batch)
        return ((repository, outcome) for outcome in outcomes.values())

    def _keyed(
        self, batch: Batch, outcomes: Mapping[str, LayerOutcome]
    ) -> Mapping[tuple[Repository, str], LayerOutcome]:
        repository = self._repository_of(batch)
        return {(repository, digest): outcome for digest, outcome in outcomes.items()}

    def _asked(self) -> tuple[str, None]:
        return f"{OPERATION} on {len(self._source.repositories)} repositories", None

    def _start(self, batch: Batch) -> bool:
        repository = self._repository_of(batch)
        if repository not in self._failed:
            return super()._start(batch)
        if batch.refused:
            self._add(batch, batch.refused)
        return False

    async def _ask(self, batch: Batch, repository: Repository, operation: OperationState) -> None:
        with self._observed.span(
            "operation", OPERATION, self._caller.repository_for_observer(repository)
        ):
            await super()._ask(batch, repository, operation)
        if (
            batch.digests and not self._over
        ):  # its repository failed meanwhile, so that it was not asked again
            self._give_up(batch)

    def _give_up(self, batch: Batch) -> None:
        self._open.remove(batch)
        self._left[self._repository_of(batch)] += batch.remaining

    def _spares(self, batch: Batch, error: BaseException) -> bool:
        """Spare the other repositories what is one's own: it is asked no more, and its error is kept."""
        repository = self._repository_of(batch)
        if self._over or not (repository in self._failed or _is_its_own(error)):
            return False
        if isinstance(error, CallError):
            self._note(repository, error)
        self._give_up(batch)
        return True

    def _note(self, repository: Repository, error: CallError) -> None:
        first = self._failed.setdefault(repository, error)
        if first is not error:
            first.add_note(f"then: {type(error).__name__}: {error}")
            return
        operation = self._operations[repository]
        operation.over = True
        for task in [
            task for task, batch in self._tasks.items() if self._repository_of(batch) == repository
        ]:
            if task not in operation.attempting:
                task.cancel()

    def _end(self) -> None:
        self._results({}, None).raise_for_errors()

    def _keep(self, error: CallError, answers: _Answers) -> None:
        error.partials = self._results(answers, error)

    def _results(self, answers: _Answers, concerning_all: CallError | None) -> LayerCheckResults:
        """Return what there is of each repository.

        `concerning_all` is the error of those that were not answered and did not fail.
        """
        outcomes, unanswered = self._parted(answers)
        results: list[LayerCheckResult] = []
        errors: dict[Repository, CallError] = {}
        for repository in self._source.repositories.values():
            answered, rest = tuple(outcomes[repository]), tuple(unanswered[repository])
            result = LayerCheckResult.model_construct(
                repository=repository, outcomes=answered, unanswered=rest
            )  # as a stream's result
            error = self._failed.get(repository)
            if (
                error is None
                and concerning_all is not None
                and (result.unanswered or not self._source.is_whole)
            ):
                error = cast("CallError", copied(concerning_all))
                error.repository = repository
            if error is not None:
                error.partial = result
                errors[repository] = error
            elif self._is_collected:
                results.append(result)
        return LayerCheckResults(results, errors)

    def _parted(
        self, answers: _Answers
    ) -> tuple[Mapping[Repository, Iterable[LayerOutcome]], Mapping[Repository, Iterable[str]]]:
        """Return what was answered and is not yielded, and what was not answered, each by repository and in input order."""
        outcomes: defaultdict[Repository, list[LayerOutcome]] = defaultdict(list)
        unanswered: defaultdict[Repository, list[str]] = defaultdict(list)
        if not self._is_collected:
            for repository, left in self._left.items():
                unanswered[repository] += left
            for batch in self._open:
                unanswered[self._repository_of(batch)] += batch.remaining
            for batch in self._source.untaken:
                unanswered[self._repository_of(batch)] += (*batch.remaining, *batch.spelled_refused)
            return outcomes, unanswered
        for (repository, digest), spelling in self._source.seen.items():
            outcome = answers.get((repository, digest))
            if outcome is None:
                unanswered[repository].append(spelling)
            else:
                outcomes[repository].append(outcome)
        return outcomes, unanswered


def _is_its_own(error: BaseException) -> bool:
    """Say whether ECR refused the repository for good.

    Passing trouble, credentials and the clock concern all.
    """
    return isinstance(error, ServiceError) and not error.retryable
