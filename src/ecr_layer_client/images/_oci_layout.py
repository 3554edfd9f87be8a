"""Images as they lie on disk: the tree of manifests below an OCI layout's index, and what `docker save` writes."""

from __future__ import annotations

import re
from stat import S_ISREG
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.validation import first_problem

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
_READ = re.compile(
    r"1\.\d+\.\d+"
)  # OCI image-spec, image-layout.md: 1.0.0 is the one version there is
DEEPEST = 8  # indexes within indexes; more than two are not seen in practice
_REF_NAME = "org.opencontainers.image.ref.name"  # OCI image-spec, annotations.md
_CONTAINERD_NAME = "io.containerd.image.name"  # what docker and containerd add: the whole name

Manifest = ImageManifest | ImageIndex


class Images(NamedTuple):
    """What was found: manifests by digest, children before what names them.

    What is not named by another; and tags by digest.
    """

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
    if is_directory(path):
        return _of_layout(
            str(path), _file(path / _LAYOUT), _file(path / _INDEX), DirectoryBlobs(path)
        )
    return read_layout_in(Tar(path))


def read_layout_in(tar: Tar, *, partly: bool = False) -> Images:
    """Read the layout in an archive.

    Args:
        tar: The archive.
        partly: Whether an index may name children that are not there, as docker leaves it when it
            saves one platform; it is left out then, and the children that are there count. Default
            False.

    Raises:
        InvalidInputError: There is none, or it is not whole.
    """
    layout, index = tar.read(_LAYOUT, MAX_MANIFEST_BYTES), tar.read(_INDEX, MAX_MANIFEST_BYTES)
    return _of_layout(str(tar.path), layout, index, TarBlobs(tar), partly=partly)


def is_directory(path: Path) -> bool:
    """Say whether there is a directory at a path.

    Raises:
        InvalidInputError: What is there may not be looked at, or there can't be anything.
    """
    try:
        return path.is_dir()
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror or error}"
        raise InvalidInputError(msg) from error


def has_layout(tar: Tar) -> bool:
    """Say whether there is a layout in an archive."""
    return tar.find(_LAYOUT) is not None and tar.find(_INDEX) is not None


def _file(path: Path) -> bytes:
    try:
        if not S_ISREG(path.stat().st_mode):
            msg = f"{path} is no file"
            raise InvalidInputError(msg)
        with path.open("rb") as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        msg = f"{path} can't be read, and an OCI layout has one: {error.strerror or error}"
        raise InvalidInputError(msg) from error
    if len(data) > MAX_MANIFEST_BYTES:
        msg = f"{path} is longer than {MAX_MANIFEST_BYTES} bytes (4 MiB)"
        raise InvalidInputError(msg)
    return data


def _of_layout(
    name: str, layout: bytes, index: bytes, blobs: Blobs, *, partly: bool = False
) -> Images:
    try:
        version = _VERSION.validate_json(layout, by_alias=True, by_name=False).version
    except ValidationError as error:
        why = first_problem(error).message
        msg = f"{name}: {_LAYOUT} is not that of an OCI layout: {why}"
        raise InvalidInputError(msg) from None
    if _READ.fullmatch(version) is None:
        msg = f"{name}: {_LAYOUT} says imageLayoutVersion {quoted(version)}: layouts of version 1.0.0 are read"
        raise InvalidInputError(msg)
    try:
        entry = parse_manifest(index)
    except InvalidInputError as error:
        msg = f"{name}: {_INDEX}: {error}"
        raise InvalidInputError(msg) from None
    if not isinstance(entry, ImageIndex):
        msg = f"{name}: {_INDEX} is no index, but {quoted(entry.media_type)}"
        raise InvalidInputError(msg)
    if not entry.manifests:
        msg = f"{name}: {_INDEX} names no image: its 'manifests' are empty"
        raise InvalidInputError(msg)
    return Reading(blobs, partly=partly).images(entry.manifests)


class Reading:
    """Reads the manifests below some descriptors, each once, and makes sure that the blobs they name are there.

    Args:
        blobs: Where they are.
        partly: Whether an index may name children that are not there, or of which no more than the
            manifest is; it is left out then. Default False.
        alone: Whether the manifests are there alone, and no other blob is expected. Default False.
    """

    def __init__(self, blobs: Blobs, *, partly: bool = False, alone: bool = False) -> None:
        self._blobs = blobs
        self._partly = partly
        self._alone = alone
        self._found: dict[str, Manifest] = {}
        self._left_out: dict[str, list[Manifest]] = {}
        self._there: dict[str, bool] = {}

    def images(self, named: Iterable[Descriptor]) -> Images:
        """Read what is named, and all below it.

        Raises:
            InvalidInputError: No image is named; what is named is not there, not what its
                descriptor says, or no manifest.
        """
        roots: dict[str, Manifest] = {}
        tags: dict[str, dict[str, None]] = {}
        others: dict[str, None] = {}
        for descriptor in named:
            if descriptor.media_type not in MANIFEST_TYPES and not self._alone:
                others[descriptor.media_type or ""] = (
                    None  # OCI image-spec, image-index.md: what is not known is no error
                )
                continue
            for manifest in self._read(descriptor, 1):
                roots[manifest.digest] = manifest
                tags.setdefault(manifest.digest, {}).update(dict.fromkeys(_tags(descriptor)))
        if not roots:
            instead = f", but {quoted(', '.join(others))}" if others else ""
            msg = f"{self._blobs.name} names no image that is there{instead}"
            raise InvalidInputError(msg)
        return Images(
            self._found,
            tuple(roots.values()),
            {digest: tuple(its) for digest, its in tags.items() if its},
            self._blobs,
        )

    def _read(self, descriptor: Descriptor, depth: int) -> list[Manifest]:
        """Return the manifest.

        Or, of an index that is left out, those of its children that are there.
        """
        known = self._found.get(descriptor.digest)
        if known is not None:
            return [known]
        if descriptor.digest in self._left_out:
            return self._left_out[descriptor.digest]
        if depth > DEEPEST:
            msg = f"{self._blobs.name}: {descriptor.digest} is an index within more than {DEEPEST} others"
            raise InvalidInputError(msg)
        manifest = self._parsed(descriptor)
        if isinstance(manifest, ImageIndex):
            below = {
                child.digest: self._read(child, depth + 1)
                for child in manifest.children
                if self._is_there(child)
            }
            if any(
                [found.digest for found in below.get(child.digest, [])] != [child.digest]
                for child in manifest.children
            ):
                self._left_out[manifest.digest] = [
                    *{found.digest: found for each in below.values() for found in each}.values()
                ]
                return self._left_out[manifest.digest]
        if not self._alone:
            for blob in manifest.blobs:
                located(self._blobs, blob)
        self._found[manifest.digest] = manifest
        return [manifest]

    def _is_there(self, child: Descriptor) -> bool:
        """Say whether an index's child is there: of a platform that was not saved, at most the manifest is, and never the config."""
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
    """Return the tags of images' names, of a name that is only a tag the name.

    Those left out that no registry takes for one.
    """
    parts = [
        (at, *named.rpartition(":")[1:]) for named, at, _ in (name.partition("@") for name in names)
    ]
    return tuple(tag for at, colon, tag in parts if (colon or not at) and TAG.fullmatch(tag))
