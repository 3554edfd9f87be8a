"""The rule for the `timeout=` of an operation."""

from __future__ import annotations

MAX_TIMEOUT_SECONDS = 1e9
TIMEOUT_RULE = (
    f"must be a number of seconds greater than 0 and less than {MAX_TIMEOUT_SECONDS:,.0f}"
)
