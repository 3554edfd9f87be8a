"""`RegistryAPI`: the responses to requests for `/v2/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .blobs import check_blob, get_blob
from .exchange import Exchange
from .listings import catalog, ping, referrers, tags
from .manifests import delete_manifest, get_manifest, put_manifest
from .uploads import continue_upload, finish_upload, get_upload, start_upload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ecr_layer_client.local._fault_options import Script
    from ecr_layer_client.local._operations import Operations
    from ecr_layer_client.local._protocol import Reply, Request

    from .auth import Registries
    from .route import Route

# By the action of a route.
ACTIONS: Final[dict[str, Callable[[Exchange], Awaitable[Reply]]]] = {
    function.__name__: function
    for function in (
        catalog,
        check_blob,
        continue_upload,
        delete_manifest,
        finish_upload,
        get_blob,
        get_manifest,
        get_upload,
        ping,
        put_manifest,
        referrers,
        start_upload,
        tags,
    )
}


class RegistryAPI:
    """The Docker Registry API of some registries."""

    def __init__(self, registries: Registries, operations: Operations) -> None:
        """Serve these registries."""
        self._operations: Final = operations
        self._registries: Final = registries

    async def answer(self, request: Request, route: Route, scripts: Sequence[Script]) -> Reply:
        """Return the response to a request, as the faults in `scripts` change it.

        Raises AwsError.
        """
        registry, account = self._registries.of(request)
        exchange = Exchange(request, route, scripts, registry, account, self._operations)
        return await ACTIONS[route.action](exchange)
