"""Temporary limits of this process.

With such a limit, real writes fail as they do on a full disk.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

if sys.platform != "win32":
    import resource

    @contextlib.contextmanager
    def no_file_above(size: int) -> Generator[None]:
        """Let writes beyond this size fail, as on a full disk: after the bytes that fit."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
