"""Archives of `docker save`: the rows of `manifest.json`, and manifests composed for them.

Before Docker 25, an archive has no manifests. Since then it also has an OCI layout, but the layout
does not always have all images or all their layers, while `manifest.json` does.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import posixpath
import re
from typing import TYPE_CHECKING, Annotated, BinaryIO, NamedTuple, cast

from pydantic import BaseModel, FailFast, Field, TypeAdapter

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

from ._descriptor import Descriptor, Digests, Texts, digest_of, hash_of
from ._documents import InvalidDocumentError, read_document
from ._files import read_file, why
from ._manifest import DOCKER_IMAGE, ImageManifest, parse_manifest
from ._tar import CHUNK, GZIP, UNREADABLE, compression_of

if TYPE_CHECKING:
    from ._blob_store import FileBlobs
    from ._files import File, Files

LIST = "manifest.json"
_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar"
_BLOB = re.compile(r"blobs/([^/]+)/([^/]+)")


class Row(BaseModel):
    """One image in `manifest.json`: the names of its files.

    `sources` has the foreign layers, which are stored elsewhere, by diff_id.
    """

    config: str = Field(validation_alias="Config")
    layers: Texts = Field(validation_alias="Layers")
    names: Texts = Field(default=(), validation_alias="RepoTags")
    sources: dict[str, Descriptor] | None = Field(default=None, validation_alias="LayerSources")


class _RootFs(BaseModel):
    # For an image without layers, docker omits the list, and other programs write null.
    diff_ids: Digests = ()


class _Config(BaseModel):
    rootfs: _RootFs


class _KnownConfig(NamedTuple):
    """The facts about a config that was read."""

    digest: str
    size: int
    diff_ids: tuple[str, ...]


_ROWS = TypeAdapter(Annotated[list[Row], FailFast()])
_CONFIG = TypeAdapter(_Config)


def read_rows(files: Files) -> list[Row] | None:
    """Return the rows of `manifest.json`, or None if it is absent or not a list.

    Raises:
        InvalidInputError: The list is not valid.
    """
    data = read_file(files, LIST) if files.find(LIST) else b""
    if not data.lstrip().startswith(b"["):
        return None

    try:
        return read_document(_ROWS, data)
    except InvalidDocumentError as error:
        msg = f"{files.name}: {LIST} does not have the format of 'docker save': {error}"
        raise InvalidInputError(msg) from None


class Composer:
    """Composes manifests from configs and layers as they are stored.

    Args:
        files: The files of an archive.
        blobs: Their blobs, which get the names of the configs and layers.
    """

    def __init__(self, files: Files, blobs: FileBlobs) -> None:
        self._files = files
        self._blobs = blobs
        # The config in each file.
        self._configs: dict[str, _KnownConfig] = {}
        # The two digests of each pair of file and algorithm.
        self._hashed: dict[tuple[str, str], tuple[str, str]] = {}

    def config_digest(self, row: Row) -> str:
        """Return the digest of a config: the one in its name in a layout, or that of its bytes."""
        in_layout = _BLOB.fullmatch(posixpath.normpath(row.config))
        return ":".join(in_layout.groups()) if in_layout else self._config(row.config).digest

    def manifest(self, row: Row) -> ImageManifest:
        """Compose the manifest of an image.

        Raises:
            InvalidInputError: The config or a layer is missing or can't be read, or a layer is not
                the one that the config names.
        """
        config = self._config(row.config)
        if len(config.diff_ids) != len(row.layers):
            counts = f"has {len(config.diff_ids)} layers, but {LIST} lists {len(row.layers)}"
            msg = f"{self._files.name}: {quoted(row.config)} ({config.digest}) {counts}"
            raise InvalidInputError(msg)

        foreign = {
            diff_id: layer for diff_id, layer in (row.sources or {}).items() if layer.is_foreign
        }
        named = zip(row.layers, config.diff_ids, strict=True)
        layers = [foreign.get(diff_id) or self._layer(name, diff_id) for name, diff_id in named]

        members = {
            "schemaVersion": 2,
            "mediaType": DOCKER_IMAGE,
            "config": {"mediaType": _CONFIG_TYPE, "size": config.size, "digest": config.digest},
            "layers": [_members(layer) for layer in layers],
        }
        try:
            composed = parse_manifest(json.dumps(members, separators=(",", ":")).encode())
        except InvalidInputError as error:
            # The manifest is too long, or a foreign layer has no size.
            made = f"the manifest made from the config {config.digest}"
            msg = f"{self._files.name}: {made} is not valid: {error}"
            raise InvalidInputError(msg) from None
        return cast("ImageManifest", composed)

    def _config(self, name: str) -> _KnownConfig:
        """Read a config, once even if many images name it. Its name need not be its digest.

        Raises:
            InvalidInputError: The file does not exist or is not a config.
        """
        if name in self._configs:
            return self._configs[name]

        raw = read_file(self._files, name)
        digest = digest_of(raw)
        try:
            diff_ids = read_document(_CONFIG, raw).rootfs.diff_ids
        except InvalidDocumentError as error:
            what = f"{quoted(name)} ({digest})"
            msg = f"{self._files.name}: {what} is not a valid image config: {error}"
            raise InvalidInputError(msg) from None

        self._blobs.add(digest, name)
        self._configs[name] = _KnownConfig(digest, len(raw), diff_ids)
        return self._configs[name]

    def _layer(self, name: str, diff_id: str) -> Descriptor:
        """Return the descriptor of a layer as it is stored, plain or gzipped.

        Raises:
            InvalidInputError: The layer does not exist, can't be read, or is not the one that the
                config names.
        """
        file = self._files.find(name)
        if file is None:
            msg = f"{self._files.name}: {self._files.why_missing(name)} (the layer {diff_id})"
            raise InvalidInputError(msg)

        compression = compression_of(file.head)
        if compression is not None:
            msg = (
                f"{self._files.name}: {quoted(name)}, which should be {diff_id}, "
                f"is compressed with {compression}: only plain and gzipped layers can be read"
            )
            raise InvalidInputError(msg)

        digest, unpacked = self._hashes(file, diff_id)
        if unpacked != diff_id:
            msg = (
                f"{self._files.name}: {quoted(name)} should have the digest {diff_id}, "
                f"but has {unpacked}: it was changed or truncated"
            )
            raise InvalidInputError(msg)

        self._blobs.add(digest, file.name)
        media_type = f"{_LAYER_TYPE}.gzip" if file.head.startswith(GZIP) else _LAYER_TYPE
        return Descriptor(digest=digest, size=file.size, media_type=media_type)

    def _hashes(self, file: File, diff_id: str) -> tuple[str, str]:
        """Return the digest of a layer's bytes, and the digest of its unpacked bytes.

        The second digest has the algorithm of the `diff_id`. The archive has no sizes, so these
        digests alone show whether a layer is complete. The layer is read once, unless its digest
        is already known.
        """
        algorithm = diff_id.partition(":")[0]
        if file.digest is not None and not file.head.startswith(GZIP) and algorithm == "sha256":
            return file.digest, file.digest

        if (file.name, algorithm) not in self._hashed:
            unpacked = hash_of(diff_id, self._files.name)
            try:
                digest = _hash(file, unpacked)
            except (*UNREADABLE, OSError) as error:
                what = f"{quoted(file.name)}, which should be {diff_id}"
                msg = f"{self._files.name}: {what}, can't be read: {why(error)}"
                raise InvalidInputError(msg) from error
            self._hashed[file.name, algorithm] = digest, f"{algorithm}:{unpacked.hexdigest()}"
        return self._hashed[file.name, algorithm]


def _hash(file: File, unpacked: hashlib._Hash) -> str:
    """Hash the unpacked bytes of a layer, and return the digest of its bytes as they are stored."""
    with file.open() as opened, _Hashing(opened, file.size) as packed:
        stream: io.BufferedIOBase | io.RawIOBase = packed
        if file.head.startswith(GZIP):
            stream = gzip.GzipFile(fileobj=cast("BinaryIO", packed))
        while data := stream.read(CHUNK):
            unpacked.update(data)
    return packed.digest


def _members(layer: Descriptor) -> dict[str, object]:
    more = {"urls": layer.urls} if layer.urls else {}
    return {"mediaType": layer.media_type, "size": layer.size, "digest": layer.digest, **more}


class _Hashing(io.RawIOBase):
    """The bytes of one file of an archive, hashed as they are read.

    Args:
        file: The archive, at the beginning of the file. The caller closes it.
        size: The number of bytes of the file.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__()
        self._file = file
        self._left = size
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The digest of everything that was read."""
        return f"sha256:{self._hash.hexdigest()}"

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        self._hash.update(data)
        return data
