"""The road that every request takes, whichever face it came in by: parse, interceptors, check, run, render, interceptors.

Interceptors are the one place for what is not ECR's own behaviour: faults, quotas, signature
checks. `before` runs when the operation is known and nothing else has happened; `after` gets the
reply on its way out. Both may sleep.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from . import _protocol as protocol
from ._clock import Clock
from ._downloads import Downloads
from ._interceptors import Call, Interceptor
from ._protocol import GET_LAYER
from ._registry.errors import AwsError
from ._registry.registry import OPERATIONS, Registry
from ._signatures import region_of
from ._stats import Stats
from ._validation import request_parser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._protocol import Reply, Request

logger = logging.getLogger("ecr_layer_client.local")

# Outcomes without an answer: an interceptor hung up; the caller gave up (in memory) or the face
# closed.
RESET = "reset"
ABANDONED = "abandoned"


class Service:
    """Registries behind the JSON 1.1 protocol, one for each Region, and their downloads.

    With interceptors and statistics.
    """

    def __init__(
        self,
        registry: Registry,
        interceptors: Sequence[Interceptor] = (),
        *,
        further: Sequence[Registry] = (),
        round_trip: float = 0.0,
        clock: Clock | None = None,
    ) -> None:
        """Serve `registry`, and to requests that are signed for their Regions `further` ones, `round_trip` seconds away.

        `before` runs in the interceptors' order, `after` in the reverse one.
        """
        self.registries = {each.region: each for each in (registry, *further)}
        self.registry = registry
        self.interceptors = list(interceptors)
        self.round_trip = round_trip
        self.clock = clock or Clock()
        self.downloads = Downloads(
            {region: each.store for region, each in self.registries.items()}, self.clock
        )
        self.stats = Stats()

    async def answer(self, request: Request) -> Reply:
        """Answer one request, whatever it holds.

        Raises ConnectionResetError when an interceptor hangs up instead.
        """
        operation = ""
        try:
            operation = protocol.operation_of(request)
            await self._travel()
            reply = await self._answer(Call(operation, request, asyncio.get_running_loop().time()))
            await self._travel()
        except AwsError as error:
            reply = protocol.refused(error)
        except (ConnectionResetError, asyncio.CancelledError) as error:
            self._count(operation, RESET if isinstance(error, ConnectionResetError) else ABANDONED)
            raise
        except OSError as error:  # a full disk, a directory that went away: nothing was changed
            # A trace says no more.
            logger.error("the local ECR can't keep what %s brings: %s", operation[:200], error)  # noqa: TRY400
            reply = _failed(f"The local ECR can't keep it: {error.strerror or error}")
        except Exception:
            logger.exception("the local ECR failed to answer %r", operation[:200])
            reply = _failed("The local ECR failed; its log says why")
        self._count(operation, reply.outcome)
        return self.stamped(reply)

    def stamped(self, reply: Reply) -> Reply:
        """Return the reply with the headers of every answer: the service's time, and the id by which its support finds a request."""
        return replace(
            reply,
            headers={
                **reply.headers,
                "date": self.clock.date(),
                "x-amzn-requestid": str(uuid.uuid4()),
            },
        )

    def _count(self, operation: str, outcome: str) -> None:
        known = _known(operation)
        self.stats.count(known, outcome)
        logger.debug("%s: %s", known or "no operation", outcome)

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
            reply = self._run(call)
        for interceptor in reversed(passed):
            reply = await interceptor.after(call, reply)
        return reply

    def _run(self, call: Call) -> Reply:
        try:
            if call.operation == GET_LAYER:
                return self.downloads.answer(call.request)
            members = protocol.members_of(call.request)
            if call.operation in OPERATIONS:
                members = request_parser(call.operation)(members)
            registry = self._registry_of(call.request)
            answer = registry.run(call.operation, members)
        except AwsError as error:
            return call.refused(error)
        if call.operation == "BatchCheckLayerAvailability":
            self.stats.count_digests(len(members["layerDigests"]))
        elif call.operation == "GetDownloadUrlForLayer":
            answer["downloadUrl"] = self.downloads.url(
                call.request.headers.get("host", ""), registry.region, answer["layerDigest"]
            )
        return protocol.ok(answer)

    def _registry_of(self, request: Request) -> Registry:
        if len(self.registries) == 1:
            return self.registry
        return self.registries.get(region_of(request) or "", self.registry)


async def _before(interceptor: Interceptor, call: Call) -> Reply | None:
    try:
        return await interceptor.before(call)
    except AwsError as error:
        return call.refused(error)


def _failed(why: str) -> Reply:
    code = "ServerException"
    return protocol.refused(AwsError(code, why, 500))


def _known(operation: str) -> str:
    return operation if operation in OPERATIONS or operation == GET_LAYER else ""
