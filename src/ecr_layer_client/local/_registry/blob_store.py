"""The bytes of layers and manifests, by sha256 digest.

Without a data directory, small blobs are in memory and the others in temporary files. With a data
directory, all blobs are in its files.

A file gets its final name only when it is complete, so that nobody reads a partial file. Names are
made from digests that were computed here, and never from the text of a request.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
import weakref
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter

from .directory import Directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet
    from io import BufferedRandom

KIB = 1024
# The size of the largest blob that is kept in memory, where there is no data directory.
IN_MEMORY = 64 * KIB  # bytes
# How much is read and sent at once.
CHUNK = 256 * KIB  # bytes

# Three times as fast as the standard library.
_DECODER = TypeAdapter(bytes, config=ConfigDict(val_json_bytes="base64"))
_SHA256 = re.compile("sha256:([0-9a-f]{64})").fullmatch


class FileBytes:
    """The bytes of a file, or a part of them, read one slice at a time.

    `len(file_bytes)` and `file_bytes[start:stop]` work as for bytes.
    """

    def __init__(self, directory: Directory, name: str, start: int, stop: int) -> None:
        """Represent the bytes from `start` to `stop`. The file is open only during a read."""
        self._directory = directory
        self._name = name
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
            descriptor = self._directory.open(self._name, os.O_RDONLY)
        except FileNotFoundError:
            message = "the blob was deleted during the read"
            raise ConnectionResetError(message) from None
        with os.fdopen(descriptor, "rb") as file:
            file.seek(wanted.start)
            return file.read(len(wanted))

    def part(self, start: int, stop: int) -> FileBytes:
        """Return the part from `start` to `stop`. Nothing is read yet."""
        part = self._range[start:stop]
        return FileBytes(self._directory, self._name, part.start, part.stop)


Blob = bytes | FileBytes


def part_of(blob: Blob, start: int, stop: int) -> Blob:
    """Return the bytes of a complete blob from `start` to `stop`. A file is not read yet."""
    return blob[start:stop] if isinstance(blob, bytes) else blob.part(start, stop)


class Base64Bytes:
    """Bytes in base64, decoded piece by piece while they are stored. `len()` is that of the bytes.

    >>> data = Base64Bytes(b"bGF5ZXI=")
    >>> len(data), [*data]
    (5, [b'layer'])
    """

    def __init__(self, text: bytes | bytearray | memoryview) -> None:
        """Keep the text. Raises ValueError for a length that base64 never has."""
        if len(text) % 4:
            message = "the length of base64 is a multiple of 4"
            raise ValueError(message)
        self._text = memoryview(text)
        padding = bytes(self._text[-2:]).count(b"=")
        self._length = len(text) // 4 * 3 - padding

    def __len__(self) -> int:
        """Return the number of bytes."""
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes. Raises ValueError where the text is not base64."""
        left = self._length
        for start in range(0, len(self._text), CHUNK):
            text = bytes(self._text[start : start + CHUNK])
            # The parser would accept the alphabet of URLs, too.
            piece = b"" if b"-" in text or b"_" in text else _DECODER.validate_json(b'"%b"' % text)
            left -= len(piece)
            if len(piece) != len(text) // 4 * 3 and left:
                message = "the text is not base64"
                raise ValueError(message)
            yield piece


