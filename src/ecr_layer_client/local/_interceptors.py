"""`Call` and `Interceptor`: the code that runs between a request and the registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import ecr_layer_client.local._protocol as protocol

from ._protocol import LAYERS_PATH
from ._registry_api import errors as registry_api_errors
from ._registry_api.route import is_registry_path

if TYPE_CHECKING:
    from ecr_layer_client._models.services import ServiceName

    from ._fault_options import Script
    from ._protocol import Reply, Request
    from ._registry.errors import AwsError
    from ._registry_api.route import Route


@dataclass(frozen=True, slots=True)
class Call:
    """A request with its operation.

    `at` is the time of arrival on the running loop's clock, which may be virtual. `route` is the
    meaning of a request to `/v2/`. `scripts` are the faults that affect the request.
    """

    operation: str
    request: Request
    at: float
    route: Route | None = None
    scripts: list[Script] = field(default_factory=list["Script"])

    @property
    def service(self) -> ServiceName:
        """The service that the request names."""
        return protocol.service_of(self.request)

    def error_reply(self, error: AwsError) -> Reply:
        """Return the error response, in the format that clients of this path read."""
        return error_reply(self.request, error)


def error_reply(request: Request, error: AwsError) -> Reply:
    """Return the error response, in the format that clients of this path read."""
    if is_registry_path(request.path):
        return registry_api_errors.error_reply(error)
    if request.path.startswith(LAYERS_PATH):
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
