"""Check many repositories with Dask: each file of a plan is a task.

    pip install '.[dask]' duckdb
    python examples/estate_local.py dask                     # a sample, in a local ECR
    python examples/estate_plan.py 'inventory/*.parquet' estate/plan
    python examples/estate_dask.py estate/plan estate/dask --role layers

The result of a file is written under another name, and renamed once it is complete. If the program
is killed, run it again: it goes on with the files that have no result. With `--scheduler`, all
machines of the cluster must see both folders.
"""

import argparse
from functools import partial
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
from dask.distributed import Client, LocalCluster, as_completed

from ecr_layer_client import Repository
from ecr_layer_client.distributed import AssumedRole, TableChecker


def role_of(name: str, repository: Repository) -> AssumedRole:
    return AssumedRole(f"arn:aws:iam::{repository.registry_id}:role/{name}")


def check_file(source: Path, folder: Path, checker: TableChecker) -> None:
    # Dask repeats finished tasks, too, if their worker was lost.
    if not (folder / source.name).exists():
        rows = checker.run(pq.read_table(source))
        unfinished = folder / f".{source.name}.{uuid4().hex}"
        pq.write_table(rows, unfinished)
        unfinished.replace(folder / source.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("plan", type=Path, help="the folder of the plan")
    parser.add_argument("checked", type=Path, help="the folder of the results")
    parser.add_argument("--role", help="the name of a role in each account; default: no role")
    parser.add_argument("--scheduler", help="its address; default: two processes here")
    arguments = parser.parse_args()
    roles = partial(role_of, arguments.role) if arguments.role else None
    files = sorted(arguments.plan.absolute().glob("*.parquet")) or parser.error("no such plan")
    folder = arguments.checked.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    here = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with Client(arguments.scheduler or LocalCluster(**here)) as client:
        checker = TableChecker(credentials_for=roles)
        tasks = client.map(check_file, files, folder=folder, checker=checker, retries=3)
        for done, task in enumerate(as_completed(tasks), 1):
            task.result()
            print(f"{done} of {len(files)} files", flush=True)


if __name__ == "__main__":
    main()
