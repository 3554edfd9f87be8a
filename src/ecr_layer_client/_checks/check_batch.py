"""`check_batch`: the requests of one batch, until each of its digests has an outcome."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ecr_layer_client._models.layer import LayerFailure, LayerFailureCode

from .operation import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ecr_layer_client._calls.caller import Caller, OperationState
    from ecr_layer_client._models.layer import LayerOutcome
    from ecr_layer_client._models.repository import Repository

_log = logging.getLogger("ecr_layer_client")
_MAX_REQUESTS = 2  # a digest that so many responses leave out is NOT_REPORTED


async def check_batch(
    caller: Caller,
    repository: Repository,
    digests: Sequence[str],
    state: OperationState,
    settle: Callable[[Mapping[str, LayerOutcome]], None],
) -> None:
    """Check a batch. Digests that the response leaves out are checked once more.

    Args:
        caller: Makes the calls.
        repository: The repository.
        digests: At most 100, in lower case. They are read when the first request is sent.
        state: Of the operation that these calls belong to. Once it is over, no request is sent.
        settle: Called with the outcomes of each response.

    Raises:
        CallError: A call failed for good.
    """
    for again in (False, True):
        settled = await caller.call(Check(repository, digests, again), state)
        outcomes = settled.outcomes
        if settled.ignored:
            _log.warning("%d rows of a response settle no digest of the request", settled.ignored)
        if len(outcomes) == len(digests):
            settle(outcomes)
            return

        digests = [digest for digest in digests if digest not in outcomes]
        settle(outcomes)
        if state.is_over:
            return

    settle({digest: _not_reported(digest) for digest in digests})


def _not_reported(digest: str) -> LayerFailure:
    reason = f"asked {_MAX_REQUESTS} times, and no response mentioned it"
    return LayerFailure(digest=digest, code=LayerFailureCode.NOT_REPORTED, reason=reason)
