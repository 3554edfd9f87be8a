"""Tables: each row comes out once, in order, with what becomes of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_layer_client import AWSKeys
from ecr_layer_client.distributed import TableChecker
from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._session import ACCESS_KEY, SECRET_KEY
from property.running import quick

if TYPE_CHECKING:
    from collections.abc import Iterator

HELD = {"team/a": 1, "team/b": 2}
REPOSITORIES = ["team/a", "team/b", "team/gone", "TEAM/a", None]
DIGESTS = [f"sha256:{number:064x}" for number in range(4)]
ROWS = st.lists(
    st.tuples(
        st.sampled_from(REPOSITORIES),
        st.sampled_from([*DIGESTS, DIGESTS[1].upper(), "latest", None]),
    ),
    max_size=12,
)
COLUMNS: Any = {"n": pa.int64(), "repository": pa.string(), "digest": pa.string()}
SCHEMA = pa.schema(COLUMNS)


async def _keys() -> AWSKeys:
    return AWSKeys(ACCESS_KEY, SECRET_KEY)


@pytest.fixture(scope="module")
def checker() -> Iterator[TableChecker]:
    """Give a checker of a local ECR whose repositories hold one digest each."""
    with LocalECR() as ecr:
        for name, number in HELD.items():
            ecr.seed(name, [(DIGESTS[number], number)])
        checker = TableChecker(
            region_name=ecr.region, endpoint_url=ecr.endpoint_url, credentials=_keys
        )
        yield checker
        asyncio.run(checker.aclose())


def _expected(repository: str | None, digest: str | None) -> tuple[str | None, str | None]:
    """Return the error of a row, or else its availability or failure code."""
    if digest is None or repository in {None, "TEAM/a"}:
        return "InvalidInputError", None
    if digest == "latest":
        return None, "InvalidLayerDigest"
    if repository not in HELD:
        return "RepositoryNotFoundError", None
    is_held = digest.lower() == DIGESTS[HELD[repository]]
    return None, "AVAILABLE" if is_held else "UNAVAILABLE"


@quick(40)
@given(ROWS, st.lists(st.integers(0, 12), max_size=3))
def test_each_row_once(
    checker: TableChecker, rows: list[tuple[str | None, str | None]], cuts: list[int]
) -> None:
    """However a table is cut, each row comes out once, in order, with its own outcome or error."""
    given = [{"n": n, "repository": row[0], "digest": row[1]} for n, row in enumerate(rows)]
    ends = [*sorted(cuts), len(rows)]
    batches = [
        pa.RecordBatch.from_pylist(given[begin:end], SCHEMA)
        for begin, end in zip([0, *ends], ends, strict=False)
    ]
    checked: list[Any] = [
        row for batch in checker.map_in_arrow(batches) for row in batch.to_pylist()
    ]
    assert [{name: row[name] for name in SCHEMA.names} for row in checked] == given
    assert [(row["error"], row["availability"] or row["code"]) for row in checked] == [
        _expected(*row) for row in rows
    ]
