"""The contents of a registry: repositories, their layers, images and tags. Pure.

The bytes are in the `Store`.

A change is prepared in a `Revision`, saved, and then applied. It replaces a layer or an image by a
changed copy, and never modifies the object itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import AwsError
from .indexes import Indexes

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from .uploads import Upload

Row = dict[str, Any]
V = TypeVar("V")

# Assumed: an upload has no media type.
DEFAULT_MEDIA_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(slots=True)
class StoredLayer:
    """A layer of a repository. Its digest is in lower case, as registries store digests.

    `restored_at` is in epoch seconds. Before this time, the layer is still archived.
    """

    digest: str
    size: int
    media_type: str
    archived: bool = False
    restored_at: float = 0.0

    def is_archived(self, now: float) -> bool:
        """Return whether only archived images have the layer."""
        return self.archived or now < self.restored_at

    def row(self, now: float) -> Row:
        """Return the layer as `BatchCheckLayerAvailability` reports it."""
        availability = "ARCHIVED" if self.is_archived(now) else "AVAILABLE"
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
    epoch seconds. While an image is restored, `last_activated_at` lies ahead.
    """

    digest: str
    media_type: str
    pushed_at: float
    blobs: dict[str, str] = field(default_factory=dict[str, str])  # digest -> media type
    children: list[str] = field(default_factory=list[str])
    artifact_type: str | None = None
    subject: str | None = None
    archived: bool = False
    last_archived_at: float | None = None
    last_activated_at: float | None = None
    last_pulled_at: float | None = None

    @property
    def names(self) -> AbstractSet[str]:
        """The digests that the manifest names: those of blobs, children and the subject."""
        subject = () if self.subject is None else (self.subject,)
        return {*self.blobs, *self.children, *subject}

    def status(self, now: float) -> str:
        """Return the status, as `DescribeImages` reports it."""
        if self.archived:
            return "ARCHIVED"
        return "ACTIVATING" if now < (self.last_activated_at or 0.0) else "ACTIVE"


class Pending(MutableMapping[str, V]):
    """A mapping with changes that its base does not have yet. Only `apply()` changes the base.

    >>> pending = Pending({"a": 1})
    >>> pending["b"] = 2
    >>> del pending["a"]
    >>> list(pending), pending.changed, pending.base
    (['b'], {'b': 2, 'a': None}, {'a': 1})
    """

    def __init__(self, base: MutableMapping[str, V]) -> None:
        """Start without changes. In `changed`, None stands for what was deleted."""
        self.base = base
        self.changed: dict[str, V | None] = {}

    def __getitem__(self, key: str) -> V:
        """Return the changed value. Raises KeyError."""
        value = self.changed[key] if key in self.changed else self.base[key]
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: V) -> None:
        """Change a value."""
        self.changed[key] = value

    def __delitem__(self, key: str) -> None:
        """Delete a value. Raises KeyError."""
        self[key]
        self.changed[key] = None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys that are left."""
        return iter([key for key in {**self.base, **self.changed} if key in self])

    def __len__(self) -> int:
        """Return the number of keys that are left."""
        return sum(1 for _ in self)

    def apply(self) -> None:
        """Change the base."""
        for key, value in self.changed.items():
            if value is None:
                self.base.pop(key, None)
            else:
                self.base[key] = value


@dataclass(slots=True)
class StoredRepository:
    """A repository: its description, its contents, and its uploads in progress.

    `policies` are texts by their kind. `row_id` is its id in the database, if there is one.
    """

    description: MutableMapping[str, Any]
    layers: MutableMapping[str, StoredLayer] = field(default_factory=dict[str, StoredLayer])
    images: MutableMapping[str, StoredImage] = field(default_factory=dict[str, StoredImage])
    tags: MutableMapping[str, str] = field(default_factory=dict[str, str])  # tag -> digest
    resource_tags: MutableMapping[str, str] = field(default_factory=dict[str, str])
    policies: MutableMapping[str, str] = field(default_factory=dict[str, str])
    uploads: MutableMapping[str, Upload] = field(default_factory=dict[str, "Upload"])
    row_id: int = 0
    indexes: Indexes = field(default_factory=Indexes)

    @property
    def name(self) -> str:
        """The name of the repository."""
        return str(self.description["repositoryName"])

    @property
    def registry_id(self) -> str:
        """The account of the registry that has the repository."""
        return str(self.description["registryId"])

    @property
    def identity(self) -> Row:
        """The members with which many responses begin."""
        return {"registryId": self.registry_id, "repositoryName": self.name}

    @property
    def place(self) -> str:
        """The repository and its registry, in the words of ECR's messages."""
        return (
            f"the repository with name '{self.name}' in the registry with id '{self.registry_id}'"
        )

    def hold(self, layers: Iterable[StoredLayer]) -> None:
        """Add layers, in place of those with the same digest."""
        self.layers.update((layer.digest, layer) for layer in layers)

    def tags_of(self, digest: str) -> list[str]:
        """Return the tags of an image, sorted."""
        return sorted(self.indexes.tags_of(digest))

    def images_naming(self, digest: str) -> list[StoredImage]:
        """Return the images that name a digest as a blob, a child or their subject, sorted."""
        return [self.images[each] for each in sorted(self.indexes.images_naming(digest))]

    def archive(self, image: StoredImage, now: float) -> None:
        """Archive an image, and the layers that only archived images have (assumed)."""
        self.images[image.digest] = replace(image, archived=True, last_archived_at=now)
        self._set_availability(image)

    def restore(self, image: StoredImage, at: float) -> None:
        """Restore an archived image and its layers. They are archived until `at` (assumed)."""
        self.images[image.digest] = replace(image, archived=False, last_activated_at=at)
        self._set_availability(image)

    def _set_availability(self, image: StoredImage) -> None:
        """Give each layer of an image the availability that its images give it."""
        for layer in [self.layers[digest] for digest in image.blobs if digest in self.layers]:
            times = [
                other.last_activated_at or 0.0
                for other in self.images_naming(layer.digest)
                if layer.digest in other.blobs and not other.archived
            ]
            self.hold([replace(layer, archived=not times, restored_at=min(times, default=0.0))])

    def discard_uploads(self) -> None:
        """Drop the uploads in progress, with their bytes."""
        uploads = [*self.uploads.values()]
        self.uploads.clear()
        for upload in uploads:
            with upload.lock:
                upload.draft.discard()

    def error(self, code: str, what: str) -> AwsError:
        """Return an error whose message ends with the repository and its registry."""
        return AwsError(code, f"{what} {self.place}")


