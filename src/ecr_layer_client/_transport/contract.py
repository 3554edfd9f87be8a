"""Bodies of responses, held to the contract of their operation; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from ecr_layer_client._models.call_errors import ResponseError
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.validation_errors import first_problem

if TYPE_CHECKING:
    from pydantic import TypeAdapter

M = TypeVar("M", bound=BaseModel)


def parse_response(adapter: TypeAdapter[M], body: bytes) -> M:
    """Read the body of a response strictly.

    Raises:
        ResponseError: It is not JSON, or not of the shape that the operation promises.
    """
    try:
        return adapter.validate_json(body, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        where, message, value, _ = first_problem(error)
        msg = (
            f"ECR's response breaks its contract: {where or 'the body'}: {message}, "
            f"in {len(body)} bytes: {quoted(value)}"
        )
        raise ResponseError(msg) from None
