"""polars, pandas, DuckDB and pyarrow read results and plans, each with its own types."""

from __future__ import annotations

from functools import cache
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ecr_layer_client import (
    Layer,
    LayerAvailability,
    LayerCheckResult,
    LayerCheckResults,
    LayerFailure,
    LayerFailureCode,
    Repository,
)
from ecr_layer_client.images import Descriptor, PushPlan

# The types of these libraries are incomplete.
arrow: Any = pa
duck: Any = duckdb
pandas: Any = pd
compute: Any = pc

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
SIZES = [2**62, None, None]


def made(repository: str = "team/app") -> LayerCheckResult:
    """Return a result with a layer that is held, one that is absent, and a failure."""
    return LayerCheckResult(
        repository=Repository(name=repository),
        outcomes=(
            Layer(
                digest="sha256:aa",
                availability=LayerAvailability.AVAILABLE,
                size=2**62,
                media_type=GZIP,
            ),
            Layer(digest="sha256:bb", availability=LayerAvailability.UNAVAILABLE),
            LayerFailure(
                digest="latest", code=LayerFailureCode.INVALID_LAYER_DIGEST, reason="é \U0001f433"
            ),
        ),
    )


def empty() -> LayerCheckResult:
    """Return a result without outcomes."""
    return LayerCheckResult(repository=Repository(name="team/app"), outcomes=())


@cache
def large() -> LayerCheckResult:
    """Return a result with 100,000 outcomes, every third of them a failure."""
    digests = [f"sha256:{index:064x}" for index in range(100_000)]
    outcomes = tuple(
        Layer(digest=digest, availability=LayerAvailability.AVAILABLE, size=index)
        if index % 3
        else LayerFailure(digest=digest, code=LayerFailureCode.NOT_REPORTED)
        for index, digest in enumerate(digests)
    )
    return LayerCheckResult(repository=Repository(name="team/app"), outcomes=outcomes)


def planned() -> PushPlan:
    """Return a plan with one blob to upload."""
    blob = Descriptor(digest=f"sha256:{'a' * 64}", size=7, media_type=GZIP)
    empty: Any = ()
    return PushPlan(
        repository=Repository(name="team/app"),
        manifests=empty,
        to_upload=(blob,),
        present=empty,
        foreign=empty,
        archived=empty,
        undetermined=empty,
        calls={},
        shared_bytes=0,
    )


LARGE_SUM = sum(index for index in range(100_000) if index % 3)


def test_polars() -> None:
    """Polars reads text as String, which joins and compares with text, and sizes as Int64."""
    frame = pl.DataFrame(made())
    kinds = {str(kind) for kind in frame.drop("size").dtypes}
    assert (kinds, str(frame["size"].dtype), frame["size"].to_list()) == (
        {"String"},
        "Int64",
        SIZES,
    )
    assert frame.filter(pl.col("availability") == "AVAILABLE")["digest"].to_list() == ["sha256:aa"]


def test_polars_of_several_results() -> None:
    """Polars reads results of several repositories by way of pyarrow, as they are a mapping."""
    several = pl.DataFrame(arrow.table(LayerCheckResults([made("bb"), made("aa")])))
    assert several.group_by("repository", maintain_order=True).agg(pl.col("size").sum()).rows() == [
        ("bb", 2**62),
        ("aa", 2**62),
    ]


def test_pandas_and_duckdb_of_several_results() -> None:
    """Pandas and DuckDB read results of several repositories directly."""
    results = LayerCheckResults([made("bb"), made("aa")])
    assert duck.sql(
        "select repository, count(*) from results group by repository order by repository"
    ).fetchall() == [
        ("aa", 3),
        ("bb", 3),
    ]
    assert pandas.DataFrame.from_arrow(results)["repository"].tolist() == ["bb"] * 3 + ["aa"] * 3


def test_polars_of_nothing() -> None:
    """Polars gives an empty frame the columns of a full one."""
    assert (pl.DataFrame(empty()).schema, len(pl.DataFrame(empty()))) == (
        pl.DataFrame(made()).schema,
        0,
    )


def test_polars_of_100_000() -> None:
    """Polars reads 100,000 outcomes completely."""
    frame = pl.DataFrame(large())
    assert (len(frame), frame["size"].sum(), frame["code"].drop_nulls().unique().to_list()) == (
        100_000,
        LARGE_SUM,
        ["NotReported"],
    )


def test_polars_chooses_types() -> None:
    """Polars reads a column as a categorical if its schema says so."""
    assert (
        pl.DataFrame(made(), schema_overrides={"outcome": pl.Categorical})["outcome"].dtype
        == pl.Categorical
    )


def test_pandas() -> None:
    """`DataFrame.from_arrow` of pandas reads a result, including missing values."""
    frame = pandas.DataFrame.from_arrow(made())
    assert (frame["availability"].eq("AVAILABLE").tolist(), frame["size"].isna().tolist()) == (
        [True, False, False],
        [False, True, True],
    )


def test_pandas_of_nothing() -> None:
    """Pandas reads an empty result."""
    assert pandas.DataFrame.from_arrow(empty()).shape == (0, 8)


def test_pandas_of_100_000() -> None:
    """`to_pandas` returns 100,000 outcomes, complete and exact."""
    frame = large().to_pandas()
    assert (len(frame), frame["size"].sum(), frame["outcome"].value_counts().to_dict()) == (
        100_000,
        LARGE_SUM,
        {"layer": 66_666, "failure": 33_334},
    )


def test_duckdb() -> None:
    """DuckDB finds a result by its variable's name, and reads text, integers and nulls."""
    result = made()
    found = duck.sql(
        "select digest, size, reason from result "
        "where size is null or availability = 'AVAILABLE' order by digest"
    )
    assert found.fetchall() == [
        ("latest", None, "é \U0001f433"),
        ("sha256:aa", 2**62, None),
        ("sha256:bb", None, None),
    ]
    assert len(result) == 3


def test_duckdb_of_nothing() -> None:
    """DuckDB finds no row in an empty result."""
    result = empty()
    assert duck.sql("select count(*), count(size) from result").fetchall() == [(0, 0)]
    assert len(result) == 0


def test_duckdb_of_100_000() -> None:
    """DuckDB reads 100,000 outcomes completely."""
    result = large()
    assert duck.sql("select count(*), sum(size)::bigint from result").fetchall() == [
        (100_000, LARGE_SUM)
    ]
    assert len(result) == 100_000


def test_duckdb_of_a_plan() -> None:
    """DuckDB reads a plan."""
    plan = planned()
    assert duck.sql("select action, sum(size)::bigint from plan group by action").fetchall() == [
        ("upload", plan.bytes_to_upload)
    ]


def test_pyarrow() -> None:
    """Pyarrow reads a result, and computes with it."""
    table = arrow.table(made())
    assert (table.column("size").to_pylist(), compute.sum(table.column("size")).as_py()) == (
        SIZES,
        2**62,
    )


@pytest.mark.parametrize(
    "frame",
    [pl.DataFrame(planned()), pandas.DataFrame.from_arrow(planned())],
    ids=["polars", "pandas"],
)
def test_a_plan(frame: Any) -> None:
    """Polars and pandas read a plan."""
    assert (list(frame.columns), frame["size"].to_list()) == (
        ["repository", "digest", "action", "note", "size", "media_type"],
        [7],
    )
