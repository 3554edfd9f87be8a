"""A directory of the local ECR's state, whose entries are never opened through a link."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_HAS_DESCRIPTORS = os.open in os.supports_dir_fd
# Windows has none of the first two. There, an entry is checked before it is opened.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_BINARY = getattr(os, "O_BINARY", 0)


class Directory:
    """A directory that is held open, so that nobody can replace it by a link meanwhile.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as path:
    ...     Path(path, "file").symlink_to("target")
    ...     Directory(Path(path)).size("file") is None
    True
    """

    def __init__(self, path: Path, parent: Directory | None = None) -> None:
        """Open `path`. Without a `parent` it may be a link: it is the path that the user gave."""
        self.path: Final = path
        self._descriptor: int | None = None
        if _HAS_DESCRIPTORS:
            flags = os.O_RDONLY | _DIRECTORY
            opened = os.open(path, flags) if parent is None else parent.open(path.name, flags)
            weakref.finalize(self, os.close, opened)
            self._descriptor = opened

    def directory(self, name: str) -> Directory:
        """Open a directory in this one, created if absent. Raises OSError for a link."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._place(name), dir_fd=self._descriptor)
        return Directory(self.path / name, self)

    def open(self, name: str, flags: int) -> int:
        """Return a descriptor of an entry. Raises OSError for a symbolic link."""
        if not _NO_LINK:
            self._reject_link(name)
        try:
            place = self._place(name)
            return os.open(place, flags | _NO_LINK | _BINARY, 0o600, dir_fd=self._descriptor)
        except OSError:
            self._reject_link(name)
            raise

    def open_own(self, name: str) -> int:
        """Return a descriptor of a file that is changed in place, created if absent.

        Raises OSError as `check_own()` does.
        """
        descriptor = self.open(name, os.O_RDWR | os.O_CREAT)
        if os.fstat(descriptor).st_nlink > 1:
            os.close(descriptor)
            raise self.is_a_link(name)
        return descriptor

    def check_own(self, name: str) -> None:
        """Raise OSError for a symbolic link, and for a file that has another name elsewhere."""
        status = self._status(name)
        if status is not None and (stat.S_ISLNK(status.st_mode) or status.st_nlink > 1):
            raise self.is_a_link(name)

    def size(self, name: str) -> int | None:
        """Return the size of a file in bytes, or None if there is no such file."""
        status = self._status(name)
        return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else None

    def move(self, name: str, to: Directory, new_name: str) -> None:
        """Move a file, in place of an earlier one."""
        source, target = self._place(name), to._place(new_name)
        into = to._descriptor
        os.replace(source, target, src_dir_fd=self._descriptor, dst_dir_fd=into)

    def remove(self, name: str) -> None:
        """Delete a file, or a link and not its target. Does nothing if it is absent."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._place(name), dir_fd=self._descriptor)

    def names(self) -> list[str]:
        """Return the names of the entries."""
        with os.scandir(self.path if self._descriptor is None else self._descriptor) as entries:
            return [entry.name for entry in entries]

    def has(self, name: str, status: os.stat_result) -> bool:
        """Return whether an entry is the file with this status, and not a link to it."""
        its = self._status(name)
        return its is not None and os.path.samestat(its, status)

    def _reject_link(self, name: str) -> None:
        status = self._status(name)
        if status is not None and stat.S_ISLNK(status.st_mode):
            raise self.is_a_link(name)

    def is_a_link(self, name: str) -> OSError:
        """Return the error for an entry that is a link."""
        rule = "it is a link, and the local ECR follows no links in its data directory"
        return OSError(errno.ELOOP, f"{rule}: remove it", str(self.path / name))

    def _place(self, name: str) -> str | Path:
        return name if self._descriptor is not None else self.path / name

    def _status(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(self._place(name), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
