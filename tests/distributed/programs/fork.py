"""Check a table, fork, and check it again in both processes. Takes the endpoint."""

from __future__ import annotations

import os
import sys

import pyarrow as pa

from ecr_layer_client import AWSKeys
from ecr_layer_client.distributed import TableChecker
from ecr_layer_client.local._session import ACCESS_KEY, SECRET_KEY


async def _keys() -> AWSKeys:
    return AWSKeys(ACCESS_KEY, SECRET_KEY)


def main() -> None:
    """Run the program."""
    digests = [f"sha256:{number:064x}" for number in (1, 2)]
    rows = pa.table({"repository": ["team/app"] * 2, "digest": digests})
    checker = TableChecker(region_name="us-east-1", endpoint_url=sys.argv[1], credentials=_keys)
    checker.run(rows)

    child = os.fork()
    if child:
        os.waitpid(child, 0)
    checked = checker.run(rows).column("availability").to_pylist()
    sys.stdout.write(" ".join(map(str, ["parent" if child else "child", *checked, ""])))


main()
