"""What is asked of ECR about images, and how its answers are read: BatchGetImage and ListImages.

Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ecr_layer_client._models.call_errors import ResponseError
from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

from ._descriptor import TAG, digest_of
from ._manifest import MANIFEST_TYPES, SIGNED_SCHEMA_1

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ecr_layer_client._models.repository import Repository

MOST_IDS = 100  # ECR model: ImageIdentifierList
PAGE = 1000  # ECR model: MaxResults of ListImages

_DIGEST = re.compile(
    r"(?ai)sha256:[a-f0-9]{64}"
)  # what ECR gives images; ASCII, for in Unicode a long s is an s in another case

_Model = TypeVar("_Model", bound=BaseModel)


class Held(NamedTuple):
    """An image as the repository holds it: the exact bytes of its manifest, under its own digest."""

    digest: str
    raw: bytes
    media_type: str | None


class NotGiven(NamedTuple):
    """Why there is no image for a reference: in words.

    And ECR's code, where it was ECR that gave none.
    """

    reason: str
    code: str | None = None


class ListedImage(NamedTuple):
    """One row of a list of images: a digest, and one of its tags; None of an image without any."""

    digest: str
    tag: str | None


class Page(NamedTuple):
    """Some rows, and the token of the next page; None of the last."""

    rows: list[ListedImage]
    next_token: str | None


def checked_reference(reference: str) -> str:
    """Return what names an image: a tag, or a digest, in either letter case and then in lower case, as ECR spells it.

    Raises:
        InvalidInputError: It is neither.
    """
    if isinstance(reference, str) and _DIGEST.fullmatch(reference):
        return reference.lower()
    if not isinstance(reference, str) or not TAG.fullmatch(reference):
        msg = f"reference={quoted(reference)}: a tag, such as 'latest', or a digest, sha256: and 64 digits"
        raise InvalidInputError(msg)
    return reference


def is_digest(reference: str) -> bool:
    """Say whether a reference is a digest; else it is a tag."""
    return ":" in reference


class _ImageId(BaseModel):
    digest: str | None = Field(default=None, validation_alias="imageDigest")
    tag: str | None = Field(default=None, validation_alias="imageTag")


class _Image(BaseModel):
    image_id: _ImageId = Field(validation_alias="imageId")
    manifest: str = Field(validation_alias="imageManifest")
    media_type: str | None = Field(default=None, validation_alias="imageManifestMediaType")


class _Failure(BaseModel):
    image_id: _ImageId = Field(validation_alias="imageId")
    code: str = Field(validation_alias="failureCode")
    reason: str = Field(default="", validation_alias="failureReason")


class _Images(BaseModel):
    images: list[_Image] = Field(default_factory=list[_Image])
    failures: list[_Failure] = Field(default_factory=list[_Failure])


class _Listed(BaseModel):
    image_ids: list[_ImageId] = Field(default_factory=list[_ImageId], validation_alias="imageIds")
    next_token: str | None = Field(default=None, validation_alias="nextToken")


_IMAGES = TypeAdapter(_Images)
_LISTED = TypeAdapter(_Listed)


@dataclass(frozen=True, slots=True)
class GetImages:
    """The manifests of some images.

    Attributes:
        repository: The repository.
        digests: Tags and digests, at most 100.
    """

    operation: ClassVar[str] = "BatchGetImage"
    repository: Repository
    digests: Sequence[str]

    def members(self) -> dict[str, Any]:
        """Return the request's members.

        Without the accepted types, ECR may hand out a manifest of another type than it holds.
        """
        ids = [
            {"imageDigest" if is_digest(reference) else "imageTag": reference}
            for reference in self.digests
        ]
        return {
            **_where(self.repository),
            "imageIds": ids,
            "acceptedMediaTypes": sorted(MANIFEST_TYPES),
        }

    def read(self, answer: bytes | Mapping[str, Any]) -> dict[str, Held | NotGiven]:
        """Read what became of each reference.

        An image that is asked for by digest comes once for each of its tags.

        Raises:
            ResponseError: It is no such answer, leaves a reference out, or a manifest is not what
                its digest says.
        """
        parsed = _parsed(_IMAGES, answer)
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
        left_out = [reference for reference in self.digests if reference not in found]
        if left_out:
            msg = f"ECR's answer says nothing of {len(left_out)} of {len(self.digests)} images that were asked for: {quoted(left_out[0])}"
            raise ResponseError(msg)
        return {reference: found[reference] for reference in self.digests}


@dataclass(frozen=True, slots=True)
class ListImages:
    """A page of the images of a repository, without the archived ones.

    Attributes:
        repository: The repository.
        token: Of the page, as the page before gave it. Default None: the first.
    """

    operation: ClassVar[str] = "ListImages"
    repository: Repository
    token: str | None = None

    @property
    def digests(self) -> Sequence[str]:
        """None: it asks for no digest."""
        return ()

    def members(self) -> dict[str, Any]:
        """Return the request's members."""
        more = {} if self.token is None else {"nextToken": self.token}
        return {**_where(self.repository), "maxResults": PAGE, **more}

    def read(self, answer: bytes | Mapping[str, Any]) -> Page:
        """Read a page.

        Raises:
            ResponseError: It is no such answer.
        """
        parsed = _parsed(_LISTED, answer)
        rows = [
            ListedImage(row.digest, row.tag) for row in parsed.image_ids if row.digest is not None
        ]
        if len(rows) < len(parsed.image_ids):
            msg = "ECR's answer lists an image without a digest"
            raise ResponseError(msg)
        return Page(rows, parsed.next_token or None)


def _where(repository: Repository) -> dict[str, str]:
    more = {} if repository.registry_id is None else {"registryId": repository.registry_id}
    return {"repositoryName": repository.name, **more}


def _held(image: _Image) -> Held:
    raw = image.manifest.encode()
    digest = digest_of(raw)
    said = image.image_id.digest
    if (
        image.media_type == SIGNED_SCHEMA_1 and said is not None
    ):  # Docker's rule: the digest of the bytes without the signatures
        return Held(said, raw, image.media_type)
    if said not in {None, digest}:
        msg = f"ECR's answer has a manifest that is not what its digest says: {quoted(said)} is {digest}"
        raise ResponseError(msg)
    return Held(digest, raw, image.media_type)


def _parsed(adapter: TypeAdapter[_Model], body: bytes | Mapping[str, Any]) -> _Model:
    try:
        if isinstance(body, bytes):
            return adapter.validate_json(body, strict=True, by_alias=True, by_name=False)
        return adapter.validate_python(body, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        msg = f"ECR's answer breaks its contract: {where}: {first['msg']}: {quoted(first['input'])}"
        raise ResponseError(msg) from None
