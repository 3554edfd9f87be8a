"""Sizes and counts that the tests of transfers have in common."""

from __future__ import annotations

import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    from ecr_layer_client.local import LocalECR

PART = 10_000  # bytes, in place of ECR's 10 MiB
SIZES = (35_000, 9_000, 20_000, 1)  # of the layers
PARTS = 4 + 1 + 2 + 1 + 1  # the last one is the config's
BLOBS = len(SIZES) + 1


def requests(ecr: LocalECR) -> dict[str, int]:
    """Return the requests that succeeded, by operation."""
    by_operation = ecr.stats.by_operation
    return {name: outcomes["ok"] for name, outcomes in by_operation.items() if "ok" in outcomes}


@contextmanager
def small_files(size: int) -> Generator[None, None, None]:
    """Let the system refuse to write more than some bytes into a file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
