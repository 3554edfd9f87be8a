"""`parse_manifest` turns the exact bytes of a manifest into a value that keeps them.

Parsing is strict and bounded. A manifest is never serialised again.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, TypeAdapter

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

from ._descriptor import Descriptor, Digest, TextByName, digest_of, each_for_its_platform, each_once
from ._documents import InvalidDocumentError, read_document

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_MANIFEST_BYTES = 4 * 1024 * 1024  # ECR's quota

_DOCKER = "application/vnd.docker.distribution.manifest"
DOCKER_IMAGE = f"{_DOCKER}.v2+json"
DOCKER_INDEX = f"{_DOCKER}.list.v2+json"
OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
# From a draft of OCI 1.1. Such manifests still exist.
_OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
_SCHEMA_1 = f"{_DOCKER}.v1+json"
SIGNED_SCHEMA_1 = f"{_DOCKER}.v1+prettyjws"

INDEX_TYPES = frozenset({DOCKER_INDEX, OCI_INDEX})
# The types in one set have the same members.
_ALIKE = (
    INDEX_TYPES,
    frozenset({DOCKER_IMAGE, OCI_IMAGE}),
    frozenset({_OCI_ARTIFACT}),
    frozenset({_SCHEMA_1, SIGNED_SCHEMA_1}),
)
MANIFEST_TYPES = frozenset[str]().union(*_ALIKE)


class ImageManifest(BaseModel, frozen=True):
    """The manifest of one image, or of an artifact in the same form: a config and layers.

    Attributes:
        raw: The exact bytes.
        digest: The sha256 digest of `raw`. For a signed schema 1 manifest, this is the digest of
            all bytes. Docker's registries use the digest of the bytes without the signatures.
        media_type: The media type.
        config: The config. None for a schema 1 manifest, which has no config, and for an artifact
            without one.
        layers: The layers in the order of the manifest, with duplicates. The base layer is first.
            In a schema 1 manifest, the base layer is last, and no layer has a size.
        artifact_type: The type of an artifact. Default None.
        subject: The manifest that this manifest refers to, such as the image that a signature
            signs. It need not be in the registry. Default None.
        annotations: Names and values, not interpreted. Default none.

    Example:
        >>> import json
        >>> media_type = "application/vnd.oci.empty.v1+json"
        >>> blob = {"mediaType": media_type, "size": 2, "digest": "sha256:" + "a" * 64}
        >>> members = {"schemaVersion": 2, "config": blob, "layers": [blob, blob]}
        >>> manifest = parse_manifest(json.dumps(members).encode())
        >>> len(manifest.layers), len(manifest.blobs), manifest.config.size
        (2, 1, 2)
    """

    raw: bytes = Field(repr=False)
    digest: Digest
    media_type: str
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    artifact_type: str | None = None
    subject: Descriptor | None = None
    annotations: TextByName = {}

    @cached_property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The blobs that a registry stores: the config and the layers, each digest once.

        Foreign layers are not among them.
        """
        config = () if self.config is None else (self.config,)
        return each_once((*config, *(layer for layer in self.layers if not layer.is_foreign)))

    @cached_property
    def foreign(self) -> tuple[Descriptor, ...]:
        """The layers that registries don't store and a push leaves out, each digest once."""
        stored = {blob.digest for blob in self.blobs}
        return each_once(
            layer for layer in self.layers if layer.is_foreign and layer.digest not in stored
        )

    def __hash__(self) -> int:
        """Hash the digest."""
        return hash(self.digest)

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Yield the members of a short repr."""
        yield from (
            ("digest", self.digest),
            ("media_type", self.media_type),
            ("layers", len(self.layers)),
        )


class ImageIndex(BaseModel, frozen=True):
    """An index: a manifest of manifests, for example one for each platform.

    Docker calls it a manifest list.

    Attributes:
        raw: The exact bytes.
        digest: The sha256 digest of `raw`.
        media_type: The media type.
        manifests: The descriptors in the order of the index, with duplicates. Each may have a
            platform.
        artifact_type: The type of an artifact. Default None.
        subject: The manifest that this manifest refers to. Default None.
        annotations: Names and values, not interpreted. Default none.

    Example:
        >>> import json
        >>> media_type = "application/vnd.oci.image.manifest.v1+json"
        >>> image = {"mediaType": media_type, "size": 7, "digest": "sha256:" + "a" * 64}
        >>> platform = {"os": "linux", "architecture": "arm64", "variant": "v8"}
        >>> members = {"schemaVersion": 2, "manifests": [image | {"platform": platform}]}
        >>> index = parse_manifest(json.dumps(members).encode())
        >>> [str(child.platform) for child in index.manifests]
        ['linux/arm64/v8']
    """

    raw: bytes = Field(repr=False)
    digest: Digest
    media_type: str
    manifests: tuple[Descriptor, ...]
    artifact_type: str | None = None
    subject: Descriptor | None = None
    annotations: TextByName = {}

    @cached_property
    def children(self) -> tuple[Descriptor, ...]:
        """The descriptors in `manifests` that are manifests, each digest once per platform."""
        return each_for_its_platform(
            child for child in self.manifests if child.media_type in MANIFEST_TYPES
        )

    @cached_property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The blobs that a registry stores for this index, each digest once.

        An ordinary index has no blobs. Some indexes, such as a build cache, also list blobs that
        are not manifests.
        """
        return each_once(
            blob
            for blob in self.manifests
            if blob.media_type not in MANIFEST_TYPES and not blob.is_foreign
        )

    @cached_property
    def foreign(self) -> tuple[Descriptor, ...]:
        """The foreign layers that the index names, each digest once; an ordinary index has none."""
        return each_once(
            blob
            for blob in self.manifests
            if blob.media_type not in MANIFEST_TYPES and blob.is_foreign
        )

    def __hash__(self) -> int:
        """Hash the digest."""
        return hash(self.digest)

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Yield the members of a short repr."""
        yield from (
            ("digest", self.digest),
            ("media_type", self.media_type),
            ("manifests", len(self.manifests)),
        )


class _FsLayer(BaseModel):
    digest: Digest = Field(validation_alias="blobSum")


class _Document(BaseModel):
    """The members of all formats. Its members show which format a document has.

    Validation of a list stops at the first error, because only the first error is reported.
    Collecting two million errors would take many seconds.
    """

    schema_version: int = Field(default=2, validation_alias="schemaVersion", ge=1, le=2)
    media_type: str | None = Field(default=None, validation_alias="mediaType")
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] | None = Field(default=None, fail_fast=True)
    manifests: tuple[Descriptor, ...] | None = Field(default=None, fail_fast=True)
    blobs: tuple[Descriptor, ...] | None = Field(default=None, fail_fast=True)
    fs_layers: tuple[_FsLayer, ...] | None = Field(
        default=None, validation_alias="fsLayers", fail_fast=True
    )
    signatures: list[Any] | None = None
    artifact_type: str | None = Field(default=None, validation_alias="artifactType")
    subject: Descriptor | None = None
    annotations: TextByName = {}


_DOCUMENT = TypeAdapter(_Document)


def parse_manifest(data: bytes, media_type: str | None = None) -> ImageManifest | ImageIndex:
    """Parse a manifest of any format: Docker schema 2 and 1, OCI image and index, artifacts.

    The bytes are kept unchanged. JSON keys that the formats don't define are ignored, and an
    unknown media type is kept. A manifest that two programs may read as two different images is
    refused: if it has a duplicate JSON key, or two sizes or media types for one digest.

    Args:
        data: The exact bytes, at most 4 MiB.
        media_type: The media type that the registry or an index gives. Default None: the
            `mediaType` of the manifest, or the type to which its JSON keys belong.

    Raises:
        InvalidInputError: The data is not a valid manifest, or not a manifest of the given type.
            The message has the position of the error, and the digest of the data.

    Example:
        >>> import json
        >>> layer_type = "application/vnd.oci.image.layer.v1.tar"
        >>> layer = {"mediaType": layer_type, "size": 1024, "digest": "sha256:" + "a" * 64}
        >>> config_type = "application/vnd.oci.image.config.v1+json"
        >>> config = {"mediaType": config_type, "size": 7, "digest": "sha256:" + "c" * 64}
        >>> members = {"schemaVersion": 2, "config": config, "layers": [layer, layer]}
        >>> manifest = parse_manifest(json.dumps(members).encode())
        >>> manifest.media_type, len(manifest.layers), [blob.size for blob in manifest.blobs]
        ('application/vnd.oci.image.manifest.v1+json', 2, [7, 1024])
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        msg = (
            "a manifest must be bytes, exactly as the registry holds them, "
            f"not {type(data).__name__} {quoted(data)}"
        )
        raise InvalidInputError(msg)
    if media_type is not None and not isinstance(media_type, str):
        msg = f"media_type={quoted(media_type)} must be a str or None"
        raise InvalidInputError(msg)

    raw = bytes(data)
    if len(raw) > MAX_MANIFEST_BYTES:
        msg = (
            f"a manifest has at most {MAX_MANIFEST_BYTES} bytes (4 MiB), "
            f"but this one has {len(raw)}"
        )
        raise InvalidInputError(msg)

    digest = digest_of(raw)
    try:
        return _built(raw, digest, read_document(_DOCUMENT, raw), media_type)
    except InvalidDocumentError as error:
        msg = f"not a valid manifest ({len(raw)} bytes, {digest}): {error}"
        raise InvalidInputError(msg) from None


