"""`Call` and `Interceptor`: the code that runs between a request and the registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import ecr_layer_client.local._protocol as protocol

from ._protocol import GET_LAYER

if TYPE_CHECKING:
    from ._fault_options import Script
    from ._protocol import Reply, Request
    from ._registry.errors import AwsError


@dataclass(frozen=True, slots=True)
class Call:
    """A request with its operation.

    `at` is the time of arrival on the running loop's clock, which may be virtual. `scripts` are
    the faults that affect the request.
    """

    operation: str
    request: Request
    at: float
    scripts: list[Script] = field(default_factory=list["Script"])

    def error_reply(self, error: AwsError) -> Reply:
        """Return the error response, in the format that clients of this operation read."""
        if self.operation == GET_LAYER:
            return protocol.xml_error_reply(error)
        return protocol.error_reply(error)


class Interceptor(Protocol):
    """Code that runs before and after the registry, for every request.

    Interceptors are nested around the registry. The reply comes from the registry or from an inner
    interceptor. It goes through the `after` of every interceptor that let the call pass.
    """

    async def before(self, call: Call) -> Reply | None:
        """Return None to let the call pass, or a reply in place of the registry's.

        Raises AwsError for an error response, and ConnectionResetError to reset the connection.
        """
        ...

    async def after(self, call: Call, reply: Reply) -> Reply:
        """Return the reply to send: the given one, or a changed copy."""
        ...
