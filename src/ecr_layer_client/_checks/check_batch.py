"""One batch, asked until each of its digests has an outcome."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ecr_layer_client._models.layer import LayerFailure, LayerFailureCode

from .operation import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ecr_layer_client._calls.caller import Caller, OperationState
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository

_log = logging.getLogger("ecr_layer_client")
_ASKED_AT_MOST = 2  # times: a digest that two answers do not mention is NOT_REPORTED


async def ask(
    caller: Caller,
    repository: Repository,
    digests: list[str],
    operation: OperationState,
    settle: Callable[[Mapping[str, LayerOutcome]], None],
) -> None:
    """Ask for the digests; for those that the answer leaves out, once more.

    What is left then is NOT_REPORTED.

    Args:
        caller: Makes the calls.
        repository: What is asked.
        digests: The digests that are left to ask, in lower case; read when a request leaves, and
            rid of what is settled.
        operation: What these calls are part of; once it is over, nothing is asked again.
        settle: Given each answer's outcomes.

    Raises:
        CallError: A call failed for good.
    """
    for again in (False, True):
        settled = await caller.call(Check(repository, digests, again), operation)
        if settled.ignored:
            _log.warning("%d rows of an answer settle nothing that was asked", settled.ignored)
        _strike(digests, settled.outcomes)
        settle(settled.outcomes)
        if not digests or operation.over:
            return
    left = {digest: _not_reported(digest) for digest in digests}
    digests.clear()
    settle(left)


def spelled(outcome: LayerOutcome, spelling: str) -> LayerOutcome:
    """Return the outcome in the caller's spelling of its digest."""
    return (
        outcome if outcome.digest == spelling else outcome.model_copy(update={"digest": spelling})
    )


def _strike(digests: list[str], outcomes: Mapping[str, LayerOutcome]) -> None:
    digests[:] = (
        []
        if len(outcomes) == len(digests)
        else [digest for digest in digests if digest not in outcomes]
    )


def _not_reported(digest: str) -> LayerFailure:
    reason = f"asked {_ASKED_AT_MOST} times, and no answer mentioned it"
    return LayerFailure(digest=digest, code=LayerFailureCode.NOT_REPORTED, reason=reason)
