"""The first problem that pydantic found, for a message of one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pydantic import ValidationError


class Problem(NamedTuple):
    """One thing that is wrong with a value.

    Attributes:
        where: The path to it, with dots between the names. Empty for the value itself.
        message: pydantic's words, or the words of our own validator.
        value: What was given.
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
    # pydantic puts "Value error, " before the words of our own validators.
    if first["type"] == "value_error":
        message = str(first.get("ctx", {})["error"])
    return Problem(".".join(map(str, first["loc"])), message, first["input"], first["type"])
