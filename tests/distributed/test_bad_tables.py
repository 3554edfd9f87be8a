"""A checker refuses wrong arguments, tables and columns, in a message that names the column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from distributed.steps import ADDED, digest, keys, table
from ecr_layer_client import ClientConfig, InvalidInputError
from ecr_layer_client.distributed import TableChecker

if TYPE_CHECKING:
    from collections.abc import Callable

    CheckerOf = Callable[..., TableChecker]

ROWS = table(("team/app", digest(1)))


def _without_utf8() -> Any:
    buffers = [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
    return pa.Array.from_buffers(pa.string(), 1, buffers)


def _with(name: str, values: Any) -> Any:
    return pa.table({"repository": ["team/app"], "digest": [digest(1)]} | {name: values})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"repository": []}, r"rows=<dict> must be a pyarrow.Table"),
        (
            pa.table({"repository": ["a"], "hash": ["b"]}),
            r"no column 'digest', and needs one \(its columns: 'repository', 'hash'\)",
        ),
        (pa.table({}), r"no column 'repository', and needs one \(its columns: none\)"),
        (
            pa.table({f"c{number}": [1] for number in range(11)}),
            r"no column 'repository', .* 'c9', \.\.\.\)",
        ),
        (
            ROWS.append_column("digest", pa.array(["c"])),
            r"2 columns 'digest'",
        ),
        (_with("digest", [1]), r"column 'digest' has the type 'int64', and must be a column of"),
        (_with("repository", [b"app"]), r"column 'repository' has the type 'binary'"),
        (
            _with("digest", pa.array([1], pa.dictionary(pa.int8(), pa.int64()))),
            r"column 'digest' has the type 'dictionary<values=int64",
        ),
        (_with("digest", _without_utf8()), r"column 'digest' has a text that is not valid UTF-8"),
    ],
    ids=[
        *("no-table", "no-column", "no-columns", "many-columns", "two-columns", "int", "binary"),
        *("dictionary", "not-utf-8"),
    ],
)
def test_bad_tables(checker_of: CheckerOf, rows: Any, message: str) -> None:
    """A table that can't be checked is refused before any request."""
    with pytest.raises(InvalidInputError, match=message):
        checker_of().run(rows)


@pytest.mark.parametrize("name", ADDED)
def test_reserved_columns(name: str) -> None:
    """An input column that has the name of an output column is refused."""
    rows: Any = ROWS.append_column(name, [[1]])
    with pytest.raises(InvalidInputError, match=f"a column '{name}', which is the name of an out"):
        TableChecker().schema(rows.schema)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "region": ({"region_name": ""}, "region_name='' must be a str that is not empty"),
    "endpoint": ({"endpoint_url": "http://example.com"}, "plain http to another machine"),
    "config": ({"config": {"batch_size": 1}}, "config=<dict> must be a ClientConfig"),
    "credentials": ({"credentials": "AKIA"}, "credentials=<str> must be an async function"),
    "credentials-for": ({"credentials_for": 5}, "credentials_for=<int> must be"),
    "both": ({"credentials": keys, "credentials_for": print}, "can't be used with"),
    "column": ({"digest": ""}, "digest='' must be the name of a column"),
    "column-type": ({"repository": 1}, "repository=1 must be the name of a column"),
    "same-column": ({"digest": "repository"}, "name the same column 'repository'"),
    "observer": ({"observer": print}, "observer=<builtin_function_or_method> must be"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=list(BAD))
def test_bad_arguments(options: dict[str, Any], message: str) -> None:
    """An argument that is not valid is refused where the checker is made."""
    with pytest.raises(InvalidInputError, match=message):
        TableChecker(**options)


def test_repr() -> None:
    """The repr is one line, without the credentials."""
    shown = repr(TableChecker(region_name="eu-west-1", credentials=keys, config=ClientConfig()))
    assert shown == "<TableChecker region_name='eu-west-1' endpoint_url=None>"
