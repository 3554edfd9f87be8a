"""Outcomes as Arrow record batches. Of this package, this module alone imports pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import pyarrow as pa
except ImportError as _missing:
    _message = "tables need pyarrow: pip install 'ecr-layer-client[arrow]'"
    raise ImportError(_message) from _missing

from .layer import LayerFailure
from .outcomes import Outcomes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd
    import polars as pl

    from .layer import LayerOutcome
    from .outcomes import Row


__all__ = [
    "outcome_columns",
    "outcome_reader",
    "pa",
    "record_batch",
    "stream",
    "to_pandas",
    "to_polars",
]

# pyarrow without types, because its stubs are incomplete.
_ARROW: Any = pa
# Even with the longest reasons (a response of 4 MiB for 100 digests), a batch of this many rows
# stays well below the 2 GiB that an Arrow string column can hold.
_ROWS_PER_BATCH = 10_000
_OUTCOME = pa.schema(
    [
        (name, pa.string())
        for name in ("repository", "digest", "outcome", "availability", "code", "reason")
    ]
    + [("size", pa.int64()), ("media_type", pa.string())]
)
# The members of a row without a model.
_FACTS = pa.struct(
    [("availability", pa.string()), ("size", pa.int64()), ("media_type", pa.string())]
)


def outcome_reader(
    results: Iterable[tuple[str, Sequence[LayerOutcome]]],
) -> pa.RecordBatchReader:
    """Return a reader with one row for each outcome of pairs (repository, outcomes)."""
    batches = (_outcome_batch(*chunk) for chunk in _chunks(results))
    return pa.RecordBatchReader.from_batches(_OUTCOME, batches)


def stream(reader: pa.RecordBatchReader, requested_schema: object | None) -> object:
    """Return a reader as an Arrow stream, cast to a consumer's schema if Arrow can cast it.

    Raises:
        ValueError: The requested schema has other columns.
    """
    untyped: Any = reader
    capsule: object = untyped.__arrow_c_stream__(requested_schema)
    return capsule


def to_pandas(reader: pa.RecordBatchReader) -> pd.DataFrame:
    """Return a DataFrame with `Int64`, because a float can't hold every size, and nulls.

    Raises:
        ImportError: pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415 (optional)
    except ImportError as error:
        msg = "to_pandas() needs pandas: pip install pandas"
        raise ImportError(msg) from error

    table: Any = reader.read_all()
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return frame


def to_polars(reader: pa.RecordBatchReader) -> pl.DataFrame:
    """Return a DataFrame of polars.

    Raises:
        ImportError: polars is not installed.
    """
    try:
        import polars as pl  # noqa: PLC0415 (optional)
    except ImportError as error:
        msg = "to_polars() needs polars: pip install polars"
        raise ImportError(msg) from error
    return pl.DataFrame(reader)


def _chunks(
    results: Iterable[tuple[str, Sequence[LayerOutcome]]],
) -> Iterator[tuple[list[str], list[str], list[Row]]]:
    """Yield chunks of repositories, digests and rows."""
    names: list[str] = []
    digests: list[str] = []
    rows: list[Row] = []

    for name, given in results:
        outcomes = Outcomes.of(given)
        for start in range(0, len(outcomes), _ROWS_PER_BATCH):
            taken = outcomes[start : start + _ROWS_PER_BATCH]
            names += [name] * len(taken)
            digests += taken.digests
            rows += taken.rows
            if len(rows) >= _ROWS_PER_BATCH:
                yield names, digests, rows
                names, digests, rows = [], [], []

    if rows:
        yield names, digests, rows


def _outcome_batch(names: list[str], digests: list[str], rows: list[Row]) -> pa.RecordBatch:
    return record_batch(_OUTCOME, [names, digests, *outcome_columns(rows)])


def outcome_columns(rows: list[Any]) -> list[Sequence[Any]]:
    """Return columns: kind of outcome, availability, code, reason, size and media type.

    An unknown value has ECR's spelling.
    """
    try:
        # Many times as fast as `_values`, for rows without models.
        availability, size, media_type = _ARROW.array(rows, _FACTS).flatten()
    except pa.ArrowTypeError:
        return [*zip(*map(_values, rows), strict=True)]

    none = _ARROW.nulls(len(rows), pa.string())
    layer = _ARROW.repeat("layer", len(rows))
    return [layer, availability, none, none, size, media_type]


def _values(row: Row) -> tuple[str | int | None, ...]:
    if isinstance(row, tuple):
        availability, size, media_type = row
        return "layer", availability, None, None, size, media_type
    if isinstance(row, LayerFailure):
        return "failure", None, row.raw_code or row.code, row.reason, None, None
    return "layer", row.raw_availability or row.availability, None, None, row.size, row.media_type


def record_batch(schema: Any, columns: list[Sequence[Any]]) -> pa.RecordBatch:
    """Return a record batch of columns."""
    arrays = [_array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    batch: pa.RecordBatch = _ARROW.RecordBatch.from_arrays(arrays, schema=schema)
    return batch


def _array(values: Any, kind: Any) -> Any:
    if isinstance(values, _ARROW.Array):
        return values

    try:
        if values and values[0] == values[-1] and values.count(values[0]) == len(values):
            # Many columns have one value, and Arrow repeats it in a tenth of the time.
            return _ARROW.repeat(_ARROW.scalar(values[0], kind), len(values))
        return _ARROW.array(values, kind)
    except UnicodeEncodeError:
        # A malformed digest may have an unpaired surrogate, which can't be encoded as UTF-8.
        escaped = [value and value.encode(errors="backslashreplace").decode() for value in values]
        return _ARROW.array(escaped, kind)
