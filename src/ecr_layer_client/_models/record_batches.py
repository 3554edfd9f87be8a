"""Outcomes as Arrow record batches. The only module of the values that imports pyarrow."""

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

_ARROW: Any = pa  # for what its stubs leave unknown
# Of a batch: even of the longest reasons, an answer of 4 MiB for 100 digests, well below the 2 GiB
# of an Arrow string column.
_ROWS = 10_000
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
    """Return a reader of one row an outcome.

    Each result is the name of its repository and its outcomes.
    """
    batches = (_outcome_batch(names, some) for names, some in _parts(results))
    return pa.RecordBatchReader.from_batches(_OUTCOME, batches)


def stream(reader: pa.RecordBatchReader, requested_schema: object | None) -> object:
    """Return a reader as the PyCapsule of an Arrow stream, its columns cast as far as the schema that is asked for says so.

    Raises:
        ValueError: The schema asks for other columns.
    """
    untyped: Any = reader
    capsule: object = untyped.__arrow_c_stream__(requested_schema)
    return capsule


def to_pandas(reader: pa.RecordBatchReader) -> pd.DataFrame:
    """Return a DataFrame whose `size` is `Int64`, which knows nulls.

    A float, as pandas would have it, does not hold every size.

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


def _parts(
    results: Iterable[tuple[str, Sequence[LayerOutcome]]],
) -> Iterator[tuple[list[str], list[LayerOutcome]]]:
    """Yield outcomes, each with the name of its repository, some thousands at a time."""
    names: list[str] = []
    some: list[LayerOutcome] = []
    for name, outcomes in results:
        for start in range(0, len(outcomes), _ROWS):
            taken = outcomes[start : start + _ROWS]
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
        return (
            [fact.get(raw) or fact.get(name) for fact in facts]
            if raw
            else [fact.get(name) for fact in facts]
        )

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
    return record_batch(
        _OUTCOME,
        [
            names,
            column("digest"),
            kinds,
            availability,
            code,
            reason,
            column("size"),
            column("media_type"),
        ],
    )


def record_batch(schema: Any, columns: list[Sequence[Any]]) -> pa.RecordBatch:
    """Return a record batch of the columns."""
    arrays = [_array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    batch: pa.RecordBatch = _ARROW.RecordBatch.from_arrays(arrays, schema=schema)
    return batch


def _array(values: Sequence[Any], kind: Any) -> Any:
    try:
        return _ARROW.array(values, kind)
    except (
        UnicodeEncodeError
    ):  # a digest that was refused may hold half a surrogate pair, for which UTF-8 has no bytes
        return _ARROW.array(
            [value and value.encode(errors="backslashreplace").decode() for value in values], kind
        )
