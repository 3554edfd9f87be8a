"""Clients of each transport, for the tests that run on both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from ecr_layer_client import ECRLayerClient
from ecr_layer_client._transport.sigv4 import RequestTemplate

if TYPE_CHECKING:
    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client._transport.signed_request import SignedRequestTransport

TRANSPORTS: tuple[TransportName, ...] = ("client", "signed")
_HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.BatchCheckLayerAvailability",
}


class OwnClient(Protocol):
    """A function that makes a client with the library's own session."""

    def __call__(
        self, endpoint_url: str, *, profile_name: str | None = None, **options: Any
    ) -> ECRLayerClient:
        """Return a client. The options are those of `ClientConfig`."""
        ...


class WarmClient(ECRLayerClient):
    """A client whose first request takes the signed transport, too.

    Other clients send their first request by the client transport, to see what it looks like.
    """

    async def open(self) -> Self:
        """Open the client and give it the template of a request."""
        await super().open()
        if self._is_view:
            return self
        opened = self._connection._opened
        assert opened is not None
        endpoint_url, region_name, _ = opened.identity
        transport = cast("SignedRequestTransport", opened.transport)
        transport._template = RequestTemplate(endpoint_url, _HEADERS, region_name, "ecr")
        return self


def client_class(transport: TransportName) -> type[ECRLayerClient]:
    """Return the class whose clients use a transport from their first request on.

    The clients need `ClientConfig(transport=transport)`, too.
    """
    return WarmClient if transport == "signed" else ECRLayerClient
