"""`ImageSource`: images to push or to compare with a registry, from any place."""

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

from ._blob_store import ManifestsAlone, located, open_verified
from ._descriptor import (
    Descriptor,
    Platform,
    child_for,
    digest_for,
    each_for_its_platform,
    each_once,
    platforms_of,
)
from ._files import Directory
from ._manifest import MAX_MANIFEST_BYTES, ImageIndex, ImageManifest, parse_manifest
from ._manifest_tree import Images, Manifest, images_alone
from ._saved_images import read_images
from ._tar import Tar

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable

    from ._files import Files

Where = TypeVar("Where", bound=str | Repository)

# The beginnings of JSON, and of text that is probably meant as JSON: a list, and text with a byte
# order mark. The error for such text says what is wrong with the JSON.
_TEXTS = (b"{", b"[", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# The position at which a tar archive names its format. An archive may also begin like JSON, because
# it begins with the name of its first file.
_TAR = slice(257, 262)


class ImageSource:
    """One or more images with all their manifests.

    The images come from an OCI layout, an archive of `docker save`, a manifest, or a repository.

    Making a source reads and verifies the manifests, and checks that the other blobs exist with the
    right sizes. Only `open` reads the bytes of the blobs. Nothing is written to disk.

    Attributes:
        name: The name of the file or repository that the images come from, for messages.
        roots: The manifests that no other manifest of the source lists. You push, deploy or tag
            these.
        manifests: Every manifest once. The children come before the indexes that list them, because
            a registry accepts them only in this order.
        tags: The tags of each manifest, by its digest, if the source has tags.
        missing: The images that the index of a `docker save` archive lists, but that were not
            saved. The source then ignores the index and uses the images that were saved.

    Example:
        >>> import json
        >>> config_type = "application/vnd.oci.image.config.v1+json"
        >>> config = {"mediaType": config_type, "size": 7, "digest": "sha256:" + "c" * 64}
        >>> members = {"schemaVersion": 2, "config": config, "layers": []}
        >>> ImageSource.from_manifest(json.dumps(members).encode())
        <ImageSource of a manifest: 1 manifest, 1 blob, 7 bytes>
    """

    name: str
    roots: tuple[Manifest, ...]
    manifests: tuple[Manifest, ...]
    tags: Mapping[str, tuple[str, ...]]
    missing: tuple[Descriptor, ...]

    def __init__(self, name: str, images: Images) -> None:
        self.name = name
        self.roots = images.roots
        self.tags = images.tags
        self.missing = each_for_its_platform(images.missing)
        self.manifests = tuple(images.manifests.values())
        self._blobs = images.blobs
        self._left_out = images.left_out

    @classmethod
    def from_oci_layout(cls, path: str | os.PathLike[str]) -> Self:
        """Read an OCI layout.

        If the layout also has the `manifest.json` of `docker save`, it is read as in
        `from_docker_archive`.

        Args:
            path: The directory of the layout, or a tar archive of that directory, plain or gzipped.

        Raises:
            InvalidInputError: The path is not an OCI layout, or the layout is incomplete: a blob or
                manifest is missing or has another size, or a manifest has another digest.
        """
        where = checked_path(path)
        return cls(str(where), read_images(_files(where), needs_layout=True))

    @classmethod
    def from_docker_archive(cls, path: str | os.PathLike[str]) -> Self:
        """Read an archive that `docker save` wrote, or that another tool wrote in its format.

        Since Docker 25, an archive also has an OCI layout, whose manifests are used unchanged. If
        the layout lacks an image of `manifest.json`, or some of its layers, the image is read as
        from an older archive. If some images of an index were not saved, the source ignores the
        index and uses the images that were saved; see `missing`.

        An older archive has no manifest. The source makes a manifest from the config and the
        layers, which are usually uncompressed. ECR accepts a push of this manifest. But `docker
        load` and `docker push` compress the layers first, so they upload layers with other digests.

        Only the config of such an image has digests of its layers, and nothing has their sizes. So
        when the source is made, each layer is read, decompressed and hashed once. This takes
        seconds for gigabytes, so call this method in a thread.

        Args:
            path: The archive, plain or gzipped, or the directory that it was unpacked into.

        Raises:
            InvalidInputError: The path is not such an archive, or it is incomplete: a file is
                missing, or a layer does not match its digest.
        """
        where = checked_path(path)
        return cls(str(where), read_images(_files(where)))

    @classmethod
    def from_path(cls, path: str | os.PathLike[str]) -> Self:
        """Read the image at a path, and detect its format.

        The formats are an OCI layout, a tar archive of an OCI layout, an archive of `docker save`,
        and the JSON of a manifest.

        Args:
            path: A directory or a file. The JSON of an index alone is refused, because it does not
                say what its images contain.

        Raises:
            InvalidInputError: The path has none of these formats, or the image is incomplete.
        """
        where = checked_path(path)
        beginning = _beginning(where)
        if beginning.lstrip().startswith(_TEXTS) and beginning[_TAR.start : _TAR.stop] != b"ustar":
            return cls._from_json(where, beginning)
        return cls(str(where), read_images(_files(where)))

    @classmethod
    def _from_json(cls, path: Path, data: bytes) -> Self:
        try:
            root = parse_manifest(data)
        except InvalidInputError as error:
            msg = f"{path}: {error}"
            raise InvalidInputError(msg) from None

        return cls(str(path), images_alone(str(path), root))

    @classmethod
    def from_manifest(
        cls,
        data: bytes,
        children: Iterable[bytes] = (),
        *,
        blobs: Callable[[Descriptor], BinaryIO | Iterable[bytes] | AsyncIterable[bytes]]
        | None = None,
    ) -> Self:
        """Make a source from the exact bytes of a manifest.

        Without `blobs`, the source has only the digests and sizes of the blobs, and not their
        bytes.

        Args:
            data: The manifest.
            children: For an index, the manifests that it lists, directly or through another index,
                in any order. Default none.
            blobs: A function that returns the bytes of a blob for a push: an open binary file, or
                chunks of bytes. It is called in a thread, only for blobs that the repository lacks.
                If an upload is continued, it is called again. Default None: the source can't be
                pushed.

        Raises:
            InvalidInputError: The data is not a valid manifest, an index lists a manifest that is
                not in `children`, or `blobs` is not a function.
        """
        if blobs is not None and not callable(blobs):
            msg = f"blobs={quoted(blobs)} must be a function that takes a Descriptor"
            raise InvalidInputError(msg)

        is_several = isinstance(children, Iterable) and not isinstance(children, bytes | str)
        below = tuple(children) if is_several else ()
        if not is_several or not all(isinstance(child, bytes) for child in below):
            msg = (
                f"children={quoted(children)} must be the manifests that an index names, "
                "each as bytes"
            )
            raise InvalidInputError(msg)

        images = images_alone("a manifest", parse_manifest(data), below, make=blobs)
        return cls("a manifest", images)

    def select(
        self, reference: str | None = None, *, platform: str | Platform | None = None
    ) -> Self:
        """Return a source of one of the images.

        Args:
            reference: A tag of the source, or the digest of one of its manifests. Default None: the
                source has one image.
            platform: The platform whose image is taken from an index, such as `linux/arm64`. It
                has no effect on an image without an index. Default None: the index and all its
                images.

        Raises:
            InvalidInputError: The source does not have this image, the image was not saved, or
                several images are possible.

        Example:
            ```python
            source = ImageSource.from_oci_layout("layout").select(platform="linux/amd64")
            ```
        """
        found = self._named(reference)
        by_digest = {manifest.digest: manifest for manifest in self.manifests}
        wanted = Platform.parse(platform) if isinstance(platform, str) else platform
        index = None if wanted is None else self._index_of(found)
        if wanted is None or index is None:
            root = self._only(found, reference)
        else:
            root = by_digest[self._digest_for(index, wanted, by_digest)]
        return type(self)(self.name, _images_under(root, by_digest, self))

    def _named(self, reference: str | None) -> list[Manifest]:
        """Return the manifests that a reference names."""
        tagged = [digest for digest, tags in self.tags.items() if reference in tags]
        return [
            manifest
            for manifest in (self.roots if reference is None else self.manifests)
            if reference is None or manifest.digest in (reference, *tagged)
        ]

    def _index_of(self, found: list[Manifest]) -> ImageIndex | None:
        """Return the one index among some manifests, or the left-out index that names them."""
        if len(found) == 1 and isinstance(found[0], ImageIndex):
            return found[0]
        digests = {manifest.digest for manifest in found}
        for index in self._left_out if digests else ():
            if digests <= {child.digest for child in index.children}:
                return index
        return None

    def _digest_for(
        self, index: ImageIndex, wanted: Platform, by_digest: Mapping[str, Manifest]
    ) -> str:
        """Return the digest of the image of an index for a platform.

        Raises:
            InvalidInputError: There is none, or it was not saved.
        """
        saved = [child for child in index.children if child.digest in by_digest]
        if child_for(index.children, wanted) in {None, *by_digest}:
            return digest_for(saved, wanted, self.name)
        msg = (
            f"{self.name}: {wanted} is named by the index, but was not saved; "
            f"it has {platforms_of(saved)}"
        )
        raise InvalidInputError(msg)

    def _only(self, found: list[Manifest], reference: str | None) -> Manifest:
        """Return the one manifest that a reference names."""
        if len(found) == 1:
            return found[0]

        # Tags have no characters to escape, and all of them are needed.
        tags = [tag for its in self.tags.values() for tag in its]
        untagged = [root.digest for root in self.roots if not self.tags.get(root.digest)]
        what = "several images" if reference is None else f"no image {quoted(reference)}"
        msg = f"{self.name} has {what}: select one of its images: {', '.join((*tags, *untagged))}"
        raise InvalidInputError(msg)

    @property
    def images(self) -> tuple[ImageManifest, ...]:
        """The manifests that are not indexes."""
        return tuple(manifest for manifest in self.manifests if isinstance(manifest, ImageManifest))

    @cached_property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The blobs that a registry stores beside the manifests, each digest once.

        These are the configs and the layers, without foreign layers.
        """
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
        """Open a blob to read its bytes. If you read to the end, the bytes are verified.

        Args:
            blob: One of `blobs`.

        Raises:
            InvalidInputError: `blob` is not a descriptor, the source does not have the blob (a
                source of manifests has no blobs), or the bytes do not match the descriptor. A
                mismatch may be found only while you read.
        """
        if not isinstance(blob, Descriptor):
            msg = f"blob={quoted(blob)} must be a Descriptor from source.blobs"
            raise InvalidInputError(msg)

        return open_verified(self._blobs, blob)

    def __repr__(self) -> str:
        """Return one line of bounded length."""
        manifests = counted(len(self.manifests), "manifest")
        blobs = counted(len(self.blobs), "blob")
        size = sum(blob.size or 0 for blob in self.blobs)
        name = escaped(self.name)
        lacks = f", {counted(len(self.missing), 'image')} not saved" if self.missing else ""
        return f"<{type(self).__name__} of {name}: {manifests}, {blobs}, {size} bytes{lacks}>"


def _images_under(root: Manifest, manifests: Mapping[str, Manifest], source: ImageSource) -> Images:
    """Return an image of a source, with everything that it names."""
    reached: dict[str, Manifest] = {}

    def reach(manifest: Manifest) -> None:
        if manifest.digest in reached:
            return
        for child in manifest.children if isinstance(manifest, ImageIndex) else ():
            reach(manifests[child.digest])
        reached[manifest.digest] = manifest

    reach(root)
    tags = {digest: its for digest, its in source.tags.items() if digest in reached}
    return Images(reached, (root,), tags, (), source._blobs)  # noqa: SLF001


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Return a path, if it is one.

    Raises:
        InvalidInputError: It is not, or it is empty.
    """
    named = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(named, str):
        msg = f"path={quoted(path)} must be a str or a Path"
        raise InvalidInputError(msg)
    if not named:
        msg = "path='' is empty: pass the path of a file or a directory ('.' is the current one)"
        raise InvalidInputError(msg)
    return Path(named)


def _files(path: Path) -> Files:
    """Return the files of a directory or an archive.

    Raises:
        InvalidInputError: The path can't be inspected, or is neither.
    """
    try:
        return Directory(path) if path.is_dir() else Tar(path)
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror or error}"
        raise InvalidInputError(msg) from error


