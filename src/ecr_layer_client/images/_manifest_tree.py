"""Read manifests from a place that holds blobs: those that are named, and all under them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ecr_layer_client._models.errors import InvalidInputError

from ._blob_store import Blobs, ManifestsAlone, located, read_manifest_bytes
from ._descriptor import Descriptor
from ._manifest import MANIFEST_TYPES, ImageIndex, ImageManifest, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# The number of indexes that a manifest may lie within. More than two do not occur in practice.
DEEPEST = 8

Manifest = ImageManifest | ImageIndex


class Images(NamedTuple):
    """The images that were found.

    Attributes:
        manifests: Manifests by digest, children before the indexes that name them.
        roots: The manifests that no other of them names.
        tags: Tags by the digest of the manifest that they name.
        missing: Images that an index names, but that were not saved with it.
        blobs: The place that holds the blobs.
        left_out: The indexes that name them. Default none.
    """

    manifests: dict[str, Manifest]
    roots: tuple[Manifest, ...]
    tags: dict[str, tuple[str, ...]]
    missing: tuple[Descriptor, ...]
    blobs: Blobs
    left_out: tuple[ImageIndex, ...] = ()


class ManifestTree:
    """The manifests under some descriptors. Each is read once.

    Args:
        blobs: The place that holds the manifests and blobs.
        alone: Whether only the manifests exist: all of them, and no other blob. Default False.
        may_lack: Whether an index may name images that were not saved. The index is then left out,
            and its images that exist take its place. Default False.

    Attributes:
        found: The complete manifests by digest, children before the indexes that name them.
        missing: What indexes name, but was not saved.
        left_out: The indexes that name it.
    """

    def __init__(self, blobs: Blobs, *, alone: bool = False, may_lack: bool = False) -> None:
        self._blobs = blobs
        self._alone = alone
        self._may_lack = may_lack
        self._parsed: dict[str, Manifest] = {}
        # The manifests that stand for each manifest: itself, or the images of an incomplete index.
        self._standing: dict[str, tuple[Manifest, ...]] = {}
        self._sizes: dict[str, int | None] = {}
        self.found: dict[str, Manifest] = {}
        self.missing: list[Descriptor] = []
        self.left_out: list[ImageIndex] = []

    def read(self, descriptor: Descriptor, within: int = 0) -> tuple[Manifest, ...]:
        """Return a manifest, or the images that exist of an index that lacks others.

        Args:
            descriptor: The descriptor of the manifest.
            within: The number of indexes that it lies within. Default 0.

        Raises:
            InvalidInputError: A manifest or a blob is missing, does not match its descriptor or is
                not valid.
        """
        manifest, digest = self._parse(descriptor), descriptor.digest
        if digest not in self._standing:
            if within > DEEPEST:
                msg = f"{self._blobs.name}: {digest} is nested in more than {DEEPEST} indexes"
                raise InvalidInputError(msg)
            self._standing[digest] = self._complete(manifest, within)
        return self._standing[digest]

    def _complete(self, manifest: Manifest, within: int) -> tuple[Manifest, ...]:
        """Return a manifest with everything that it names, or what stands for it."""
        if isinstance(manifest, ImageIndex):
            standing, lacks_any = self._children(manifest, within)
            if lacks_any:
                self.left_out.append(manifest)
                return standing

        for blob in manifest.blobs:
            if self._alone:
                self._check_size(blob)
            else:
                located(self._blobs, blob)
        self.found[manifest.digest] = manifest
        return (manifest,)

    def _children(self, index: ImageIndex, within: int) -> tuple[tuple[Manifest, ...], bool]:
        """Return what stands for the children of an index, and whether it lacks any."""
        existing: dict[str, Manifest] = {}
        lacks_any = False
        for child in index.children:
            standing: tuple[Manifest, ...] = ()
            if self._is_saved(child):
                standing = self.read(child, within + 1)
            else:
                self.missing.append(child)
            existing |= {each.digest: each for each in standing}
            lacks_any |= self._parsed.get(child.digest) not in standing
        return tuple(existing.values()), lacks_any

    def _check_size(self, blob: Descriptor) -> None:
        """Check that all manifests give a blob one size, because its bytes are not there."""
        size = self._sizes.setdefault(blob.digest, blob.size)
        if None not in {size, blob.size} and size != blob.size:
            sizes = f"{size} and {blob.size} bytes"
            msg = f"{self._blobs.name}: {blob.digest} has two sizes in the manifests, {sizes}"
            raise InvalidInputError(msg)

    def _is_saved(self, child: Descriptor) -> bool:
        """Return whether a child of an index was saved with it.

        Of an image that was not saved, the manifest may exist, but never the config.
        """
        if not self._may_lack:
            return True
        if self._blobs.find(child.digest) is None:
            return False
        manifest = self._parse(child)
        config = manifest.config if isinstance(manifest, ImageManifest) else None
        return config is None or self._blobs.find(config.digest) is not None

    def _parse(self, descriptor: Descriptor) -> Manifest:
        if descriptor.digest in self._parsed:
            # Another descriptor may give another size.
            located(self._blobs, descriptor)
            return self._parsed[descriptor.digest]

        raw = read_manifest_bytes(self._blobs, descriptor)
        media_type = descriptor.media_type if descriptor.media_type in MANIFEST_TYPES else None
        try:
            manifest = parse_manifest(raw, media_type)
        except InvalidInputError as error:
            msg = f"{self._blobs.name}: {descriptor.digest}: {error}"
            raise InvalidInputError(msg) from None
        self._parsed[descriptor.digest] = manifest
        return manifest

    @property
    def images(self) -> Iterator[ImageManifest]:
        """The manifests of single images, also of those that were not saved."""
        return (each for each in self._parsed.values() if isinstance(each, ImageManifest))


def images_alone(
    name: str,
    root: Manifest,
    others: Iterable[bytes] = (),
    tags: tuple[str, ...] = (),
    make: Callable[[Descriptor], object] | None = None,
) -> Images:
    """Return the images of a manifest, without the blobs that it names.

    Args:
        name: The name of the place that the manifest comes from, for messages.
        root: The manifest.
        others: The manifests under it, in any order. Default none.
        tags: The tags of the manifest. Default none.
        make: Makes a blob that they name, for a push. Default None: nobody has the blobs.

    Raises:
        InvalidInputError: An index names a manifest that is not among the others, or one of them is
            not a valid manifest.
    """
    blobs = ManifestsAlone(name, (root.raw, *others), make)
    if (
        isinstance(root, ImageIndex)
        and root.children
        and not any(blobs.find(child.digest) for child in root.children)
    ):
        msg = (
            f"{name}: an index alone ({root.digest}) does not say what its images contain: "
            "also pass the manifests of its images, or read an OCI layout"
        )
        raise InvalidInputError(msg)

    tree = ManifestTree(blobs, alone=True)
    roots = tree.read(
        Descriptor(digest=root.digest, size=len(root.raw), media_type=root.media_type)
    )
    return Images(tree.found, roots, {root.digest: tags} if tags else {}, (), blobs)
