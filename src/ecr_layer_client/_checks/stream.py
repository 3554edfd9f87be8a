"""`LayerStream`: the outcomes of one check, read as they come or collected into one result."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from ecr_layer_client._models.result import LayerCheckResult
from ecr_layer_client._text.quoting import line

from .operation import OPERATION
from .window import Window, moving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from ecr_layer_client._calls.caller import Caller
    from ecr_layer_client._models.call_errors import CallError
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.progress import Progress
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.display import Description

    from .batches import Batch, DigestSource
    from .window import Reading


class LayerStream(Window["LayerOutcome"]):
    """The outcomes of one check, as their batches complete; or, collected, in input order.

    Made by `ECRLayerClient.stream_layers`. Nothing is asked before the first pull; at most
    `max_concurrency` batches are in flight, and none is started while the reader does not read. One
    task reads it.

    Example:
        ```python
        async with client.stream_layers("team/app", digests) as stream:
            async for outcome in stream:
                print(outcome.digest, outcome.is_available)
        ```
    """

    _MADE_BY = "stream_layers"
    _source: DigestSource

    def __init__(
        self, caller: Caller, repository: Repository, source: DigestSource, how: Reading
    ) -> None:
        super().__init__(caller, source, how)
        self._repository = repository
        self._span = ExitStack()

    @property
    def repository(self) -> Repository:
        """The repository that is asked."""
        return self._repository

    async def __aenter__(self) -> Self:
        """Enter once; nothing is asked yet.

        Raises:
            ClientStateError: It was entered before.
        """
        await super().__aenter__()
        self._span.enter_context(
            self._observed.span(
                "operation", OPERATION, self._caller.repository_for_observer(self._repository)
            )
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Stop what is under way, and wait until it has stopped."""
        try:
            await super().__aexit__(kind, error, traceback)
        finally:
            self._span.__exit__(kind, error, traceback)

    async def collect(
        self, on_progress: Callable[[Progress], None] | None = None
    ) -> LayerCheckResult:
        """Read it to its end and return the whole result, in input order.

        Args:
            on_progress: Called after each batch. Default None.

        Raises:
            CallError: A call failed for good; `.partial` holds what was answered and what was not.
            ClientStateError: Outside `async with`, or after iterating.
        """
        return self._result(await self._read(on_progress), ())

    def _describe(self) -> Description:
        return moving(f"Checking layers of {line(self._repository)}", self.progress)

    def _repository_of(self, batch: Batch) -> Repository:  # noqa: ARG002 (there is one)
        return self._repository

    # As above.
    def _items(self, batch: Batch, outcomes: Mapping[str, LayerOutcome]) -> Iterator[LayerOutcome]:  # noqa: ARG002
        return iter(outcomes.values())

    def _asked(self) -> tuple[str, Repository]:
        return self._caller.attempted(OPERATION, self._repository), self._repository

    def _keep(self, error: CallError, answers: Mapping[str, LayerOutcome]) -> None:
        if self._is_collected:
            unanswered = [
                spelling for digest, spelling in self._source.seen.items() if digest not in answers
            ]
        else:
            unanswered = [
                digest for batch in self._open for digest in batch.remaining
            ] + self._source.untaken
        error.partial = self._result(answers, unanswered)

    def _result(
        self, answers: Mapping[str, LayerOutcome], unanswered: Iterable[str]
    ) -> LayerCheckResult:
        outcomes = tuple(filter(None, map(answers.get, self._source.seen)))
        # Not validated again: each part is this library's own, and a hundred thousand take a while.
        return LayerCheckResult.model_construct(
            repository=self._repository, outcomes=outcomes, unanswered=tuple(unanswered)
        )
