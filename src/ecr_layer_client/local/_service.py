"""The road that every request takes, whichever face it came in by: parse, interceptors, check, run, render, interceptors.

Interceptors are the one place for what is not ECR's own behaviour: faults, quotas, signature checks. `before` runs when the
operation is known and nothing else has happened; `after` gets the reply on its way out. Both may sleep.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from . import _protocol as protocol
from ._error import AwsError
from ._registry import OPERATIONS, Registry
from ._stats import Stats
from ._validation import request_parser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._protocol import Reply, Request

logger = logging.getLogger("ecr_layer_client.local")

RESET = "reset"  # outcomes without an answer: an interceptor hung up; the caller gave up (in memory) or the face closed
ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose operation is known. `at` is the running loop's time on arrival, so quotas work in virtual time too."""

    operation: str
    request: Request
    at: float


class Interceptor(Protocol):
    """Something that stands between a face and the registry.

    Each reply of the registry passes `after`, a refused one too; what an interceptor's `before` answers or raises does not.
    """

    async def before(self, call: Call) -> Reply | None:
        """Let the call pass (None), answer in the registry's place, or raise AwsError or ConnectionResetError."""
        ...

    async def after(self, call: Call, reply: Reply) -> Reply:
        """Return the reply to send: the one given, or a changed copy."""
        ...


class Service:
    """A registry behind the JSON 1.1 protocol, with interceptors and statistics."""

    def __init__(self, registry: Registry, interceptors: Sequence[Interceptor] = ()) -> None:
        """Serve `registry`; `before` runs in the interceptors' order, `after` in the reverse one."""
        self.registry = registry
        self.interceptors = list(interceptors)
        self.stats = Stats()

    async def answer(self, request: Request) -> Reply:
        """Answer one request, whatever it holds. Raises ConnectionResetError when an interceptor hangs up instead."""
        operation = ""
        try:
            operation = protocol.operation_of(request)
            reply = await self._answer(Call(operation, request, asyncio.get_running_loop().time()))
        except AwsError as error:
            reply = protocol.refused(error)
        except (ConnectionResetError, asyncio.CancelledError) as error:
            self.stats.count(_known(operation), RESET if isinstance(error, ConnectionResetError) else ABANDONED)
            raise
        except Exception:
            logger.exception("the local ECR failed to answer %r", operation[:200])
            code = "ServerException"
            reply = protocol.refused(AwsError(code, "The local ECR failed; its log says why", 500))
        self.stats.count(_known(operation), reply.outcome)
        return protocol.with_request_id(reply, str(uuid.uuid4()))

    async def _answer(self, call: Call) -> Reply:
        for interceptor in self.interceptors:
            if (early := await interceptor.before(call)) is not None:
                return early
        reply = self._run(call)
        for interceptor in reversed(self.interceptors):
            reply = await interceptor.after(call, reply)
        return reply

    def _run(self, call: Call) -> Reply:
        try:
            members = protocol.members_of(call.request)
            if call.operation in OPERATIONS:
                members = request_parser(call.operation)(members)
            reply = protocol.ok(self.registry.run(call.operation, members))
        except AwsError as error:
            return protocol.refused(error)
        if call.operation == "BatchCheckLayerAvailability":
            self.stats.digests_checked += len(members["layerDigests"])
        return reply


def _known(operation: str) -> str:
    return operation if operation in OPERATIONS else ""
