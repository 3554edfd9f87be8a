"""What a registry holds: repositories, their layers, images and tags. Pure.

The bytes are in the `Store`.

Layers and images are replaced by changed copies and never changed themselves, so that a change can
be undone.
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

DEFAULT_MEDIA_TYPE = (
    "application/vnd.docker.image.rootfs.diff.tar.gzip"  # uploads carry none; assumed
)


@dataclass(slots=True)
class StoredLayer:
    """A layer that a repository holds; its digest is in lower case, as registries hold them."""

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
    """An image that a repository holds.

    `blobs` are its config and layers, `children` the images that an index lists.

    Times are in epoch seconds; `archived_at` is None unless it is archived.
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
        """Its status, as `DescribeImages` has it."""
        return "ACTIVE" if self.archived_at is None else "ARCHIVED"


@dataclass(slots=True)
class StoredRepository:
    """A repository: what describes it, what it holds, and the uploads under way."""

    description: Row
    layers: dict[str, StoredLayer] = field(default_factory=dict[str, StoredLayer])
    images: dict[str, StoredImage] = field(default_factory=dict[str, StoredImage])
    tags: dict[str, str] = field(default_factory=dict[str, str])  # tag -> digest of an image
    uploads: dict[str, Upload] = field(default_factory=dict[str, "Upload"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.description["repositoryName"])

    @property
    def registry_id(self) -> str:
        """The account whose registry it is in."""
        return str(self.description["registryId"])

    @property
    def place(self) -> str:
        """Where it is, in the words of ECR's messages."""
        return (
            f"the repository with name '{self.name}' in the registry with id '{self.registry_id}'"
        )

    def hold(self, layers: Iterable[StoredLayer]) -> None:
        """Hold layers, over those of the same digest."""
        self.layers.update((layer.digest, layer) for layer in layers)

    @contextmanager
    def undone_by_failure(self) -> Generator[None]:
        """Hold again what was held before, if anything but a refusal is raised inside."""
        layers, images, tags, uploads = (
            dict(self.layers),
            dict(self.images),
            dict(self.tags),
            dict(self.uploads),
        )
        try:
            yield
        except AwsError:  # refused before anything was changed, but for an upload that it ends
            raise
        except BaseException:
            self.layers, self.images, self.tags, self.uploads = layers, images, tags, uploads
            raise

    def tags_of(self, digest: str) -> list[str]:
        """Return the tags of an image, sorted."""
        return sorted(tag for tag, tagged in self.tags.items() if tagged == digest)

    def archive(self, image: StoredImage, now: float) -> None:
        """Archive an image: the layers that only archived images hold are archived with it (assumed)."""
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
        """Drop the uploads under way, with what arrived."""
        for upload in self.uploads.values():
            upload.draft.discard()
        self.uploads.clear()

    def refusal(self, code: str, what: str) -> AwsError:
        """Return an error whose message ends with where it happened."""
        return AwsError(code, f"{what} {self.place}")
