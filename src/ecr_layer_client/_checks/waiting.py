"""`wait_until_available`: checks and pauses, until a repository holds every digest."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, NamedTuple

from ecr_layer_client._models.call_errors import CallError, OperationTimeoutError
from ecr_layer_client._models.digest import canonical
from ecr_layer_client._models.layer import LayerFailure, LayerFailureCode
from ecr_layer_client._models.progress import Progress
from ecr_layer_client._models.result import LayerCheckResult, LayerFailuresError
from ecr_layer_client._text.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable

    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository

    from .stream import LayerStream

FIRST_PAUSE_SECONDS = 0.5  # between a check and the next, at most; it doubles
MAX_PAUSE_SECONDS = 15.0
_MIN_SHARE = 0.5  # of a pause, so that many who wait for one thing do not check at one moment


class Waiting(NamedTuple):
    """The parameters of a wait.

    Attributes:
        repository: The repository.
        what: How a message names the operation.
        stream: Makes a stream of digests that ends at a time of the event loop.
        timeout: Seconds for the whole.
        on_progress: Called when more layers are available, or None.
        draw: Draws a number between two others. Default `random.uniform`.
    """

    repository: Repository
    what: str
    stream: Callable[[Iterable[str] | AsyncIterable[str], float], LayerStream]
    timeout: float
    on_progress: Callable[[Progress], None] | None
    draw: Callable[[float, float], float] = random.uniform


async def wait_until_available(
    waiting: Waiting, digests: Iterable[str] | AsyncIterable[str]
) -> LayerCheckResult:
    """Check digests again and again until all are available.

    Raises:
        LayerFailuresError: A digest is malformed, so it can never become available.
        CallError: A call failed for good, or the timeout expired; `.partial` holds what is known.
    """
    deadline = asyncio.get_running_loop().time() + waiting.timeout
    known: dict[str, LayerOutcome] = {}
    missing: Iterable[str] | AsyncIterable[str] = digests
    pause = FIRST_PAUSE_SECONDS
    while True:
        missing = await _check(waiting, missing, known, deadline)
        if not missing:
            return _result(waiting, known, ())

        left = deadline - asyncio.get_running_loop().time()
        # The last pauses are shorter, so that a layer that comes late is still seen.
        drawn = waiting.draw(_MIN_SHARE * pause, pause)
        await asyncio.sleep(min(drawn, max(FIRST_PAUSE_SECONDS, left / 2), max(0.0, left)))
        pause = min(MAX_PAUSE_SECONDS, 2 * pause)


async def _check(
    waiting: Waiting,
    digests: Iterable[str] | AsyncIterable[str],
    known: dict[str, LayerOutcome],
    deadline: float,
) -> list[str]:
    """Check digests, note what became of them, and return those that are not available."""
    left = deadline - asyncio.get_running_loop().time()
    if left <= 0:
        raise _timed_out(waiting, known, ())
    stream = waiting.stream(digests, left)
    try:
        async with stream:
            result = await stream.collect()
    except CallError as error:
        if stream._is_error_of_input:  # noqa: SLF001 (the caller's own, which passes unchanged)
            raise
        partial = error.partial
        unanswered = () if partial is None else partial.unanswered
        _note(known, () if partial is None else partial.outcomes)
        if isinstance(error, OperationTimeoutError):
            raise _timed_out(waiting, known, unanswered, error.__cause__) from error.__cause__
        error.partial = _result(waiting, known, unanswered)
        raise

    before = sum(outcome.is_available for outcome in known.values())
    _note(known, result.outcomes)
    missing = [outcome.digest for outcome in known.values() if not outcome.is_available]
    total, available = len(known), len(known) - len(missing)
    if waiting.on_progress is not None and available > before:
        waiting.on_progress(Progress(total, available, total))
    _refuse_malformed(waiting, known)
    return missing


def _note(known: dict[str, LayerOutcome], outcomes: Iterable[LayerOutcome]) -> None:
    known.update((canonical(outcome.digest), outcome) for outcome in outcomes)


def _refuse_malformed(waiting: Waiting, known: dict[str, LayerOutcome]) -> None:
    malformed = [outcome.digest for outcome in known.values() if _is_malformed(outcome)]
    if malformed:
        count = f"{len(malformed)} of {len(known)} digests"
        msg = (
            f"{count} are malformed and can never become available, such as {quoted(malformed[0])}"
        )
        raise LayerFailuresError(msg, _result(waiting, known, ()))


def _is_malformed(outcome: LayerOutcome) -> bool:
    invalid = LayerFailureCode.INVALID_LAYER_DIGEST
    return isinstance(outcome, LayerFailure) and outcome.code is invalid


def _timed_out(
    waiting: Waiting,
    known: dict[str, LayerOutcome],
    unanswered: Iterable[str],
    cause: BaseException | None = None,
) -> OperationTimeoutError:
    rest = [digest for digest in unanswered if canonical(digest) not in known]
    total = len(known) + len(rest)
    missing = total - sum(outcome.is_available for outcome in known.values())
    msg = (
        f"{waiting.what}: {missing} of {total} layers are not available yet "
        f"within timeout={waiting.timeout} s; .partial keeps what was answered"
    )
    if cause is not None:
        words = str(cause).removeprefix(f"{waiting.what}: ")
        msg = f"{msg}; an attempt had failed: {words}"
    error = OperationTimeoutError(msg, repository=waiting.repository, elapsed=waiting.timeout)
    error.partial = _result(waiting, known, rest)
    return error


def _result(
    waiting: Waiting, known: dict[str, LayerOutcome], unanswered: Iterable[str]
) -> LayerCheckResult:
    rest = tuple(digest for digest in unanswered if canonical(digest) not in known)
    return LayerCheckResult.model_construct(
        repository=waiting.repository, outcomes=tuple(known.values()), unanswered=rest
    )
