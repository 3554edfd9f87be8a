"""The archives of `docker save`: their own list of images, for which the manifest that a push needs is written here."""

from __future__ import annotations

import hashlib
import json
import posixpath
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ecr_layer_client._errors import InvalidInputError, quoted

from ._descriptor import Descriptor, Digest, Texts, digest_of
from ._layout import Images, Manifest, has_layout, read_layout_in, tag_of
from ._manifest import DOCKER_IMAGE, MAX_MANIFEST_BYTES, parse_manifest
from ._tar import TarBlobs

if TYPE_CHECKING:
    from ._tar import Tar

_LIST = "manifest.json"
_GZIP = b"\x1f\x8b"
_CHUNK = 1024 * 1024  # bytes
_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar"


class _Saved(BaseModel):
    """One image of the archive's list: names of files in it."""

    config: str = Field(validation_alias="Config")
    layers: Texts = Field(validation_alias="Layers")
    names: Texts = Field(default=(), validation_alias="RepoTags")


class _RootFs(BaseModel):
    diff_ids: tuple[Digest, ...]


class _Config(BaseModel):
    rootfs: _RootFs


_SAVED = TypeAdapter(list[_Saved])
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
        self._hashed: dict[str, str] = {}  # digests by file

    def images(self) -> Images:
        try:
            saved = _SAVED.validate_json(self._tar.read(_LIST, MAX_MANIFEST_BYTES), strict=True, by_alias=True, by_name=False)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            msg = f"{self._tar.path}: {_LIST} is not what docker save writes: {'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise InvalidInputError(msg) from None
        if not saved:
            msg = f"{self._tar.path} names no image"
            raise InvalidInputError(msg)
        manifests: dict[str, Manifest] = {}
        tags: dict[str, tuple[str, ...]] = {}
        for image in saved:
            manifest = self._manifest(image)
            manifests[manifest.digest] = manifest
            tags[manifest.digest] = tuple(dict.fromkeys((*tags.get(manifest.digest, ()), *map(tag_of, image.names))))
        named = {digest: its for digest, its in tags.items() if its}
        return Images(manifests, tuple(manifests.values()), named, TarBlobs(self._tar, self._files))

    def _manifest(self, image: _Saved) -> Manifest:
        """Write the manifest of an image whose archive has none, of its config and its layers as they stand."""
        config = self._tar.read(image.config, MAX_MANIFEST_BYTES)
        digest = digest_of(config)
        self._check_name(image.config, digest)
        self._files[digest] = image.config
        diff_ids = self._diff_ids(image, config, digest)
        layers = [self._layer(name, diff_id) for name, diff_id in zip(image.layers, diff_ids, strict=True)]
        members = {
            "schemaVersion": 2,
            "mediaType": DOCKER_IMAGE,
            "config": {"mediaType": _CONFIG_TYPE, "size": len(config), "digest": digest},
            "layers": [{"mediaType": layer.media_type, "size": layer.size, "digest": layer.digest} for layer in layers],
        }
        return parse_manifest(json.dumps(members, separators=(",", ":")).encode())

    def _check_name(self, name: str, digest: str) -> None:
        """Make sure that a config is what its name says, where its name is a digest's."""
        stem = posixpath.basename(name).partition(".")[0].removeprefix("sha256:")
        encoded = digest.partition(":")[2]
        if len(stem) == len(encoded) and stem != encoded:
            msg = f"{self._tar.path}: {quoted(name)} is {digest}: it was changed"
            raise InvalidInputError(msg)

    def _diff_ids(self, image: _Saved, config: bytes, digest: str) -> tuple[str, ...]:
        try:
            diff_ids = _CONFIG.validate_json(config, strict=True).rootfs.diff_ids
        except ValidationError as error:
            msg = f"{self._tar.path}: {quoted(image.config)} ({digest}) is no image's config: {error.errors(include_url=False)[0]['msg']}"
            raise InvalidInputError(msg) from None
        if len(diff_ids) != len(image.layers):
            counts = f"has {len(diff_ids)} layers, and {_LIST} names {len(image.layers)} of it"
            msg = f"{self._tar.path}: {quoted(image.config)} ({digest}) {counts}"
            raise InvalidInputError(msg)
        return diff_ids

    def _layer(self, name: str, diff_id: str) -> Descriptor:
        """Return the descriptor of a layer as it stands: a plain one's digest is what its config calls it, a gzipped one is hashed."""
        found = self._tar.find(name)
        if found is None:
            msg = f"{self._tar.path}: there is no {quoted(name)} in this archive, which should be {diff_id}"
            raise InvalidInputError(msg)
        member = self._tar.member(found)
        is_gzipped = member.head.startswith(_GZIP)
        digest = self._hash(found) if is_gzipped else diff_id
        self._files[digest] = found
        return Descriptor(digest=digest, size=member.size, media_type=f"{_LAYER_TYPE}.gzip" if is_gzipped else _LAYER_TYPE)

    def _hash(self, name: str) -> str:
        if name not in self._hashed:
            hashing = hashlib.sha256()
            left = self._tar.member(name).size
            with self._tar.open(name) as file:
                while data := file.read(min(_CHUNK, left)):
                    hashing.update(data)
                    left -= len(data)
            self._hashed[name] = f"sha256:{hashing.hexdigest()}"
        return self._hashed[name]
