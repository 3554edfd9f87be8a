"""The parts of a client that its transfers use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ecr_layer_client._models.quotas import MAX_BATCH_SIZE

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Sequence

    from ecr_layer_client._calls.bounds import Bounds
    from ecr_layer_client._calls.caller import Caller, OperationState
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client._models.result import LayerCheckResult
    from ecr_layer_client._transport.operation import Operation, Transport

T = TypeVar("T")

_CHECK = "BatchCheckLayerAvailability"


class TransferTools(NamedTuple):
    """The parts of a client that a transfer uses.

    Attributes:
        repository: The repository.
        check: Checks digests of that repository.
        caller_of: Makes the caller of an API operation.
        downloads_through: Makes the caller of downloads.
        endpoint_url: The endpoint that they are sent to.
        region_name: The Region that they are signed for.
        bounds: What all transfers of the client share.
        patience: Seconds that an attempt may take without progress.
    """

    repository: Repository
    check: Callable[[Sequence[str]], Coroutine[Any, Any, LayerCheckResult]]
    caller_of: Callable[[str], Caller]
    downloads_through: Callable[[Transport], Caller]
    endpoint_url: str
    region_name: str
    bounds: Bounds
    patience: float


class Calls:
    """Makes the calls of one transfer, and counts them.

    Args:
        tools: Given by the client.
        state: Shared by all calls of the transfer.

    Attributes:
        made: The calls by operation, without retries.
    """

    def __init__(self, tools: TransferTools, state: OperationState) -> None:
        self._tools = tools
        self._state = state
        self._callers: dict[str, Caller] = {}
        self.made: dict[str, int] = {}

    async def check(self, digests: Sequence[str]) -> LayerCheckResult:
        """Check which layers the repository holds.

        Raises:
            CallError: A call failed.
        """
        self._count(_CHECK, -(-len(digests) // MAX_BATCH_SIZE))
        return await self._tools.check(digests)

    async def call(
        self,
        operation: Operation[T],
        on_attempt: Callable[[asyncio.Timeout], None] | None = None,
    ) -> T:
        """Make a call, under the retry policy.

        Args:
            operation: The call.
            on_attempt: Given the deadline of each attempt. Default None.

        Raises:
            CallError: The call failed.
        """
        caller = self._callers.get(operation.name)
        if caller is None:
            caller = self._callers[operation.name] = self._tools.caller_of(operation.name)
        return await self.through(caller, operation, on_attempt)

    async def through(
        self,
        caller: Caller,
        operation: Operation[T],
        on_attempt: Callable[[asyncio.Timeout], None] | None = None,
    ) -> T:
        """Make a call through a caller of your own."""
        self._count(operation.name, 1)
        return await caller.call(operation, self._state, on_attempt)

    def _count(self, name: str, calls: int) -> None:
        self.made[name] = self.made.get(name, 0) + calls
