"""Blobs: whether a repository has them, and their bytes."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from ecr_layer_client.local._ranges import ranged_reply
from ecr_layer_client.local._registry.errors import AwsError

from .errors import API_VERSION
from .exchange import checked_digest, reply

if TYPE_CHECKING:
    from ecr_layer_client.local._protocol import Reply

    from .exchange import Exchange

AVAILABLE = "AVAILABLE"


async def check_blob(exchange: Exchange) -> Reply:
    """Return the response to a HEAD request for a blob. An archived blob is absent (assumed)."""
    digest = checked_digest(exchange.route.reference)
    checked = await exchange.run("BatchCheckLayerAvailability", layerDigests=[digest])
    rows = [row for row in checked["layers"] if row["layerAvailability"] == AVAILABLE]
    if not rows:
        raise _unknown(digest)

    (layer,) = rows
    headers = {
        "accept-ranges": "bytes",
        "content-length": str(layer["layerSize"]),
        "content-type": layer["mediaType"],
        "docker-content-digest": digest,
    }
    return reply(HTTPStatus.OK, headers)


async def get_blob(exchange: Exchange) -> Reply:
    """Return the response with the bytes of a blob, or with a range of them.

    As the OCI specifies it, also for a blob that no image refers to (assumed). ECR may redirect to
    S3, which is not documented.
    """
    digest = checked_digest(exchange.route.reference)
    with exchange.registry.viewing(exchange.route.name, exchange.account) as repository:
        layer = repository.layers.get(digest)
    blob = exchange.registry.store.get(digest)
    # One that was seeded has no bytes.
    if layer is None or layer.is_archived(exchange.registry.now()) or blob is None:
        raise _unknown(digest)

    headers = {
        **API_VERSION,
        "content-type": layer.media_type,
        "docker-content-digest": digest,
    }
    return ranged_reply(blob, headers, exchange.header("range"))


def _unknown(digest: str) -> AwsError:
    code = "LayerInaccessibleException"
    return AwsError(code, f"The layer with digest '{digest}' does not exist")
