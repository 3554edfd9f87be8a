"""The archives of `docker save`: their own list of images, for which the manifest that a push needs is written here."""

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
from ecr_layer_client._text.validation import first_problem

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
    """One image of the archive's list: names of files in it.

    And by diff_id the foreign layers, which are kept elsewhere.
    """

    config: str = Field(validation_alias="Config")
    layers: Texts = Field(validation_alias="Layers")
    names: Texts = Field(default=(), validation_alias="RepoTags")
    sources: dict[str, Descriptor] | None = Field(default=None, validation_alias="LayerSources")


class _RootFs(BaseModel):
    # An image without layers has none; docker leaves them out then, and others write null.
    diff_ids: Digests = ()


class _Config(BaseModel):
    rootfs: _RootFs


class _KnownConfig(NamedTuple):
    """What is known of a config that was read."""

    digest: str
    size: int
    diff_ids: tuple[str, ...]


_SAVED = TypeAdapter(Annotated[list[_Saved], FailFast()])
_CONFIG = TypeAdapter(_Config)


def read_docker_archive(tar: Tar) -> Images:
    """Read an archive of `docker save`; since Docker 25 it has a layout, too, and that counts.

    Raises:
        InvalidInputError: It is none, or not whole.
    """
    return read_layout_in(tar, partly=True) if has_layout(tar) else _Archive(tar).images()


def is_docker_archive(tar: Tar) -> bool:
    """Say whether an archive is of `docker save`."""
    return tar.find(_LIST) is not None


class _Archive:
    """An archive without manifests: a list of configs and layers."""

    def __init__(self, tar: Tar) -> None:
        self._tar = tar
        self._files: dict[str, str] = {}  # by digest
        self._configs: dict[str, _KnownConfig] = {}  # by file
        self._hashed: dict[tuple[str, str], tuple[str, str]] = {}  # digests by file and algorithm

    def images(self) -> Images:
        try:
            saved = _SAVED.validate_json(
                self._tar.read(_LIST, MAX_MANIFEST_BYTES), strict=True, by_alias=True, by_name=False
            )
        except ValidationError as error:
            problem = first_problem(error)
            wrong = f"{problem.where}: {problem.message}"
            msg = f"{self._tar.path}: {_LIST} is not what docker save writes: {wrong}"
            raise InvalidInputError(msg) from None
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

    def _manifest(self, image: _Saved) -> Manifest:
        """Write the manifest of an image whose archive has none, of its config and its layers as they stand."""
        config = self._config(image.config)
        if len(config.diff_ids) != len(image.layers):
            counts = (
                f"has {len(config.diff_ids)} layers, and {_LIST} names {len(image.layers)} of it"
            )
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
        except (
            InvalidInputError
        ) as error:  # it is too long, or a foreign layer does not say its size
            msg = f"{self._tar.path}: the manifest of {config.digest}: {error}"
            raise InvalidInputError(msg) from None

    def _config(self, name: str) -> _KnownConfig:
        """Read a config, once, though many images may name it.

        Raises:
            InvalidInputError: It is not there, not what its name says, where that is a digest's, or
                no config.
        """
        if name not in self._configs:
            raw = self._tar.read(name, MAX_MANIFEST_BYTES)
            digest = digest_of(raw)
            stem = posixpath.basename(name).partition(".")[0].removeprefix("sha256:")
            encoded = digest.partition(":")[2]
            if len(stem) == len(encoded) and stem != encoded:
                msg = f"{self._tar.path}: {quoted(name)} is {digest}: it was changed"
                raise InvalidInputError(msg)
            try:
                diff_ids = _CONFIG.validate_json(raw, strict=True).rootfs.diff_ids
            except ValidationError as error:
                why = first_problem(error).message
                msg = f"{self._tar.path}: {quoted(name)} ({digest}) is no image's config: {why}"
                raise InvalidInputError(msg) from None
            self._files[digest] = name
            self._configs[name] = _KnownConfig(digest, len(raw), diff_ids)
        return self._configs[name]

    def _layer(self, name: str, diff_id: str) -> Descriptor:
        """Return the descriptor of a layer as it stands, plain or gzipped, if it is the one that the config names."""
        found = self._tar.find(name)
        if found is None:
            msg = f"{self._tar.path}: there is no {quoted(name)} in this archive, which should be {diff_id}"
            raise InvalidInputError(msg)
        member = self._tar.member(found)
        compression = compression_of(member.head)
        if compression is not None:
            msg = f"{self._tar.path}: {quoted(name)}, which should be {diff_id}, is compressed with {compression}: plain or gzipped is read"
            raise InvalidInputError(msg)
        digest, unpacked = self._hashes(found, diff_id)
        if unpacked != diff_id:
            msg = f"{self._tar.path}: {quoted(name)} should be {diff_id}, and is {unpacked}: it was changed, or cut"
            raise InvalidInputError(msg)
        self._files[digest] = found
        media_type = f"{_LAYER_TYPE}.gzip" if member.head.startswith(GZIP) else _LAYER_TYPE
        return Descriptor(digest=digest, size=member.size, media_type=media_type)

    def _hashes(self, name: str, diff_id: str) -> tuple[str, str]:
        """Return the digest of a layer's bytes, and that of what they unpack to, by the algorithm of its `diff_id`.

        Nothing else says whether a layer is whole, for this archive has no sizes. So it is read
        once, unless that was done already.
        """
        member = self._tar.member(name)
        is_gzipped, algorithm = member.head.startswith(GZIP), diff_id.partition(":")[0]
        if member.digest is not None and not is_gzipped and algorithm == "sha256":
            return member.digest, member.digest
        if (name, algorithm) not in self._hashed:
            unpacked = hash_of(diff_id, str(self._tar.path))
            try:
                with self._tar.open(name) as file, _Hashing(file, member.size) as bytes_of:
                    stream = (
                        cast("BinaryIO", gzip.GzipFile(fileobj=bytes_of))
                        if is_gzipped
                        else bytes_of
                    )
                    while data := stream.read(CHUNK):
                        unpacked.update(data)
            except (*UNREADABLE, OSError) as error:
                msg = f"{self._tar.path}: {quoted(name)}, which should be {diff_id}, can't be read: {why(error)}"
                raise InvalidInputError(msg) from error
            self._hashed[name, algorithm] = bytes_of.digest, f"{algorithm}:{unpacked.hexdigest()}"
        return self._hashed[name, algorithm]


def _members(layer: Descriptor) -> dict[str, object]:
    more = {"urls": layer.urls} if layer.urls else {}
    return {"mediaType": layer.media_type, "size": layer.size, "digest": layer.digest, **more}


class _Hashing(io.RawIOBase):
    """The bytes of one file of an archive, hashed as they are read.

    Args:
        file: The archive, at its beginning; closed by whom it belongs to.
        size: How many they are.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__()
        self._file = file
        self._left = size
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The digest of all that was read."""
        return f"sha256:{self._hash.hexdigest()}"

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        self._hash.update(data)
        return data
