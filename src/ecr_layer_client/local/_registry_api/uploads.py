"""Uploads of blobs: in one request, in two, or in chunks. Bodies go to the disk as they arrive."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from ecr_layer_client.local._registry.errors import AwsError
from ecr_layer_client.local._registry.limits import MAX_LAYER

from .exchange import checked_digest, reply

if TYPE_CHECKING:
    from ecr_layer_client.local._protocol import Reply
    from ecr_layer_client.local._registry.uploads import Upload

    from .exchange import Exchange

PART = "UploadLayerPart"

# The OCI writes only the numbers, other clients write the unit, too.
_CONTENT_RANGE = re.compile("(?:bytes[ =])?([0-9]{1,18})-([0-9]{1,18})(?:/.*)?").fullmatch


async def start_upload(exchange: Exchange) -> Reply:
    """Start an upload, mount a blob of another repository, or take a complete blob."""
    parameters = exchange.parameters
    if "mount" in parameters and await _mount(exchange, parameters):
        return _created(exchange, parameters["mount"])

    upload_id = (await exchange.run("InitiateLayerUpload"))["uploadId"]
    if "digest" in parameters:
        return await _finish(exchange, upload_id, checked_digest(parameters["digest"]))

    headers = {
        "location": _place(exchange, upload_id),
        "docker-upload-uuid": upload_id,
        "range": "0-0",
    }
    return reply(HTTPStatus.ACCEPTED, headers)


async def get_upload(exchange: Exchange) -> Reply:
    """Return how many bytes of an upload arrived (assumed: all of them, unlike after a chunk)."""
    upload_id = exchange.route.reference
    headers = {
        "location": _place(exchange, upload_id),
        "docker-upload-uuid": upload_id,
        "range": _range(_upload(exchange, upload_id).received),
    }
    return reply(HTTPStatus.NO_CONTENT, headers)


async def continue_upload(exchange: Exchange) -> Reply:
    """Take a chunk.

    The status 201, and a `Range` that ends with the first chunk, are ECR's (public issues).
    """
    upload_id = exchange.route.reference
    await _append(exchange, upload_id)
    headers = {
        "location": _place(exchange, upload_id),
        "docker-upload-uuid": upload_id,
        "range": _range(_upload(exchange, upload_id).first_part),
    }
    return reply(HTTPStatus.CREATED, headers)


async def finish_upload(exchange: Exchange) -> Reply:
    """Take the last chunk, if any, and complete the upload."""
    digest = checked_digest(exchange.parameters.get("digest", ""))
    return await _finish(exchange, exchange.route.reference, digest)


async def _finish(exchange: Exchange, upload_id: str, digest: str) -> Reply:
    await _append(exchange, upload_id)
    try:
        await exchange.run("CompleteLayerUpload", uploadId=upload_id, layerDigests=[digest])
    except AwsError as error:
        if error.code != "LayerAlreadyExistsException":
            raise
    return _created(exchange, digest)


async def _append(exchange: Exchange, upload_id: str) -> None:
    """Add the body to an upload. An empty body adds nothing."""
    received = _upload(exchange, upload_id).received
    first, size = _announced(exchange, received)
    if first != received:
        code = "InvalidLayerPartException"
        # The wording is quoted in public issues.
        raise AwsError(code, f"First byte of the layer part is {first} instead of {received}")

    part = await exchange.receive(limit=MAX_LAYER if size is None else size)
    try:
        last = first + (len(part) if size is None else size) - 1
        if len(part) or size:
            members = {"partFirstByte": first, "partLastByte": last, "layerPartBlob": part}
            await exchange.run(PART, uploadId=upload_id, **members)
    finally:
        part.discard()


def _announced(exchange: Exchange, received: int) -> tuple[int, int | None]:
    """Return the first byte and the size of the body, as Content-Range announces them.

    Without the header, the body follows what was received, and its size is not announced.
    """
    header = exchange.header("content-range")
    if not header:
        return received, None
    found = _CONTENT_RANGE(header.strip())
    first, last = map(int, found.groups()) if found is not None else (0, -1)
    if last < first:
        code = "InvalidLayerPartException"
        raise AwsError(code, f"{header[:200]!r} is not a valid Content-Range")
    return first, last - first + 1


async def _mount(exchange: Exchange, parameters: dict[str, str]) -> bool:
    digest, source = checked_digest(parameters["mount"]), parameters.get("from", "")
    return await exchange.operations.somewhere(
        "CompleteLayerUpload",
        exchange.registry.mount,
        exchange.route.name,
        digest,
        source,
        exchange.account,
    )


def _upload(exchange: Exchange, upload_id: str) -> Upload:
    with exchange.registry.viewing(exchange.route.name, exchange.account) as repository:
        upload = repository.uploads.get(upload_id)
        if upload is None:
            code = "UploadNotFoundException"
            what = f"The upload with id '{upload_id[:200]}' does not exist in"
            raise repository.error(code, what)
        return upload


def _place(exchange: Exchange, upload_id: str) -> str:
    return exchange.in_repository(f"blobs/uploads/{upload_id}")


def _range(received: int) -> str:
    return f"0-{max(0, received - 1)}"


def _created(exchange: Exchange, digest: str) -> Reply:
    digest = digest.lower()
    headers = {
        "location": exchange.in_repository(f"blobs/{digest}"),
        "docker-content-digest": digest,
    }
    return reply(HTTPStatus.CREATED, headers)
