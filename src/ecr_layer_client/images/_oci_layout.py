"""OCI layouts: the tree of manifests under an index, in a directory or in a tar archive."""

from __future__ import annotations

import re
from stat import S_ISREG
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.validation_errors import first_problem

from ._blob_store import Blobs, DirectoryBlobs, located, read_manifest_bytes
from ._descriptor import TAG
from ._manifest import MANIFEST_TYPES, MAX_MANIFEST_BYTES, ImageIndex, ImageManifest, parse_manifest
from ._tar import Tar, TarBlobs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ._descriptor import Descriptor

_INDEX = "index.json"
_LAYOUT = "oci-layout"
# OCI image-spec, image-layout.md: 1.0.0 is the only version there is.
_SUPPORTED_VERSION = re.compile(r"1\.\d+\.\d+")
# The number of indexes within indexes. More than two do not occur in practice.
DEEPEST = 8
_REF_NAME = "org.opencontainers.image.ref.name"  # OCI image-spec, annotations.md
# Docker and containerd add this annotation. It has the complete name.
_CONTAINERD_NAME = "io.containerd.image.name"

Manifest = ImageManifest | ImageIndex


class Images(NamedTuple):
    """The images that were found.

    Attributes:
        manifests: Manifests by digest, children before the indexes that name them.
        roots: The manifests that no other of them names.
        tags: Tags by the digest of the manifest that they name.
        blobs: The place that holds the blobs.
    """

    manifests: dict[str, Manifest]
    roots: tuple[Manifest, ...]
    tags: dict[str, tuple[str, ...]]
    blobs: Blobs


class _Version(BaseModel):
    version: str = Field(validation_alias="imageLayoutVersion")


_VERSION = TypeAdapter(_Version)


def read_layout(path: Path) -> Images:
    """Read an OCI layout from a directory, or from a tar archive of one.

    Raises:
        InvalidInputError: The path is not an OCI layout, or the layout is incomplete.
    """
    if not is_directory(path):
        return read_layout_in(Tar(path))

    layout, index = _file(path / _LAYOUT), _file(path / _INDEX)
    return _of_layout(str(path), layout, index, DirectoryBlobs(path))


def read_layout_in(tar: Tar, *, partly: bool = False) -> Images:
    """Read the OCI layout in an archive.

    Args:
        tar: The archive.
        partly: Whether an index may name children that are missing. Docker leaves such an index
            when it saves one platform. The index is then left out, and the children that exist
            count. Default False.

    Raises:
        InvalidInputError: The archive has no layout, or the layout is incomplete.
    """
    layout, index = tar.read(_LAYOUT, MAX_MANIFEST_BYTES), tar.read(_INDEX, MAX_MANIFEST_BYTES)
    return _of_layout(str(tar.path), layout, index, TarBlobs(tar), partly=partly)


def is_directory(path: Path) -> bool:
    """Return whether a path is a directory.

    Raises:
        InvalidInputError: The path can't be inspected, or nothing can exist at it.
    """
    try:
        return path.is_dir()
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror or error}"
        raise InvalidInputError(msg) from error


def has_layout(tar: Tar) -> bool:
    """Return whether an archive contains an OCI layout."""
    return tar.find(_LAYOUT) is not None and tar.find(_INDEX) is not None


def _file(path: Path) -> bytes:
    try:
        if not S_ISREG(path.stat().st_mode):
            msg = f"{path} is not a regular file"
            raise InvalidInputError(msg)
        with path.open("rb") as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        msg = (
            f"{path} can't be read, but an OCI layout must have this file: "
            f"{error.strerror or error}"
        )
        raise InvalidInputError(msg) from error

    if len(data) > MAX_MANIFEST_BYTES:
        msg = f"{path} is longer than {MAX_MANIFEST_BYTES} bytes (4 MiB)"
        raise InvalidInputError(msg)
    return data


def _of_layout(
    name: str, layout: bytes, index: bytes, blobs: Blobs, *, partly: bool = False
) -> Images:
    _check_version(name, layout)

    try:
        entry = parse_manifest(index)
    except InvalidInputError as error:
        msg = f"{name}: {_INDEX}: {error}"
        raise InvalidInputError(msg) from None
    if not isinstance(entry, ImageIndex):
        msg = f"{name}: {_INDEX} is not an image index, but {quoted(entry.media_type)}"
        raise InvalidInputError(msg)
    if not entry.manifests:
        msg = f"{name}: {_INDEX} names no image: its 'manifests' list is empty"
        raise InvalidInputError(msg)

    return Reading(blobs, partly=partly).images(entry.manifests)