def _built(
    raw: bytes, digest: str, document: _Document, given: str | None
) -> ImageManifest | ImageIndex:
    shown = _shape(document)
    media_type = given or document.media_type or shown
    _check_type(media_type, shown)

    common: dict[str, Any] = {
        "raw": raw,
        "digest": digest,
        "media_type": media_type,
        "annotations": document.annotations,
        "artifact_type": document.artifact_type,
        "subject": document.subject,
    }
    if shown in INDEX_TYPES:
        return ImageIndex(manifests=_checked({"manifests": document.manifests}), **common)
    if document.fs_layers is not None:
        layers = tuple(Descriptor(digest=layer.digest) for layer in document.fs_layers)
        return ImageManifest(config=None, layers=layers, **common)
    if shown == _OCI_ARTIFACT:
        return ImageManifest(config=None, layers=_checked({"blobs": document.blobs}), **common)

    if document.config is None:
        msg = "it has no 'config'"
        raise InvalidDocumentError(msg)
    config, *below = _checked({"config": document.config, "layers": document.layers})
    return ImageManifest(config=config, layers=tuple(below), **common)


def _check_type(media_type: str, shown: str) -> None:
    """Check that the media type fits the one that the members show.

    Raises:
        InvalidDocumentError: The two are types of different formats.
    """
    is_known = media_type in MANIFEST_TYPES
    if is_known and any((media_type in alike) != (shown in alike) for alike in _ALIKE):
        msg = f"its media type is {media_type}, but it has the JSON keys of {shown}"
        raise InvalidDocumentError(msg)


