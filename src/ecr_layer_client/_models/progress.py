"""`Progress`: how far an operation has come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation has come, in distinct digests.

    Attributes:
        pulled: The digests taken from the input so far.
        answered: The number of those that are answered.
        total: The digests in the whole input. None while that is not known, as for a generator.

    Example:
        >>> Progress(pulled=200, answered=100, total=None).answered
        100
    """

    pulled: int
    answered: int
    total: int | None
