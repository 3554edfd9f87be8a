"""Files by name: those of a directory, and what an archive shares with it."""

from __future__ import annotations

import gzip
import posixpath
import stat
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

from ._manifest import MAX_MANIFEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# A file may raise these when it is read. The last three come from a gzipped file that was changed
# since it was read the first time.
CANNOT_BE_READ = (OSError, EOFError, zlib.error, gzip.BadGzipFile)
HEAD = 6  # bytes: enough to recognise a compression


class File(NamedTuple):
    """A regular file.

    Attributes:
        name: The name that links to the file lead to.
        size: The size in bytes.
        open: Opens the file. What is read after `size` bytes does not belong to it.
        head: The first few bytes.
        digest: The sha256 digest. Default None: the bytes were not all read yet.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]
    head: bytes
    digest: str | None = None


class Files(Protocol):
    """The files of a directory or of an archive. No name leads out of it."""

    @property
    def name(self) -> str:
        """The name of the place in messages."""
        ...

    def find(self, name: str) -> File | None:
        """Return the regular file that a name or a link leads to, or None if there is none."""
        ...

    def why_missing(self, name: str) -> str:
        """Return the reason why `find` finds no file, for a message."""
        ...

    def folder_with(self, names: tuple[str, ...]) -> str | None:
        """Return a folder at the top that has a file with one of these names, or None."""
        ...


class Directory:
    """The files of a directory. Links lead where the file system says."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)

    def find(self, name: str) -> File | None:
        """Return a regular file, or None if there is none.

        Raises:
            InvalidInputError: The operating system refuses access.
        """
        inner = inner_name(name)
        if inner is None:
            return None

        path = self._path / inner
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                return None
            with path.open("rb") as file:
                head = file.read(HEAD)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        except OSError as error:
            msg = f"{self.name}: {quoted(name)} can't be read: {why(error)}"
            raise InvalidInputError(msg) from error
        return File(inner, status.st_size, lambda: path.open("rb"), head)

    def why_missing(self, name: str) -> str:
        """Return the reason why `find` finds no file."""
        inner = inner_name(name)
        if inner is None:
            return f"{quoted(name)} leads out of this directory"
        path = self._path / inner
        if path.is_symlink() and not path.exists():
            return (
                f"{quoted(name)} is a link to {quoted(str(path.readlink()))}, which does not exist"
            )
        if path.exists():
            return f"{quoted(name)} is not a regular file"
        return f"there is no {quoted(name)} in this directory"

    def folder_with(self, names: tuple[str, ...]) -> str | None:
        """Return a folder at the top that has a file with one of these names, or None."""
        found = (each for name in names for each in sorted(self._path.glob(f"*/{name}")))
        return next((each.parent.name for each in found), None)


def inner_name(name: str) -> str | None:
    """Return a name relative to the top of its directory or archive, or None if it leads out.

    A leading "/" means the top, as when an archive is extracted.
    """
    inner = posixpath.normpath(name).lstrip("/")
    return None if inner == ".." or inner.startswith("../") else inner


def read_file(files: Files, name: str) -> bytes:
    """Return the bytes of a file with at most as many bytes as a manifest may have.

    Raises:
        InvalidInputError: The file does not exist, is too large, or can't be read.
    """
    file = files.find(name)
    if file is None:
        msg = f"{files.name}: {files.why_missing(name)}"
        raise InvalidInputError(msg)
    if file.size > MAX_MANIFEST_BYTES:
        msg = (
            f"{files.name}: {quoted(name)} has {file.size} bytes: at most {MAX_MANIFEST_BYTES} "
            "(4 MiB) are read"
        )
        raise InvalidInputError(msg)

    try:
        with file.open() as opened:
            return opened.read(file.size)
    except CANNOT_BE_READ as error:
        msg = f"{files.name}: {quoted(name)} can't be read: {why(error)}"
        raise InvalidInputError(msg) from error


def why(error: Exception) -> str:
    """Return the reason of a failed read, for a message."""
    return error.strerror if isinstance(error, OSError) and error.strerror else quoted(str(error))
