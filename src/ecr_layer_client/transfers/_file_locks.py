"""Locks on files and directories, between tasks, threads and processes of one machine.

A lock ends with its holder. Some network file systems have no locks, or none for directories. Pulls
work there, too, but not several into one layout at the same time.

Windows can't lock a directory, and does not rename an open file. There, one of two pulls that write
the same layer into one layout fails.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_log = logging.getLogger("ecr_layer_client")

if sys.platform == "win32":  # pragma: no cover (Windows has no flock, and the tests run on Linux)

    def try_lock(descriptor: int) -> bool:  # noqa: ARG001
        """Return True."""
        return True

    @contextmanager
    def locked(directory: Path) -> Generator[None, None, None]:  # noqa: ARG001
        """Do nothing."""
        yield
else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        """Lock an open file until it is closed. Return False if another holder has the lock."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            _log.info(
                "this file system has no locks, so only one pull at a time may use it: %s", error
            )
        return True

    @contextmanager
    def locked(directory: Path) -> Generator[None, None, None]:
        """Wait for the lock of a directory, and hold it in the block; for a thread."""
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError as error:
                _log.info("no lock on %s: %s", directory, error)
            yield
        finally:
            os.close(descriptor)
