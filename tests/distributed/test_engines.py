"""The programs in `examples/` on real engines, whole and killed: what they write and request.

Each program runs in processes of its own, against a local ECR of the test's process.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pytest
from engine_runs import EXAMPLES, PYTHON, Run, write, written

from distributed.steps import column, digest
from distributed.steps import keys as local_keys
from distributed.sts_server import sts_server
from ecr_layer_client.distributed import TableAuditor
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
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
REPOSITORIES = [f"{HOSTS[number % 4]}/team/app-{number:03}" for number in range(1_000)]
CHECK = "BatchCheckLayerAvailability"


@dataclass(frozen=True)
class Engine:
    """A program, its options, and how many rows are in flight when it is killed."""

    name: str
    options: tuple[str, ...]
    in_flight: int


ENGINES = [
    # Two files at once, cut where a request is full.
    Engine("dask", (), 2 * (ROWS + 99)),
    Engine("ray", (), 2 * (ROWS + 99)),
    # A micro-batch of two files.
    Engine("spark", ("--files", "2"), 2 * (ROWS + 99)),
]
every_engine = pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)


def _rows() -> Iterator[tuple[str, str, str]]:
    """Yield the repository, the digest and the availability of each row."""
    for name, size in SIZES.items():
        for number in range(size):
            yield name, digest(number), "UNAVAILABLE" if number % 8 else "AVAILABLE"


@contextmanager
def _opened() -> Generator[LocalECR]:
    """Give a local ECR of two accounts and Regions, with each eighth digest."""
    with LocalECR(region="us-east-1", regions=["eu-west-1"]) as ecr:
        for name, size in SIZES.items():
            ecr.seed(name, [(digest(number), 1) for number in range(0, size, 8)])
        yield ecr


@pytest.fixture
def ecr() -> Iterator[LocalECR]:
    """Give a local ECR."""
    with _opened() as ecr:
        yield ecr


def _planned(folder: Path) -> Path:
    """Return a folder, with a plan."""
    names, digests, _ = zip(*_rows(), strict=True)
    inventory = pa.table({"repository": [*names], "digest": [*digests]})
    write(inventory, folder / "inventory.parquet")
    command = [str(EXAMPLES / "estate_plan.py"), "inventory.parquet", "plan", "--rows", str(ROWS)]
    subprocess.run([sys.executable, *command], cwd=folder, check=True)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a plan."""
    return _planned(tmp_path)


def _run(ecr: LocalECR, engine: Engine, folder: Path, **variables: str) -> Run:
    folders = str(folder / "plan"), str(folder / "checked")
    program = f"estate_{engine.name}.py"
    return Run(ecr.environment | variables, (program, *folders, *engine.options), folder)


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


class Finished(NamedTuple):
    """A run that came to its end."""

    ecr: LocalECR
    engine: Engine
    folder: Path


@pytest.fixture(scope="module", params=ENGINES, ids=lambda engine: engine.name)
def finished(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Finished]:
    """Give a finished run of each engine."""
    folder = _planned(tmp_path_factory.mktemp("estate"))
    with _opened() as ecr:
        with _run(ecr, request.param, folder) as run:
            run.finish()
        yield Finished(ecr, request.param, folder)


def test_rows(finished: Finished) -> None:
    """Each row of the plan comes out once, with its outcome."""
    assert _checked(finished.folder) == EXPECTED


def test_requests(finished: Finished) -> None:
    """A run sends as few requests as possible."""
    outcomes = finished.ecr.stats.by_operation[CHECK]
    assert [*outcomes] == ["ok"]
    assert outcomes["ok"] <= 1.01 * IDEAL


def test_run_again(finished: Finished) -> None:
    """A run that is repeated after its end requests nothing and changes nothing."""
    sent = finished.ecr.stats.requests
    with _run(*finished) as run:
        run.finish()
    assert finished.ecr.stats.requests == sent
    assert _checked(finished.folder) == EXPECTED


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


