"""A tar archive, plain or gzipped, read in place: nothing is extracted, and no name in it leads out of it."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import posixpath
import tarfile
import zlib
from stat import S_ISREG
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

from ._blob_store import Located

if TYPE_CHECKING:
    from pathlib import Path

GZIP = b"\x1f\x8b"
OTHER_COMPRESSIONS = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
}  # by how they begin
HEAD = 6  # bytes, the longest of these beginnings
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

_MAX_MEMBERS = 100_000  # an image of the largest kind has some hundred
_LONGEST_READ = CHUNK  # bytes; tarfile takes a header's word for how much to read at once
_MOST_HEADERS = (
    4 * CHUNK
)  # bytes of headers before one member, and of those that hold for all: tarfile keeps what they say
_LONGEST_NAME = 4096  # characters; the longest path on Linux
_OUTSIDE = ("/", "../")
_LINKS_IN_A_ROW = 8
_SMALL = (
    1024 * 1024
)  # bytes; of a gzipped archive, members up to here are kept: going back means to decompress anew
_KEPT = 32 * 1024 * 1024  # bytes, in all


class Member(NamedTuple):
    """A regular file of an archive: where its bytes begin, how many they are, and the first few.

    Of a gzipped archive, whose bytes are all seen when it is read through, their sha256 digest,
    too.
    """

    offset: int
    size: int
    head: bytes
    digest: str | None


class Tar:
    """The regular files of an archive by name.

    It is read through once, when it is made. Links count where they lead to another of its files;
    devices, and names that lead out of the archive, are nobody's. Of several members of one name
    the last counts, as when they are extracted.

    Args:
        path: The archive.

    Raises:
        InvalidInputError: It is no such archive, or cut short.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._members: dict[str, Member] = {}
        self._links: dict[str, str] = {}
        self._small: dict[str, bytes] = {}
        self._kept = 0
        try:
            self._is_gzipped = _is_gzipped(path)
            with self._open() as file:
                bounded = _Bounded(file)
                with tarfile.open(fileobj=cast("BinaryIO", bounded), mode="r:") as tar:
                    self._take(tar, bounded)
                if self._is_gzipped:
                    _read_to_the_end(file)
        except InvalidInputError:
            raise
        except UNREADABLE as error:
            msg = f"{path}: this is no whole tar archive, plain or gzipped: {quoted(str(error))}"
            raise InvalidInputError(msg) from error
        except OSError as error:
            msg = f"{path} can't be read: {error.strerror or error}"
            raise InvalidInputError(msg) from error

    def _open(self) -> BinaryIO:
        return cast("BinaryIO", gzip.open(self.path)) if self._is_gzipped else self.path.open("rb")

    def _take(self, tar: tarfile.TarFile, file: _Bounded) -> None:
        count, reached = 0, -1
        while (member := file.next_of(tar)) is not None:
            # A documented attribute; it would hold every header to the end.
            tar.members.clear()  # type: ignore[attr-defined]
            count += 1
            if count > _MAX_MEMBERS:
                msg = f"{self.path}: more than {_MAX_MEMBERS} members: this is no image"
                raise InvalidInputError(msg)
            if member.size < 0 or member.offset <= reached:
                msg = "a header that leads backwards"
                raise tarfile.ReadError(msg)
            reached = member.offset
            name = posixpath.normpath(member.name)
            if len(name) <= _LONGEST_NAME and not name.startswith(_OUTSIDE):
                self._take_one(tar, member, name)

    def _take_one(self, tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
        for known in (self._members, self._links):
            known.pop(name, None)
        self._kept -= len(self._small.pop(name, b""))
        if member.issym():
            self._links[name] = posixpath.join(
                posixpath.dirname(name), member.linkname[:_LONGEST_NAME]
            )
        elif member.islnk():
            self._links[name] = member.linkname[:_LONGEST_NAME]
        elif member.isreg() and not member.issparse():
            self._members[name] = self._seen(tar, member, name)

    def _seen(self, tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Member:
        """Look at a file's bytes: of a plain archive the first few, of a gzipped one all, for they are decompressed in any case."""
        file = cast("BinaryIO", tar.extractfile(member))
        if not self._is_gzipped:
            return Member(member.offset_data, member.size, file.read(HEAD), None)
        keeps = member.size <= min(_SMALL, _KEPT - self._kept)
        data = file.read(CHUNK)
        if keeps:
            self._small[name] = data
            self._kept += len(data)
        head, hashing = data[:HEAD], hashlib.sha256()
        while data:
            hashing.update(data)
            data = file.read(CHUNK)
        return Member(member.offset_data, member.size, head, f"sha256:{hashing.hexdigest()}")

    def find(self, name: str) -> str | None:
        """Return the name of the file that a name, or the link of that name, leads to.

        None of one that is not there.
        """
        name = posixpath.normpath(name)
        for _ in range(_LINKS_IN_A_ROW):
            if name in self._members:
                return name
            if name not in self._links:
                return None
            name = posixpath.normpath(self._links[name])
        return None

    def member(self, name: str) -> Member:
        """Return a file that `find` found."""
        return self._members[name]

    def open(self, name: str) -> BinaryIO:
        """Open the archive where a file that `find` found begins; its `size` says where it ends.

        Raises:
            OSError: The archive is gone.
            EOFError: It was cut since it was read through; or another of `UNREADABLE`.
        """
        if name in self._small:
            return io.BytesIO(self._small[name])
        file = self._open()
        try:
            file.seek(self._members[name].offset)
        except BaseException:
            file.close()
            raise
        return file

    def read(self, name: str, at_most: int) -> bytes:
        """Return a small file's bytes.

        Raises:
            InvalidInputError: It is not there, or too large.
        """
        found = self.find(name)
        if found is None:
            msg = f"{self.path}: there is no {quoted(name)} in this archive"
            raise InvalidInputError(msg)
        if self._members[found].size > at_most:
            msg = f"{self.path}: {quoted(name)} has {self._members[found].size} bytes: at most {at_most} are read"
            raise InvalidInputError(msg)
        with self.open(found) as file:
            return file.read(self._members[found].size)


def _is_gzipped(path: Path) -> bool:
    """Say whether an archive is gzipped.

    Raises:
        InvalidInputError: It is no file, or compressed otherwise.
    """
    if not S_ISREG(path.stat().st_mode):
        msg = f"{path} is no file: an archive is read in more than one pass"
        raise InvalidInputError(msg)
    with path.open("rb") as begin:
        head = begin.read(HEAD)
    compression = compression_of(head)
    if compression is not None:
        msg = f"{path} is compressed with {compression}: decompress it first; archives are read plain or gzipped"
        raise InvalidInputError(msg)
    return head.startswith(GZIP)


def _read_to_the_end(file: BinaryIO) -> None:
    """Read what is left of a gzipped archive, for its checksum and its length stand at its end.

    What follows that is left alone.
    """
    try:
        while file.read(CHUNK):
            pass
    except gzip.BadGzipFile as error:
        if not str(error).startswith("Not a gzipped file"):
            raise


def compression_of(head: bytes) -> str | None:
    """Return the name of what bytes that begin so are compressed with.

    None of gzip, which is read, and of what is not compressed.
    """
    return next(
        (name for beginning, name in OTHER_COMPRESSIONS.items() if head.startswith(beginning)), None
    )


class TarBlobs:
    """The blobs of an archive: each digest's file."""

    def __init__(self, tar: Tar, files: dict[str, str] | None = None) -> None:
        """Take the files by digest; None: they are where an OCI layout has them."""
        self._tar = tar
        self._files = files
        self.name = str(tar.path)

    def find(self, digest: str) -> Located | None:
        """Return a blob; None of one that is not there."""
        name = (
            f"blobs/{digest.replace(':', '/', 1)}"
            if self._files is None
            else self._files.get(digest)
        )
        found = None if name is None else self._tar.find(name)
        return (
            None
            if found is None
            else Located(self._tar.member(found).size, lambda: self._tar.open(found))
        )


class _Bounded(io.RawIOBase):
    """A file that gives no more at once than a header may need, whatever the header says."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._left: float = _MOST_HEADERS

    def next_of(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        """Return the next member, if its headers are no longer than headers are."""
        self._left = _MOST_HEADERS - sum(map(len, tar.pax_headers.values()))
        member = tar.next()
        self._left = math.inf  # what comes next is the member's own
        return member

    def read(self, size: int = -1, /) -> bytes:
        self._left -= size
        if not 0 <= size <= _LONGEST_READ or self._left < 0:
            msg = f"a header that claims {size} bytes"
            raise tarfile.ReadError(msg)
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if offset < 0:
            msg = "a header that leads before the archive's beginning"
            raise tarfile.ReadError(msg)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
