"""Runs ECR's operations for all protocols: validated, changed by faults, and in threads."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ._aws_model import service_model
from ._registry.layers import ACCEPTED_BYTES
from ._registry.operations import CHANGING
from ._validation import known_members, request_parser

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ._fault_options import Script
    from ._registry.registry import Registry
    from ._registry.state import Row
    from ._stats import Stats

# Parts of different layers that are decoded and written at the same time.
PART_THREADS = 4

T = TypeVar("T")


class Operations:
    """ECR's operations. Those that take long or wait for the disk run in threads."""

    def __init__(self, stats: Stats) -> None:
        """Start without threads: everything runs on the event loop."""
        self._stats: Final = stats
        # An operation without an executor runs on the event loop.
        self._executors: dict[str, ThreadPoolExecutor] = {}

    def start_threads(self) -> None:
        """Run what takes long or waits for the disk in threads, while the event loop serves."""
        changes = ThreadPoolExecutor(1, "local-ecr-changes")
        self._executors = dict.fromkeys(CHANGING, changes)
        self._executors["UploadLayerPart"] = ThreadPoolExecutor(PART_THREADS, "local-ecr-parts")

    async def end_threads(self) -> None:
        """Wait for what runs in the threads, and end them. Safe to call twice."""
        executors, self._executors = set(self._executors.values()), {}
        for executor in executors:
            await asyncio.to_thread(executor.shutdown)

    async def somewhere(self, operation: str, function: Callable[..., T], *args: Any) -> T:
        """Call a function, in a thread if the operation has threads."""
        executor = self._executors.get(operation)
        if executor is None:
            return function(*args)
        return await asyncio.get_running_loop().run_in_executor(executor, function, *args)

    def run(
        self,
        registry: Registry,
        operation: str,
        members: dict[str, Any],
        scripts: Sequence[Script] = (),
    ) -> Row:
        """Run an operation as the faults in `scripts` change it. Raises AwsError."""
        service = registry.service.name
        if operation in registry.operations:
            members = request_parser(operation, service)(members)
        _apply(scripts, registry, members)
        result = registry.run(operation, members)

        if operation == "BatchCheckLayerAvailability":
            self._stats.count_digests(len(members["layerDigests"]))
        if service == "ecr":
            return result
        # The registry's own functions return what private repositories have, too.
        shape = service_model(service).operation_model(operation).output_shape
        known: Row = known_members(result, shape)
        return known


def _apply(scripts: Sequence[Script], registry: Registry, members: dict[str, Any]) -> None:
    """Apply the faults that change what the registry does with a request."""
    for script in scripts:
        if script.accept_bytes is not None:
            members[ACCEPTED_BYTES] = script.accept_bytes
        if script.lose_layer is not None:
            registry.lose_layer(
                members["repositoryName"], script.lose_layer, members.get("registryId")
            )
