"""`GetImages` and `ListImages`: what is asked of ECR about images; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import to_json

from ecr_layer_client._models.call_errors import ResponseError
from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._transport.contract import Rows, parse_response

from ._descriptor import TAG, digest_of
from ._manifest import MANIFEST_TYPES, SIGNED_SCHEMA_1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ecr_layer_client._models.repository import Repository

MAX_IMAGE_IDS = 100  # ECR model: ImageIdentifierList
PAGE_SIZE = 1000  # ECR model: MaxResults of ListImages

# ASCII: in Unicode, a long s is an s in another letter case.
_DIGEST = re.compile(r"(?ai)sha256:[a-f0-9]{64}")  # what ECR gives images


class Held(NamedTuple):
    """An image that the repository holds: the exact bytes of its manifest, under its digest.

    The registry that has it is known if ECR says it.
    """

    digest: str
    raw: bytes
    media_type: str | None
    registry_id: str | None = None


class NotGiven(NamedTuple):
    """The reason why a reference has no image: in words, and ECR's code if ECR gave one."""

    reason: str
    code: str | None = None


class ListedImage(NamedTuple):
    """One row of a list of images: a digest, and one of its tags or None."""

    digest: str
    tag: str | None


class Page(NamedTuple):
    """Some rows, and the token of the next page. The last page has None."""

    rows: list[ListedImage]
    next_token: str | None


def checked_reference(reference: str) -> str:
    """Return a valid reference to an image. A digest is returned in lower case, as ECR spells it.

    Raises:
        InvalidInputError: It is neither a tag nor a digest.
    """
    if isinstance(reference, str) and _DIGEST.fullmatch(reference):
        return reference.lower()
    if not isinstance(reference, str) or not TAG.fullmatch(reference):
        msg = (
            f"reference={quoted(reference)} is not a valid reference to an image: write a tag, "
            "such as 'latest', or a digest, 'sha256:' and 64 hexadecimal digits"
        )
        raise InvalidInputError(msg)
    return reference


def is_digest(reference: str) -> bool:
    """Return whether a reference is a digest. Otherwise it is a tag."""
    return ":" in reference


class _ImageId(BaseModel):
    digest: str | None = Field(default=None, validation_alias="imageDigest")
    tag: str | None = Field(default=None, validation_alias="imageTag")


class _Image(BaseModel):
    image_id: _ImageId = Field(validation_alias="imageId")
    manifest: str = Field(validation_alias="imageManifest")
    media_type: str | None = Field(default=None, validation_alias="imageManifestMediaType")
    registry_id: str | None = Field(default=None, validation_alias="registryId")


class _Failure(BaseModel):
    image_id: _ImageId = Field(validation_alias="imageId")
    code: str = Field(validation_alias="failureCode")
    reason: str = Field(default="", validation_alias="failureReason")


class _Images(BaseModel):
    images: Rows[_Image] = Field(default_factory=list[_Image])
    failures: Rows[_Failure] = Field(default_factory=list[_Failure])


class _Listed(BaseModel):
    image_ids: Rows[_ImageId] = Field(default_factory=list[_ImageId], validation_alias="imageIds")
    next_token: str | None = Field(default=None, validation_alias="nextToken")


_IMAGES = TypeAdapter(_Images)
_LISTED = TypeAdapter(_Listed)


@dataclass(frozen=True, slots=True)
class ImageReferences:
    """The images that a request names.

    Attributes:
        repository: The repository.
        references: Tags and digests, at most 100.
    """

    repository: Repository
    references: Sequence[str]

    @property
    def count(self) -> int:
        """The number of images."""
        return len(self.references)

    def members(self) -> dict[str, Any]:
        """Return the members of the request that name the images."""
        ids = [
            {"imageDigest" if is_digest(reference) else "imageTag": reference}
            for reference in self.references
        ]
        return {**members_of(self.repository), "imageIds": ids}


@dataclass(frozen=True, slots=True)
class GetImages(ImageReferences):
    """Ask for the manifests of some images."""

    name: ClassVar[str] = "BatchGetImage"

    def request(self) -> bytes:
        """Return the body of the request.

        Without the accepted types, ECR may return a manifest of another type than it holds.
        """
        return to_json({**self.members(), "acceptedMediaTypes": sorted(MANIFEST_TYPES)})

    def parse(self, body: bytes) -> dict[str, Held | NotGiven]:
        """Return what became of each reference.

        ECR returns an image that is asked for by digest once for each of its tags.

        Raises:
            ResponseError: The response is malformed or leaves a reference out, or a manifest does
                not have its digest.
        """
        parsed = parse_response(_IMAGES, body)
        found: dict[str, Held | NotGiven] = {}
        for row in parsed.failures:
            for name in (row.image_id.digest, row.image_id.tag):
                if name is not None:
                    found[name] = NotGiven(row.reason, row.code)

        for image in parsed.images:
            held = _held(image)
            found[held.digest] = held
            if image.image_id.tag is not None:
                found[image.image_id.tag] = held

        left_out = [reference for reference in self.references if reference not in found]
        if left_out:
            msg = (
                f"ECR's response leaves out {len(left_out)} of {len(self.references)} images "
                f"of the request: {quoted(left_out[0])}"
            )
            raise ResponseError(msg)
        return {reference: found[reference] for reference in self.references}


@dataclass(frozen=True, slots=True)
class ListImages:
    """Ask for a page of the images of a repository.

    Attributes:
        repository: The repository.
        token: Of the page, from the page before it. Default None: the first page.
        archived: Whether to list archived images, too. Default False.
    """

    name: ClassVar[str] = "ListImages"
    repository: Repository
    token: str | None = None
    archived: bool = False

    @property
    def count(self) -> int:
        """0: it asks about no image in particular."""
        return 0

    def request(self) -> bytes:
        """Return the body of the request."""
        members: dict[str, object] = {**members_of(self.repository), "maxResults": PAGE_SIZE}
        if self.token is not None:
            members["nextToken"] = self.token
        if self.archived:
            # ECR model: without a filter, only ACTIVE images are listed.
            members["filter"] = {"imageStatus": "ANY"}
        return to_json(members)

    def parse(self, body: bytes) -> Page:
        """Return the page.

        Raises:
            ResponseError: The response is malformed.
        """
        parsed = parse_response(_LISTED, body)
        rows = [
            ListedImage(row.digest, row.tag) for row in parsed.image_ids if row.digest is not None
        ]
        if len(rows) < len(parsed.image_ids):
            msg = "ECR's response lists an image without a digest"
            raise ResponseError(msg)
        return Page(rows, parsed.next_token or None)


def members_of(repository: Repository) -> dict[str, str]:
    """Return the members of a request that name the repository."""
    more = {} if repository.registry_id is None else {"registryId": repository.registry_id}
    return {"repositoryName": repository.name, **more}


def _held(image: _Image) -> Held:
    raw = image.manifest.encode()
    digest = digest_of(raw)
    said = image.image_id.digest
    if image.media_type == SIGNED_SCHEMA_1 and said is not None:
        # Docker's rule: the digest is that of the bytes without the signatures.
        return Held(said, raw, image.media_type, image.registry_id)
    if said not in {None, digest}:
        msg = (
            f"ECR's response gives the digest {quoted(said)} for a manifest whose bytes have the "
            f"digest {digest}"
        )
        raise ResponseError(msg)
    return Held(digest, raw, image.media_type, image.registry_id)
