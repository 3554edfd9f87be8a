"""Manifests, by tag and by digest."""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ecr_layer_client.local._protocol import Reply
from ecr_layer_client.local._ranges import in_chunks
from ecr_layer_client.local._registry.errors import AwsError, invalid_parameter

from .errors import API_VERSION
from .exchange import checked_digest, reply

if TYPE_CHECKING:
    from ecr_layer_client.local._registry.state import Row

    from .exchange import Exchange

MAX_MANIFEST = 4 * 1024 * 1024  # ECR model: ImageManifest
MAX_MEDIA_TYPES = 100  # ECR model: MediaTypeList

_MEDIA_TYPE = re.compile(r"[a-zA-Z0-9.+-]+/[a-zA-Z0-9.+-]{1,127}").fullmatch


async def get_manifest(exchange: Exchange) -> Reply:
    """Return the response with a manifest, byte for byte."""
    members: dict[str, Any] = {"imageIds": [_image_id(exchange)]}
    if accepted := _accepted(exchange.header("accept")):
        members["acceptedMediaTypes"] = accepted
    found = await exchange.run("BatchGetImage", **members)
    _raise_failure(found)

    image = found["images"][0]
    headers = {
        **API_VERSION,
        "content-type": image["imageManifestMediaType"],
        "docker-content-digest": image["imageId"]["imageDigest"],
    }
    # Streamed, so that no fault takes the layers of a manifest for rows of a response.
    return Reply(HTTPStatus.OK, headers, image["imageManifest"].encode(), stream=in_chunks)


async def put_manifest(exchange: Exchange) -> Reply:
    """Put a manifest. One that the repository has already is accepted."""
    image_id = _image_id(exchange)
    body = await exchange.read(MAX_MANIFEST)
    members = {**image_id, "imageManifest": _text(body)}
    if media_type := exchange.header("content-type").partition(";")[0].strip():
        members["imageManifestMediaType"] = media_type

    try:
        await exchange.run("PutImage", **members)
    except AwsError as error:
        if error.code != "ImageAlreadyExistsException":
            raise

    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    headers = {
        "location": exchange.in_repository(f"manifests/{digest}"),
        "docker-content-digest": digest,
    }
    if subject := _subject(exchange, digest):
        headers["oci-subject"] = subject
    return reply(HTTPStatus.CREATED, headers)


async def delete_manifest(exchange: Exchange) -> Reply:
    """Delete a tag, or an image with all its tags."""
    _raise_failure(await exchange.run("BatchDeleteImage", imageIds=[_image_id(exchange)]))
    return reply(HTTPStatus.ACCEPTED)


def _image_id(exchange: Exchange) -> dict[str, str]:
    reference = exchange.route.reference
    # A tag has no colon.
    if ":" in reference:
        return {"imageDigest": checked_digest(reference)}
    return {"imageTag": reference}


def _accepted(header: str) -> list[str]:
    """Return the media types of an Accept header, or an empty list if any is accepted."""
    types = [each.partition(";")[0].strip() for each in header.split(",")]
    if any("*" in each for each in types):
        return []
    return [each for each in types if _MEDIA_TYPE(each)][:MAX_MEDIA_TYPES]


def _text(body: bytes) -> str:
    where = "ImageManifest"
    if len(body) > MAX_MANIFEST:
        rule = f"Member must have length less than or equal to {MAX_MANIFEST}"
        raise invalid_parameter(where, rule)
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise invalid_parameter(where, "Invalid JSON syntax") from None


def _raise_failure(response: Row) -> None:
    for failure in response["failures"]:
        code = failure["failureCode"]
        raise AwsError(code, failure["failureReason"])


def _subject(exchange: Exchange, digest: str) -> str | None:
    with exchange.registry.viewing(exchange.route.name, exchange.account) as repository:
        image = repository.images.get(digest)
    return image.subject if image is not None else None
