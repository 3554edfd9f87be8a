"""`ImageSource`: images to push or to compare with a registry, wherever their bytes are."""

from __future__ import annotations

import codecs
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self, TypeVar

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.repository import Repository
from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import escaped, quoted

from ._blob_store import ManifestsAlone, open_verified
from ._descriptor import Descriptor, each_once
from ._docker_archive import is_docker_archive, read_docker_archive
from ._manifest import MAX_MANIFEST_BYTES, ImageIndex, ImageManifest, parse_manifest
from ._oci_layout import Images, Manifest, Reading, is_directory, read_layout, read_layout_in
from ._tar import Tar

if TYPE_CHECKING:
    from collections.abc import Callable

Where = TypeVar("Where", bound=str | Repository)

# How JSON begins, and what is meant for it: a list, and text with a byte order mark, which are
# refused as what they are.
_TEXTS = (b"{", b"[", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_TAR = slice(
    257, 262
)  # where a tar archive says that it is one, for a file in it may have a name that begins so, too


class ImageSource:
    """One image or several, with all their manifests: from an OCI layout, a `docker save` archive, a manifest, or a repository.

    The manifests are read when it is made, and verified; that the other blobs are there, with the
    right sizes, is made sure of, and their bytes are only read by `open`. Nothing is written to
    disk.

    Attributes:
        name: Where it comes from, for people.
        roots: The manifests that no other of them names: what is pushed, deployed or tagged.
        manifests: Every manifest once, children before the indexes that name them: the order in
            which a registry takes them.
        tags: Tags by the digest of the manifest they name, where the source has any.

    Example:
        >>> config = '{"mediaType": "application/vnd.oci.image.config.v1+json", "size": 7, "digest": "sha256:%s"}' % ("c" * 64)
        >>> ImageSource.from_manifest(f'{{"schemaVersion": 2, "config": {config}, "layers": []}}'.encode())
        <ImageSource of a manifest: 1 manifest, 1 blob, 7 bytes>
    """

    name: str
    roots: tuple[Manifest, ...]
    manifests: tuple[Manifest, ...]
    tags: Mapping[str, tuple[str, ...]]

    def __init__(self, name: str, images: Images) -> None:
        self.name = name
        self.roots = images.roots
        self.tags = images.tags
        self.manifests = tuple(images.manifests.values())
        self._blobs = images.blobs

    @classmethod
    def from_oci_layout(cls, path: str | os.PathLike[str]) -> Self:
        """Read an OCI layout.

        Args:
            path: Its directory, or a tar archive of that, plain or gzipped.

        Raises:
            InvalidInputError: It is none, or not whole: a blob that is named is absent, or what is
                there has another size or digest.
        """
        where = _path(path)
        return cls(str(where), read_layout(where))

    @classmethod
    def from_docker_archive(cls, path: str | os.PathLike[str]) -> Self:
        """Read an archive that `docker save` wrote, or another tool in its form.

        Since Docker 25 an archive holds the manifests; they are taken as they are. An index of
        which only some platforms were saved is left out, and the images that are there count.

        An older archive has no manifest: one is composed of its config and its layers as they stand
        there, mostly uncompressed. A push that follows it is accepted; but `docker load` and
        `docker push` would compress the layers first, and thus upload others, with other digests.
        Nothing but the config says what a layer should be, not even its size: so the layers are
        read, once, and hashed when the source is made, gzipped ones unpacked on the way. That takes
        seconds for gigabytes; call it in a thread.

        Args:
            path: The archive, plain or gzipped.

        Raises:
            InvalidInputError: It is none, or not whole: what is named is absent, or is not what its
                digest says.
        """
        where = _path(path)
        return cls(str(where), read_docker_archive(Tar(where)))

    @classmethod
    def from_path(cls, path: str | os.PathLike[str]) -> Self:
        """Read whatever image lies at a path: an OCI layout, an archive of one or of `docker save`, or a manifest's JSON.

        Args:
            path: A directory or a file. An index's JSON alone is refused, for it does not say what
                its images are made of.

        Raises:
            InvalidInputError: It is none of these, or not whole.
        """
        where = _path(path)
        if is_directory(where):
            return cls.from_oci_layout(where)
        beginning = _beginning(where)
        if beginning.lstrip().startswith(_TEXTS) and beginning[_TAR.start : _TAR.stop] != b"ustar":
            try:
                root = parse_manifest(beginning)
            except InvalidInputError as error:
                msg = f"{where}: {error}"
                raise InvalidInputError(msg) from None
            return cls(str(where), _alone(str(where), root))
        tar = Tar(where)
        return cls(
            str(where), read_docker_archive(tar) if is_docker_archive(tar) else read_layout_in(tar)
        )

    @classmethod
    def from_manifest(cls, data: bytes, children: Iterable[bytes] = ()) -> Self:
        """Take the exact bytes of a manifest.

        The blobs it names are known by digest and size alone.

        Args:
            data: The manifest.
            children: Of an index: the manifests it names, and those they name, in any order.
                Default none.

        Raises:
            InvalidInputError: One is no manifest, or an index names one that is not among
                `children`.
        """
        is_several = isinstance(children, Iterable) and not isinstance(children, bytes | str)
        below = tuple(children) if is_several else ()
        if not is_several or not all(isinstance(child, bytes) for child in below):
            msg = f"children={quoted(children)}: the manifests that an index names, each as bytes"
            raise InvalidInputError(msg)
        return cls("a manifest", _alone("a manifest", parse_manifest(data), below))

    @property
    def images(self) -> tuple[ImageManifest, ...]:
        """The manifests that are no indexes."""
        return tuple(manifest for manifest in self.manifests if isinstance(manifest, ImageManifest))

    @cached_property
    def blobs(self) -> tuple[Descriptor, ...]:
        """All that a registry stores of them beside the manifests: configs and layers, each digest once, without the foreign ones."""
        return each_once(blob for manifest in self.manifests for blob in manifest.blobs)

    @cached_property
    def foreign(self) -> tuple[Descriptor, ...]:
        """The layers that a push leaves out, each digest once."""
        stored = {blob.digest for blob in self.blobs}
        return each_once(
            blob
            for manifest in self.manifests
            for blob in manifest.foreign
            if blob.digest not in stored
        )

    def open(self, blob: Descriptor) -> BinaryIO:
        """Open a blob to read its bytes; reading them to the end verifies them.

        Args:
            blob: One of `blobs`.

        Raises:
            InvalidInputError: It is no descriptor, not there, as of a source of manifests alone, or
                not what it should be; the latter may be found only while it is read.
        """
        if not isinstance(blob, Descriptor):
            msg = f"blob={quoted(blob)}: a Descriptor, one of source.blobs"
            raise InvalidInputError(msg)
        return open_verified(self._blobs, blob)

    def __repr__(self) -> str:
        """Return one bounded line."""
        size = sum(blob.size or 0 for blob in self.blobs)
        counts = f"{counted(len(self.manifests), 'manifest')}, {counted(len(self.blobs), 'blob')}, {size} bytes"
        return f"<{type(self).__name__} of {escaped(self.name)}: {counts}>"


def _alone(name: str, root: Manifest, children: Iterable[bytes] = ()) -> Images:
    """Take a manifest without the blobs it names.

    Raises:
        InvalidInputError: An index names one that is not among the children, or no manifest.
    """
    blobs = ManifestsAlone(name, (root.raw, *children))
    if (
        isinstance(root, ImageIndex)
        and root.children
        and not any(blobs.find(child.digest) for child in root.children)
    ):
        msg = f"{name}: an index alone ({root.digest}) does not say what its images hold: give their manifests, too, or a layout"
        raise InvalidInputError(msg)
    return Reading(blobs, alone=True).images(
        [Descriptor(digest=root.digest, size=len(root.raw), media_type=root.media_type)]
    )


def _path(path: str | os.PathLike[str]) -> Path:
    named = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(named, str):
        msg = f"path={quoted(path)}: a str or a Path"
        raise InvalidInputError(msg)
    if not named:
        msg = "path='': the path of a file or a directory; '.' is the current one"
        raise InvalidInputError(msg)
    return Path(named)


def _beginning(path: Path) -> bytes:
    """Return what can be a manifest, and a byte more; of what is no file, nothing."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror or error}"
        raise InvalidInputError(msg) from error


def sources_of(sources: ImageSource | Iterable[ImageSource]) -> tuple[ImageSource, ...]:
    """Return one source, or several, as a tuple.

    Raises:
        InvalidInputError: It is something else.
    """
    given = (
        (sources,)
        if isinstance(sources, ImageSource)
        else tuple(sources)
        if isinstance(sources, Iterable)
        else ()
    )
    if not given or not all(isinstance(source, ImageSource) for source in given):
        msg = f"{quoted(sources)}: an ImageSource, or several; such as ImageSource.from_oci_layout(path)"
        raise InvalidInputError(msg)
    return given


def grouped(
    sources: Mapping[Where, ImageSource | Iterable[ImageSource]],
    place: Callable[[str | Repository], Repository],
) -> dict[Repository, tuple[ImageSource, ...]]:
    """Return the sources of each repository; two spellings of one are one, as it was spelled first.

    Raises:
        InvalidInputError: It is no such mapping, or `place` refuses a repository.
    """
    if not isinstance(sources, Mapping):
        msg = f"{quoted(sources)}: a mapping of repositories to an ImageSource, or several"
        raise InvalidInputError(msg)
    by_key: dict[tuple[str, str | None], tuple[Repository, tuple[ImageSource, ...]]] = {}
    for named, its in sources.items():
        where = place(named)
        first, before = by_key.get((where.name, where.registry_id), (where, ()))
        by_key[where.name, where.registry_id] = first, before + sources_of(its)
    return dict(by_key.values())


def blobs_of(sources: Iterable[ImageSource]) -> tuple[Descriptor, ...]:
    """Return all that a registry must store of them beside the manifests, each digest once."""
    return each_once(blob for source in sources for blob in source.blobs)


def manifests_of(sources: Iterable[ImageSource]) -> dict[str, Descriptor]:
    """Return a descriptor of each manifest by digest, children before what names them."""
    return {
        manifest.digest: Descriptor(
            digest=manifest.digest, size=len(manifest.raw), media_type=manifest.media_type
        )
        for source in sources
        for manifest in source.manifests
    }


def shared_bytes(sources: tuple[ImageSource, ...], blobs: tuple[Descriptor, ...]) -> int:
    """Return the bytes of blobs that the images name more than once, each repeat counted."""
    manifests = {manifest.digest: manifest for source in sources for manifest in source.manifests}
    named = Counter(blob.digest for manifest in manifests.values() for blob in manifest.blobs)
    return sum((named[blob.digest] - 1) * (blob.size or 0) for blob in blobs)
