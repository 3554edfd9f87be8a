"""Outcomes as Arrow record batches. Of this package, this module alone imports pyarrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import pyarrow as pa
except ImportError as _missing:
    _message = "tables need pyarrow: pip install 'ecr-layer-client[arrow]'"
    raise ImportError(_message) from _missing

from .layer import LayerAvailability, LayerFailureCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from .layer import LayerOutcome


__all__ = ["outcome_reader", "pa", "record_batch", "stream", "to_pandas"]

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


def outcome_reader(
    results: Iterable[tuple[str, Sequence[LayerOutcome]]],
) -> pa.RecordBatchReader:
    """Return a reader with one row for each outcome of pairs (repository, outcomes)."""
    batches = (_outcome_batch(names, some) for names, some in _chunks(results))
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


def _chunks(
    results: Iterable[tuple[str, Sequence[LayerOutcome]]],
) -> Iterator[tuple[list[str], list[LayerOutcome]]]:
    """Yield chunks of outcomes, with the repository of each outcome."""
    names: list[str] = []
    some: list[LayerOutcome] = []

    for name, outcomes in results:
        for start in range(0, len(outcomes), _ROWS_PER_BATCH):
            taken = outcomes[start : start + _ROWS_PER_BATCH]
            names += [name] * len(taken)
            some += taken
            if len(some) >= _ROWS_PER_BATCH:
                yield names, some
                names, some = [], []

    if some:
        yield names, some


def _outcome_batch(names: list[str], some: list[LayerOutcome]) -> pa.RecordBatch:
    # Reading each attribute of each outcome would take twice as long.
    facts = [*map(vars, some)]

    def column(name: str) -> list[Any]:
        return [fact.get(name) for fact in facts]

    def in_words_of_ecr(name: str, unknown: object) -> list[Any]:
        words = column(name)
        if unknown in words:
            return [fact.get(f"raw_{name}") or fact.get(name) for fact in facts]
        return words

    availability = in_words_of_ecr("availability", LayerAvailability.UNKNOWN)
    code = in_words_of_ecr("code", LayerFailureCode.UNKNOWN)
    what = [names, column("digest"), column("outcome"), availability, code, column("reason")]
    return record_batch(_OUTCOME, [*what, column("size"), column("media_type")])


def record_batch(schema: Any, columns: list[Sequence[Any]]) -> pa.RecordBatch:
    """Return a record batch of columns."""
    arrays = [_array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    batch: pa.RecordBatch = _ARROW.RecordBatch.from_arrays(arrays, schema=schema)
    return batch


def _array(values: Sequence[Any], kind: Any) -> Any:
    try:
        return _ARROW.array(values, kind)
    except UnicodeEncodeError:
        # A malformed digest may have an unpaired surrogate, which can't be encoded as UTF-8.
        escaped = [value and value.encode(errors="backslashreplace").decode() for value in values]
        return _ARROW.array(escaped, kind)
