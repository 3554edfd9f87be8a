"""Steps that the tests of tables share: keys, digests, and rows by column."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ecr_layer_client import AWSKeys
from ecr_layer_client.local._session import ACCESS_KEY, SECRET_KEY

ADDED = ["availability", "code", "reason", "size", "media_type", "error", "message"]
MEDIA_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"


async def keys() -> AWSKeys:
    """Return the keys of every local ECR."""
    return AWSKeys(ACCESS_KEY, SECRET_KEY)


def digest(number: int) -> str:
    """Return a digest."""
    return f"sha256:{number:064x}"


def table(*rows: tuple[str | None, str | None]) -> pa.Table:
    """Return a table of pairs (repository, digest)."""
    repositories, digests = zip(*rows, strict=True)
    columns = {"repository": [*repositories], "digest": [*digests]}
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def added(rows: pa.Table) -> list[tuple[Any, ...]]:
    """Return what was added to each row."""
    columns: Any = rows.select(ADDED).columns
    return [*zip(*(column.to_pylist() for column in columns), strict=True)]


def column(rows: pa.Table, name: str) -> list[Any]:
    """Return the values of a column."""
    values: list[Any] = rows.column(name).to_pylist()
    return values
