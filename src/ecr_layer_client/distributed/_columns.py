"""The columns of tables: which must be there, which are added, and the texts in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.record_batches import pa
from ecr_layer_client._text.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

# pyarrow without types, because its stubs are incomplete.
_ARROW: Any = pa
_MAX_NAMED = 10  # columns in a message


def check_table(rows: object, wanted: Sequence[str], reserved: Sequence[str] = ()) -> None:
    """Refuse what is not a table with columns of text that are wanted, and none that is reserved.

    Raises:
        InvalidInputError: The message names the column.
    """
    if not isinstance(rows, pa.Table):
        msg = (
            f"rows=<{type(rows).__name__}> must be a pyarrow.Table: convert it, or let the engine "
            "pass tables, in Ray Data with batch_format='pyarrow'"
        )
        raise InvalidInputError(msg)
    check_schema(rows.schema, wanted, reserved)


def check_schema(schema: Any, wanted: Sequence[str], reserved: Sequence[str] = ()) -> None:
    """Refuse a schema, as `check_table` does.

    Raises:
        InvalidInputError: The message names the column.
    """
    taken = next((name for name in schema.names if name in reserved), None)
    if taken is not None:
        msg = (
            f"the table has a column {taken!r}, which is the name of an output column: "
            "rename it, for example with table.rename_columns"
        )
        raise InvalidInputError(msg)
    for name in wanted:
        _check_column(schema, name)


def _check_column(schema: Any, name: str) -> None:
    found = schema.get_all_field_indices(name)
    if len(found) != 1:
        how_many = "no column" if not found else f"{len(found)} columns"
        more = ", ..." if len(schema.names) > _MAX_NAMED else ""
        has = ", ".join(map(quoted, schema.names[:_MAX_NAMED])) + more or "none"
        msg = f"the table has {how_many} {name!r}, and needs one (its columns: {has})"
        raise InvalidInputError(msg)

    kind = schema.field(found[0]).type
    if not _is_text(kind):
        msg = (
            f"column {name!r} has the type {quoted(str(kind))}, and must be a column of strings: "
            "cast it, for example to pyarrow.string()"
        )
        raise InvalidInputError(msg)


def _is_text(kind: Any) -> bool:
    types = _ARROW.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    kinds = (types.is_string, types.is_large_string, types.is_string_view, types.is_null)
    return any(is_kind(kind) for is_kind in kinds)


def texts(rows: Any, name: str) -> list[str | None]:
    """Return the texts of a column.

    Raises:
        InvalidInputError: A text is not valid UTF-8.
    """
    try:
        column: list[str | None] = rows.column(name).to_pylist()
    except UnicodeDecodeError:
        msg = f"column {name!r} has a text that is not valid UTF-8: decode it where you read it"
        raise InvalidInputError(msg) from None
    return column


def check_names(**columns: str) -> tuple[str, ...]:
    """Return the names of columns, by the arguments that give them.

    Raises:
        InvalidInputError: A name is not a str, or two are the same.
    """
    for argument, name in columns.items():
        if not isinstance(name, str) or not name:
            msg = f"{argument}={quoted(name)} must be the name of a column, a str that is not empty"
            raise InvalidInputError(msg)

    names = tuple(columns.values())
    if len(set(names)) < len(names):
        msg = f"{' and '.join(columns)} name the same column {names[0]!r}: name two columns"
        raise InvalidInputError(msg)
    return names
