"""A lock on a directory, for one holder on this machine.

The lock ends when the holder releases it, or when the holder's process ends in any way.
"""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from typing import TYPE_CHECKING, Final

from .directory import Directory

if TYPE_CHECKING:
    from pathlib import Path

# Longer than any process id.
MAX_PID_LENGTH = 20  # bytes

if sys.platform == "win32":
    import msvcrt

    # On Windows a locked byte cannot be read, so that the lock is on a byte that nobody reads.
    LOCKED_BYTE = 1 << 30

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        """Lock the file. Raises BlockingIOError when another holder has the lock."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class DirectoryLock:
    """The lock of a directory: a lock on the file `lock` in it.

    The file stays after the release, and contains the process id of the last holder.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     lock = DirectoryLock(Path(directory))
    ...     _ = lock.take()
    ...     lock.is_held
    ...     lock.release()
    True
    """

    def __init__(self, path: Path) -> None:
        """Start without the lock."""
        self._path: Final = path
        self._held: weakref.finalize[[int, int], DirectoryLock] | None = None
        self._holder = 0

    @property
    def is_held(self) -> bool:
        """Whether this process has the lock."""
        return self._held is not None and self._holder == os.getpid()

    def take(self) -> Directory:
        """Lock the directory, created if absent, and return it.

        Raises OSError when the directory cannot be used, or when another holder has the lock.
        """
        if self._held is not None:
            raise self._in_use(str(self._holder))

        try:
            with contextlib.suppress(FileExistsError):
                # A file in its place is reported by what opens it.
                self._path.parent.mkdir(parents=True, exist_ok=True)
            directory = Directory(self._path.parent).directory(self._path.name)
            descriptor = directory.open_own("lock")
        except OSError as error:
            raise self.unusable(error) from error

        try:
            _lock(descriptor)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        except OSError as error:
            holder = os.read(descriptor, MAX_PID_LENGTH).decode(errors="replace")
            os.close(descriptor)
            is_locked = isinstance(error, BlockingIOError)
            raise (self._in_use(holder) if is_locked else self.unusable(error)) from error

        self._holder = os.getpid()
        self._held = weakref.finalize(self, _let_go, descriptor, self._holder)
        return directory

    def unusable(self, error: OSError) -> OSError:
        """Return the error for a directory that cannot be used."""
        where = f": {error.filename!r:.500}" if error.filename is not None else ""
        directory = f"the data directory {str(self._path)!r:.500}"
        return OSError(f"{directory} can't be used: {error.strerror or error}{where}")

    def _in_use(self, holder: str) -> OSError:
        whose = "of this process" if holder == str(os.getpid()) else f"(process {holder})"
        directory = f"the data directory {str(self._path)!r:.500}"
        return OSError(f"{directory} is in use by another local ECR {whose}: close that first")

    def release(self) -> None:
        """Release the lock. Safe to call twice."""
        held, self._held = self._held, None
        if held is not None:
            held()


def _let_go(descriptor: int, holder: int) -> None:
    # A child that was forked meanwhile has the descriptor, too. The child must not unlock the file,
    # and must not keep it locked.
    if os.getpid() == holder:
        _unlock(descriptor)
    os.close(descriptor)