# The members of a repository that a revision changes.
MAPPINGS = ("description", "layers", "images", "tags", "resource_tags", "policies", "uploads")


class Revision(StoredRepository):
    """A repository with changes that are not applied yet. Nobody else sees them.

    `pending` has the changes of each of its mappings.
    """

    def __init__(self, stored: StoredRepository) -> None:
        """Start without changes."""
        self.pending: dict[str, Pending[Any]] = {
            name: Pending(getattr(stored, name)) for name in MAPPINGS
        }
        members: dict[str, Any] = {**self.pending}
        super().__init__(**members, row_id=stored.row_id)
        self._stored = stored

    def tags_of(self, digest: str) -> list[str]:
        """Return the tags of an image with the changes, sorted."""
        changed = self.pending["tags"].changed
        kept = {tag for tag in self._stored.tags_of(digest) if tag not in changed}
        return sorted(kept.union(tag for tag, tagged in changed.items() if tagged == digest))

    def images_naming(self, digest: str) -> list[StoredImage]:
        """Return the images that name a digest with the changes, sorted."""
        changed: dict[str, StoredImage | None] = self.pending["images"].changed
        kept = [each for each in self._stored.images_naming(digest) if each.digest not in changed]
        new = [each for each in changed.values() if each is not None and digest in each.names]
        return sorted([*kept, *new], key=attrgetter("digest"))

    def apply(self) -> StoredRepository:
        """Apply the changes, and return the changed repository."""
        stored, indexes = self._stored, self._stored.indexes
        for tag, digest in self.pending["tags"].changed.items():
            indexes.move_tag(tag, stored.tags.get(tag), digest)
        for digest, image in self.pending["images"].changed.items():
            if digest in stored.images:
                indexes.remove_image(digest, stored.images[digest].names)
            if image is not None:
                indexes.add_image(digest, image.names)

        for pending in self.pending.values():
            pending.apply()
        return self._stored

    def end_uploads(self) -> None:
        """Apply only the end of an upload."""
        self.pending["uploads"].apply()
