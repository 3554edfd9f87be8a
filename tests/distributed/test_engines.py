"""The programs in `examples/` on real engines, whole and killed: what they write and request.

Each program runs in processes of its own, against a local ECR of the test's process.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from distributed.engines import EXAMPLES, PYTHON, Run, write, written
from distributed.steps import column, digest
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not PYTHON.exists(), reason="needs the engines: make .venv/.engines"),
]

HOSTS = [
    f"{account}.dkr.ecr.{region}.amazonaws.com"
    for account in ("111122223333", "444455556666")
    for region in ("us-east-1", "eu-west-1")
]
# The number of digests of each repository. Few are multiples of the 100 digests of a request.
SIZES = {f"{HOSTS[number % 4]}/team/app-{number}": 955 + 10 * number for number in range(20)}
COUNT = sum(SIZES.values())
IDEAL = sum(ceil(size / 100) for size in SIZES.values())
ROWS = 1_000  # of a file
CHECK = "BatchCheckLayerAvailability"


@dataclass(frozen=True)
class Engine:
    """A program, its options, and how many rows are in flight when it is killed."""

    name: str
    options: tuple[str, ...]
    in_flight: int


ENGINES = [
    # A file of each of two processes, cut where a request is full.
    Engine("dask", (), 2 * (ROWS + 99)),
    # Two blocks of each of two actors, and one that is written.
    Engine("ray", (), 5 * (ROWS + 99)),
    # A micro-batch of two files.
    Engine("spark", ("--files", "2"), 2 * (ROWS + 99)),
]
every_engine = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)


def _rows() -> Iterator[tuple[str, str, str]]:
    """Yield the repository, the digest and the availability of each row."""
    for name, size in SIZES.items():
        for number in range(size):
            yield name, digest(number), "UNAVAILABLE" if number % 8 else "AVAILABLE"


@pytest.fixture
def ecr() -> Iterator[LocalECR]:
    """Give a local ECR of two accounts and Regions, with each eighth digest."""
    with LocalECR(region="us-east-1", regions=["eu-west-1"]) as ecr:
        for name, size in SIZES.items():
            ecr.seed(name, [(digest(number), 1) for number in range(0, size, 8)])
        yield ecr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a plan."""
    names, digests, _ = zip(*_rows(), strict=True)
    inventory = pa.table({"repository": [*names], "digest": [*digests]})
    write(inventory, tmp_path / "inventory.parquet")
    command = [EXAMPLES / "estate_plan.py", "inventory.parquet", "plan", "--rows", str(ROWS)]
    subprocess.run([sys.executable, *command], cwd=tmp_path, check=True)
    return tmp_path


def _run(ecr: LocalECR, engine: Engine, folder: Path, **variables: str) -> Run:
    folders = str(folder / "plan"), str(folder / "checked")
    program = f"estate_{engine.name}.py"
    return Run(ecr, (program, *folders, *engine.options), folder, variables)


def _checked(folder: Path) -> list[tuple[Any, ...]]:
    """Return the rows that a run wrote, by their numbers. Each file must have them in order."""
    found: list[tuple[Any, ...]] = []
    for rows in written(folder / "checked"):
        numbers = column(rows, "id")
        assert numbers == sorted(numbers)
        parts = (column(rows, name) for name in ("repository", "digest", "availability"))
        found += zip(numbers, *parts, strict=True)
    return sorted(found)


EXPECTED = [(number, *row) for number, row in enumerate(sorted(_rows()))]


@every_engine
def test_whole_run(ecr: LocalECR, folder: Path, engine: Engine) -> None:
    """Each row of the plan comes out once, with its outcome, by as few requests as possible."""
    with _run(ecr, engine, folder) as run:
        run.finish()
    assert _checked(folder) == EXPECTED
    assert ecr.stats.by_operation[CHECK].keys() == {"ok"}
    assert ecr.stats.requests <= 1.01 * IDEAL


@every_engine
def test_killed_worker(ecr: LocalECR, folder: Path, engine: Engine) -> None:
    """If a process that sends requests is killed, the run goes on, and each row comes out once."""
    slow = ecr.faults.add(after=IDEAL // 2, latency=2.0)
    with _run(ecr, engine, folder) as run:
        run.wait_until(lambda: slow.played)
        run.kill_worker()
        slow.remove()
        run.finish()
    assert _checked(folder) == EXPECTED
    assert ecr.stats.digests_checked - COUNT <= engine.in_flight


@every_engine
def test_killed_driver(ecr: LocalECR, folder: Path, engine: Engine) -> None:
    """A killed run that is repeated does again what was in flight, and each row comes out once."""
    slow = ecr.faults.add(after=IDEAL // 2, latency=2.0)
    with _run(ecr, engine, folder) as run:
        run.wait_until(lambda: slow.played)
        run.kill_driver()
    slow.remove()
    with _run(ecr, engine, folder) as run:
        run.finish()
    assert _checked(folder) == EXPECTED
    assert ecr.stats.digests_checked - COUNT <= engine.in_flight


@every_engine
def test_run_again(ecr: LocalECR, folder: Path, engine: Engine) -> None:
    """A run that is repeated after its end requests nothing and changes nothing."""
    with _run(ecr, engine, folder) as run:
        run.finish()
    ecr.stats.reset()
    with _run(ecr, engine, folder) as run:
        run.finish()
    assert ecr.stats.requests == 0
    assert _checked(folder) == EXPECTED
