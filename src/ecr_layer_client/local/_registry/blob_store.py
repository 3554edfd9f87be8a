"""The bytes of layers and manifests, by sha256 digest.

Without a data directory, small blobs are in memory and the others in temporary files. With a data
directory, all blobs are in its files.

A file gets its final name only when it is complete, so that nobody reads a partial file. Names are
made from digests that were computed here, and never from the text of a request.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

KIB = 1024
# The size of the largest blob that is kept in memory, where there is no data directory.
IN_MEMORY = 64 * KIB  # bytes
# How much is read and sent at once.
CHUNK = 256 * KIB  # bytes
INCOMING = "incoming"

_SHA256 = re.compile("sha256:([0-9a-f]{64})").fullmatch


class FileBytes:
    """The bytes of a file, or a part of them, read one slice at a time.

    `len(file_bytes)` and `file_bytes[start:stop]` work as for bytes.
    """

    def __init__(self, path: Path, start: int, stop: int) -> None:
        """Represent the bytes from `start` to `stop`. The file is open only during a read."""
        self.path: Final = path
        self._range = range(start, stop)

    def __len__(self) -> int:
        """Return the number of bytes."""
        return len(self._range)

    def __getitem__(self, index: slice) -> bytes:
        """Return a slice.

        Raises ConnectionResetError when the file was deleted, so that its reader is cut off.
        """
        wanted = self._range[index]
        try:
            with self.path.open("rb") as file:
                file.seek(wanted.start)
                return file.read(len(wanted))
        except FileNotFoundError:
            message = "the blob was deleted during the read"
            raise ConnectionResetError(message) from None


Blob = bytes | FileBytes


def part_of(blob: Blob, start: int, stop: int) -> Blob:
    """Return the bytes of a complete blob from `start` to `stop`. A file is not read yet."""
    return blob[start:stop] if isinstance(blob, bytes) else FileBytes(blob.path, start, stop)


class Draft:
    """Bytes that are arriving, hashed as they arrive.

    Up to the store's limit they are in memory, beyond it in a file.
    """

    def __init__(self, store: Store) -> None:
        """Start empty."""
        self.size = 0
        self._store = store
        self._sha256: Any = hashlib.sha256()
        self._buffer = bytearray()
        self._path: Path | None = None
        self._is_kept = False

    @property
    def digest(self) -> str:
        """The digest of the bytes so far."""
        return f"sha256:{self._sha256.hexdigest()}"

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises OSError when they cannot be written. Then none of them is appended.
        """
        if self._path is None and self.size + len(data) <= self._store.in_memory:
            self._buffer += data
        else:
            self._path = self._path or self._store.new_file()
            with self._path.open("r+b") as file:
                # Overwrite what an earlier write may have left incomplete.
                file.seek(self.size - len(self._buffer))
                file.write(self._buffer)
                file.write(data)
                file.truncate()
            self._buffer.clear()

        self._sha256.update(data)
        self.size += len(data)

    def keep(self) -> str:
        """Put the bytes into the store, and return their digest. Safe to call twice."""
        if not self._is_kept:
            self._store.take(self.digest, bytes(self._buffer), self._path)
            self._is_kept = True
        return self.digest

    def discard(self) -> None:
        """Drop the bytes."""
        self._buffer.clear()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class Store:
    """Blobs by digest.

    >>> store = Store()
    >>> digest = store.put(b"a layer")
    >>> store.get(digest), store.get("sha256:00"), store.get("../../etc/passwd")
    (b'a layer', None, None)
    """

    def __init__(self, directory: Path | None = None) -> None:
        """Store blobs in `directory`.

        Without a directory, large blobs are in temporary files, which are deleted with this object.
        """
        self.in_memory: Final = IN_MEMORY if directory is None else -1
        self._small: dict[str, bytes] = {}
        self._directory = directory

    def tidy(self) -> None:
        """Delete the incomplete files that an earlier process left in the directory."""
        if self._directory is not None and (self._directory / INCOMING).exists():
            shutil.rmtree(self._directory / INCOMING)

    def draft(self) -> Draft:
        """Return a new draft. Nobody can read its bytes before `keep()`."""
        return Draft(self)

    def put(self, data: bytes) -> str:
        """Store these bytes, and return their digest."""
        draft = self.draft()
        draft.write(data)
        return draft.keep()

    def get(self, digest: str) -> Blob | None:
        """Return the bytes with this digest, or None if there are none."""
        if digest in self._small:
            return self._small[digest]
        path = self._path(digest)
        if path is None or not path.is_file():
            return None
        return FileBytes(path, 0, path.stat().st_size)

    def drop(self, digests: AbstractSet[str]) -> None:
        """Delete the bytes with these digests."""
        for digest in digests:
            self._small.pop(digest, None)
            path = self._path(digest)
            if path is not None:
                path.unlink(missing_ok=True)

    # -- for drafts

    def new_file(self) -> Path:
        """Return a new empty file for bytes that are arriving."""
        incoming = self._home() / INCOMING
        incoming.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=incoming, delete=False) as file:
            return Path(file.name)

    def take(self, digest: str, data: bytes, path: Path | None) -> None:
        """Store a complete blob: `data`, or the file at `path`."""
        if path is None:
            self._small[digest] = data
            return

        place = self._path(digest)
        if place is None:
            message = f"{digest!r:.100} is not a sha256 digest that was computed here"
            raise ValueError(message)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)

    def _path(self, digest: str) -> Path | None:
        found = _SHA256(digest)
        if found is None or self._directory is None:
            return None
        return self._directory / "blobs" / found[1][:2] / found[1]

    def _home(self) -> Path:
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="local-ecr-"))
            weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        return self._directory
