"""`parse_manifest`: the exact bytes of a manifest to a value that keeps them.

Strict, bounded, and never written anew.
"""

from __future__ import annotations

import codecs
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import escaped, quoted
from ecr_layer_client._text.validation import first_problem

from ._descriptor import Descriptor, Digest, TextByName, digest_of, each_for_its_platform, each_once

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MAX_MANIFEST_BYTES = 4 * 1024 * 1024  # ECR's quota

_DOCKER = "application/vnd.docker.distribution.manifest"
DOCKER_IMAGE = f"{_DOCKER}.v2+json"
DOCKER_INDEX = f"{_DOCKER}.list.v2+json"
OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_OCI_ARTIFACT = (
    "application/vnd.oci.artifact.manifest.v1+json"  # of a draft of OCI 1.1, and still found
)
_SCHEMA_1 = f"{_DOCKER}.v1+json"
SIGNED_SCHEMA_1 = f"{_DOCKER}.v1+prettyjws"

INDEX_TYPES = frozenset({DOCKER_INDEX, OCI_INDEX})
_ALIKE = (
    INDEX_TYPES,
    frozenset({DOCKER_IMAGE, OCI_IMAGE}),
    frozenset({_OCI_ARTIFACT}),
    frozenset({_SCHEMA_1, SIGNED_SCHEMA_1}),
)
MANIFEST_TYPES = frozenset[str]().union(*_ALIKE)  # those of a set have the same members


class ImageManifest(BaseModel, frozen=True):
    """One image, or an artifact in an image's shape: a config and layers.

    Attributes:
        raw: The exact bytes.
        digest: The sha256 digest of `raw`. For a signed schema 1 manifest, Docker's registries give
            that of the bytes without the signatures instead; this one is that of the bytes as they
            are.
        media_type: What it is.
        config: Its config. None of a schema 1 manifest, which has none, and of an artifact without
            one.
        layers: Its layers in the manifest's own order, repeats kept: the base comes first. In
            schema 1 it comes last, and none has a size.
        artifact_type: Of an artifact: what it is. Default None.
        subject: The manifest that this one is about, such as the image that a signature signs; it
            need not be in the registry. Default None.
        annotations: Names and values, uninterpreted. Default none.

    Example:
        >>> blob = '{"mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "digest": "sha256:%s"}' % ("a" * 64)
        >>> manifest = parse_manifest(f'{{"schemaVersion": 2, "config": {blob}, "layers": [{blob}, {blob}]}}'.encode())
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
        """What a registry stores of it: the config and the layers, each digest once, without the foreign ones."""
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
        """Hash the digest, which stands for the rest."""
        return hash(self.digest)

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Give one bounded line."""
        yield from (
            ("digest", self.digest),
            ("media_type", self.media_type),
            ("layers", len(self.layers)),
        )


