"""Waiting until layers are available: a stream whose digests come again until they are."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from ecr_layer_client._models.layer import LayerFailure, LayerFailureCode
from ecr_layer_client._models.progress import Progress
from ecr_layer_client._models.result import LayerFailuresError
from ecr_layer_client._text.quoting import line, quoted
from ecr_layer_client.display import Description, Part, Tone

from .batches import Batch, DigestSource
from .stream import LayerStream
from .window import so_far

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Mapping

    from ecr_layer_client._calls.caller import Caller
    from ecr_layer_client._models.call_errors import CallError
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository

    from .window import Reading

FIRST_PAUSE = 0.5  # seconds between a check and the next, at most; it doubles
LONGEST_PAUSE = 15.0
_LEAST = 0.5  # of a pause, so that those who wait for one thing do not ask at one moment


class RepeatingSource(DigestSource):
    """A caller's digests, and after a pause again those that are not available yet, until all are.

    Args:
        digests: What the caller waits for.
        batch_size: Digests in a full batch.
        draw: Draws a number between two others.

    Attributes:
        known: What became of each digest, when it was asked last.
        deadline: When the caller's time is over: the last pauses are shorter, so that what comes
            late is still seen.
        after_round: Called when everything that was given has been answered.
    """

    def __init__(
        self,
        digests: Iterable[str] | AsyncIterable[str],
        batch_size: int,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        super().__init__(digests, batch_size)
        self.known: dict[str, LayerOutcome] = {}
        self.deadline: float | None = None
        self.after_round: Callable[[], None] | None = None
        self._draw = draw
        self._given: set[str] = set()  # and not answered yet
        self._answered = asyncio.Event()
        self._pause = FIRST_PAUSE
        self._again: list[Batch] = []

    # All are remembered, to be asked again.
    def start(self, window: int | None = None) -> None:  # noqa: ARG002
        """Begin."""
        super().start(None)
        self.exhausted = False

    @property
    def is_async(self) -> bool:
        """Always: there are pauses."""
        return True

    @property
    def left(self) -> list[str]:
        """What is not available, in the one spelling that registries hold."""
        return [
            digest
            for digest in self.seen
            if not (digest in self.known and self.known[digest].is_available)
        ]

    def answer(self, outcomes: Mapping[str, LayerOutcome]) -> None:
        """Note what became of digests."""
        self.known.update(outcomes)
        self._given -= outcomes.keys()
        if not self._given:
            self._answered.set()

    async def pull(self) -> Batch | None:
        """Return the next batch; in the end None."""
        if not self._has_ended or self._ready or self._error is not None:
            batch = await self._first_round()
        else:
            batch = await self._next_round()
        if batch is not None:
            self._given.update(batch.digests)
            self._answered.clear()
        return batch

    async def _first_round(self) -> Batch | None:
        if self._async_items is not None:
            batch = await super().pull()
        else:
            batch = self.take()
            if batch is None:
                await asyncio.sleep(0)
        self.exhausted = False
        return batch

    async def _next_round(self) -> Batch | None:
        if not self._again:
            if self._given:
                await self._answered.wait()
            if self.after_round is not None:
                self.after_round()
            left = self.left
            self.exhausted = not left
            if left:
                await self._sleep()
                self._again = [
                    self._batch_of(left[start : start + self._batch_size])
                    for start in range(0, len(left), self._batch_size)
                ]
        return self._again.pop(0) if self._again else None

    async def _sleep(self) -> None:
        pause = self._draw(_LEAST * self._pause, self._pause)
        self._pause = min(LONGEST_PAUSE, 2 * self._pause)
        if self.deadline is not None:
            pause = min(
                pause, max(FIRST_PAUSE, (self.deadline - asyncio.get_running_loop().time()) / 2)
            )
        await asyncio.sleep(pause)

    def _batch_of(self, digests: list[str]) -> Batch:
        return Batch(
            digests,
            {digest: self.seen[digest] for digest in digests if self.seen[digest] != digest},
        )


class AvailabilityStream(LayerStream):
    """A stream that yields each layer once, when it is available."""

    _MADE_BY = "stream_until_available"

    def __init__(
        self, caller: Caller, repository: Repository, source: RepeatingSource, how: Reading
    ) -> None:
        super().__init__(caller, repository, source, how)
        self._repeating = source

    @property
    def progress(self) -> Progress:
        """How far it is, in distinct digests; `answered` counts those that are available."""
        return Progress(self._repeating.pulled, self._answered, self._repeating.total)

    def _describe(self) -> Description:
        progress = self.progress
        total = progress.pulled if progress.total is None else progress.total
        parts = (
            Part("available", Tone.GOOD, progress.answered),
            Part("waited for", Tone.REST, total - progress.answered),
        )
        title = f"Waiting for layers of {line(self._repository)}"
        return Description(title, so_far(progress, "available"), parts)

    def _begin(self, window: int | None) -> None:
        super()._begin(window)
        self._repeating.deadline = self._deadline
        self._repeating.after_round = self._refuse_hopeless

    def _add(self, batch: Batch, outcomes: Mapping[str, LayerOutcome]) -> None:
        self._repeating.answer(outcomes)
        available = {
            digest: outcome for digest, outcome in outcomes.items() if outcome.is_available
        }
        if available:
            super()._add(batch, available)

    def _refuse_hopeless(self) -> None:
        hopeless = [
            outcome.digest for outcome in self._repeating.known.values() if _is_hopeless(outcome)
        ]
        if hopeless:
            of_all = f"{len(hopeless)} of {len(self._repeating.seen)}"
            msg = f"{of_all} can never be available, for ECR takes them for no digests; the first is {quoted(hopeless[0])}"
            self._fail(LayerFailuresError(msg, self._result(self._repeating.known, ())))

    def _undone(self) -> str:
        return f"{len(self._repeating.left)} of {len(self._repeating.seen)} layers are not available yet"

    # What was yielded is told, too.
    def _keep(self, error: CallError, answers: Mapping[str, LayerOutcome]) -> None:  # noqa: ARG002
        known = self._repeating.known
        error.partial = self._result(
            known,
            [spelling for digest, spelling in self._repeating.seen.items() if digest not in known],
        )


def _is_hopeless(outcome: LayerOutcome) -> bool:
    return (
        isinstance(outcome, LayerFailure) and outcome.code is LayerFailureCode.INVALID_LAYER_DIGEST
    )
