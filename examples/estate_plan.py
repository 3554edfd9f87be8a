"""Plan a check of many repositories: write the files that the engines read.

    pip install duckdb
    python examples/estate_plan.py 'inventory/*.parquet' estate/plan

The inventory is Parquet files with the columns `repository` and `digest`. The rows of the plan are
distinct, sorted by repository and numbered (`id`). Its files have about equally many rows, and end
where a request is full. So a check of one file at a time sends as few requests as possible.
"""

import argparse
import shutil
from pathlib import Path

import duckdb

ROWS = """
CREATE TABLE numbered AS
SELECT
    row_number() OVER (ORDER BY repository, digest) - 1 AS id,
    row_number() OVER (PARTITION BY repository ORDER BY digest) - 1 AS place,
    repository,
    digest
FROM (SELECT DISTINCT repository, digest FROM read_parquet($inventory))
ORDER BY id
"""
# A request has 100 digests of one repository. All of them are in the file of the first one.
ROWS_OF_A_FILE = """
SELECT id, repository, digest FROM numbered
WHERE id BETWEEN $first AND $first + $rows + 99 AND (id - place % 100) // $rows = $first // $rows
ORDER BY id
"""


def write_plan(inventory: str, plan: Path, rows: int = 10_000) -> int:
    """Write the files of a plan, and return the number of its rows."""
    unfinished = plan.with_name(f"{plan.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with duckdb.connect(unfinished / "plan.duckdb") as connection:
        [(count,)] = connection.execute(ROWS, {"inventory": inventory}).fetchall()
        for first in range(0, count, rows):
            file = connection.sql(ROWS_OF_A_FILE, params={"first": first, "rows": rows})
            file.write_parquet(str(unfinished / f"{first // rows:06}.parquet"))
    (unfinished / "plan.duckdb").unlink()
    unfinished.rename(plan)
    return count


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("inventory", help="the Parquet files, a name or a pattern in quotes")
    parser.add_argument("plan", type=Path, help="a folder that does not exist")
    parser.add_argument("--rows", type=int, default=10_000, help="rows of each file")
    arguments = parser.parse_args()
    if arguments.rows < 1:
        parser.error("--rows must be 1 or more")
    if arguments.plan.exists():
        parser.error(f"{arguments.plan} exists: a plan is not changed once a check has begun")
    print(f"{write_plan(arguments.inventory, arguments.plan, arguments.rows):,} rows")
