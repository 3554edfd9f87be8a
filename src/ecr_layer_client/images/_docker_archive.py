"""Archives of `docker save`: their own list of images, and a manifest written for each of them.

Only archives older than Docker 25 need this. Newer ones have the manifests in an OCI layout.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import posixpath
from typing import TYPE_CHECKING, Annotated, BinaryIO, NamedTuple, cast

from pydantic import BaseModel, FailFast, Field, TypeAdapter, ValidationError

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.validation_errors import first_problem

from ._blob_store import why
from ._descriptor import Descriptor, Digests, Texts, digest_of, hash_of
from ._manifest import DOCKER_IMAGE, MAX_MANIFEST_BYTES, parse_manifest
from ._oci_layout import Images, Manifest, has_layout, read_layout_in, tags_of
from ._tar import CHUNK, GZIP, UNREADABLE, TarBlobs, compression_of

if TYPE_CHECKING:
    from ._tar import Tar

_LIST = "manifest.json"
_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar"


class _Saved(BaseModel):
    """One image of the archive's list: the names of its files in the archive.

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


_SAVED = TypeAdapter(Annotated[list[_Saved], FailFast()])
_CONFIG = TypeAdapter(_Config)


def read_docker_archive(tar: Tar) -> Images:
    """Read an archive of `docker save`.

    Since Docker 25, such an archive also has an OCI layout, and the layout takes precedence.

    Raises:
        InvalidInputError: The file is not such an archive, or it is incomplete.
    """
    return read_layout_in(tar, partly=True) if has_layout(tar) else _Archive(tar).images()


def is_docker_archive(tar: Tar) -> bool:
    """Return whether an archive was written by `docker save`."""
    return tar.find(_LIST) is not None


