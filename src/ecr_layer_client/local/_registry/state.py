"""The contents of a registry: repositories, their layers, images and tags. Pure.

The bytes are in the `Store`.

A change replaces a layer or an image by a changed copy and never modifies the object itself, so
that a change can be undone.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from .errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from .uploads import Upload

Row = dict[str, Any]

# Assumed: an upload has no media type.
DEFAULT_MEDIA_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(slots=True)
class StoredLayer:
    """A layer of a repository. Its digest is in lower case, as registries store digests."""

    digest: str
    size: int
    media_type: str
    archived: bool = False

    def row(self) -> Row:
        """Return the layer as `BatchCheckLayerAvailability` reports it."""
        availability = "ARCHIVED" if self.archived else "AVAILABLE"
        return {
            "layerDigest": self.digest,
            "layerAvailability": availability,
            "layerSize": self.size,
            "mediaType": self.media_type,
        }


@dataclass(slots=True)
class StoredImage:
    """An image of a repository.

    `blobs` are its config and layers. `children` are the images that an index lists. Times are in
    epoch seconds. `archived_at` is None unless the image is archived.
    """

    digest: str
    media_type: str
    pushed_at: float
    blobs: dict[str, str] = field(default_factory=dict[str, str])  # digest -> media type
    children: list[str] = field(default_factory=list[str])
    artifact_type: str | None = None
    subject: str | None = None
    archived_at: float | None = None
    activated_at: float | None = None

    @property
    def status(self) -> str:
        """The status, as `DescribeImages` reports it."""
        return "ACTIVE" if self.archived_at is None else "ARCHIVED"


@dataclass(slots=True)
class StoredRepository:
    """A repository: its description, its contents, and its uploads in progress."""

    description: Row
    layers: dict[str, StoredLayer] = field(default_factory=dict[str, StoredLayer])
    images: dict[str, StoredImage] = field(default_factory=dict[str, StoredImage])
    tags: dict[str, str] = field(default_factory=dict[str, str])  # tag -> digest of an image
    uploads: dict[str, Upload] = field(default_factory=dict[str, "Upload"])

    @property
    def name(self) -> str:
        """The name of the repository."""
        return str(self.description["repositoryName"])

    @property
    def registry_id(self) -> str:
        """The account of the registry that has the repository."""
        return str(self.description["registryId"])

    @property
    def place(self) -> str:
        """The repository and its registry, in the words of ECR's messages."""
        return (
            f"the repository with name '{self.name}' in the registry with id '{self.registry_id}'"
        )

    def hold(self, layers: Iterable[StoredLayer]) -> None:
        """Add layers, in place of those with the same digest."""
        self.layers.update((layer.digest, layer) for layer in layers)

    @contextmanager
    def undone_by_failure(self) -> Generator[None]:
        """Restore the contents if the block raises any exception except AwsError."""
        layers, images = dict(self.layers), dict(self.images)
        tags, uploads = dict(self.tags), dict(self.uploads)
        try:
            yield
        except AwsError:
            # The request was rejected before anything changed, except for an upload that it ends.
            raise
        except BaseException:
            self.layers, self.images, self.tags, self.uploads = layers, images, tags, uploads
            raise

    def tags_of(self, digest: str) -> list[str]:
        """Return the tags of an image, sorted."""
        return sorted(tag for tag, tagged in self.tags.items() if tagged == digest)

    def archive(self, image: StoredImage, now: float) -> None:
        """Archive an image, and the layers that only archived images have (assumed)."""
        self.images[image.digest] = replace(image, archived_at=now)

        active = {
            digest
            for other in self.images.values()
            if other.archived_at is None
            for digest in other.blobs
        }
        self.hold(
            replace(self.layers[digest], archived=True)
            for digest in image.blobs.keys() - active
            if digest in self.layers
        )

    def discard_uploads(self) -> None:
        """Drop the uploads in progress, with their bytes."""
        for upload in self.uploads.values():
            upload.draft.discard()
        self.uploads.clear()

    def error(self, code: str, what: str) -> AwsError:
        """Return an error whose message ends with the repository and its registry."""
        return AwsError(code, f"{what} {self.place}")
