"""Results and plans as Arrow streams, and the errors without pyarrow or pandas."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from ecr_layer_client import (
    CallError,
    InvalidInputError,
    Layer,
    LayerAvailability,
    LayerCheckResult,
    LayerCheckResults,
    LayerFailure,
    LayerFailureCode,
    OperationTimeoutError,
    Repository,
    arrow,
)
from ecr_layer_client.images import (
    Descriptor,
    ImageReport,
    ImageSource,
    Platform,
    PushPlan,
    parse_manifest,
    plan,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ecr_layer_client import LayerOutcome
    from ecr_layer_client.local import LocalECR

COLUMNS = [
    "repository",
    "digest",
    "outcome",
    "availability",
    "code",
    "reason",
    "size",
    "media_type",
]
PLAN_COLUMNS = ["repository", "digest", "action", "note", "size", "media_type"]
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
HOSTILE = "é\U0001f433\x00\x1b[31m\n\"',;<script>" + "x" * 5_000

LAYER = Layer(
    digest="sha256:aa", availability=LayerAvailability.AVAILABLE, size=2**63 - 1, media_type=GZIP
)
BARE = Layer(digest="sha256:bb", availability=LayerAvailability.UNAVAILABLE)
FROZEN = Layer(
    digest="sha256:cc", availability=LayerAvailability("FROZEN"), raw_availability="FROZEN", size=0
)
UNNAMED = Layer(digest="sha256:dd", availability=LayerAvailability.UNKNOWN)
FAILURE = LayerFailure(digest="latest", code=LayerFailureCode.INVALID_LAYER_DIGEST, reason=HOSTILE)
TIRED = LayerFailure(digest="sha256:ee", code=LayerFailureCode("Tired"), raw_code="Tired")
NAMELESS = LayerFailure(digest="sha256:ff", code=LayerFailureCode.UNKNOWN)
OUTCOMES = (LAYER, BARE, FROZEN, UNNAMED, FAILURE, TIRED, NAMELESS)


def result(
    outcomes: Iterable[LayerOutcome] = OUTCOMES, repository: str = "team/app"
) -> LayerCheckResult:
    """Return a result."""
    return LayerCheckResult(repository=Repository(name=repository), outcomes=tuple(outcomes))


def rows(table: object) -> list[dict[str, Any]]:
    """Return the rows of an object that exports Arrow."""
    arrow: Any = pa
    found: list[dict[str, Any]] = arrow.table(table).to_pylist()
    return found


def row(outcome: LayerOutcome, repository: str = "team/app") -> dict[str, Any]:
    """Return the row that an outcome should have."""
    said = dict(outcome)
    said |= {
        "repository": repository,
        "availability": said.get("raw_availability") or said.get("availability"),
    }
    said |= {"code": said.get("raw_code") or said.get("code")}

    return {column: said.get(column) for column in COLUMNS}


def outcome_of(row: dict[str, Any]) -> LayerOutcome:
    """Return the outcome that a row describes."""
    if row["outcome"] == "layer":
        availability = LayerAvailability(row["availability"])
        raw = row["availability"] if row["availability"] not in list(LayerAvailability) else None
        return Layer(
            digest=row["digest"],
            availability=availability,
            raw_availability=raw,
            size=row["size"],
            media_type=row["media_type"],
        )

    code = LayerFailureCode(row["code"])
    raw = row["code"] if row["code"] not in list(LayerFailureCode) else None
    return LayerFailure(digest=row["digest"], code=code, raw_code=raw, reason=row["reason"])


def test_columns() -> None:
    """A result has these columns, in this order, with these types."""
    schema: Any = pa.table(result()).schema
    kinds = ["string"] * 6 + ["int64", "string"]
    assert (schema.names, [str(kind) for kind in schema.types]) == (COLUMNS, kinds)


def test_rows() -> None:
    """Each outcome has a row, in input order, with null for what the outcome lacks."""
    assert rows(result()) == [row(outcome) for outcome in OUTCOMES]


def test_a_layer() -> None:
    """A layer has no code and no reason."""
    assert rows(result([BARE])) == [
        {
            "repository": "team/app",
            "digest": "sha256:bb",
            "outcome": "layer",
            "availability": "UNAVAILABLE",
            "code": None,
            "reason": None,
            "size": None,
            "media_type": None,
        }
    ]


def test_a_failure() -> None:
    """A failure has no availability, size or media type."""
    assert rows(result([FAILURE])) == [
        {
            "repository": "team/app",
            "digest": "latest",
            "outcome": "failure",
            "availability": None,
            "code": "InvalidLayerDigest",
            "reason": HOSTILE,
            "size": None,
            "media_type": None,
        }
    ]


@pytest.mark.parametrize(
    ("outcome", "column", "said"),
    [
        (FROZEN, "availability", "FROZEN"),
        (UNNAMED, "availability", "UNKNOWN"),
        (TIRED, "code", "Tired"),
        (NAMELESS, "code", "Unknown"),
    ],
    ids=["availability", "availability without its spelling", "code", "code without its spelling"],
)
def test_what_is_unknown_keeps_its_spelling(outcome: LayerOutcome, column: str, said: str) -> None:
    """An unknown value keeps ECR's own spelling, if that is known."""
    assert rows(result([outcome]))[0][column] == said


