"""Check or audit many repositories with Ray Data.

    pip install '.[ray]' duckdb
    python examples/estate_local.py ray                      # a sample, in a local ECR
    python examples/estate_plan.py 'inventory/*.parquet' estate/plan
    python examples/estate_ray.py $PWD/estate/plan $PWD/estate/ray --role layers

The folders are absolute paths, or URLs such as s3://bucket/plan. Ray notes in `estate/ray.done`
which rows are written. If the program is killed, run it again: it goes on with the other rows. On a
cluster, use `--address auto`.
"""

import argparse
from functools import partial

import ray
from ray.data import DataContext
from ray.data.checkpoint import CheckpointConfig

from ecr_layer_client import Repository
from ecr_layer_client.distributed import AssumedRole, TableAuditor, TableChecker


def role_of(name: str, repository: Repository) -> AssumedRole:
    return AssumedRole(f"arn:aws:iam::{repository.registry_id}:role/{name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("plan", help="the folder of the plan")
    parser.add_argument("checked", help="the folder of the results")
    parser.add_argument("--role", help="the name of a role in each account; default: no role")
    parser.add_argument("--audit", action="store_true", help="audit: the plan has repositories")
    parser.add_argument("--address", help="the address of a cluster; default: this machine alone")
    parser.add_argument("--tasks", type=int, default=2, help="files that are checked at once")
    arguments = parser.parse_args()
    roles = partial(role_of, arguments.role) if arguments.role else None
    context = DataContext.get_current()
    context.checkpoint_config = CheckpointConfig(
        id_column="repository" if arguments.audit else "id",
        checkpoint_path=f"{arguments.checked}.done",
        delete_checkpoint_on_success=False,
    )
    # Each file is a block, and each block a table. The newer reader would join small files.
    context.use_datasource_v2 = False
    here = {"num_cpus": arguments.tasks + 4, "include_dashboard": False}  # some filter and read
    ray.init(arguments.address, **({} if arguments.address else here))
    files = ray.data.read_parquet(arguments.plan).input_files()
    kernel = TableAuditor if arguments.audit else TableChecker
    # Ray reads, checks and writes a block in one task.
    ray.data.read_parquet(files, override_num_blocks=len(files)).map_batches(
        kernel(credentials_for=roles).run,
        batch_size=None,
        batch_format="pyarrow",
        concurrency=arguments.tasks,
    ).write_parquet(arguments.checked, concurrency=arguments.tasks)


if __name__ == "__main__":
    main()
