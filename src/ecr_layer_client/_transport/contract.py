"""Bodies of responses, held to the contract of their operation; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import BaseModel, FailFast, ValidationError

from ecr_layer_client._models.call_errors import ResponseError
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.repeated_members import repeated_member
from ecr_layer_client._text.validation_errors import first_problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import TypeAdapter

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

# Of a list in a response, only the first problem is looked for: there may be a million.
Rows = Annotated[list[T], FailFast()]


def parse_response(
    adapter: TypeAdapter[M], body: bytes, quotes: Callable[[M], int] | None = None
) -> M:
    """Read the body of a response strictly.

    Args:
        adapter: Of the shape that the operation promises.
        body: The body.
        quotes: Returns the number of quotes in a body that has only what was read. A body with a
            name twice has more of them, and a slower search finds it. Default None: always search.

    Raises:
        ResponseError: It is not JSON, has a name twice, or is not of the promised shape.
    """
    try:
        parsed = adapter.validate_json(body, strict=True)
    except ValidationError as error:
        where, message, value, _ = first_problem(error)
        msg = (
            f"ECR's response breaks its contract: {where or 'the body'}: {message}, "
            f"in {len(body)} bytes: {quoted(value)}"
        )
        raise ResponseError(msg) from None

    if quotes is None or body.count(b'"') != quotes(parsed):
        refuse_repeated_names(body)
    return parsed


def refuse_repeated_names(body: bytes) -> None:
    """Raise ResponseError if an object in a JSON text has a name twice: parsers disagree on it.

    Parsers disagree on NaN and Infinity, too.
    """
    try:
        repeated = repeated_member(body)
    except ValueError as error:
        msg = f"ECR's response breaks its contract: {error}"
        raise ResponseError(msg) from None
    if repeated is not None:
        msg = f"ECR's response breaks its contract: it has the key {quoted(repeated)} twice"
        raise ResponseError(msg)
