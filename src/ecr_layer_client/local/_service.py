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
from typing import TYPE_CHECKING

import ecr_layer_client.local._protocol as protocol

from ._clock import Clock
from ._downloads import Downloads
from ._interceptors import Call, Interceptor, error_reply
from ._operations import Operations
from ._protocol import GET_LAYER, Reply
from ._registry.errors import AwsError
from ._registry.public import REGIONS as PUBLIC_REGIONS
from ._registry_api.api import RegistryAPI
from ._registry_api.auth import Registries
from ._registry_api.route import is_registry_path, route_of
from ._signatures import region_of
from ._stats import Stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._protocol import Request
    from ._registry.public import PublicRegistry
    from ._registry.registry import Registry
    from ._registry_api.route import Route

logger = logging.getLogger("ecr_layer_client.local")

# Outcomes without a response. RESET: an interceptor reset the connection. ABANDONED: the caller
# gave up, or the server closed.
RESET = "reset"
ABANDONED = "abandoned"

# The path at which monitors find that the service runs. It needs no password, and counts nowhere.
HEALTH_PATH = "/healthz"

# A request may name anything. Only what looks like an operation's name is counted under its name.
_IS_NAME = re.compile("[A-Za-z]{1,64}").fullmatch


class Service:
    """Registries behind the JSON 1.1 protocol and the API of `/v2/`, one for each Region.

    The service also serves downloads, runs the interceptors and counts requests.
    """

    def __init__(  # noqa: PLR0913  (each an option of its own)
        self,
        registry: Registry,
        interceptors: Sequence[Interceptor] = (),
        *,
        further: Sequence[Registry] = (),
        public: PublicRegistry | None = None,
        round_trip: float = 0.0,
        intake: float | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Serve `registry`, and the `further` ones to requests signed for their Regions.

        Requests to ECR Public get the registry `public`, if there is one.
        Requests and responses together take `round_trip` seconds. Each connection takes `intake`
        bytes of request bodies per second. `before` runs in the order of the
        interceptors, `after` in the reverse order.
        """
        self.registries = {each.region: each for each in (registry, *further)}
        self.registry = registry
        self.public = public
        self.interceptors = list(interceptors)
        self.round_trip = round_trip
        self.intake = intake
        self.clock = clock or Clock()
        self.downloads = Downloads(
            {region: each.store for region, each in self.registries.items()}, self.clock
        )
        self.stats = Stats()
        self.operations = Operations(self.stats)
        self._registry_api = RegistryAPI(Registries(self.registries), self.operations)

    async def answer(self, request: Request) -> Reply:
        """Return the response to any request.

        Raises ConnectionResetError when an interceptor resets the connection instead.
        """
        if request.path == HEALTH_PATH:
            return self.stamped(Reply(200, {"content-type": "text/plain"}, b"ok\n"))

        operation = ""
        try:
            operation, route = _meaning_of(request)
            await self._travel()
            now = asyncio.get_running_loop().time()
            reply = await self._answer(Call(operation, request, now, route))
            await self._travel()
        except AwsError as error:
            reply = error_reply(request, error)
        except (ConnectionResetError, asyncio.CancelledError) as error:
            self._count(operation, RESET if isinstance(error, ConnectionResetError) else ABANDONED)
            raise
        except Exception as error:  # noqa: BLE001  (the log has it)
            reply = error_reply(request, _logged(operation, error))

        self._count(operation, reply.outcome)
        return self.stamped(reply)

    async def take_in(self, size: int) -> None:
        """Wait as long as this many bytes of a request body take. The servers call this method."""
        if self.intake is not None:
            await asyncio.sleep(size / self.intake)

    def stamped(self, reply: Reply) -> Reply:
        """Return the reply with the headers of every response: the service's time, a request id."""
        headers = {
            **reply.headers,
            "date": self.clock.date(),
            "x-amzn-requestid": str(uuid.uuid4()),
        }
        # `dataclasses.replace` takes several times as long.
        return Reply(reply.status, headers, reply.body, reply.outcome, reply.stream)

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
        if call.route is None:
            return await self.operations.somewhere(call.operation, self._run, call)
        try:
            return await self._registry_api.answer(call.request, call.route, call.scripts)
        except AwsError as error:
            return call.error_reply(error)

    def _run(self, call: Call) -> Reply:
        try:
            if call.operation == GET_LAYER:
                return self.downloads.answer(call.request)
            members = protocol.members_of(call.request)
            registry = self._registry_of(call)
            result = self.operations.run(registry, call.operation, members, call.scripts)
        except AwsError as error:
            return call.error_reply(error)

        if call.operation == "GetDownloadUrlForLayer":
            host = call.request.headers.get("host", "")
            url = self.downloads.url(host, registry.region, result["layerDigest"])
            result["downloadUrl"] = url
        return protocol.ok(result)

    def _registry_of(self, call: Call) -> Registry:
        if call.service == "ecr-public":
            return self._public_registry(region_of(call.request))
        if len(self.registries) == 1:
            return self.registry
        return self.registries.get(region_of(call.request) or "", self.registry)

    def _public_registry(self, region: str | None) -> Registry:
        if self.public is None or region not in {None, *PUBLIC_REGIONS}:
            # ECR Public model: the error is about the Region.
            code = "UnsupportedCommandException"
            raise AwsError(code, f"The action is not supported in the Region '{region}'")
        return self.public


async def _before(interceptor: Interceptor, call: Call) -> Reply | None:
    try:
        return await interceptor.before(call)
    except AwsError as error:
        return call.error_reply(error)


def _meaning_of(request: Request) -> tuple[str, Route | None]:
    """Return the operation that a request counts as, and its route if it is one to `/v2/`."""
    if is_registry_path(request.path):
        route = route_of(request.method, request.path)
        return route.operation, route
    return protocol.operation_of(request), None


def _logged(operation: str, error: Exception) -> AwsError:
    """Log a failure of this service, and return the error for its caller."""
    code = "ServerException"
    if isinstance(error, OSError):
        # A full disk, or a directory that was removed. Nothing was changed, and a traceback would
        # say no more.
        text = "the local ECR could not save the changes of %s: %s"
        logger.error(text, operation[:200], error)
        why = error.strerror or error
        return AwsError(code, f"The local ECR could not save the change: {why}", 500)

    logger.error("the local ECR failed to answer %r", operation[:200], exc_info=error)
    return AwsError(code, "The local ECR failed: its log has the traceback", 500)
