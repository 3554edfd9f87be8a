"""A lock on a directory: one holder on this machine, until it lets go or its process ends, however it ends."""

from __future__ import annotations

import os
import sys
import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

PID_LENGTH = 20  # bytes that are more than a process id has

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(
            descriptor, 1 << 30, os.SEEK_SET
        )  # a byte that nobody reads: on Windows none can be read that is locked
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        """Raise BlockingIOError when another holds the lock."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


class DirectoryLock:
    """The lock of a directory: that of the file `lock` in it, which stays behind and says whose it was last.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     lock = DirectoryLock(Path(directory))
    ...     lock.take(), lock.take()
    ...     lock.release()
    (True, False)
    """

    def __init__(self, directory: Path) -> None:
        """Hold nothing yet."""
        self._directory: Final = directory
        self._held: weakref.finalize[[int, int], DirectoryLock] | None = None
        self._holder = 0

    def take(self) -> bool:
        """Hold the lock, in a directory that is made if need be.

        Return whether it was not held before.

        Raises OSError that says why the directory can't be used, or that another holds it.
        """
        if self._held is not None:
            if self._holder != os.getpid():
                raise self._in_use(str(self._holder))
            return False
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            _lock(descriptor)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        except OSError as error:
            holder = os.read(descriptor, PID_LENGTH).decode(errors="replace")
            os.close(descriptor)
            raise (
                self._in_use(holder)
                if isinstance(error, BlockingIOError)
                else self._unusable(error)
            ) from error
        self._holder = os.getpid()
        self._held = weakref.finalize(self, _let_go, descriptor, self._holder)
        return True

    def _unusable(self, error: OSError) -> OSError:
        where = f": {error.filename!r:.500}" if error.filename is not None else ""
        return OSError(
            f"the data directory {str(self._directory)!r:.500} can't be used: {error.strerror}{where}"
        )

    def _in_use(self, holder: str) -> OSError:
        whose = "of this process" if holder == str(os.getpid()) else f"(process {holder})"
        return OSError(
            f"the data directory {str(self._directory)!r:.500} is in use by another local ECR {whose}: close that first"
        )

    def release(self) -> None:
        """Hold it no more. Twice is fine."""
        held, self._held = self._held, None
        if held is not None:
            held()


def _let_go(descriptor: int, holder: int) -> None:
    if (
        os.getpid() == holder
        # A child that was forked meanwhile has the descriptor, too: it must not unlock, nor keep the
        # lock.
    ):
        _unlock(descriptor)
    os.close(descriptor)
