"""The first problem that pydantic found, for an error message of one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pydantic import ValidationError


class Problem(NamedTuple):
    """One problem with a value.

    Attributes:
        where: The path to the value, with dots between the names. Empty for the whole value.
        message: pydantic's message, or the message of a validator of this library.
        value: The value that was given.
        kind: pydantic's name for the kind of problem, such as `extra_forbidden`.
    """

    where: str
    message: str
    value: Any
    kind: str


def first_problem(error: ValidationError) -> Problem:
    """Return the first problem of a validation error."""
    first = error.errors(include_url=False)[0]
    message = first["msg"]
    # pydantic puts "Value error, " before the messages of this library's validators.
    if first["type"] == "value_error":
        message = str(first.get("ctx", {})["error"])
    return Problem(".".join(map(str, first["loc"])), message, first["input"], first["type"])
