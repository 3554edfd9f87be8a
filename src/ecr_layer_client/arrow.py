"""Results and plans as Arrow tables, for polars, pandas, DuckDB and whatever else takes an Arrow stream; needs the extra `arrow`.

A stream is built while it is read, ten thousand rows at a time: who asks only for the columns pays for no row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import pyarrow as pa
except ImportError as _missing:
    _message = "tables need pyarrow: pip install 'ecr-layer-client[arrow]'"
    raise ImportError(_message) from _missing

from ._models.layer import LayerAvailability, LayerFailureCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from ._models.layer import LayerOutcome
    from ._models.result import LayerCheckResult
    from .images import Descriptor, PushPlan

__all__ = ["blobs", "outcomes"]

_ARROW: Any = pa  # for what its stubs leave unknown
# Of a batch: even of the longest reasons, an answer of 4 MiB for 100 digests, well below the 2 GiB of an Arrow string column.
_ROWS = 10_000

_OUTCOME = pa.schema(
    [(name, pa.string()) for name in ("repository", "digest", "outcome", "availability", "code", "reason")]
    + [("size", pa.int64()), ("media_type", pa.string())]
)
_BLOB = pa.schema(
    [(name, pa.string()) for name in ("repository", "digest", "action", "note")] + [("size", pa.int64()), ("media_type", pa.string())]
)


def outcomes(results: Iterable[LayerCheckResult]) -> pa.RecordBatchReader:
    """Return one row an outcome, in the order of the results and of their outcomes.

    Args:
        results: Any number of them.

    Example:
        >>> result = LayerCheckResult.of("team/app", {"sha256:aa": LayerAvailability.AVAILABLE})
        >>> outcomes([result]).read_all().column("availability").to_pylist()
        ['AVAILABLE']
    """
    return pa.RecordBatchReader.from_batches(_OUTCOME, (_outcome_batch(*part) for part in _parts(results)))


def blobs(plan: PushPlan) -> pa.RecordBatchReader:
    """Return one row a blob, and one a manifest: what is uploaded, what is there, what is skipped, and what is put, in this order."""
    return pa.RecordBatchReader.from_batches(_BLOB, iter([_blob_batch(plan)]))


def stream(reader: pa.RecordBatchReader, requested_schema: object | None) -> object:
    """Return a reader as the PyCapsule of an Arrow stream, its columns cast as far as the schema that is asked for says so.

    Raises:
        ValueError: The schema asks for other columns.
    """
    untyped: Any = reader
    capsule: object = untyped.__arrow_c_stream__(requested_schema)
    return capsule


def to_pandas(reader: pa.RecordBatchReader) -> pd.DataFrame:
    """Return a DataFrame whose `size` is `Int64`, which knows nulls; a float, as pandas would have it, does not hold every size.

    Raises:
        ImportError: There is no pandas.
    """
    try:
        import pandas as pd  # noqa: PLC0415 (optional)
    except ImportError as error:
        msg = "to_pandas() needs pandas: pip install pandas"
        raise ImportError(msg) from error
    table: Any = reader.read_all()
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return frame


def _parts(results: Iterable[LayerCheckResult]) -> Iterator[tuple[list[str], list[LayerOutcome]]]:
    """Yield outcomes, each with the name of its repository, some thousands at a time."""
    names: list[str] = []
    some: list[LayerOutcome] = []
    for result in results:
        name = str(result.repository)
        for start in range(0, len(result.outcomes), _ROWS):
            taken = result.outcomes[start : start + _ROWS]
            names += [name] * len(taken)
            some += taken
            if len(some) >= _ROWS:
                yield names, some
                names, some = [], []
    if some:
        yield names, some


def _outcome_batch(names: list[str], some: list[LayerOutcome]) -> pa.RecordBatch:
    facts = [*map(vars, some)]  # asking each outcome for each member takes twice as long

    def column(name: str, raw: str = "") -> list[Any]:
        return [fact.get(raw) or fact.get(name) for fact in facts] if raw else [fact.get(name) for fact in facts]

    nothing = [None] * len(facts)
    kinds = column("outcome")
    layers = kinds.count("layer")
    availability = column("availability") if layers else nothing
    if LayerAvailability.UNKNOWN in availability:
        availability = column("availability", "raw_availability")
    code = column("code") if layers < len(facts) else nothing
    if LayerFailureCode.UNKNOWN in code:
        code = column("code", "raw_code")
    reason = nothing if code is nothing else column("reason")
    return _batch(_OUTCOME, [names, column("digest"), kinds, availability, code, reason, column("size"), column("media_type")])


def _blob_batch(plan: PushPlan) -> pa.RecordBatch:
    notes = {blob.digest: note for note in ("archived", "undetermined") for blob in getattr(plan, note)}
    parts: list[tuple[str, Sequence[Descriptor]]] = [
        ("upload", plan.to_upload),
        ("present", plan.present),
        ("skip", plan.skipped),
        ("put", plan.manifests),
    ]
    rows = [(blob.digest, action, notes.get(blob.digest), blob.size, blob.media_type) for action, part in parts for blob in part]
    digests, actions, noted, sizes, media_types = zip(*rows, strict=True) if rows else ((),) * 5
    repository = None if plan.repository is None else str(plan.repository)
    return _batch(_BLOB, [[repository] * len(rows), digests, actions, noted, sizes, media_types])


def _batch(schema: Any, columns: list[Sequence[Any]]) -> pa.RecordBatch:
    arrays = [_array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    batch: pa.RecordBatch = _ARROW.RecordBatch.from_arrays(arrays, schema=schema)
    return batch


def _array(values: Sequence[Any], kind: Any) -> Any:
    try:
        return _ARROW.array(values, kind)
    except UnicodeEncodeError:  # a digest that was refused may hold half a surrogate pair, for which UTF-8 has no bytes
        return _ARROW.array([value and value.encode(errors="backslashreplace").decode() for value in values], kind)
