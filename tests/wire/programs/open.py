"""Open two clients, one after the other.

Print as JSON which threads imported aiobotocore, and how many jobs each client gave to threads.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ecr_layer_client import ECRLayerClient

importers: dict[str, str] = {}
jobs: list[str] = []


class Watching:
    """A finder of modules that finds nothing and records which thread looks for a name first."""

    def find_spec(self, name: str, *_: object) -> None:
        """Record the thread that imports a package."""
        importers.setdefault(name, threading.current_thread().name)


class Counting(ThreadPoolExecutor):
    """A pool of threads that records its jobs."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Record a job, and run it."""
        jobs.append(str(fn))
        return super().submit(fn, *args, **kwargs)


async def main() -> None:
    """Open both clients and print the facts."""
    asyncio.get_running_loop().set_default_executor(Counting(thread_name_prefix="worker"))
    before = "aiobotocore" in sys.modules
    sys.meta_path.insert(0, Watching())

    counts: list[int] = []
    for _ in range(2):
        jobs.clear()
        async with ECRLayerClient(region_name="us-east-1"):
            counts.append(len(jobs))

    packages = {name: importers.get(name, "") for name in ("aiobotocore", "botocore", "aiohttp")}
    facts = {
        "before": before,
        "first": counts[0] > 0,
        "second": counts[1],
        "loop": threading.current_thread().name,
    }
    print(json.dumps(facts | {"importers": packages}))  # noqa: T201 (the test reads it)


asyncio.run(main())