@pytest.mark.asyncio
@pytest.mark.parametrize("malformed", [[], ["latest"]], ids=["layers", "with a failure"])
async def test_rows_of_a_check(ecr: LocalECR, malformed: list[str]) -> None:
    """The table of a result from a check has the rows that its models describe."""
    held = ecr.put_layer("app", b"layer")
    async with ecr.client() as client:
        checked = await client.check_layers("app", [held, "sha256:" + "0" * 64, *malformed])
    assert rows(checked) == [row(outcome, "app") for outcome in checked]


def test_round_trip() -> None:
    """The rows contain everything that the outcomes do."""
    assert tuple(outcome_of(row) for row in rows(result())) == OUTCOMES


def test_nothing() -> None:
    """A result without outcomes has the columns and no row."""
    table: Any = pa.table(result([]))
    assert (table.schema, table.num_rows) == (pa.table(result()).schema, 0)


@pytest.mark.parametrize("number", [9_999, 10_000, 10_001, 100_000])
def test_many(number: int) -> None:
    """Any number of outcomes comes complete and in order, in batches of at most 10,000 rows."""
    digests = [f"sha256:{index:064x}" for index in range(number)]
    many = result(
        Layer(digest=digest, availability=LayerAvailability.AVAILABLE, size=1) for digest in digests
    )
    table: Any = pa.table(many)
    batches = table.to_batches()
    assert table.column("digest").to_pylist() == digests
    assert [batch.num_rows for batch in batches] == [10_000] * (number // 10_000) + (
        [number % 10_000] if number % 10_000 else []
    )


def test_half_a_surrogate_pair() -> None:
    """Half a surrogate pair in a malformed digest is escaped, and no other text is."""
    outcomes = [
        LayerFailure(digest=digest, code=LayerFailureCode.INVALID_LAYER_DIGEST)
        for digest in ("a\ud800", "é", "\\ud800")
    ]
    assert [row["digest"] for row in rows(result(outcomes))] == ["a\\ud800", "é", "\\ud800"]


def test_the_registry_is_told() -> None:
    """A repository with a known registry is named by its URI, as on the command line."""
    where = Repository(name="app", registry_id="123456789012", region="eu-west-1")
    table = LayerCheckResult(repository=where, outcomes=(BARE,))
    assert rows(table)[0]["repository"] == str(where)


def test_unanswered_is_no_row() -> None:
    """A partial result has rows for answered digests only."""
    partial = LayerCheckResult(
        repository=Repository(name="team/app"), outcomes=(BARE,), unanswered=("sha256:99",)
    )
    assert [row["digest"] for row in rows(partial)] == ["sha256:bb"]


def test_results_of_several_repositories() -> None:
    """Results of several repositories are one table in order, without those that failed."""
    errors: dict[str, CallError] = {
        "gone": OperationTimeoutError("too late", partial=result([LAYER], "gone"))
    }
    several = LayerCheckResults(
        [result([FAILURE, LAYER], "bb"), result([], "cc"), result([BARE], "aa")], errors
    )
    assert rows(several) == [row(FAILURE, "bb"), row(LAYER, "bb"), row(BARE, "aa")]


def test_many_small_results() -> None:
    """Results of a thousand repositories share one batch if they are small."""
    several = LayerCheckResults(result([BARE], f"repository-{index}") for index in range(1_000))
    table: Any = pa.table(several)
    assert (
        [batch.num_rows for batch in table.to_batches()],
        len(set(table.column("repository").to_pylist())),
    ) == ([1_000], 1_000)


def test_no_results() -> None:
    """Results of no repository are a table without rows."""
    assert (pa.table(LayerCheckResults([])).schema, rows(LayerCheckResults([]))) == (
        pa.table(result()).schema,
        [],
    )


def requested(kind: Any) -> pa.Schema:
    """Return a result's schema with another type for text."""
    return pa.schema([(name, pa.int64() if name == "size" else kind) for name in COLUMNS])


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str
)
def test_other_types_of_text(kind: Any) -> None:
    """A request for large or dictionary-encoded text returns the same values."""
    arrow: Any = pa
    table = arrow.table(result(), schema=requested(kind))
    assert (table.schema, table.to_pylist()) == (requested(kind), rows(result()))


