"""A profiler that shares out CPU time among the parts of a program.

It takes a sample each millisecond of CPU time, and counts it for the innermost part on the stack.
"""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

_INTERVAL_SECONDS = 0.001  # of CPU time
_SESSION = "aiohttp and aiobotocore's session on it"
_OWN = "ecr_layer_client/"
# The part of a file, by a piece of its path. A file without such a piece counts for its caller.
_PART_OF = {
    # Only the garbage collector calls functions of trial.py.
    "benchmarks/trial": "garbage collection",
    "benchmarks/contenders": "the benchmark itself",
    "pydantic": "responses to models",
    f"{_OWN}_checks/operation": "outcomes of digests",
    f"{_OWN}_transport/sigv4": "signing",
    "botocore/auth": "signing",
    f"{_OWN}_transport/signed_request": "signed requests",
    f"{_OWN}_transport/client_method": "signed requests",
    f"{_OWN}_transport/http_session": _SESSION,
    "aiobotocore/httpsession": _SESSION,
    "aiohttp/": _SESSION,
    "botocore/": "the rest of aiobotocore and botocore",
    "asyncio/": "event loop",
    f"{_OWN}_checks/batches": "batches of distinct digests",
    f"{_OWN}_checks/": "stream and result",
    f"{_OWN}_models/": "stream and result",
    _OWN: "pacer, slots, deadlines, retries",
}
PARTS = tuple(dict.fromkeys(_PART_OF.values()))


@contextmanager
def cpu_shares() -> Generator[dict[str, float]]:
    """Give a dict that has each part's share of the CPU time after the block.

    It works only in the main thread, and not on Windows.
    """
    seconds: defaultdict[str, float] = defaultdict(float)
    last = time.process_time()
    parts: dict[str, str | None] = {}

    def part_of(filename: str) -> str | None:
        if filename not in parts:
            parts[filename] = next(
                (part for piece, part in _PART_OF.items() if piece in filename), None
            )
        return parts[filename]

    def sample(_: int, frame: FrameType | None) -> None:
        nonlocal last
        now = time.process_time()
        while frame is not None and part_of(frame.f_code.co_filename) is None:
            frame = frame.f_back
        part = None if frame is None else part_of(frame.f_code.co_filename)

        # Code outside of Python delays the signal, so a sample may be longer than the interval.
        seconds[part or "event loop"] += now - last
        last = now

    shares: dict[str, float] = {}
    before = signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL_SECONDS, _INTERVAL_SECONDS)
    try:
        yield shares
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)

    shares.update({part: seconds[part] / sum(seconds.values()) for part in PARTS})