class _Archive:
    """An archive without manifests: a list of configs and layers."""

    def __init__(self, tar: Tar) -> None:
        self._tar = tar
        # The file of each digest.
        self._files: dict[str, str] = {}
        # The config in each file.
        self._configs: dict[str, _KnownConfig] = {}
        # The two digests of each pair of file and algorithm.
        self._hashed: dict[tuple[str, str], tuple[str, str]] = {}

    def images(self) -> Images:
        saved = self._list()
        if not saved:
            msg = f"{self._tar.path} names no image"
            raise InvalidInputError(msg)

        manifests: dict[str, Manifest] = {}
        tags: dict[str, dict[str, None]] = {}
        for image in saved:
            manifest = self._manifest(image)
            manifests[manifest.digest] = manifest
            tags.setdefault(manifest.digest, {}).update(dict.fromkeys(tags_of(*image.names)))

        named = {digest: tuple(its) for digest, its in tags.items() if its}
        return Images(manifests, tuple(manifests.values()), named, TarBlobs(self._tar, self._files))

    def _list(self) -> list[_Saved]:
        data = self._tar.read(_LIST, MAX_MANIFEST_BYTES)
        try:
            return _SAVED.validate_json(data, strict=True, by_alias=True, by_name=False)
        except ValidationError as error:
            problem = first_problem(error)
            wrong = f"{problem.where}: {problem.message}"
            msg = f"{self._tar.path}: {_LIST} is not what docker save writes: {wrong}"
            raise InvalidInputError(msg) from None

    def _manifest(self, image: _Saved) -> Manifest:
        """Write the manifest of an image from its config and its layers as they are stored."""
        config = self._config(image.config)
        if len(config.diff_ids) != len(image.layers):
            counts = f"has {len(config.diff_ids)} layers, but {_LIST} lists {len(image.layers)}"
            msg = f"{self._tar.path}: {quoted(image.config)} ({config.digest}) {counts}"
            raise InvalidInputError(msg)

        foreign = {
            diff_id: layer for diff_id, layer in (image.sources or {}).items() if layer.is_foreign
        }
        named = zip(image.layers, config.diff_ids, strict=True)
        layers = [foreign.get(diff_id) or self._layer(name, diff_id) for name, diff_id in named]

        members = {
            "schemaVersion": 2,
            "mediaType": DOCKER_IMAGE,
            "config": {"mediaType": _CONFIG_TYPE, "size": config.size, "digest": config.digest},
            "layers": [_members(layer) for layer in layers],
        }
        try:
            return parse_manifest(json.dumps(members, separators=(",", ":")).encode())
        except InvalidInputError as error:
            # The manifest is too long, or a foreign layer has no size.
            msg = f"{self._tar.path}: the manifest of {config.digest}: {error}"
            raise InvalidInputError(msg) from None

    def _config(self, name: str) -> _KnownConfig:
        """Read a config, once even if many images name it.

        Raises:
            InvalidInputError: The file does not exist or is not a config, or its name is a digest
                that does not match its content.
        """
        if name not in self._configs:
            self._configs[name] = self._read_config(name)
        return self._configs[name]

    def _read_config(self, name: str) -> _KnownConfig:
        raw = self._tar.read(name, MAX_MANIFEST_BYTES)
        digest = digest_of(raw)

        stem = posixpath.basename(name).partition(".")[0].removeprefix("sha256:")
        encoded = digest.partition(":")[2]
        if len(stem) == len(encoded) and stem != encoded:
            msg = f"{self._tar.path}: {quoted(name)} has the digest {digest}: it was changed"
            raise InvalidInputError(msg)

        try:
            diff_ids = _CONFIG.validate_json(raw, strict=True).rootfs.diff_ids
        except ValidationError as error:
            problem = first_problem(error).message
            msg = (
                f"{self._tar.path}: {quoted(name)} ({digest}) is not a valid image config: "
                f"{problem}"
            )
            raise InvalidInputError(msg) from None

        self._files[digest] = name
        return _KnownConfig(digest, len(raw), diff_ids)

    def _layer(self, name: str, diff_id: str) -> Descriptor:
        """Return the descriptor of a layer as it is stored, plain or gzipped.

        Raises:
            InvalidInputError: The layer does not exist, can't be read, or is not the one that the
                config names.
        """
        found = self._tar.find(name)
        if found is None:
            msg = (
                f"{self._tar.path}: there is no {quoted(name)} in this archive "
                f"(the layer {diff_id})"
            )
            raise InvalidInputError(msg)

        member = self._tar.member(found)
        compression = compression_of(member.head)
        if compression is not None:
            msg = (
                f"{self._tar.path}: {quoted(name)}, which should be {diff_id}, "
                f"is compressed with {compression}: only plain and gzipped layers can be read"
            )
            raise InvalidInputError(msg)

        digest, unpacked = self._hashes(found, diff_id)
        if unpacked != diff_id:
            msg = (
                f"{self._tar.path}: {quoted(name)} should be {diff_id}, but is {unpacked}: "
                "it was changed or truncated"
            )
            raise InvalidInputError(msg)

        self._files[digest] = found
        media_type = f"{_LAYER_TYPE}.gzip" if member.head.startswith(GZIP) else _LAYER_TYPE
        return Descriptor(digest=digest, size=member.size, media_type=media_type)

    def _hashes(self, name: str, diff_id: str) -> tuple[str, str]:
        """Return the digest of a layer's bytes, and the digest of its unpacked bytes.

        The second digest has the algorithm of the `diff_id`. The archive has no sizes, so these
        digests alone show whether a layer is complete. The layer is read once, unless its digest
        is already known.
        """
        member = self._tar.member(name)
        is_gzipped, algorithm = member.head.startswith(GZIP), diff_id.partition(":")[0]
        if member.digest is not None and not is_gzipped and algorithm == "sha256":
            return member.digest, member.digest

        if (name, algorithm) not in self._hashed:
            self._hashed[name, algorithm] = self._read_hashes(name, diff_id)
        return self._hashed[name, algorithm]

    def _read_hashes(self, name: str, diff_id: str) -> tuple[str, str]:
        member = self._tar.member(name)
        unpacked = hash_of(diff_id, str(self._tar.path))

        try:
            with self._tar.open(name) as file, _Hashing(file, member.size) as packed:
                stream: io.BufferedIOBase | io.RawIOBase = packed
                if member.head.startswith(GZIP):
                    stream = gzip.GzipFile(fileobj=cast("BinaryIO", packed))
                while data := stream.read(CHUNK):
                    unpacked.update(data)
        except (*UNREADABLE, OSError) as error:
            msg = (
                f"{self._tar.path}: {quoted(name)}, which should be {diff_id}, "
                f"can't be read: {why(error)}"
            )
            raise InvalidInputError(msg) from error

        return packed.digest, f"{diff_id.partition(':')[0]}:{unpacked.hexdigest()}"


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
