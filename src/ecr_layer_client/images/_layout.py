"""Images as they lie on disk: the tree of manifests below an OCI layout's index, and what `docker save` writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ecr_layer_client._errors import InvalidInputError, quoted

from ._blobs import Blobs, DirectoryBlobs, located, read_manifest_bytes
from ._manifest import MANIFEST_TYPES, MAX_MANIFEST_BYTES, ImageIndex, ImageManifest, parse_manifest
from ._tar import Tar, TarBlobs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ._descriptor import Descriptor

_INDEX = "index.json"
_LAYOUT = "oci-layout"
DEEPEST = 8  # indexes within indexes; more than two are not seen in practice
_REF_NAME = "org.opencontainers.image.ref.name"  # OCI image-spec, annotations.md
_CONTAINERD_NAME = "io.containerd.image.name"  # what docker and containerd add: the whole name

Manifest = ImageManifest | ImageIndex


class Images(NamedTuple):
    """What was found: manifests by digest, children before what names them; what is not named by another; and tags by digest."""

    manifests: dict[str, Manifest]
    roots: tuple[Manifest, ...]
    tags: dict[str, tuple[str, ...]]
    blobs: Blobs


class _Version(BaseModel):
    version: str = Field(validation_alias="imageLayoutVersion")


_VERSION = TypeAdapter(_Version)


def read_layout(path: Path) -> Images:
    """Read an OCI layout: a directory, or a tar archive of one.

    Raises:
        InvalidInputError: It is none, or not whole.
    """
    if path.is_dir():
        return _of_layout(str(path), _file(path / _LAYOUT), _file(path / _INDEX), DirectoryBlobs(path / "blobs"))
    return read_layout_in(Tar(path))


def read_layout_in(tar: Tar, *, partly: bool = False) -> Images:
    """Read the layout in an archive.

    Args:
        tar: The archive.
        partly: Whether an index may name children that are not there, as docker leaves it when it saves one platform; it is left out
            then, and the children that are there count. Default False.

    Raises:
        InvalidInputError: There is none, or it is not whole.
    """
    layout, index = tar.read(_LAYOUT, MAX_MANIFEST_BYTES), tar.read(_INDEX, MAX_MANIFEST_BYTES)
    return _of_layout(str(tar.path), layout, index, TarBlobs(tar), partly=partly)


def has_layout(tar: Tar) -> bool:
    """Say whether there is a layout in an archive."""
    return tar.find(_LAYOUT) is not None and tar.find(_INDEX) is not None


def _file(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            msg = f"{path} is longer than {MAX_MANIFEST_BYTES} bytes (4 MiB)"
            raise InvalidInputError(msg)
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} can't be read, and an OCI layout has one: {error.strerror or error}"
        raise InvalidInputError(msg) from error


def _of_layout(name: str, layout: bytes, index: bytes, blobs: Blobs, *, partly: bool = False) -> Images:
    try:
        _VERSION.validate_json(layout, by_alias=True, by_name=False)
    except ValidationError as error:
        msg = f"{name}: {_LAYOUT} is not that of an OCI layout: {error.errors(include_url=False)[0]['msg']}"
        raise InvalidInputError(msg) from None
    try:
        entry = parse_manifest(index)
    except InvalidInputError as error:
        msg = f"{name}: {_INDEX}: {error}"
        raise InvalidInputError(msg) from None
    if not isinstance(entry, ImageIndex):
        msg = f"{name}: {_INDEX} is no index, but {quoted(entry.media_type)}"
        raise InvalidInputError(msg)
    return Reading(blobs, partly=partly).images(entry.manifests)


class Reading:
    """Reads the manifests below some descriptors, each once, and makes sure that the blobs they name are there.

    Args:
        blobs: Where they are.
        partly: Whether an index may name children that are not there; it is left out then. Default False.
        alone: Whether the manifests are there alone, and no other blob is expected. Default False.
    """

    def __init__(self, blobs: Blobs, *, partly: bool = False, alone: bool = False) -> None:
        self._blobs = blobs
        self._partly = partly
        self._alone = alone
        self._found: dict[str, Manifest] = {}

    def images(self, named: Iterable[Descriptor]) -> Images:
        """Read what is named, and all below it.

        Raises:
            InvalidInputError: Nothing is named; what is named is not there, not what its descriptor says, or no manifest.
        """
        roots: dict[str, Manifest] = {}
        tags: dict[str, tuple[str, ...]] = {}
        for descriptor in named:
            for manifest in self._read(descriptor, 1):
                roots[manifest.digest] = manifest
                tags[manifest.digest] = tuple(dict.fromkeys(tags.get(manifest.digest, ()) + _tags(descriptor)))
        if not roots:
            msg = f"{self._blobs.name} names no image"
            raise InvalidInputError(msg)
        return Images(self._found, tuple(roots.values()), {digest: its for digest, its in tags.items() if its}, self._blobs)

    def _read(self, descriptor: Descriptor, depth: int) -> list[Manifest]:
        """Return the manifest; or, of an index that is left out, those of its children that are there."""
        known = self._found.get(descriptor.digest)
        if known is not None:
            return [known]
        if depth > DEEPEST:
            msg = f"{self._blobs.name}: {descriptor.digest} is an index within more than {DEEPEST} others"
            raise InvalidInputError(msg)
        manifest = self._parsed(descriptor)
        if isinstance(manifest, ImageIndex):
            there = [child for child in manifest.children if not self._partly or self._blobs.find(child.digest) is not None]
            below = [found for child in there for found in self._read(child, depth + 1)]
            if len(there) < len(manifest.children):
                return below
        if not self._alone:
            for blob in manifest.blobs:
                located(self._blobs, blob)
        self._found[manifest.digest] = manifest
        return [manifest]

    def _parsed(self, descriptor: Descriptor) -> Manifest:
        raw = read_manifest_bytes(self._blobs, descriptor)
        media_type = descriptor.media_type if descriptor.media_type in MANIFEST_TYPES else None
        try:
            return parse_manifest(raw, media_type)
        except InvalidInputError as error:
            msg = f"{self._blobs.name}: {descriptor.digest}: {error}"
            raise InvalidInputError(msg) from None


def _tags(descriptor: Descriptor) -> tuple[str, ...]:
    name = descriptor.annotations.get(_CONTAINERD_NAME) or descriptor.annotations.get(_REF_NAME)
    return () if name is None else (tag_of(name),)


def tag_of(name: str) -> str:
    """Return the tag of an image's name; of a name that is only a tag, the name."""
    last = name.rpartition("/")[2]
    return last.rpartition(":")[2]
