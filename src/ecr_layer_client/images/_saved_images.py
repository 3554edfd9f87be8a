"""The images in a directory or an archive: an OCI layout, an archive of `docker save`, or both.

The entries of `index.json` and the rows of `manifest.json` name the same images, but not always all
of them. Each row is one image of the layout, or else is composed as for an archive without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

from ._blob_store import FileBlobs
from ._descriptor import named_child
from ._docker_archive import LIST, Composer, read_rows
from ._manifest import MANIFEST_TYPES, ImageIndex, ImageManifest
from ._manifest_tree import Images, Manifest, ManifestTree
from ._oci_layout import INDEX, LAYOUT, names_of, read_entries, tags_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._descriptor import Descriptor
    from ._docker_archive import Row
    from ._files import Files


def read_images(files: Files, *, needs_layout: bool = False) -> Images:
    """Read all images of a directory or an archive.

    Args:
        files: The files.
        needs_layout: Whether an archive of `docker save` without an OCI layout is refused. Default
            False.

    Raises:
        InvalidInputError: The files are not images, or an image is incomplete.
    """
    entries, rows = read_entries(files), read_rows(files)
    if entries is None and (rows is None or needs_layout):
        raise InvalidInputError(_why_no_image(files, has_rows=rows is not None))

    blobs = FileBlobs(files)
    reading = _Reading(ManifestTree(blobs, may_lack=rows is not None), Composer(files, blobs))
    reading.add_entries(entries or ())
    reading.add_rows(rows or ())
    if not reading.roots:
        raise InvalidInputError(_why_none_exists(files, entries or (), reading.tree.missing))

    tags = {digest: tuple(its) for digest, its in reading.tags.items() if its}
    roots, missing = tuple(reading.roots.values()), tuple(reading.tree.missing)
    return Images(reading.manifests, roots, tags, missing, blobs, tuple(reading.tree.left_out))


class _Reading:
    """The images that entries and rows name, each once.

    Attributes:
        tree: Reads the manifests of the layout.
        manifests: The complete manifests by digest, children before the indexes that name them.
        roots: Those that entries and rows name.
        tags: Tags by the digest of the manifest that they name.
    """

    def __init__(self, tree: ManifestTree, composer: Composer) -> None:
        self.tree = tree
        self._composer = composer
        self.manifests = tree.found
        self.roots: dict[str, Manifest] = {}
        self.tags: dict[str, dict[str, None]] = {}

    def add_entries(self, entries: Iterable[Descriptor]) -> None:
        for entry in entries:
            # OCI image-spec, image-index.md: an unknown media type is not an error.
            if entry.media_type in MANIFEST_TYPES:
                standing = self.tree.read(entry)
                # A tag names one image. Of several, the one in `manifest.json` has it.
                self._add(standing, names_of(entry) if len(standing) == 1 else ())

    def _add(self, manifests: Iterable[Manifest], names: Iterable[str]) -> None:
        tags = dict.fromkeys(tags_of(names))
        for manifest in manifests:
            self.roots[manifest.digest] = manifest
            self.tags.setdefault(manifest.digest, {}).update(tags)

    def add_rows(self, rows: Iterable[Row]) -> None:
        """Add the image of each row: the layout's, or else a composed one.

        An image of the layout adds nothing if it was not saved, or if a complete index names it.
        """
        keys = [(row, self._composer.config_digest(row), len(row.layers)) for row in rows]
        known = {
            (image.config.digest, len(image.layers)): image
            for image in self.tree.images
            if image.config is not None
        }
        self._leave_out({config for _, config, count in keys if (config, count) not in known})

        for row, config, count in keys:
            manifest = known.get((config, count))
            if manifest is None:
                manifest = self._composer.manifest(row)
                self.manifests[manifest.digest] = manifest
                self._add([manifest], row.names)
            elif manifest.digest in self.roots:
                self._add([manifest], row.names)

    def _leave_out(self, configs: set[str]) -> None:
        """Leave out the images with these configs. The layout does not have all their layers."""
        named = {
            child.digest
            for index in self.manifests.values()
            if isinstance(index, ImageIndex)
            for child in index.children
        }
        for digest, root in list(self.roots.items()):
            config = root.config if isinstance(root, ImageManifest) else None
            if config is not None and config.digest in configs and digest not in named:
                for known in (self.manifests, self.roots, self.tags):
                    del known[digest]


def _why_no_image(files: Files, *, has_rows: bool) -> str:
    """Return the message for files that are not images, with what is unusual about them."""
    has_layout, has_index = files.find(LAYOUT) is not None, files.find(INDEX) is not None
    folder = files.folder_with((INDEX, LIST))
    if has_layout:
        reason = (
            f"{files.why_missing(INDEX)}, but an OCI layout has that file: save the layout again"
        )
    elif has_index:
        reason = (
            f"{files.why_missing(LAYOUT)}, but an OCI layout has that file: add it with the "
            'content {"imageLayoutVersion": "1.0.0"}'
        )
    elif has_rows:
        reason = "this is an archive of docker save, not an OCI layout: use from_docker_archive"
    elif files.find(LIST) is not None:
        reason = (
            f"{LIST} is not the list of docker save. If it is the manifest of one image, as in "
            "skopeo's dir:, copy the image into an OCI layout first, for example with skopeo copy"
        )
    elif folder is not None:
        reason = (
            f"the image is inside the folder {quoted(folder)}: pass that folder, or an archive "
            "of its contents"
        )
    else:
        reason = (
            f"there is neither an OCI layout ({LAYOUT}, {INDEX}) nor an archive of docker save "
            f"({LIST}) in it"
        )
    return f"{files.name}: {reason}"


def _why_none_exists(
    files: Files, entries: Iterable[Descriptor], missing: Iterable[Descriptor]
) -> str:
    """Return the message for files that are images in form, but name none that exists."""
    absent = [named_child(child) for child in missing]
    others = dict.fromkeys(
        entry.media_type or "" for entry in entries if entry.media_type not in MANIFEST_TYPES
    )
    reason = ""
    if absent:
        reason = f": of its indexes, these were not saved: {quoted(', '.join(absent))}"
    elif others:
        reason = f": it names only {quoted(', '.join(others))}"
    return f"{files.name} names no image that exists{reason}"
