"""Open two clients, one after the other.

Print as JSON which threads imported aiobotocore, and how much work each gave to threads.
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
given: list[str] = []


class Watching:
    """A finder that finds nothing, and sees who looks for what first."""

    def find_spec(self, name: str, *_: object) -> None:
        """Note the thread that imports a package."""
        importers.setdefault(name, threading.current_thread().name)


class Counting(ThreadPoolExecutor):
    """Threads that note what they are given."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Note the work, and do it."""
        given.append(str(fn))
        return super().submit(fn, *args, **kwargs)


async def main() -> None:
    """Open twice."""
    asyncio.get_running_loop().set_default_executor(Counting(thread_name_prefix="worker"))
    before = "aiobotocore" in sys.modules
    sys.meta_path.insert(0, Watching())
    counts: list[int] = []
    for _ in range(2):
        given.clear()
        async with ECRLayerClient(region_name="us-east-1"):
            counts.append(len(given))
    packages = {name: importers.get(name, "") for name in ("aiobotocore", "botocore", "aiohttp")}
    facts = {
        "before": before,
        "first": counts[0] > 0,
        "second": counts[1],
        "loop": threading.current_thread().name,
    }
    print(json.dumps(facts | {"importers": packages}))  # noqa: T201 (what the test reads)


asyncio.run(main())
