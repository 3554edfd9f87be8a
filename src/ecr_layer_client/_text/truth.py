"""Objects without a truth value."""

from __future__ import annotations


def no_truth_value(value: object, instead: str) -> TypeError:
    """Return the error of an object that is used as a condition.

    "Is all there?" and "was anything asked?" are too easily confused, so neither is guessed.
    """
    return TypeError(f"{type(value).__name__} has no truth value: use {instead}")
