"""Check many repositories with Spark: a stream of the files of a plan, which ends.

    pip install '.[spark]' duckdb                           # and Java 17 or 21
    python examples/estate_local.py spark                    # a sample, in a local ECR
    python examples/estate_plan.py 'inventory/*.parquet' estate/plan
    spark-submit examples/estate_spark.py estate/plan estate/spark --role layers

The folders may be any that Spark can read, such as s3://bucket/plan. Spark notes in
`estate/spark/.progress` which files are done. If the program is killed, run it again: it does the
last micro-batch again, in place of what was written of it, and goes on.
"""

import argparse
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from ecr_layer_client import Repository
from ecr_layer_client.distributed import AssumedRole, TableChecker

PLAN = pa.schema([("id", pa.int64()), ("repository", pa.string()), ("digest", pa.string())])


def role_of(name: str, repository: Repository) -> AssumedRole:
    return AssumedRole(f"arn:aws:iam::{repository.registry_id}:role/{name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("plan", help="the folder of the plan")
    parser.add_argument("checked", help="the folder of the results")
    parser.add_argument("--role", help="the name of a role in each account; default: no role")
    parser.add_argument("--files", type=int, default=2, help="files of a micro-batch")
    arguments = parser.parse_args()
    roles = partial(role_of, arguments.role) if arguments.role else None
    checker = TableChecker(credentials_for=roles)
    schema = from_arrow_schema(checker.schema(PLAN))

    def check(rows: DataFrame, number: int) -> None:
        checked = rows.mapInArrow(checker.map_in_arrow, schema)
        checked.write.mode("overwrite").parquet(f"{arguments.checked}/batch={number:06}")
        print(f"micro-batch {number} is written", flush=True)

    # A partition is one Arrow batch, however large, so that its requests are full.
    whole = {"spark.sql.execution.arrow.maxRecordsPerBatch": "0"}
    spark = SparkSession.builder.config(map=whole).getOrCreate()
    plan = spark.readStream.schema(from_arrow_schema(PLAN))
    rows = plan.option("maxFilesPerTrigger", arguments.files).parquet(arguments.plan)
    stream = rows.writeStream.foreachBatch(check).trigger(availableNow=True)
    stream.option("checkpointLocation", f"{arguments.checked}/.progress").start().awaitTermination()


if __name__ == "__main__":
    main()
