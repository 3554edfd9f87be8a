"""`Waiting`: checks and pauses, until a repository holds every digest."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ecr_layer_client._models.call_errors import CallError, OperationTimeoutError
from ecr_layer_client._models.digest import canonical
from ecr_layer_client._models.layer import LayerFailureCode
from ecr_layer_client._models.progress import Progress
from ecr_layer_client._models.result import LayerCheckResult, LayerFailuresError, result_of
from ecr_layer_client._text.quoting import quoted

from .check_batch import timed_out

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable

    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository

    from .stream import LayerStream

FIRST_PAUSE_SECONDS = 0.5  # between a check and the next, at most; it doubles
MAX_PAUSE_SECONDS = 15.0
_MIN_SHARE = 0.5  # of a pause, so that many who wait for one thing do not check at one moment


@dataclass(slots=True)
class Waiting:
    """One wait for digests.

    `what` names the operation in messages, `stream` makes a stream with a timeout in seconds,
    `draw` draws a number between two others, and `known` has the newest outcome of each digest.
    """

    repository: Repository
    what: str
    stream: Callable[[Iterable[str] | AsyncIterable[str], float], LayerStream]
    timeout: float
    on_progress: Callable[[Progress], None] | None
    draw: Callable[[float, float], float] = random.uniform
    known: dict[str, LayerOutcome] = field(default_factory=dict[str, "LayerOutcome"])

    async def result(self, digests: Iterable[str] | AsyncIterable[str]) -> LayerCheckResult:
        """Check digests again and again until all are available."""
        deadline = asyncio.get_running_loop().time() + self.timeout
        left, pause = self.timeout, FIRST_PAUSE_SECONDS
        missing = await self._check(digests, left)
        while missing:
            left = deadline - asyncio.get_running_loop().time()
            # The last pauses are shorter, so that a layer that comes late is still seen.
            drawn = self.draw(_MIN_SHARE * pause, pause)
            await asyncio.sleep(min(drawn, max(FIRST_PAUSE_SECONDS, left / 2), max(0.0, left)))
            pause = min(MAX_PAUSE_SECONDS, 2 * pause)

            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise self._timed_out((), None)
            missing = await self._check(missing, left)
        return self._result(())

    async def _check(
        self, digests: Iterable[str] | AsyncIterable[str], seconds: float
    ) -> list[str]:
        """Check digests, note what became of them, and return those that are not available."""
        stream = self.stream(digests, seconds)
        try:
            async with stream:
                result = await stream.collect()
        except CallError as error:
            partial = error.partial
            if partial is None or stream._run.is_error_of_input:  # noqa: SLF001 (one engine)
                raise  # the caller's own, which passes unchanged
            self._note(partial)
            if isinstance(error, OperationTimeoutError):
                raise self._timed_out(partial.unanswered, error.__cause__) from error.__cause__
            error.partial = self._result(partial.unanswered)
            raise

        before = self._available()
        self._note(result)
        total, available = len(self.known), self._available()
        if self.on_progress is not None and available > before:
            self.on_progress(Progress(total, available, total))
        self._refuse_malformed()
        return [outcome.digest for outcome in self.known.values() if not outcome.is_available]

    def _note(self, result: LayerCheckResult) -> None:
        self.known.update((canonical(outcome.digest), outcome) for outcome in result)

    def _available(self) -> int:
        return sum(outcome.is_available for outcome in self.known.values())

    def _refuse_malformed(self) -> None:
        malformed = [
            outcome.digest
            for outcome in self.known.values()
            if getattr(outcome, "code", None) is LayerFailureCode.INVALID_LAYER_DIGEST
        ]
        if malformed:
            count = f"{len(malformed)} of {len(self.known)} digests"
            msg = (
                f"{count} are malformed and can never become available, "
                f"such as {quoted(malformed[0])}"
            )
            raise LayerFailuresError(msg, self._result(()))

    def _timed_out(
        self, unanswered: Iterable[str], cause: BaseException | None
    ) -> OperationTimeoutError:
        partial = self._result(unanswered)
        total = len(partial) + len(partial.unanswered)
        outcome = f"{total - self._available()} of {total} layers were not available"
        error = timed_out(self.what, outcome, self.timeout, ".partial", cause)
        error.repository = self.repository
        error.partial = partial
        return error

    def _result(self, unanswered: Iterable[str]) -> LayerCheckResult:
        """Return what is known, and the digests of which nothing is."""
        rest = tuple(digest for digest in unanswered if canonical(digest) not in self.known)
        known = {outcome.digest: outcome for outcome in self.known.values()}
        return result_of(self.repository, known, known, rest)