def _shape(document: _Document) -> str:
    """Return the media type that the members show, OCI's if two types have the same members.

    Raises:
        InvalidDocumentError: The members show no type, or several. Two clients might read such a
            document as two different images.
    """
    shapes = {
        OCI_INDEX: "manifests" in document.model_fields_set,
        OCI_IMAGE: "layers" in document.model_fields_set or document.config is not None,
        _OCI_ARTIFACT: document.blobs is not None,
        SIGNED_SCHEMA_1 if document.signatures else _SCHEMA_1: document.fs_layers is not None,
    }
    shown = [media_type for media_type, is_shown in shapes.items() if is_shown]

    if not shown and document.media_type == _OCI_ARTIFACT:
        return _OCI_ARTIFACT
    if len(shown) != 1:
        reason = (
            f"it is both {' and '.join(shown)}"
            if shown
            else "it has no 'layers', 'manifests' or 'fsLayers'"
        )
        raise InvalidDocumentError(reason)
    return shown[0]


def _checked(
    members: dict[str, Descriptor | tuple[Descriptor, ...] | None],
) -> tuple[Descriptor, ...]:
    """Return the descriptors of some members in order. Null is an empty list.

    Raises:
        InvalidDocumentError: A descriptor has no size or no media type, or two descriptors of one
            digest differ in one of them.
    """
    placed: dict[str, Descriptor] = {}
    for name, value in members.items():
        if isinstance(value, Descriptor):
            placed[name] = value
        else:
            placed |= {f"{name}.{number}": each for number, each in enumerate(value or ())}

    first: dict[str, str] = {}
    for place, descriptor in placed.items():
        known = first.setdefault(descriptor.digest, place)
        _check_pair(place, descriptor, known, placed[known])
    return tuple(placed.values())


def _check_pair(place: str, descriptor: Descriptor, known: str, before: Descriptor) -> None:
    """Check that a descriptor is complete and like an earlier one, or itself, of the same digest.

    Raises:
        InvalidDocumentError: It is not.
    """
    for name, value, other in (
        ("size", descriptor.size, before.size),
        ("mediaType", descriptor.media_type, before.media_type),
    ):
        if value is None:
            msg = f"{place}: the descriptor of {descriptor.digest} has no {name!r}"
            raise InvalidDocumentError(msg)
        if value != other:
            given, earlier = quoted(value), quoted(other)
            msg = f"{place}: {descriptor.digest} has {name!r} {given}, but {earlier} in {known}"
            raise InvalidDocumentError(msg)