class Draft:
    """Bytes that are arriving, hashed as they arrive. `len()` and iteration give the bytes so far.

    Up to the store's limit they are in memory, beyond it in a file.
    """

    def __init__(self, store: Store) -> None:
        """Start empty."""
        self.size = 0
        self._store = store
        self._sha256: Any = hashlib.sha256()
        self._buffer = bytearray()
        self._file: str | None = None
        self._is_kept = False

    @property
    def digest(self) -> str:
        """The digest of the bytes so far."""
        return f"sha256:{self._sha256.hexdigest()}"

    def __len__(self) -> int:
        """Return the number of bytes."""
        return self.size

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes."""
        if self._file is None:
            yield bytes(self._buffer)
            return
        with self._store.opened(self._file) as file:
            while piece := file.read(CHUNK):
                yield piece

    def write(self, data: bytes | Base64Bytes | Draft) -> None:
        """Append bytes. A first draft is taken over without a copy, and is empty afterwards.

        Raises OSError when they cannot be written, and ValueError when they cannot be decoded. Then
        none of them is appended.
        """
        if isinstance(data, Draft) and not self.size:
            self._take_over(data)
            return

        pieces = pieces_of(data)
        sha256 = self._sha256.copy()
        if self._file is None and self.size + len(data) <= self._store.in_memory:
            new = b"".join(pieces)
            self._buffer += new
            sha256.update(new)
        else:
            self._file = self._file or self._store.new_file()
            with self._store.opened(self._file) as file:
                # Overwrite what an earlier write may have left incomplete.
                file.seek(self.size - len(self._buffer))
                file.write(self._buffer)
                # Hashing and writing let other threads run.
                for piece in pieces:
                    file.write(piece)
                    sha256.update(piece)
                file.truncate()
            self._buffer.clear()

        self._sha256 = sha256
        self.size += len(data)

    def keep(self) -> str:
        """Put the bytes into the store, and return their digest. Safe to call twice."""
        if not self._is_kept:
            self._store.take(self.digest, bytes(self._buffer), self._file)
            self._is_kept = True
        return self.digest

    def discard(self) -> None:
        """Drop the bytes."""
        self._buffer.clear()
        if self._file is not None:
            self._store.delete_file(self._file)

    def _take_over(self, other: Draft) -> None:
        self.discard()
        self.size, self._sha256 = other.size, other._sha256
        self._buffer, self._file = other._buffer, other._file

        other.size, other._sha256 = 0, hashlib.sha256()
        other._buffer, other._file = bytearray(), None


def pieces_of(data: bytes | Base64Bytes | Draft) -> Iterable[bytes]:
    """Return bytes in pieces. Raises ValueError during the iteration, as `Base64Bytes` does."""
    return [data] if isinstance(data, bytes) else data


class Store:
    """Blobs by digest. Until `use()`, large blobs are in temporary files.

    >>> store = Store()
    >>> digest = store.put(b"a layer")
    >>> store.get(digest), store.get("sha256:00"), store.get("../../etc/passwd")
    (b'a layer', None, None)
    """

    def __init__(self) -> None:
        """Start empty. The temporary files are deleted with this object."""
        self.in_memory = IN_MEMORY
        self._small: dict[str, bytes] = {}
        # The directories of complete blobs and of drafts.
        self._files: tuple[Directory, Directory] | None = None

    def use(self, directory: Directory) -> None:
        """Store all blobs in a directory, and delete the drafts that an earlier process left."""
        self.in_memory = -1
        _, drafts = self._files = _in(directory)
        for name in drafts.names():
            drafts.remove(name)

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

        found = _SHA256(digest)
        if found is None or self._files is None:
            return None
        blobs, _ = self._files
        size = blobs.size(found[1])
        return None if size is None else FileBytes(blobs, found[1], 0, size)

    def drop(self, digests: AbstractSet[str]) -> None:
        """Delete the bytes with these digests."""
        for digest in digests:
            self._small.pop(digest, None)
            found = _SHA256(digest)
            if found is not None and self._files is not None:
                self._files[0].remove(found[1])

    def keep_only(self, digests: AbstractSet[str]) -> None:
        """Delete the files of all other blobs.

        A process that was killed between the end of a blob and its transaction left such a file.
        """
        if self._files is not None:
            blobs, _ = self._files
            unused = {f"sha256:{name}" for name in blobs.names()}.difference(digests)
            # Of what others put there, nothing is deleted.
            self.drop({digest for digest in unused if self.get(digest) is not None})

    # -- for drafts

    def new_file(self) -> str:
        """Create an empty file for bytes that are arriving, and return its name."""
        name = token_hex(16)
        os.close(self._directories()[1].open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        return name

    def opened(self, name: str) -> BufferedRandom:
        """Open the file of a draft."""
        return os.fdopen(self._directories()[1].open(name, os.O_RDWR), "r+b")

    def delete_file(self, name: str) -> None:
        """Delete the file of a draft."""
        self._directories()[1].remove(name)

    def take(self, digest: str, data: bytes, file: str | None) -> None:
        """Store a complete blob: `data`, or the file of a draft."""
        if file is None:
            self._small[digest] = data
        else:
            blobs, drafts = self._directories()
            drafts.move(file, blobs, digest.removeprefix("sha256:"))

    def _directories(self) -> tuple[Directory, Directory]:
        if self._files is None:
            path = tempfile.mkdtemp(prefix="local-ecr-")
            weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)
            self._files = _in(Directory(Path(path)))
        return self._files


def _in(directory: Directory) -> tuple[Directory, Directory]:
    return directory.directory("blobs"), directory.directory("incoming")
