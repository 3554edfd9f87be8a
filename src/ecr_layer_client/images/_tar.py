"""Tar archives, plain or gzipped, read in place.

Nothing is extracted, and no name in an archive leads out of it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import posixpath
import tarfile
import zlib
from stat import S_ISREG
from typing import TYPE_CHECKING, BinaryIO, cast

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

from ._files import HEAD, File, inner_name

if TYPE_CHECKING:
    from pathlib import Path

GZIP = b"\x1f\x8b"
# The compressions that are not read, by the bytes that their files begin with.
OTHER_COMPRESSIONS = {b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2"}
CHUNK = 1024 * 1024  # bytes
UNREADABLE = (
    tarfile.TarError,
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    OverflowError,
    ValueError,
    RecursionError,
)

# The largest images have some hundred members.
_MAX_MEMBERS = 100_000
# tarfile reads as many bytes at once as a header says.
_MAX_READ_BYTES = CHUNK
# The headers before one member, together with those that apply to all members: tarfile keeps them.
_MAX_HEADER_BYTES = 4 * CHUNK
_MAX_NAME_CHARACTERS = 4096  # the longest path on Linux
_MAX_LINKS = 8
# Small members of a gzipped archive are kept in memory, because going back means decompressing
# again from the beginning.
_MAX_KEPT_MEMBER_BYTES = 1024 * 1024
_MAX_KEPT_BYTES = 32 * 1024 * 1024


class Tar:
    """The regular files of an archive by name.

    The archive is read once, when the object is made:

    - A link counts if it leads to another file of the archive.
    - Devices, and names that lead out of the archive, are ignored.
    - If several members have one name, the last counts, as when an archive is extracted.

    Args:
        path: The archive.

    Raises:
        InvalidInputError: The file is not such an archive, or it is truncated.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self._members: dict[str, File] = {}
        # The offset of each member in the archive, without compression.
        self._offsets: dict[str, int] = {}
        self._links: dict[str, str] = {}
        self._small: dict[str, bytes] = {}
        self._kept = 0

        try:
            self._is_gzipped = _is_gzipped(path)
            self._read_members()
        except InvalidInputError:
            raise
        except UNREADABLE as error:
            msg = f"{path} is not a complete tar archive, plain or gzipped: {quoted(str(error))}"
            raise InvalidInputError(msg) from error
        except OSError as error:
            msg = f"{path} can't be read: {error.strerror or error}"
            raise InvalidInputError(msg) from error

    def _open(self) -> BinaryIO:
        return cast("BinaryIO", gzip.open(self.path)) if self._is_gzipped else self.path.open("rb")

    def _read_members(self) -> None:
        with self._open() as file:
            bounded = _Bounded(file)
            with tarfile.open(fileobj=cast("BinaryIO", bounded), mode="r:") as tar:
                self._take(tar, bounded)
            if self._is_gzipped:
                _read_to_the_end(file)

    def _take(self, tar: tarfile.TarFile, file: _Bounded) -> None:
        count, reached = 0, -1
        while (member := file.next_of(tar)) is not None:
            # tarfile would keep every header until the end. The attribute is documented.
            tar.members.clear()  # type: ignore[attr-defined]

            count += 1
            if count > _MAX_MEMBERS:
                msg = f"{self.path} has more than {_MAX_MEMBERS} files, so it is not an image"
                raise InvalidInputError(msg)
            if member.size < 0 or member.offset <= reached:
                msg = "a header points backwards"
                raise tarfile.ReadError(msg)

            reached = member.offset
            name = inner_name(member.name)
            if name is not None and len(name) <= _MAX_NAME_CHARACTERS:
                self._take_one(tar, member, name)

    def _take_one(self, tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        for known in (self._members, self._links):
            known.pop(name, None)
        self._kept -= len(self._small.pop(name, b""))

        target = member.linkname[:_MAX_NAME_CHARACTERS]
        if member.issym():
            self._links[name] = posixpath.join(posixpath.dirname(name), target)
        elif member.islnk():
            self._links[name] = target
        elif member.isreg() and not member.issparse():
            self._offsets[name] = member.offset_data
            self._members[name] = self._seen(tar, member, name)

    def _seen(self, tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> File:
        """Read the first few bytes of a file, and all bytes if the archive is gzipped.

        In a gzipped archive, all bytes are decompressed in any case.
        """
        file = cast("BinaryIO", tar.extractfile(member))
        if not self._is_gzipped:
            return File(name, member.size, lambda: self.open(name), file.read(HEAD))

        data = file.read(CHUNK)
        if member.size <= min(_MAX_KEPT_MEMBER_BYTES, _MAX_KEPT_BYTES - self._kept):
            self._small[name] = data
            self._kept += len(data)

        head, hashing = data[:HEAD], hashlib.sha256()
        while data:
            hashing.update(data)
            data = file.read(CHUNK)
        digest = f"sha256:{hashing.hexdigest()}"
        return File(name, member.size, lambda: self.open(name), head, digest)

    def find(self, name: str) -> File | None:
        """Return the file that a name or a link leads to, or None if there is none."""
        inner = inner_name(name)
        for _ in range(_MAX_LINKS):
            if inner not in self._links:
                break
            inner = inner_name(self._links[inner])
        return None if inner is None else self._members.get(inner)

    def why_missing(self, name: str) -> str:
        """Return the reason why `find` finds no file."""
        target = self._links.get(inner_name(name) or "")
        if target is None:
            return f"there is no {quoted(name)} in this archive"
        where = quoted(posixpath.normpath(target))
        return f"{quoted(name)} is a link to {where}, which is not a file of this archive"

    def folder_with(self, names: tuple[str, ...]) -> str | None:
        """Return a folder at the top that has a file with one of these names, or None."""
        parts = (name.partition("/") for name in self._members)
        return next((folder for folder, _, name in parts if name in names), None)

    def open(self, name: str) -> BinaryIO:
        """Open the archive at the beginning of a file of this name.

        Raises:
            OSError: The archive does not exist any more.
            EOFError: The archive was truncated since it was read, or another error of `UNREADABLE`.
        """
        if name in self._small:
            return io.BytesIO(self._small[name])

        file = self._open()
        try:
            file.seek(self._offsets[name])
        except BaseException:
            file.close()
            raise
        return file


def _is_gzipped(path: Path) -> bool:
    """Return whether an archive is gzipped.

    Raises:
        InvalidInputError: The path is not a regular file, or the archive has another compression.
    """
    if not S_ISREG(path.stat().st_mode):
        msg = (
            f"{path} is not a regular file: an archive is read more than once, so save it to a file"
        )
        raise InvalidInputError(msg)

    with path.open("rb") as begin:
        head = begin.read(HEAD)
    compression = compression_of(head)
    if compression is not None:
        msg = (
            f"{path} is compressed with {compression}: decompress it first, because only plain "
            "and gzipped archives can be read"
        )
        raise InvalidInputError(msg)
    return head.startswith(GZIP)


def _read_to_the_end(file: BinaryIO) -> None:
    """Read the rest of a gzipped archive, because its checksum and its length are at its end.

    Data after the end is ignored.
    """
    try:
        while file.read(CHUNK):
            pass
    except gzip.BadGzipFile as error:
        if not str(error).startswith("Not a gzipped file"):
            raise


def compression_of(head: bytes) -> str | None:
    """Return the name of a compression that is not read, by the first bytes of a file.

    None for gzip, and for data that is not compressed.
    """
    return next(
        (name for beginning, name in OTHER_COMPRESSIONS.items() if head.startswith(beginning)), None
    )


class _Bounded(io.RawIOBase):
    """A file that returns at most as many bytes at once as a header may need.

    It does so whatever a header says about its own length.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._left: float = _MAX_HEADER_BYTES

    def next_of(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        """Return the next member, if its headers are not too long."""
        self._left = _MAX_HEADER_BYTES - sum(map(len, tar.pax_headers.values()))
        member = tar.next()
        # The bytes that follow are those of the member.
        self._left = math.inf
        return member

    def read(self, size: int = -1, /) -> bytes:
        self._left -= size
        if not 0 <= size <= _MAX_READ_BYTES or self._left < 0:
            msg = f"a header claims {size} bytes"
            raise tarfile.ReadError(msg)

        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if offset < 0:
            msg = "a header points before the beginning of the archive"
            raise tarfile.ReadError(msg)

        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
