"""The ids in a request: they name images by digest, by tag, or by both."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .errors import invalid_parameter
from .manifest import DIGEST, DIGEST_PATTERN

if TYPE_CHECKING:
    from .state import Row, StoredRepository

# OCI distribution specification: <reference> as a tag.
TAG_PATTERN = "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
TAG = re.compile(TAG_PATTERN).fullmatch
ImageId = tuple[str, str | None]  # digest, and the tag if any


def failure_of(repository: StoredRepository, asked: Row) -> Row | None:
    """Return why the repository does not have an image, or None if it has the image."""
    digest, tag = asked.get("imageDigest"), asked.get("imageTag")
    invalid = "Invalid request parameters:"
    if digest is None and tag is None:
        why = f"{invalid} both tag and digest cannot be null"
        return failed(asked, "MissingDigestAndTag", why)
    if digest is not None and not DIGEST(digest):
        why = f"{invalid} image digest should satisfy the regex '{DIGEST_PATTERN}'"
        return failed(asked, "InvalidImageDigest", why)
    # Assumed.
    if tag is not None and not TAG(tag):
        why = f"{invalid} image tag should satisfy the regex '{TAG_PATTERN}'"
        return failed(asked, "InvalidImageTag", why)

    tagged = repository.tags.get(tag) if tag is not None else digest
    image = repository.images.get(digest or tagged or "")
    if image is None or tagged is None:
        return failed(asked, "ImageNotFound", "Requested image not found")
    # Assumed.
    if tagged != image.digest:
        why = "Requested tag does not refer to the requested digest"
        return failed(asked, "ImageTagDoesNotMatchDigest", why)
    return None


def failed(asked: Row, code: str, reason: str) -> Row:
    """Return the failure of one id."""
    return {"imageId": asked, "failureCode": code, "failureReason": reason}


def existing_digest(repository: StoredRepository, asked: Row, where: str) -> str:
    """Return the digest of the image that a request names in its member `where`.

    Raises AwsError if there is none.
    """
    failure = failure_of(repository, asked)
    if failure is None:
        return digest_of(repository, asked)
    if failure["failureCode"] not in {"ImageNotFound", "ImageTagDoesNotMatchDigest"}:
        raise invalid_parameter(where, failure["failureReason"])

    # The wording is quoted in public issues.
    code = "ImageNotFoundException"
    names = ", ".join(
        f"{name}:'{asked.get(name) or 'null'}'" for name in ("imageDigest", "imageTag")
    )
    raise repository.error(code, f"The image with imageId {{{names}}} does not exist within")


def digest_of(repository: StoredRepository, asked: Row) -> str:
    """Return the digest of an image that exists."""
    return str(asked.get("imageDigest") or repository.tags[asked["imageTag"]])


def ids_of(repository: StoredRepository, asked: Row) -> list[ImageId]:
    """Return the tag that a request names, or all tags of the digest that it names."""
    tag = asked.get("imageTag")
    if tag is not None:
        return [(repository.tags[tag], tag)]
    return all_ids(repository, asked["imageDigest"])


def all_ids(repository: StoredRepository, digest: str) -> list[ImageId]:
    """Return an id for each tag of an image, or one without a tag."""
    tags = repository.tags_of(digest)
    return [(digest, tag) for tag in tags] if tags else [(digest, None)]


def image_id_row(image_id: ImageId) -> Row:
    """Return an id as responses have it."""
    digest, tag = image_id
    return {"imageDigest": digest} if tag is None else {"imageDigest": digest, "imageTag": tag}