def test_roles(ecr: LocalECR, folder: Path) -> None:
    """The program assumes the role of each account, in each process that checks one."""
    keys = ecr.client_kwargs
    with sts_server(keys["aws_access_key_id"], keys["aws_secret_access_key"]) as sts:
        ecr.add_key(keys["aws_access_key_id"], keys["aws_secret_access_key"], "a token")
        roles = Engine("dask", ("--role", "layers"), 0)
        with _run(ecr, roles, folder, AWS_ENDPOINT_URL_STS=sts.url) as run:
            run.finish()
    assert _checked(folder) == EXPECTED
    assert {request["RoleArn"] for request in sts.requests} == {
        "arn:aws:iam::111122223333:role/layers",
        "arn:aws:iam::444455556666:role/layers",
    }
    assert len(sts.requests) <= 2 * 4  # processes, accounts in each of two Regions


@every_engine
def test_no_credentials(ecr: LocalECR, folder: Path, engine: Engine) -> None:
    """If a role can't be assumed, the program fails, and its error names an account."""
    keys = ecr.client_kwargs
    roles = replace(engine, options=(*engine.options, "--role", "layers"))
    with sts_server(keys["aws_access_key_id"], keys["aws_secret_access_key"]) as sts:
        sts.is_denied = True
        with _run(ecr, roles, folder, AWS_ENDPOINT_URL_STS=sts.url) as run:
            assert run.wait() != 0
            assert re.search(r"CredentialsError.* of account (111122223333|444455556666)", run.log)


@pytest.mark.parametrize("engine", ["dask", "ray", "spark"])
def test_sample(tmp_path: Path, engine: str) -> None:
    """One command runs each program on a sample, in a local ECR of its own."""
    with Run({}, ("estate_local.py", engine), tmp_path) as run:
        run.finish()
    checked = pa.concat_tables(written(tmp_path / "estate" / engine))
    assert column(checked, "availability").count("AVAILABLE") == 20_000
    assert sorted(column(checked, "id")) == [*range(40_000)]


@pytest.fixture
def audited_ecr() -> Iterator[LocalECR]:
    """Give a local ECR with 999 repositories of two accounts and Regions, with an image each."""
    with LocalECR(region="us-east-1", regions=["eu-west-1"]) as ecr:
        for number, name in enumerate(REPOSITORIES[1:]):
            ecr.seed_image(name, [(digest(number), 1), (digest(1_000 + number), 2)], "v1")
        yield ecr


def test_audit(audited_ecr: LocalECR, tmp_path: Path) -> None:
    """An audit of 1,000 repositories that was killed on Ray equals the one of one process."""
    ecr = audited_ecr
    for first in range(0, len(REPOSITORIES), 50):
        names = pa.table({"repository": REPOSITORIES[first : first + 50]})
        write(names, tmp_path / "plan" / f"{first:04}.parquet")
    auditor = TableAuditor(
        region_name=ecr.region, endpoint_url=ecr.endpoint_url, credentials=local_keys
    )
    expected: Any = auditor.run(pa.table({"repository": REPOSITORIES}))
    asyncio.run(auditor.aclose())
    ecr.stats.reset()

    audit = Engine("ray", ("--audit",), 2 * 50)
    slow = ecr.faults.add(operation="BatchGetImage", after=500, latency=2.0)
    with _run(ecr, audit, tmp_path) as run:
        run.wait_until(lambda: slow.played)
        run.kill_driver()
    slow.remove()
    with _run(ecr, audit, tmp_path) as run:
        run.finish()

    found: Any = pa.concat_tables(written(tmp_path / "checked"))
    assert found.sort_by("repository").to_pylist() == expected.sort_by("repository").to_pylist()
    repeated = ecr.stats.by_operation["BatchGetImage"]["ok"] - (len(REPOSITORIES) - 1)
    assert repeated <= audit.in_flight
