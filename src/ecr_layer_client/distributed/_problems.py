"""`Problem`: why a row of a table has no outcome."""

from __future__ import annotations

from typing import NamedTuple

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.repository import Repository


class Problem(NamedTuple):
    """The name of an exception's class, and its message. Both are None if there is no problem."""

    error: str | None
    message: str | None


NO_PROBLEM = Problem(None, None)
NO_DIGEST = Problem("InvalidInputError", "the digest is null: give a digest, or drop the row")
_NO_REPOSITORY = Problem(
    "InvalidInputError", "the repository is null: give its name, its registry URI or its ARN"
)


def problem_of(error: Exception) -> Problem:
    """Return the problem of the rows that an exception concerns."""
    return Problem(type(error).__name__, str(error))


def parsed(text: str | None) -> Repository | Problem:
    """Return the repository that a row names, or why it names none."""
    if text is None:
        return _NO_REPOSITORY
    try:
        return Repository.parse(text)
    except InvalidInputError as error:
        return problem_of(error)