def _beginning(path: Path) -> bytes:
    """Return one byte more than a manifest can have, or nothing if the path is not a file."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        msg = f"{path} can't be read: {error.strerror or error}"
        raise InvalidInputError(msg) from error


def sources_of(sources: ImageSource | Iterable[ImageSource]) -> tuple[ImageSource, ...]:
    """Return one source or several sources as a tuple.

    Raises:
        InvalidInputError: The argument is something else, or has no source.
    """
    if isinstance(sources, ImageSource):
        return (sources,)

    given = tuple(sources) if isinstance(sources, Iterable) else ()
    if not given or not all(isinstance(source, ImageSource) for source in given):
        msg = (
            f"sources={quoted(sources)} must be one or more ImageSource objects, "
            "such as ImageSource.from_oci_layout(path)"
        )
        raise InvalidInputError(msg)
    return given


def grouped(
    sources: Mapping[Where, ImageSource | Iterable[ImageSource]],
    place: Callable[[str | Repository], Repository],
) -> dict[Repository, tuple[ImageSource, ...]]:
    """Return the sources of each repository.

    Two spellings of one repository are one entry, with the spelling that came first.

    Raises:
        InvalidInputError: The argument is not such a mapping, or `place` rejects a repository.
    """
    if not isinstance(sources, Mapping):
        msg = (
            f"sources={quoted(sources)} must be a mapping of repositories to one or more "
            "ImageSource objects"
        )
        raise InvalidInputError(msg)

    by_key: dict[tuple[str, str | None], tuple[Repository, tuple[ImageSource, ...]]] = {}
    for named, its in sources.items():
        where = place(named)
        first, before = by_key.get((where.name, where.registry_id), (where, ()))
        by_key[where.name, where.registry_id] = first, before + sources_of(its)
    return dict(by_key.values())


def blobs_of(sources: Iterable[ImageSource]) -> tuple[Descriptor, ...]:
    """Return the blobs of all sources that a registry stores beside manifests, each digest once."""
    return each_once(blob for source in sources for blob in source.blobs)


def manifests_of(sources: Iterable[ImageSource]) -> dict[str, Descriptor]:
    """Return a descriptor of each manifest by digest, children before the indexes naming them."""
    return {
        manifest.digest: Descriptor(
            digest=manifest.digest, size=len(manifest.raw), media_type=manifest.media_type
        )
        for source in sources
        for manifest in source.manifests
    }


def shared_bytes(sources: tuple[ImageSource, ...], blobs: tuple[Descriptor, ...]) -> int:
    """Return the bytes of the repeats of blobs that the images name more than once."""
    manifests = {manifest.digest: manifest for source in sources for manifest in source.manifests}
    named = Counter(blob.digest for manifest in manifests.values() for blob in manifest.blobs)
    return sum((named[blob.digest] - 1) * (blob.size or 0) for blob in blobs)


def opener_of(source: ImageSource, blob: Descriptor) -> Callable[[], BinaryIO]:
    """Return a function that opens a file at the beginning of a blob, not verified.

    Raises:
        InvalidInputError: The source does not have the blob, or another size of it.
    """
    return located(source._blobs, blob).open  # noqa: SLF001 (of this module's class)


def maker_of(source: ImageSource) -> Callable[[Descriptor], object] | None:
    """Return the function that makes the blobs of a source on demand, if it has one."""
    blobs = source._blobs  # noqa: SLF001
    return blobs.make if isinstance(blobs, ManifestsAlone) else None


def with_maker(source: ImageSource, make: Callable[[Descriptor], object]) -> ImageSource:
    """Return a source with the same manifests, whose blobs are made on demand."""
    blobs = ManifestsAlone(source.name, [each.raw for each in source.manifests], make)
    by_digest = {manifest.digest: manifest for manifest in source.manifests}
    images = Images(by_digest, source.roots, dict(source.tags), source.missing, blobs)
    return ImageSource(source.name, images)
