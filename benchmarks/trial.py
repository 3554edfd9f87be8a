"""One trial in a process of its own: `python benchmarks/trial.py KIND PARAMETERS`, the parameters as JSON; prints what came of it as JSON.

The kinds: `work` checks digests after a warm-up, `profile` does too and says where the time went;
`first` opens and checks one digest; `stall` opens and says how long the event loop stood still
meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import sys
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contenders import CONTENDERS, Contender
from sampling import cpu_shares

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_WARM_UP = 2_000  # digests
_TICK = 0.001  # seconds
_STATUS, _CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def digests(count: int, tag: str = "") -> Iterator[str]:
    """Return so many digests; another tag, others."""
    return (
        f"sha256:{hashlib.sha256(f'{tag}{number}'.encode()).hexdigest()}" for number in range(count)
    )


async def work(
    contender: Contender, url: str, *, count: int, in_flight: int, lazy: bool
) -> dict[str, Any]:
    """Check digests, from a list or lazily from a generator, and hold the answers until everything was read off."""
    async with contender.open(url, in_flight) as check:
        await check(list(digests(_WARM_UP, "warm-up")))
        given = digests(count) if lazy else list(digests(count))
        stub_before = _stub_seconds(url)
        gc.collect()
        memory_before = _reset_peak()
        with _collecting() as collected:
            wall, cpu = time.perf_counter(), time.process_time()
            held = await check(given)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        grown = None if memory_before is None else _kib("VmHWM") - memory_before
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


def _reset_peak() -> int | None:
    """Let the high-water mark of memory begin anew, and return KiB in use.

    None where the system keeps no such mark.
    """
    if not _CLEAR_REFS.exists():
        return None
    _CLEAR_REFS.write_text(_RESET_PEAK, encoding="ascii")
    return _kib("VmRSS")


def _kib(name: str) -> int:
    (line,) = [
        line
        for line in _STATUS.read_text(encoding="ascii").splitlines()
        if line.startswith(f"{name}:")
    ]
    return int(line.split()[1])


@contextmanager
def _collecting() -> Generator[dict[str, float]]:
    """Count garbage collections by generation, and the CPU seconds they take."""
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
    """Check digests, and return each part's share of the CPU."""
    async with contender.open(url, in_flight) as check:
        await check(list(digests(_WARM_UP, "warm-up")))
        given = list(digests(count))
        gc.collect()
        with _collecting(), cpu_shares() as shares:
            await check(given)
    return shares


async def first(contender: Contender, url: str, *, in_flight: int) -> dict[str, Any]:
    """Open and check one digest, and say at what time there was an answer."""
    async with contender.open(url, in_flight) as check:
        held = await check(list(digests(1)))
        at = time.time()
    return {"answered": contender.answered(held), "at": at}


async def stall(contender: Contender, url: str, *, in_flight: int) -> dict[str, Any]:
    """Open, while a task that wants to run every millisecond says how late it was at worst."""
    latest = 0.0

    async def tick() -> None:
        nonlocal latest
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_TICK)
            latest = max(latest, time.perf_counter() - began - _TICK)

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(2 * _TICK)
    async with contender.open(url, in_flight):
        await asyncio.sleep(2 * _TICK)  # a last stall ends in a last tick
        ticking.cancel()
        return {"stall": latest}


_KINDS = {"work": work, "profile": profile, "first": first, "stall": stall}


def _import(contender: Contender) -> None:
    """Import what a program imports in its first lines, before its event loop runs."""
    if contender.name == "aiobotocore":
        import_module("aiobotocore.session")
    else:
        ours = import_module("ecr_layer_client")
        _ = ours.ECRLayerClient, ours.ClientConfig  # each imports its room


def main() -> None:
    """Run one trial."""
    kind, parameters = sys.argv[1], json.loads(sys.argv[2])
    contender = CONTENDERS[parameters.pop("contender")]
    if kind == "stall":
        _import(contender)
    # Each takes its own parameters.
    outcome = asyncio.run(_KINDS[kind](contender, **parameters))  # type: ignore[operator]
    print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    main()
