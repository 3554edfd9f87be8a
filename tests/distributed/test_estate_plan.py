"""The program that writes a plan: its rows, their numbers, and where its files are cut."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engine_runs import EXAMPLES

from distributed.steps import digest, table

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = EXAMPLES / "estate_plan.py"
_PARQUET: Any = pq
# In no order, with a repeated row and nulls.
ROWS = [
    *(("team/b", digest(number)) for number in reversed(range(250))),
    *(("team/a", digest(number)) for number in range(130)),
    ("team/b", digest(7)),
    ("team/c", None),
    (None, digest(7)),
]


def _planned(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), "inventory-*.parquet", "plan", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with an inventory of two files."""
    for name, rows in (("one", ROWS[:200]), ("two", ROWS[200:])):
        _PARQUET.write_table(table(*rows), tmp_path / f"inventory-{name}.parquet")
    return tmp_path


@pytest.fixture
def files(folder: Path) -> list[pa.Table]:
    """Give the files of a plan of 200 rows each."""
    planned = _planned(folder, "--rows", "200")
    assert planned.stderr == ""
    return [_PARQUET.read_table(file) for file in sorted((folder / "plan").iterdir())]


def _rows(tables: list[pa.Table]) -> list[tuple[Any, ...]]:
    columns: Any = pa.concat_tables(tables).columns
    return [*zip(*(column.to_pylist() for column in columns), strict=True)]


def test_rows(files: list[pa.Table]) -> None:
    """Each different row of the inventory is in the plan once, sorted and numbered."""
    by_text = sorted({*ROWS}, key=lambda row: (row[0] is None, row[0] or "", row[1] or ""))
    assert _rows(files) == [(number, *row) for number, row in enumerate(by_text)]


def test_cuts(files: list[pa.Table]) -> None:
    """A file that is full ends where a request of 100 digests does."""
    # 130 of team/a and 100 of team/b; 150 of team/b, then the others.
    assert [each.num_rows for each in files] == [230, 152]


def test_a_plan_that_exists(folder: Path) -> None:
    """A plan is not changed once it exists."""
    planned = [_planned(folder) for _ in range(2)]
    assert [each.returncode for each in planned] == [0, 2]
    assert planned[1].stderr.splitlines()[-1] == (
        "estate_plan.py: error: plan exists: a plan is not changed once a check has begun"
    )
