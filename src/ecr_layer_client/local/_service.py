"""The path of every request, for both servers: parse, interceptors, validate, run, interceptors.

Interceptors implement everything that is not ECR's own behaviour: faults, quotas, signature checks.
`before` runs when the operation is known and nothing else has happened. `after` gets the reply on
its way out. Both may sleep.
"""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ecr_layer_client.local._protocol as protocol

from ._clock import Clock
from ._downloads import Downloads
from ._interceptors import Call, Interceptor
from ._protocol import GET_LAYER
from ._registry.errors import AwsError
from ._registry.layers import ACCEPTED_BYTES
from ._registry.registry import CHANGING, OPERATIONS, Registry
from ._signatures import region_of
from ._stats import Stats
from ._validation import request_parser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._fault_options import Script
    from ._protocol import Reply, Request

logger = logging.getLogger("ecr_layer_client.local")

# Outcomes without a response. RESET: an interceptor reset the connection. ABANDONED: the caller
# gave up, or the server closed.
RESET = "reset"
ABANDONED = "abandoned"

# Parts of different layers that are decoded and written at the same time.
PART_THREADS = 4

# A request may name anything. Only what looks like an operation's name is counted under its name.
_IS_NAME = re.compile("[A-Za-z]{1,64}").fullmatch


class Service:
    """Registries behind the JSON 1.1 protocol, one for each Region.

    The service also serves downloads, runs the interceptors and counts requests.
    """

    def __init__(  # noqa: PLR0913  (each an option of its own)
        self,
        registry: Registry,
        interceptors: Sequence[Interceptor] = (),
        *,
        further: Sequence[Registry] = (),
        round_trip: float = 0.0,
        intake: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Serve `registry`, and the `further` ones to requests signed for their Regions.

        Requests and responses together take `round_trip` seconds. Each connection takes `intake`
        bytes of request bodies per second. `before` runs in the order of the
        interceptors, `after` in the reverse order.
        """
        self.registries = {each.region: each for each in (registry, *further)}
        self.registry = registry
        self.interceptors = list(interceptors)
        self.round_trip = round_trip
        self.intake = intake
        self.clock = clock or Clock()
        self.downloads = Downloads(
            {region: each.store for region, each in self.registries.items()}, self.clock
        )
        self.stats = Stats()
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

    async def answer(self, request: Request) -> Reply:
        """Return the response to any request.

        Raises ConnectionResetError when an interceptor resets the connection instead.
        """
        operation = ""
        try:
            operation = protocol.operation_of(request)
            await self._travel()
            reply = await self._answer(Call(operation, request, asyncio.get_running_loop().time()))
            await self._travel()
        except AwsError as error:
            reply = protocol.error_reply(error)
        except (ConnectionResetError, asyncio.CancelledError) as error:
            self._count(operation, RESET if isinstance(error, ConnectionResetError) else ABANDONED)
            raise
        except OSError as error:
            # A full disk, or a directory that was removed. Nothing was changed, and a traceback
            # would say no more.
            text = "the local ECR could not save the changes of %s: %s"
            logger.error(text, operation[:200], error)  # noqa: TRY400
            why = error.strerror or error
            reply = _server_error(f"The local ECR could not save the change: {why}")
        except Exception:
            logger.exception("the local ECR failed to answer %r", operation[:200])
            reply = _server_error("The local ECR failed: its log has the traceback")

        self._count(operation, reply.outcome)
        return self.stamped(reply)

    async def take_in(self, size: int) -> None:
        """Wait as long as this many bytes of a request body take. The servers call this method."""
        if self.intake is not None:
            await asyncio.sleep(size / self.intake)

    def stamped(self, reply: Reply) -> Reply:
        """Return the reply with the headers of every response: the service's time, a request id."""
        return replace(
            reply,
            headers={
                **reply.headers,
                "date": self.clock.date(),
                "x-amzn-requestid": str(uuid.uuid4()),
            },
        )

    def _count(self, operation: str, outcome: str) -> None:
        name = operation if _IS_NAME(operation) else ""
        self.stats.count(name, outcome)
        logger.debug("%s: %s", name or "unknown operation", outcome)

    async def _travel(self) -> None:
        if self.round_trip:
            await asyncio.sleep(self.round_trip / 2)

    async def _answer(self, call: Call) -> Reply:
        passed: list[Interceptor] = []
        reply: Reply | None = None
        for interceptor in self.interceptors:
            reply = await _before(interceptor, call)
            if reply is not None:
                break
            passed.append(interceptor)

        if reply is None:
            reply = await self._run_somewhere(call)

        for interceptor in reversed(passed):
            reply = await interceptor.after(call, reply)
        return reply

    async def _run_somewhere(self, call: Call) -> Reply:
        executor = self._executors.get(call.operation)
        if executor is None:
            return self._run(call)
        return await asyncio.get_running_loop().run_in_executor(executor, self._run, call)

    def _run(self, call: Call) -> Reply:
        try:
            if call.operation == GET_LAYER:
                return self.downloads.answer(call.request)
            members = protocol.members_of(call.request)
            if call.operation in OPERATIONS:
                members = request_parser(call.operation)(members)
            registry = self._registry_of(call.request)
            _apply(call.scripts, registry, members)
            result = registry.run(call.operation, members)
        except AwsError as error:
            return call.error_reply(error)

        if call.operation == "BatchCheckLayerAvailability":
            self.stats.count_digests(len(members["layerDigests"]))
        elif call.operation == "GetDownloadUrlForLayer":
            host = call.request.headers.get("host", "")
            url = self.downloads.url(host, registry.region, result["layerDigest"])
            result["downloadUrl"] = url
        return protocol.ok(result)

    def _registry_of(self, request: Request) -> Registry:
        if len(self.registries) == 1:
            return self.registry
        return self.registries.get(region_of(request) or "", self.registry)


async def _before(interceptor: Interceptor, call: Call) -> Reply | None:
    try:
        return await interceptor.before(call)
    except AwsError as error:
        return call.error_reply(error)


def _apply(scripts: Sequence[Script], registry: Registry, members: dict[str, Any]) -> None:
    """Apply the faults that change what the registry does with a request."""
    for script in scripts:
        if script.accept_bytes is not None:
            members[ACCEPTED_BYTES] = script.accept_bytes
        if script.lose_layer is not None:
            registry.lose_layer(
                members["repositoryName"], script.lose_layer, members.get("registryId")
            )


def _server_error(message: str) -> Reply:
    code = "ServerException"
    return protocol.error_reply(AwsError(code, message, 500))
