"""`Progress`: how far an operation is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation is, in distinct digests.

    Attributes:
        pulled: Taken from the input so far.
        answered: Of those, answered.
        total: In the whole input; None while that is not known, as for a generator.

    Example:
        >>> Progress(pulled=200, answered=100, total=None).answered
        100
    """

    pulled: int
    answered: int
    total: int | None