def test_other_columns() -> None:
    """A schema with other columns is an error, as the protocol requires."""
    arrow: Any = pa
    with pytest.raises(ValueError, match="field names"):
        arrow.table(result(), schema=pa.schema([("digest", pa.string())]))


def test_a_type_that_does_not_fit() -> None:
    """A type to which text can't be cast is an error."""
    arrow: Any = pa
    with pytest.raises(ValueError, match="int32"):
        arrow.table(result(), schema=requested(pa.int32()))


def test_a_stream_each_time() -> None:
    """A result can be read repeatedly."""
    same = result()
    assert rows(same) == rows(same)


def report(**members: Any) -> ImageReport:
    """Return a report."""
    return ImageReport(repository=Repository(name="app"), reference="v1", **members)


def test_reports() -> None:
    """Reports have a row for each of their images, with its own digest and the report's tags."""
    one, two, gone = (Descriptor(digest=f"sha256:{hex_ * 64}", size=7) for hex_ in "abc")
    arm = report(digest="sha256:22", platform=Platform.parse("linux/arm64"), absent=(gone,))
    index = report(digest="sha256:11", tags=("v1", "v2"), children=(arm, report(available=(one,))))
    single = report(digest="sha256:33", available=(one, two), archived=(gone,))
    found = arrow.images([index, single]).read_all().to_pylist()
    common = {"repository": "app", "platform": None, "archived": False, "deployable": True}
    assert found == [
        common
        | {"digest": "sha256:22", "tags": ["v1", "v2"], "platform": "linux/arm64"}
        | {"deployable": False, "bytes": 7, "layers": [gone.digest]}
        | {"defects": [f"linux/arm64: absent: {gone.digest}"]},
        common
        | {"digest": None, "tags": ["v1", "v2"], "bytes": 7, "layers": [one.digest], "defects": []},
        common
        | {"digest": "sha256:33", "tags": [], "archived": True, "deployable": False, "bytes": 21}
        | {"layers": [one.digest, two.digest, gone.digest]}
        | {"defects": [f"archived: {gone.digest}"]},
    ]
    assert rows(single) == found[2:]


def test_an_archived_image() -> None:
    """An image that is archived itself is archived in the table."""
    assert [each["archived"] for each in rows(report(problem="archived"))] == [True]


WORDS: Any = pa.array(["sha256:aa", "latest"])
COLUMNS_OF_DIGESTS: list[Any] = [
    WORDS,
    pa.chunked_array([WORDS[:1], WORDS[1:]]),
    WORDS.dictionary_encode(),
    pl.Series(["sha256:aa", "latest"]),
    pd.Series(["sha256:aa", "latest"]),
]


@pytest.mark.parametrize("column", COLUMNS_OF_DIGESTS, ids=lambda column: type(column).__name__)
@pytest.mark.asyncio
async def test_columns_of_digests(ecr: LocalECR, column: Any) -> None:
    """A column of a table is taken as digests, alone and for one of many repositories."""
    async with ecr.client() as client:
        alone = await client.check_layers("app", column)
        [among] = (await client.check_many({"app": column})).values()
    assert (alone.absent, alone.undetermined) == (("sha256:aa",), ("latest",))
    assert among == alone