def _check_version(name: str, layout: bytes) -> None:
    try:
        version = _VERSION.validate_json(layout, by_alias=True, by_name=False).version
    except ValidationError as error:
        why = first_problem(error).message
        msg = f"{name}: {_LAYOUT} is not a valid layout file: {why}"
        raise InvalidInputError(msg) from None

    if _SUPPORTED_VERSION.fullmatch(version) is None:
        msg = (
            f"{name}: {_LAYOUT} says imageLayoutVersion {quoted(version)}: "
            "only layouts of version 1 can be read"
        )
        raise InvalidInputError(msg)


class Reading:
    """A reader of manifests, starting at some descriptors.

    It reads each manifest once, and checks that the blobs that the manifests name exist.

    Args:
        blobs: The place that holds the manifests and blobs.
        partly: Whether an index may name children that are missing, or of which only the manifest
            exists. The index is then left out. Default False.
        alone: Whether only the manifests exist, and no other blob is expected. Default False.
    """

    def __init__(self, blobs: Blobs, *, partly: bool = False, alone: bool = False) -> None:
        self._blobs = blobs
        self._partly = partly
        self._alone = alone
        self._found: dict[str, Manifest] = {}
        self._left_out: dict[str, list[Manifest]] = {}
        self._there: dict[str, bool] = {}

    def images(self, named: Iterable[Descriptor]) -> Images:
        """Read the manifests of some descriptors, and all manifests under them.

        Raises:
            InvalidInputError: No image is named, or a manifest is missing, does not match its
                descriptor or is not valid.
        """
        roots: dict[str, Manifest] = {}
        tags: dict[str, dict[str, None]] = {}
        others: dict[str, None] = {}

        for descriptor in named:
            if descriptor.media_type not in MANIFEST_TYPES and not self._alone:
                # OCI image-spec, image-index.md: an unknown media type is not an error.
                others[descriptor.media_type or ""] = None
                continue
            for manifest in self._read(descriptor, 1):
                roots[manifest.digest] = manifest
                tags.setdefault(manifest.digest, {}).update(dict.fromkeys(_tags(descriptor)))

        if not roots:
            instead = f": it names only {quoted(', '.join(others))}" if others else ""
            msg = f"{self._blobs.name} names no image that exists{instead}"
            raise InvalidInputError(msg)

        by_digest = {digest: tuple(its) for digest, its in tags.items() if its}
        return Images(self._found, tuple(roots.values()), by_digest, self._blobs)

    def _read(self, descriptor: Descriptor, depth: int) -> list[Manifest]:
        """Return the manifest, or the existing children of an index that is left out."""
        known = self._found.get(descriptor.digest)
        if known is not None:
            return [known]
        if descriptor.digest in self._left_out:
            return self._left_out[descriptor.digest]
        if depth > DEEPEST:
            msg = (
                f"{self._blobs.name}: {descriptor.digest} is an index within more than "
                f"{DEEPEST} other indexes"
            )
            raise InvalidInputError(msg)

        manifest = self._parsed(descriptor)
        if isinstance(manifest, ImageIndex) and not self._read_children(manifest, depth):
            return self._left_out[manifest.digest]

        if not self._alone:
            for blob in manifest.blobs:
                located(self._blobs, blob)
        self._found[manifest.digest] = manifest
        return [manifest]

    def _read_children(self, index: ImageIndex, depth: int) -> bool:
        """Read the children of an index, and return whether all of them exist.

        An index that lacks one is left out, and its existing children take its place.
        """
        below = {
            child.digest: self._read(child, depth + 1)
            for child in index.children
            if self._is_there(child)
        }
        is_complete = all(
            [found.digest for found in below.get(child.digest, [])] == [child.digest]
            for child in index.children
        )

        if not is_complete:
            existing = {found.digest: found for each in below.values() for found in each}
            self._left_out[index.digest] = [*existing.values()]
        return is_complete

    def _is_there(self, child: Descriptor) -> bool:
        """Return whether a child of an index exists.

        Of a platform that was not saved, the manifest may exist, but never the config.
        """
        if self._partly and child.digest not in self._there:
            is_there = self._blobs.find(child.digest) is not None
            manifest = self._parsed(child) if is_there else None
            config = manifest.config if isinstance(manifest, ImageManifest) else None
            self._there[child.digest] = is_there and (
                config is None or self._blobs.find(config.digest) is not None
            )
        return self._there.get(child.digest, True)

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
    return () if name is None else tags_of(name)


def tags_of(*names: str) -> tuple[str, ...]:
    """Return the tags in the names of images, without those that registries don't accept.

    A name may be a tag alone.
    """
    parts = [
        (at, *named.rpartition(":")[1:]) for named, at, _ in (name.partition("@") for name in names)
    ]
    return tuple(tag for at, colon, tag in parts if (colon or not at) and TAG.fullmatch(tag))
