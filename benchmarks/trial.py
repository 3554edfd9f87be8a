"""Run one trial and print its outcome as JSON: `python benchmarks/trial.py KIND PARAMETERS`.

The parameters are JSON. The kinds are:
- `work` checks digests after a warm-up, and measures time and memory.
- `profile` checks digests after a warm-up, and measures each part's share of the CPU time.
- `first` opens the contender, checks one digest, and records the time of the response.
- `stall` opens the contender, and measures how long the event loop stood still meanwhile.
- `late` checks digests after a warm-up, and measures how long the event loop stood still meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contenders import CONTENDERS, Contender
from sampling import cpu_shares

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Generator,
        Iterable,
        Iterator,
    )

_WARM_UP_DIGESTS = 2_000
_TICK_SECONDS = 0.001
_STATUS, _CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def digests(count: int, tag: str = "") -> Iterator[str]:
    """Return an iterator of `count` digests, different ones for each tag."""
    return (
        f"sha256:{hashlib.sha256(f'{tag}{number}'.encode()).hexdigest()}" for number in range(count)
    )


async def one_by_one(made: Iterable[str]) -> AsyncIterator[str]:
    """Return an async generator of digests, which never waits."""
    for digest in made:
        yield digest


# The shapes of an input. All but the first are of digests that exist before the trial.
_SHAPES: dict[str, Callable[[int], Any]] = {
    "made on demand": digests,
    "list": lambda count: list(digests(count)),
    "iterator": lambda count: iter(list(digests(count))),
    "async generator": lambda count: one_by_one(list(digests(count))),
}


async def work(
    contender: Contender, url: str, *, count: int, in_flight: int, shape: str
) -> dict[str, Any]:
    """Check digests, and return the figures.

    The function keeps the answers until it has read all figures.
    """
    async with contender.open(url, in_flight) as check:
        await check(list(digests(_WARM_UP_DIGESTS, "warm-up")))
        given = _SHAPES[shape](count)

        stub_before = _stub_seconds(url)
        gc.collect()
        memory_before = reset_peak()
        with _collecting() as collected:
            wall, cpu = time.perf_counter(), time.process_time()
            held = await check(given)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall

        grown = None if memory_before is None else kib("VmHWM") - memory_before
        stub = _stub_seconds(url) - stub_before

    if contender.answered(held) != count:
        sys.exit(f"{contender.name}: {contender.answered(held)} of {count} digests were answered")
    return {"cpu": cpu, "wall": wall, "grown": grown, "stub": stub, **collected}


def _stub_seconds(url: str) -> float:
    connection = HTTPConnection(url.removeprefix("http://"))
    connection.request("GET", "/stats")
    seconds: float = json.load(connection.getresponse())["cpu"]
    connection.close()
    return seconds


def reset_peak() -> int | None:
    """Reset the high-water mark of memory, and return the KiB in use.

    Return None on a system without this mark.
    """
    if not _CLEAR_REFS.exists():
        return None
    _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")
    return kib("VmRSS")


def kib(name: str) -> int:
    """Return a figure of this process's memory, in KiB."""
    (line,) = [
        line
        for line in _STATUS.read_text(encoding="ascii").splitlines()
        if line.startswith(f"{name}:")
    ]
    return int(line.split()[1])


@contextmanager
def _collecting() -> Generator[dict[str, float]]:
    """Give a dict that counts the garbage collections by generation, and their CPU seconds."""
    collected: dict[str, float] = {"gc": 0.0, "gen0": 0, "gen1": 0, "gen2": 0}
    began = 0.0

    def watch(phase: str, info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.process_time()
        else:
            collected["gc"] += time.process_time() - began
            collected[f"gen{info['generation']}"] += 1

    gc.callbacks.append(watch)
    yield collected
    gc.callbacks.remove(watch)


async def profile(
    contender: Contender, url: str, *, count: int, in_flight: int
) -> dict[str, float]:
    """Check digests, and return each part's share of the CPU time."""
    async with contender.open(url, in_flight) as check:
        await check(list(digests(_WARM_UP_DIGESTS, "warm-up")))
        given = list(digests(count))
        gc.collect()
        with _collecting(), cpu_shares() as shares:
            await check(given)
    return shares


async def first(contender: Contender, url: str, *, in_flight: int) -> dict[str, Any]:
    """Open the contender, check one digest, and return the time of the response."""
    async with contender.open(url, in_flight) as check:
        held = await check(list(digests(1)))
        at = time.time()
    return {"answered": contender.answered(held), "at": at}


@asynccontextmanager
async def _ticking() -> AsyncGenerator[dict[str, float]]:
    """Give a dict that has by how many seconds a task of each millisecond was late."""
    late = {"stall": 0.0}

    async def tick() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_TICK_SECONDS)
            late["stall"] = max(late["stall"], time.perf_counter() - began - _TICK_SECONDS)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(2 * _TICK_SECONDS)
    yield late
    # A last tick records a last stall.
    await asyncio.sleep(2 * _TICK_SECONDS)
    ticking.cancel()


async def stall(contender: Contender, url: str, *, in_flight: int) -> dict[str, Any]:
    """Open the contender, and return the longest stall of the event loop."""
    async with AsyncExitStack() as opened, _ticking() as late:
        await opened.enter_async_context(contender.open(url, in_flight))
    return late


async def late(contender: Contender, url: str, *, count: int, in_flight: int) -> dict[str, Any]:
    """Check digests, and return the longest stall of the event loop."""
    async with contender.open(url, in_flight) as check:
        await check(list(digests(_WARM_UP_DIGESTS, "warm-up")))
        given = list(digests(count))
        gc.collect()
        async with _ticking() as stalled:
            held = await check(given)
    return stalled | {"answered": contender.answered(held)}


_KINDS = {"work": work, "profile": profile, "first": first, "stall": stall, "late": late}


def _import(contender: Contender) -> None:
    """Import the modules that a program imports before its event loop runs."""
    if contender.name == "aiobotocore":
        import_module("aiobotocore.session")
    else:
        ours = import_module("ecr_layer_client")
        # Each name imports its module.
        _ = ours.ECRLayerClient, ours.ClientConfig


def main() -> None:
    """Run one trial."""
    kind, parameters = sys.argv[1], json.loads(sys.argv[2])
    contender = CONTENDERS[parameters.pop("contender")]
    if kind == "stall":
        _import(contender)

    # Each kind has its own parameters.
    outcome = asyncio.run(_KINDS[kind](contender, **parameters))  # type: ignore[operator]
    print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main()