@pytest.mark.asyncio
async def test_a_column_with_a_null(ecr: LocalECR) -> None:
    """A null among the digests is refused with its place, before any request."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=r"digests\[1\] is None"):
            column: Any = pa.array(["sha256:aa", None])
            await client.check_layers("app", column)
    assert ecr.stats.requests == 0


def test_pandas() -> None:
    """`to_pandas` returns the columns and rows, with sizes that are integers or missing."""
    frame = result([LAYER, BARE]).to_pandas()
    sizes = frame["size"]
    assert (list(frame.columns), str(sizes.dtype), sizes.tolist()) == (
        COLUMNS,
        "Int64",
        [2**63 - 1, pd.NA],
    )


def test_pandas_of_results() -> None:
    """`to_pandas` of several results is one frame."""
    assert LayerCheckResults([result([BARE], "aa"), result([BARE], "bb")]).to_pandas()[
        "repository"
    ].tolist() == ["aa", "bb"]


def test_pandas_of_nothing() -> None:
    """`to_pandas` of an empty result is an empty frame with the same columns and types."""
    assert result([]).to_pandas().dtypes.to_dict() == result().to_pandas().dtypes.to_dict()


def blob(letter: str, size: int | None = 10) -> Descriptor:
    """Return a descriptor."""
    return Descriptor(
        digest=f"sha256:{letter * 64}", size=size, media_type=None if size is None else GZIP
    )


def push(repository: str | None = "team/app") -> PushPlan:
    """Return a plan with every kind of blob."""
    return PushPlan(
        repository=None if repository is None else Repository(name=repository),
        manifests=(blob("1", 100),),
        to_upload=(blob("a"), blob("b", None), blob("c")),
        present=(blob("d", 0),),
        foreign=(blob("e"),),
        archived=(blob("b", None),),
        undetermined=(blob("c"),),
        calls={},
        shared_bytes=0,
    )


@pytest.mark.parametrize(
    "table",
    [
        result(),
        LayerCheckResults([result()]),
        push(),
        report(problem="archived"),
    ],
    ids=lambda table: type(table).__name__,
)
def test_conversions(table: Any) -> None:
    """A result, results, a plan and a report convert to pyarrow, polars and pandas alike."""
    arrow_table, frame = table.to_arrow(), table.to_polars()
    assert arrow_table.equals(pa.table(table))
    assert frame.equals(pl.DataFrame(table))
    assert frame.to_dicts() == arrow_table.to_pylist()
    assert [*table.to_pandas().columns] == arrow_table.column_names


def test_a_plan() -> None:
    """A plan has a row for each blob and manifest, with action, note, size and media type."""
    assert [tuple(row.values()) for row in rows(push())] == [
        ("team/app", f"sha256:{'a' * 64}", "upload", None, 10, GZIP),
        ("team/app", f"sha256:{'b' * 64}", "upload", "archived", None, None),
        ("team/app", f"sha256:{'c' * 64}", "upload", "undetermined", 10, GZIP),
        ("team/app", f"sha256:{'d' * 64}", "present", None, 0, GZIP),
        ("team/app", f"sha256:{'e' * 64}", "skip", None, 10, GZIP),
        ("team/app", f"sha256:{'1' * 64}", "put", None, 100, GZIP),
    ]


def test_columns_of_a_plan() -> None:
    """A plan has these columns, whatever it contains."""
    nothing = push().model_copy(
        update=dict.fromkeys(
            ("manifests", "to_upload", "present", "foreign", "archived", "undetermined"), ()
        )
    )
    assert (pa.table(push()).schema.names, pa.table(nothing).schema, rows(nothing)) == (
        PLAN_COLUMNS,
        pa.table(push()).schema,
        [],
    )


def test_a_plan_without_a_repository() -> None:
    """A plan without a repository has nulls in that column."""
    assert {row["repository"] for row in rows(push(None))} == {None}


def test_a_plan_that_was_made() -> None:
    """The sizes of the rows to upload add up to the plan's bytes."""
    config = (
        '{"mediaType": "application/vnd.oci.image.config.v1+json", '
        f'"size": 7, "digest": "sha256:{"c" * 64}"}}'
    )
    manifest = f'{{"schemaVersion": 2, "config": {config}, "layers": []}}'.encode()
    made = plan(ImageSource.from_manifest(manifest), {}, repository="team/app")
    sizes = [row["size"] for row in rows(made) if row["action"] == "upload"]
    put = [row["digest"] for row in rows(made) if row["action"] == "put"]

    assert (sum(sizes), put) == (made.bytes_to_upload, [parse_manifest(manifest).digest])


def test_pandas_of_a_plan() -> None:
    """`to_pandas` of a plan has sizes that are integers or missing."""
    frame = push().to_pandas()
    assert (list(frame.columns), frame["size"].sum()) == (PLAN_COLUMNS, 130)
    assert set(frame["repository"]) == {"team/app"}


def test_a_requested_schema_of_a_plan() -> None:
    """A plan is read with other types of its columns, if Arrow can cast to them."""
    kinds: dict[str, Any] = dict.fromkeys(PLAN_COLUMNS, pa.large_string())
    kinds["size"] = pa.int64()
    wanted = pa.schema(kinds)
    assert pa.table(push(), schema=wanted).schema == wanted


def test_functions_of_the_module() -> None:
    """The functions of `ecr_layer_client.arrow` stream several results, and a plan."""
    several = arrow.outcomes([result(), result(repository="base")]).read_all()
    assert several == pa.table(LayerCheckResults([result(), result(repository="base")]))
    assert arrow.blobs(push()).read_all() == pa.table(push())


@pytest.mark.parametrize(
    "table", [result(), LayerCheckResults([result()]), push()], ids=["result", "results", "plan"]
)
def test_without_pyarrow(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pyarrow, the error says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for module in ("_models.record_batches", "images._record_batches"):
        monkeypatch.delitem(sys.modules, f"ecr_layer_client.{module}", raising=False)
    for ask in (table.__arrow_c_stream__, table.to_pandas):
        with pytest.raises(
            ImportError, match=r"^tables need pyarrow: pip install 'ecr-layer-client\[arrow\]'$"
        ):
            ask()


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pandas, the error of `to_pandas` says what to install."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"^to_pandas\(\) needs pandas: pip install pandas$"):
        result().to_pandas()


def test_without_polars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without polars, the error of `to_polars` says what to install."""
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match=r"^to_polars\(\) needs polars: pip install polars$"):
        result().to_polars()