class ImageIndex(BaseModel, frozen=True):
    """An index: a manifest of manifests, one for each platform, say.

    Docker calls it a manifest list.

    Attributes:
        raw: The exact bytes.
        digest: The sha256 digest of `raw`.
        media_type: What it is.
        manifests: What it names, in its own order, repeats kept; each may have a platform.
        artifact_type: Of an artifact: what it is. Default None.
        subject: The manifest that this one is about. Default None.
        annotations: Names and values, uninterpreted. Default none.

    Example:
        >>> image = '"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 7, "digest": "sha256:%s"' % ("a" * 64)
        >>> platform = '"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}'
        >>> index = parse_manifest(f'{{"schemaVersion": 2, "manifests": [{{{image}, {platform}}}]}}'.encode())
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
        """The manifests among `manifests`, each digest once for each platform that it is named for."""
        return each_for_its_platform(
            child for child in self.manifests if child.media_type in MANIFEST_TYPES
        )

    @cached_property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What a registry stores as blobs of it: of an ordinary index nothing.

        Of some, as of a build cache, what is no manifest.
        """
        return each_once(
            blob
            for blob in self.manifests
            if blob.media_type not in MANIFEST_TYPES and not blob.is_foreign
        )

    @cached_property
    def foreign(self) -> tuple[Descriptor, ...]:
        """As an image's; of an ordinary index nothing."""
        return each_once(
            blob
            for blob in self.manifests
            if blob.media_type not in MANIFEST_TYPES and blob.is_foreign
        )

    def __hash__(self) -> int:
        """Hash the digest, which stands for the rest."""
        return hash(self.digest)

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Give one bounded line."""
        yield from (
            ("digest", self.digest),
            ("media_type", self.media_type),
            ("manifests", len(self.manifests)),
        )


class _FsLayer(BaseModel):
    digest: Digest = Field(validation_alias="blobSum")


class _Document(BaseModel):
    """Any of the formats; which one it is, its members say.

    Lists fail at the first thing that is wrong, which is all that is told: to gather two million
    takes many seconds.
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
    """Read a manifest of any format: Docker schema 2 and 1, OCI image and index, artifacts.

    The bytes are kept as they are. Members that the formats don't have are ignored; of a member
    given twice the last one counts, as in other clients; a media type that is not known is kept.

    Args:
        data: The exact bytes, at most 4 MiB.
        media_type: Its media type, where the registry or an index says. Default None: the
            manifest's own `mediaType`, else what its members show.

    Raises:
        InvalidInputError: It is no manifest, or none of the type it should be; the message says
            where, and its digest.

    Example:
        >>> layer = '{"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": 1024, "digest": "sha256:%s"}' % ("a" * 64)
        >>> config = '{"mediaType": "application/vnd.oci.image.config.v1+json", "size": 7, "digest": "sha256:%s"}' % ("c" * 64)
        >>> manifest = parse_manifest(f'{{"schemaVersion": 2, "config": {config}, "layers": [{layer}, {layer}]}}'.encode())
        >>> manifest.media_type, len(manifest.layers), [blob.size for blob in manifest.blobs]
        ('application/vnd.oci.image.manifest.v1+json', 2, [7, 1024])
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        msg = f"a manifest is bytes, exactly as the registry holds them, not {type(data).__name__} {quoted(data)}"
        raise InvalidInputError(msg)
    if media_type is not None and not isinstance(media_type, str):
        msg = f"media_type={quoted(media_type)}: a str, or None"
        raise InvalidInputError(msg)
    raw = bytes(data)
    if len(raw) > MAX_MANIFEST_BYTES:
        msg = f"a manifest has at most {MAX_MANIFEST_BYTES} bytes (4 MiB), and this one {len(raw)}"
        raise InvalidInputError(msg)
    digest = digest_of(raw)
    if raw.startswith(_MARKS):
        raise InvalidInputError(
            _refusal(raw, digest, "it begins with a byte order mark: JSON is UTF-8 without one")
        )
    try:
        return _built(
            raw,
            digest,
            _DOCUMENT.validate_json(raw, strict=True, by_alias=True, by_name=False),
            media_type,
        )
    except ValidationError as error:
        problem = first_problem(error)
        why = problem.message
        if problem.where:
            # The path may hold names of annotations, which come from outside.
            why = f"{escaped(problem.where)}: {why}: {quoted(problem.value)}"
        raise InvalidInputError(_refusal(raw, digest, why)) from None
    except _NoManifest as error:
        raise InvalidInputError(_refusal(raw, digest, str(error))) from None


class _NoManifest(Exception):  # noqa: N818 (never leaves this room)
    pass


def _refusal(raw: bytes, digest: str, why: str) -> str:
    return f"this is no manifest ({len(raw)} bytes, {digest}): {why}"


def _built(
    raw: bytes, digest: str, document: _Document, given: str | None
) -> ImageManifest | ImageIndex:
    shown = _shape(document)
    media_type = given or document.media_type or shown
    if any(
        (media_type in alike) != (shown in alike)
        for alike in _ALIKE
        if media_type in MANIFEST_TYPES
    ):
        msg = f"its media type is {media_type}, and its members are those of {shown}"
        raise _NoManifest(msg)
    common: dict[str, Any] = {
        "raw": raw,
        "digest": digest,
        "media_type": media_type,
        "annotations": document.annotations,
    }
    common |= {"artifact_type": document.artifact_type, "subject": document.subject}
    if shown in INDEX_TYPES:
        return ImageIndex(manifests=_whole("manifests", document.manifests), **common)
    if document.fs_layers is not None:
        return ImageManifest(
            config=None,
            layers=tuple(Descriptor(digest=layer.digest) for layer in document.fs_layers),
            **common,
        )
    if shown == _OCI_ARTIFACT:
        return ImageManifest(config=None, layers=_whole("blobs", document.blobs), **common)
    if document.config is None:
        msg = "it has no 'config'"
        raise _NoManifest(msg)
    _check_whole("config", document.config)
    return ImageManifest(config=document.config, layers=_whole("layers", document.layers), **common)


def _shape(document: _Document) -> str:
    """Return the media type that the members show; of two with the same members, OCI's.

    Raises:
        _NoManifest: They are those of none, or of more than one, which two clients might take for
            two different images.
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
        found = (
            "no 'layers', 'manifests' or 'fsLayers'"
            if not shown
            else f"it is both {' and '.join(shown)}"
        )
        raise _NoManifest(found)
    return shown[0]


def _whole(name: str, descriptors: tuple[Descriptor, ...] | None) -> tuple[Descriptor, ...]:
    """Return descriptors that say all they must, none of null.

    Raises:
        _NoManifest: One does not say its size or media type.
    """
    for place, descriptor in enumerate(descriptors or ()):
        _check_whole(f"{name}.{place}", descriptor)
    return descriptors or ()


def _check_whole(where: str, descriptor: Descriptor) -> None:
    for name, value in (("size", descriptor.size), ("mediaType", descriptor.media_type)):
        if value is None:
            msg = f"{where}: no {name!r}, of {descriptor.digest}"
            raise _NoManifest(msg)
