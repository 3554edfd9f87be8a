"""`LayoutWriter`: an OCI layout in a directory, to which images are added."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.byte_sizes import human_bytes
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client.images._files import Directory
from ecr_layer_client.images._oci_layout import read_entries

from ._file_locks import locked
from ._incoming_blob import IncomingBlob

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ecr_layer_client.images._descriptor import Descriptor
    from ecr_layer_client.images._manifest_tree import Manifest

_LAYOUT, _INDEX, _INCOMING = "oci-layout", "index.json", ".incoming"
_VERSION = {"imageLayoutVersion": "1.0.0"}  # OCI image-spec, image-layout.md
_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
_REF_NAME = "org.opencontainers.image.ref.name"  # OCI image-spec, annotations.md
_CONTAINERD_NAME = "io.containerd.image.name"
_DIGEST = re.compile(r"(?P<algorithm>sha256|sha512):(?P<value>[a-f0-9]{64,128})")
_ARCHIVES = (".tar", ".tgz", ".gz")

# For Windows, which can't lock the directory.
_index_lock = threading.Lock()


class LayoutWriter:
    """Adds blobs and images to an OCI layout. Its methods block: call them in a thread.

    Args:
        path: The directory.

    Raises:
        InvalidInputError: The path is neither empty nor a valid OCI layout.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.suffix in _ARCHIVES and not path.is_dir():
            msg = (
                f"path={quoted(str(path))} looks like an archive: pull into a directory, and pack "
                "it afterwards"
            )
            raise InvalidInputError(msg)

        has_layout = (path / _LAYOUT).is_file() or (path / _INCOMING).is_dir()
        if path.exists() and not has_layout and (not path.is_dir() or any(path.iterdir())):
            msg = (
                f"path={quoted(str(path))} is neither empty nor an OCI layout: "
                "pull into another directory"
            )
            raise InvalidInputError(msg)
        read_entries(Directory(path))

    def create(self) -> None:
        """Create the directory."""
        self.path.mkdir(parents=True, exist_ok=True)

    def has(self, blob: Descriptor) -> bool:
        """Return whether the layout has a blob of this digest and size."""
        try:
            size = self._blob(blob.digest).stat().st_size
        except FileNotFoundError:
            return False
        return blob.size in {None, size}

    def require_space(self, blobs: Iterable[Descriptor]) -> None:
        """Check that the bytes that some blobs still lack fit. The directory need not exist yet.

        Raises:
            OSError: They don't.
        """
        size = sum((blob.size or 0) - self.incoming(blob).written for blob in blobs)
        places = (self.path, *self.path.absolute().parents)
        free = shutil.disk_usage(next(path for path in places if path.exists())).free
        if free < size:
            needed, left = human_bytes(size), human_bytes(free)
            msg = f"the layers to pull have {needed}, but only {left} are free"
            raise OSError(errno.ENOSPC, msg, str(self.path))

    def incoming(self, blob: Descriptor) -> IncomingBlob:
        """Return a blob to write, which is not open yet."""
        part = self.path / _INCOMING / f"{blob.digest.replace(':', '-')}.part"
        return IncomingBlob(blob, self.path, part, self._blob(blob.digest))

    def add_image(self, manifests: Sequence[Manifest], root: Manifest, tags: Iterable[str]) -> None:
        """Write manifests, and name one of them in the index. The index is written last."""
        entry = {"mediaType": root.media_type, "digest": root.digest, "size": len(root.raw)}
        named = [entry | {"annotations": {_REF_NAME: tag}} for tag in tags] or [entry]

        # The index is read, changed and replaced by one writer at a time.
        with _index_lock, locked(self.path):
            for manifest in manifests:
                self._replace(self._blob(manifest.digest), manifest.raw)
            if not (self.path / _LAYOUT).exists():
                self._replace(self.path / _LAYOUT, json.dumps(_VERSION).encode())
            index = self._index()
            kept = [each for each in index["manifests"] if not _is_replaced(each, named)]
            index["manifests"] = kept + named
            self._replace(self.path / _INDEX, json.dumps(index, indent=2).encode())
            self._remove_incoming()

    def _index(self) -> dict[str, Any]:
        try:
            index: dict[str, Any] = json.loads((self.path / _INDEX).read_bytes())
        except FileNotFoundError:
            return {"schemaVersion": 2, "mediaType": _INDEX_TYPE, "manifests": []}
        return index

    def _remove_incoming(self) -> None:
        try:
            (self.path / _INCOMING).rmdir()
        except OSError as error:
            # Another pull is writing, or an earlier one left parts of other images.
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}:
                raise

    def _blob(self, digest: str) -> Path:
        """Return the path of a blob. A digest that is not hexadecimal never becomes a path."""
        found = _DIGEST.fullmatch(digest)
        if found is None:
            msg = f"{quoted(digest)} can't be pulled: only sha256 and sha512 digests can"
            raise InvalidInputError(msg)
        return self.path / "blobs" / found["algorithm"] / found["value"]

    def _replace(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        (self.path / _INCOMING).mkdir(exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.path / _INCOMING)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _is_replaced(entry: Any, new: Sequence[dict[str, Any]]) -> bool:
    """Return whether one of the new entries takes the place of an entry of the index."""
    return any(_names(entry) == _names(each) for each in new)


def _names(entry: Any) -> tuple[Any, ...]:
    annotations: dict[str, str] = entry.get("annotations") or {}
    names = annotations.get(_REF_NAME), annotations.get(_CONTAINERD_NAME)
    # Entries without a name are equal if they name the same image.
    return names if any(names) else (entry.get("digest"),)
