"""OCI layouts: the descriptors in `index.json`, and the names in their annotations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, TypeAdapter

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

from ._descriptor import TAG
from ._documents import InvalidDocumentError, read_document
from ._files import read_file
from ._manifest import ImageIndex, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._descriptor import Descriptor
    from ._files import Files

INDEX = "index.json"
LAYOUT = "oci-layout"
# OCI image-spec, image-layout.md: 1.0.0 is the only version there is.
_SUPPORTED_VERSION = re.compile(r"1\.\d+\.\d+")
_REF_NAME = "org.opencontainers.image.ref.name"  # OCI image-spec, annotations.md
# Docker and containerd add this annotation. It has the complete name.
_CONTAINERD_NAME = "io.containerd.image.name"


class _Version(BaseModel):
    version: str = Field(validation_alias="imageLayoutVersion")


_VERSION = TypeAdapter(_Version)


def read_entries(files: Files) -> tuple[Descriptor, ...] | None:
    """Return the descriptors in the index of a layout, or None if the files are not a layout.

    Raises:
        InvalidInputError: The version of the layout is not supported, or the index is not valid.
    """
    if files.find(LAYOUT) is None or files.find(INDEX) is None:
        return None

    _check_version(files)
    try:
        index = parse_manifest(read_file(files, INDEX))
    except InvalidInputError as error:
        msg = f"{files.name}: {INDEX}: {error}"
        raise InvalidInputError(msg) from None
    if not isinstance(index, ImageIndex):
        msg = f"{files.name}: {INDEX} is not an image index, but {quoted(index.media_type)}"
        raise InvalidInputError(msg)
    return index.manifests


def _check_version(files: Files) -> None:
    try:
        version = read_document(_VERSION, read_file(files, LAYOUT)).version
    except InvalidDocumentError as error:
        msg = f"{files.name}: {LAYOUT} is not a valid layout file: {error}"
        raise InvalidInputError(msg) from None

    if _SUPPORTED_VERSION.fullmatch(version) is None:
        msg = (
            f"{files.name}: {LAYOUT} has imageLayoutVersion {quoted(version)}: "
            "only layouts of version 1 can be read"
        )
        raise InvalidInputError(msg)


def names_of(entry: Descriptor) -> tuple[str, ...]:
    """Return the name of an image in the index of a layout, if it has one."""
    name = entry.annotations.get(_CONTAINERD_NAME) or entry.annotations.get(_REF_NAME)
    return (name,) if name else ()


def tags_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the tags in the names of images, without those that registries don't accept.

    A name may be a tag alone.
    """
    parts = [
        (at, *named.rpartition(":")[1:]) for named, at, _ in (name.partition("@") for name in names)
    ]
    return tuple(tag for at, colon, tag in parts if (colon or not at) and TAG.fullmatch(tag))
