"""Objects without a truth value."""

from __future__ import annotations


def no_truth_value(value: object, instead: str) -> TypeError:
    """Return the error for an object that is used as a condition.

    "Is everything available?" and "was anything checked?" are easily confused, so a truth value
    would be a guess.
    """
    return TypeError(f"{type(value).__name__} has no truth value: use {instead}")
