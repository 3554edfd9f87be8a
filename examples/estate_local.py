"""Run a program beside this one against a local ECR, with a sample of 40,000 rows.

    pip install '.[dask]' duckdb
    python examples/estate_local.py dask

The other engines are `ray` and `spark`. The results are in the folder `estate`. If you end it in
the middle and run it again, it goes on.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from estate_plan import write_plan

from ecr_layer_client.local import LocalECR

HOSTS = [
    f"{account}.dkr.ecr.{region}.amazonaws.com"
    for account in ("111122223333", "444455556666")
    for region in ("us-east-1", "eu-west-1")
]
REPOSITORIES = [f"{host}/team/app-{number}" for host in HOSTS for number in range(10)]
DIGESTS = [f"sha256:{number:064x}" for number in range(1_000)]
HERE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # it listens on the loopback address alone
    "SPARK_LOCAL_IP": "127.0.0.1",
    "PYSPARK_PYTHON": sys.executable,
    # Two tasks at once, each tried four times.
    "PYSPARK_SUBMIT_ARGS": "--master local[2,4] --conf spark.ui.enabled=false pyspark-shell",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("engine", choices=["dask", "ray", "spark"])
    engine = parser.parse_args().engine
    plan = Path("estate/plan").absolute()
    if not plan.exists():
        plan.parent.mkdir(exist_ok=True)
        names = [name for name in REPOSITORIES for _ in DIGESTS]
        rows = pa.table({"repository": names, "digest": DIGESTS * len(REPOSITORIES)})
        pq.write_table(rows, "estate/inventory.parquet")
        write_plan("estate/inventory.parquet", plan, rows=2_000)
    with LocalECR(region="us-east-1", regions=["eu-west-1"]) as ecr:
        for name in REPOSITORIES:
            ecr.seed(name, [(digest, 1_000) for digest in DIGESTS[::2]])
        program = Path(__file__).with_name(f"estate_{engine}.py")
        command = [sys.executable, program, plan, plan.with_name(engine)]
        environment = os.environ | HERE | ecr.environment
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
