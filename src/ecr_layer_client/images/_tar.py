"""A tar archive, plain or gzipped, read in place: nothing is extracted, and no name in it leads out of it."""

from __future__ import annotations

import gzip
import io
import posixpath
import tarfile
import zlib
from stat import S_ISREG
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from ecr_layer_client._errors import InvalidInputError, quoted

from ._blobs import Located

if TYPE_CHECKING:
    from pathlib import Path

_GZIP = b"\x1f\x8b"
_MAX_MEMBERS = 100_000  # an image of the largest kind has some hundred
_LONGEST_READ = 16 * 1024 * 1024  # bytes; tarfile takes a header's word for how much to read at once
_OUTSIDE = ("/", "../")
_LINKS_IN_A_ROW = 8
_SMALL = 1024 * 1024  # bytes; of a gzipped archive, members up to here are kept: going back means to decompress anew
_KEPT = 32 * 1024 * 1024  # bytes, in all


class Member(NamedTuple):
    """A regular file of an archive: where its bytes begin, how many they are, and the first few."""

    offset: int
    size: int
    head: bytes


class Tar:
    """The regular files of an archive by name.

    It is read through once, when it is made. Links count where they lead to another of its files; devices, and names that lead out of
    the archive, are nobody's.

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
        try:
            _check_is_file(path)
            with path.open("rb") as begin:
                self._is_gzipped = begin.read(len(_GZIP)) == _GZIP
            with self._open() as file, tarfile.open(fileobj=cast("BinaryIO", _Bounded(file)), mode="r:") as tar:
                self._take(tar)
        except InvalidInputError:
            raise
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, OverflowError, ValueError) as error:
            msg = f"{path}: this is no whole tar archive, plain or gzipped: {quoted(str(error))}"
            raise InvalidInputError(msg) from error
        except OSError as error:
            msg = f"{path} can't be read: {error.strerror or error}"
            raise InvalidInputError(msg) from error

    def _open(self) -> BinaryIO:
        return cast("BinaryIO", gzip.open(self.path)) if self._is_gzipped else self.path.open("rb")

    def _take(self, tar: tarfile.TarFile) -> None:
        kept = 0
        for count, member in enumerate(tar):
            if count >= _MAX_MEMBERS:
                msg = f"{self.path}: more than {_MAX_MEMBERS} members: this is no image"
                raise InvalidInputError(msg)
            name = posixpath.normpath(member.name)
            if name.startswith(_OUTSIDE):
                continue
            if member.issym():
                self._links[name] = posixpath.join(posixpath.dirname(name), member.linkname)
            elif member.islnk():
                self._links[name] = member.linkname
            elif member.isreg() and not member.issparse():
                keeps = self._is_gzipped and member.size <= min(_SMALL, _KEPT - kept)
                data = cast("BinaryIO", tar.extractfile(member)).read(member.size if keeps else 4)
                self._members[name] = Member(member.offset_data, member.size, data[:4])
                if keeps:
                    kept += len(data)
                    self._small[name] = data

    def find(self, name: str) -> str | None:
        """Return the name of the file that a name, or the link of that name, leads to; None of one that is not there."""
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
        """
        if name in self._small:
            return io.BytesIO(self._small[name])
        file = self._open()
        file.seek(self._members[name].offset)
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


def _check_is_file(path: Path) -> None:
    if not S_ISREG(path.stat().st_mode):
        msg = f"{path} is no file: an archive is read in more than one pass"
        raise InvalidInputError(msg)


class TarBlobs:
    """The blobs of an archive: each digest's file."""

    def __init__(self, tar: Tar, files: dict[str, str] | None = None) -> None:
        """Take the files by digest; None: they are where an OCI layout has them."""
        self._tar = tar
        self._files = files
        self.name = str(tar.path)

    def find(self, digest: str) -> Located | None:
        """Return a blob; None of one that is not there."""
        name = f"blobs/{digest.replace(':', '/', 1)}" if self._files is None else self._files.get(digest)
        found = None if name is None else self._tar.find(name)
        return None if found is None else Located(self._tar.member(found).size, lambda: self._tar.open(found))


class _Bounded(io.RawIOBase):
    """A file that gives no more at once than a header may need, whatever the header says."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        if size > _LONGEST_READ:
            msg = f"a header that claims {size} bytes"
            raise tarfile.ReadError(msg)
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
