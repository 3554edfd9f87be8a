"""The operations of a push and of a pull, beside those that `images` brings; pure."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import BaseModel, Field, TypeAdapter
from pydantic_core import to_json

from ecr_layer_client._models.call_errors import ResponseError
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._transport.contract import parse_response
from ecr_layer_client.images._operations import (
    GetImages,
    Held,
    ImageReferences,
    NotGiven,
    members_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client._models.services import ServiceName
    from ecr_layer_client._transport.operation import Operation, StreamedBody
    from ecr_layer_client.images._manifest_tree import Manifest

    NamedImages = Operation[Mapping[str, "Held | KnownImage | NotGiven"]]


class _Started(BaseModel):
    upload_id: str = Field(validation_alias="uploadId", min_length=1)
    part_size: int = Field(validation_alias="partSize", gt=0)


class _Received(BaseModel):
    last: int = Field(validation_alias="lastByteReceived", ge=0)


class _Completed(BaseModel):
    digest: str = Field(validation_alias="layerDigest")


class _ImageId(BaseModel):
    digest: str = Field(validation_alias="imageDigest")


class _Image(BaseModel):
    image_id: _ImageId = Field(validation_alias="imageId")
    registry_id: str | None = Field(default=None, validation_alias="registryId")


class _Put(BaseModel):
    image: _Image


class _Url(BaseModel):
    url: str = Field(validation_alias="downloadUrl", min_length=1, repr=False)


class _Filter(BaseModel):
    text: str = Field(validation_alias="filter")


class DescribedRepository(BaseModel):
    """The description of a repository that ECR returns.

    Attributes:
        name: Its name.
        registry_id: The registry that has it.
        mutability: Whether its tags can be moved, as ECR spells it.
    """

    name: str = Field(validation_alias="repositoryName")
    registry_id: str = Field(validation_alias="registryId")
    mutability: str = Field(default="MUTABLE", validation_alias="imageTagMutability")
    exceptions: list[_Filter] = Field(
        default_factory=list[_Filter], validation_alias="imageTagMutabilityExclusionFilters"
    )

    def is_immutable(self, tag: str) -> bool:
        """Return whether ECR refuses to move a tag.

        Source: AWS, "Preventing image tags from being overwritten in Amazon ECR". A filter is a
        text with wildcards; the tags that it matches are the exceptions.
        """
        is_exception = any(fnmatchcase(tag, each.text) for each in self.exceptions)
        return self.mutability.startswith("IMMUTABLE") is not is_exception


class _ImageDetail(BaseModel):
    digest: str = Field(validation_alias="imageDigest")
    tags: list[str] = Field(default_factory=list[str], validation_alias="imageTags")
    registry_id: str | None = Field(default=None, validation_alias="registryId")


class _ImageDetails(BaseModel):
    details: list[_ImageDetail] = Field(validation_alias="imageDetails")


class _Described(BaseModel):
    repositories: list[DescribedRepository]


_DESCRIBED = TypeAdapter(_Described)
_IMAGE_DETAILS = TypeAdapter(_ImageDetails)
_STARTED = TypeAdapter(_Started)
_RECEIVED = TypeAdapter(_Received)
_COMPLETED = TypeAdapter(_Completed)
_PUT = TypeAdapter(_Put)
_URL = TypeAdapter(_Url)


class _OneThing:
    """A request about one layer, image or repository."""

    __slots__ = ()

    @property
    def count(self) -> int:
        """1."""
        return 1


class StartedUpload(NamedTuple):
    """An upload that ECR began, and the bytes of a part that it proposes."""

    upload_id: str
    part_size: int


@dataclass(frozen=True, slots=True)
class InitiateLayerUpload(_OneThing):
    """Begin the upload of a layer."""

    name: ClassVar[str] = "InitiateLayerUpload"
    repository: Repository

    def request(self) -> bytes:
        """Return the body of the request."""
        return to_json(members_of(self.repository))

    def parse(self, body: bytes) -> StartedUpload:
        """Return the upload.

        Raises:
            ResponseError: The response is malformed.
        """
        started = parse_response(_STARTED, body)
        return StartedUpload(started.upload_id, started.part_size)


@dataclass(frozen=True, slots=True)
class UploadLayerPart(_OneThing):
    """Send one part of a layer.

    Attributes:
        repository: The repository.
        first: The position of the part's first byte in the layer.
        last: The position of its last byte.
        body: The body of the request.
    """

    name: ClassVar[str] = "UploadLayerPart"
    repository: Repository
    first: int
    last: int
    body: StreamedBody

    def request(self) -> StreamedBody:
        """Return the body of the request."""
        return self.body

    def parse(self, body: bytes) -> int:
        """Return the number of the layer's bytes that ECR has received.

        Raises:
            ResponseError: The response is malformed, or ECR claims bytes that were not sent.
        """
        last = parse_response(_RECEIVED, body).last
        if not self.first <= last <= self.last:
            msg = (
                f"ECR's response says that it received the bytes up to {last}, "
                f"but the part has the bytes {self.first} to {self.last}"
            )
            raise ResponseError(msg, retryable=False)
        return last + 1


@dataclass(frozen=True, slots=True)
class CompleteLayerUpload(_OneThing):
    """End the upload of a layer. ECR compares the digest with the bytes.

    Attributes:
        repository: The repository.
        upload_id: The upload.
        digest: The digest of the layer.
    """

    name: ClassVar[str] = "CompleteLayerUpload"
    repository: Repository
    upload_id: str
    digest: str

    def request(self) -> bytes:
        """Return the body of the request."""
        upload = {"uploadId": self.upload_id, "layerDigests": [self.digest]}
        return to_json({**members_of(self.repository), **upload})

    def parse(self, body: bytes) -> None:
        """Check that ECR completed this layer.

        Raises:
            ResponseError: The response is malformed, or about another layer.
        """
        completed = parse_response(_COMPLETED, body).digest
        if completed != self.digest:
            msg = f"ECR's response is about the layer {quoted(completed)} instead of {self.digest}"
            raise ResponseError(msg)


@dataclass(frozen=True, slots=True)
class PutImage(_OneThing):
    """Store a manifest.

    Attributes:
        repository: The repository.
        manifest: The manifest, whose exact bytes are sent.
        tag: The tag that it gets. Default None: no tag.
    """

    name: ClassVar[str] = "PutImage"
    repository: Repository
    manifest: Manifest
    tag: str | None = None

    def request(self) -> bytes:
        """Return the body of the request."""
        members = {
            **members_of(self.repository),
            "imageManifest": self.manifest.raw.decode(),
            "imageManifestMediaType": self.manifest.media_type,
            "imageDigest": self.manifest.digest,
            "imageTag": self.tag,
        }
        return to_json({name: value for name, value in members.items() if value is not None})

    def parse(self, body: bytes) -> str | None:
        """Return the registry that has the image, if ECR names it.

        Raises:
            ResponseError: The response is malformed, or about another image.
        """
        image = parse_response(_PUT, body).image
        if image.image_id.digest != self.manifest.digest:
            msg = (
                f"ECR's response is about the image {quoted(image.image_id.digest)} "
                f"instead of {self.manifest.digest}"
            )
            raise ResponseError(msg)
        return image.registry_id


@dataclass(frozen=True, slots=True)
class GetDownloadUrlForLayer(_OneThing):
    """Ask for a URL from which a layer can be downloaded for an hour.

    Attributes:
        repository: The repository.
        digest: The digest of the layer.
    """

    name: ClassVar[str] = "GetDownloadUrlForLayer"
    repository: Repository
    digest: str

    def request(self) -> bytes:
        """Return the body of the request."""
        return to_json({**members_of(self.repository), "layerDigest": self.digest})

    def parse(self, body: bytes) -> str:
        """Return the URL. Its query is a secret.

        Raises:
            ResponseError: The response is malformed.
        """
        return parse_response(_URL, body).url


class KnownImage(NamedTuple):
    """An image that the repository has, and the registry if ECR says it."""

    digest: str
    registry_id: str | None


@dataclass(frozen=True, slots=True)
class DescribeNamedImages(ImageReferences):
    """Ask which images some references name.

    If the repository lacks one of the images, the response is the error ImageNotFoundException.
    """

    name: ClassVar[str] = "DescribeImages"

    def request(self) -> bytes:
        """Return the body of the request."""
        return to_json(self.members())

    def parse(self, body: bytes) -> Mapping[str, KnownImage]:
        """Return the images by their digests and tags.

        Raises:
            ResponseError: The response is malformed.
        """
        return {
            name: KnownImage(detail.digest, detail.registry_id)
            for detail in parse_response(_IMAGE_DETAILS, body).details
            for name in (detail.digest, *detail.tags)
        }


# By service, the operation that asks which images some references name.
NAMED_IMAGES: Mapping[ServiceName, Callable[[Repository, Sequence[str]], NamedImages]] = {
    "ecr": GetImages,
    "ecr-public": DescribeNamedImages,
}


@dataclass(frozen=True, slots=True)
class DescribeRepository(_OneThing):
    """Ask about one repository."""

    name: ClassVar[str] = "DescribeRepositories"
    repository: Repository

    def request(self) -> bytes:
        """Return the body of the request."""
        members: dict[str, object] = {**members_of(self.repository)}
        members["repositoryNames"] = [members.pop("repositoryName")]
        return to_json(members)

    def parse(self, body: bytes) -> DescribedRepository:
        """Return what ECR says about it.

        Raises:
            ResponseError: The response is malformed, or about another repository.
        """
        described = parse_response(_DESCRIBED, body).repositories
        if [each.name for each in described] != [self.repository.name]:
            msg = f"ECR's response does not describe the repository {self.repository.name!r}"
            raise ResponseError(msg)
        return described[0]
