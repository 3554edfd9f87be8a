"""Compare engines that check one plan, what a killed run repeats, and limiters of many processes.

Run it with `make bench-estate`. The checks go to the stub ECR in another process. Those that are
killed or limited go to a local ECR, because it counts digests and throttles.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from http.client import HTTPConnection
from itertools import count
from math import ceil
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from contenders import ENVIRONMENT
from engine_runs import EXAMPLES, Run, write
from fresh import stub_ecr
from redis_server import redis_server
from tables import lines

from ecr_layer_client import ClientConfig, ECRLayerClient
from ecr_layer_client.distributed import RedisLimiter, TableChecker
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECK = "BatchCheckLayerAvailability"
DIGESTS = 1_050  # of a repository
ROWS = 10_000  # of a table, a file and a block
ENGINES = ("dask", "ray", "spark")
NO_CEILING = ClientConfig(requests_per_second=1e9)
ROUNDS = 7
PROCESSES, QUOTA, SHARE, SECONDS = 8, 200.0, 0.95, 15.0
MICRO = 1e6


def rows_of(count: int) -> pa.Table:
    """Return a sorted table of repositories and digests."""
    names = [f"team/app-{number // DIGESTS:06}" for number in range(count)]
    return pa.table({"repository": names, "digest": [f"sha256:{n:064x}" for n in range(count)]})


def requests_of(count: int) -> int:
    """Return the fewest requests that can check the table of so many rows."""
    return count // DIGESTS * ceil(DIGESTS / 100) + ceil(count % DIGESTS / 100)


def planned(folder: Path, count: int) -> Path:
    """Write a plan, and return its folder."""
    write(rows_of(count), folder / "inventory.parquet")
    plan = folder / "plan"
    program, inventory = str(EXAMPLES / "estate_plan.py"), str(folder / "inventory.parquet")
    command = [sys.executable, program, inventory, str(plan)]
    subprocess.run([*command, "--rows", str(ROWS)], check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return plan


# -- one process


async def in_one_process(url: str, count: int) -> tuple[float, float]:
    """Return the CPU µs of a row of `check_many` and of a checker, over interleaved rounds."""
    rows = rows_of(count)
    tables = [rows.slice(begin, ROWS) for begin in range(0, count, ROWS)]
    columns: list[Any] = [table.to_pydict() for table in tables]
    mappings: list[dict[str, list[str]]] = []
    for each in columns:
        mapping: dict[str, list[str]] = {}
        for name, digest in zip(each["repository"], each["digest"], strict=True):
            mapping.setdefault(name, []).append(digest)
        mappings.append(mapping)

    checker = TableChecker(endpoint_url=url, config=NO_CEILING)
    samples: tuple[list[float], list[float]] = [], []
    async with ECRLayerClient(endpoint_url=url, config=NO_CEILING) as client:
        for _ in range(ROUNDS + 1):
            gc.collect()
            began = time.process_time()
            for mapping in mappings:
                await client.check_many(mapping)
            samples[0].append((time.process_time() - began) / count * MICRO)
            gc.collect()
            began = time.process_time()
            for table in tables:
                await checker(table)
            samples[1].append((time.process_time() - began) / count * MICRO)
    await checker.aclose()
    first, second = (median(kept[1:]) for kept in samples)
    return first, second


# -- engines


def sent_to(url: str) -> int:
    """Return the number of requests that the stub answered."""
    connection = HTTPConnection(url.removeprefix("http://"))
    connection.request("GET", "/stats")
    sent: int = json.load(connection.getresponse())["requests"]
    connection.close()
    return sent


def engine_run(engine: str, environment: Mapping[str, str], folder: Path, plan: Path) -> Run:
    """Return a run of a program on a plan."""
    return Run(environment, (f"estate_{engine}.py", str(plan), str(folder / engine)), folder)


def measured(engine: str, url: str, count: int) -> tuple[float, float, int]:
    """Return the seconds and the CPU seconds of a run, and the requests that it sent."""
    environment = ENVIRONMENT | {"AWS_ENDPOINT_URL_ECR": url}
    with TemporaryDirectory() as name:
        folder = Path(name)
        plan, sent, began = planned(folder, count), sent_to(url), time.perf_counter()
        with engine_run(engine, environment, folder, plan) as run:
            cpu = run.cpu()
        return time.perf_counter() - began, cpu, sent_to(url) - sent


def engine_row(engine: str, url: str, count: int) -> tuple[str, ...]:
    """Return the cells of an engine: the seconds of two runs, and what each further row costs."""
    few = count // 10
    seconds, cpu, _ = measured(engine, url, few)
    all_seconds, all_cpu, sent = measured(engine, url, count)
    micro = (all_cpu - cpu) / (count - few) * MICRO
    ratio = sent / requests_of(count)
    return engine, f"{seconds:.0f}", f"{all_seconds:.0f}", f"{micro:.1f}", f"{ratio:.4f}"


# -- kills


def repeated_rows(engine: str, count: int, *, driver: bool) -> int:
    """Return how many rows are checked again after a kill in the middle."""
    with LocalECR() as ecr, TemporaryDirectory() as name:
        for number in range(count // DIGESTS + 1):
            ecr.create_repository(f"team/app-{number:06}")
        folder = Path(name)
        plan = planned(folder, count)
        with engine_run(engine, ecr.environment, folder, plan) as run:
            run.wait_until(lambda: ecr.stats.digests_checked > count / 2)
            if driver:
                run.kill_driver()
            else:
                run.kill_worker()
                run.finish()
        if driver:
            with engine_run(engine, ecr.environment, folder, plan) as run:
                run.finish()
        return ecr.stats.digests_checked - count


# -- limiters


async def send_forever(redis_url: str) -> None:
    """Check tables without an end, under the limiter if there is a URL."""
    limiter = RedisLimiter(redis_url, {CHECK: QUOTA * SHARE}) if redis_url else None
    checker = TableChecker(limiter=limiter)
    rows = rows_of(ROWS)
    for _ in count():
        await checker(rows)


def limited(redis_url: str) -> list[tuple[str, ...]]:
    """Return rows of goodput and waste: of eight processes, and once half of them are killed."""
    kind = "RedisLimiter at 95 %" if redis_url else "the pacers alone"
    with ExitStack() as stack:
        ecr = stack.enter_context(LocalECR(quota=QUOTA, burst=QUOTA))
        for number in range(ROWS // DIGESTS + 1):
            ecr.create_repository(f"team/app-{number:06}")
        command = [sys.executable, __file__, "--send", redis_url]
        senders = [
            subprocess.Popen(command, env=os.environ | ecr.environment)  # noqa: S603
            for _ in range(PROCESSES)
        ]
        for sender in senders:
            # The last callback runs first.
            stack.callback(sender.wait)
            stack.callback(sender.kill)
        while ecr.connections < PROCESSES:
            time.sleep(0.1)
        time.sleep(SECONDS)
        whole = _window(ecr)
        for sender in senders[::2]:
            sender.kill()
        half = _window(ecr)
    return [
        (kind, f"{PROCESSES} processes", *whole),
        (kind, f"{PROCESSES // 2} of them killed", *half),
    ]


def _window(ecr: LocalECR) -> tuple[str, str]:
    ecr.stats.reset()
    began = time.monotonic()
    time.sleep(SECONDS)
    outcomes = dict(ecr.stats.by_operation[CHECK])
    seconds = time.monotonic() - began
    accepted, throttled = outcomes.get("ok", 0), outcomes.get("ThrottlingException", 0)
    sent = accepted + throttled
    return f"{accepted / seconds / QUOTA:.3f}", f"{throttled / sent:.2%}"


def main(arguments: list[str] | None = None) -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="estate.py", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="rows (default 200,000)")
    parser.add_argument("--engines", nargs="*", default=ENGINES, help="default: all")
    parser.add_argument("--parts", nargs="*", default=("process", "engines", "kills", "limiters"))
    parser.add_argument("--send", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.send is not None:
        asyncio.run(send_forever(options.send))

    os.environ.update(ENVIRONMENT)
    with stub_ecr() as url:
        if "process" in options.parts:
            many, table = asyncio.run(in_one_process(url, options.rows))
            ratios = [
                ("`check_many` of a mapping", f"{many:.2f}", "1.00"),
                ("`TableChecker`", f"{table:.2f}", f"{table / many:.2f}"),
            ]
            print(lines(("one process", "CPU µs per row", "x check_many"), ratios), "\n")
        if "engines" in options.parts:
            runs = (f"{rows:,} rows, s" for rows in (options.rows // 10, options.rows))
            head = "engine", *runs, "CPU µs per row", "requests, x ideal"
            cells = [engine_row(each, url, options.rows) for each in options.engines]
            print(lines(head, cells), "\n")
    if "kills" in options.parts:
        repeated = [
            (each, *(f"{repeated_rows(each, options.rows, driver=d):,}" for d in (False, True)))
            for each in options.engines
        ]
        print(lines(("rows again", "a worker killed", "the program killed"), repeated), "\n")
    if "limiters" in options.parts:
        with redis_server() as redis_url:
            shares = [*limited(""), *limited(redis_url)]
        print(lines(("limit", "senders", "goodput", "throttled"), shares, words="senders"))


if __name__ == "__main__":
    main()
