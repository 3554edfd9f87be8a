"""The retry budget: how many retries an account's calls may make.

It keeps an outage of ECR from being multiplied by retries. Pure: the caller passes the time.
"""

from __future__ import annotations

# Most calls need no retry, so each request adds only a part of one.
_RETRIES_EARNED_PER_REQUEST = 0.1
# A client that sends few requests can still retry.
_RETRIES_EARNED_PER_SECOND = 10.0
# A long time without retries does not allow a burst of them.
_MAX_RETRIES_SAVED = 10.0


class RetryBudget:
    """Allows ten retries a second, and one more for each ten requests.

    An empty budget delays a retry. It never prevents one.
    """

    def __init__(self) -> None:
        self._left = _MAX_RETRIES_SAVED
        self._at = 0.0

    def earn(self) -> None:
        """Count a request, which adds to the budget."""
        self._left = min(_MAX_RETRIES_SAVED, self._left + _RETRIES_EARNED_PER_REQUEST)

    def spend(self, now: float) -> float:
        """Take one retry and return the seconds until it may be made."""
        earned = _RETRIES_EARNED_PER_SECOND * max(0.0, now - self._at)
        self._left = min(_MAX_RETRIES_SAVED, self._left + earned) - 1
        self._at = now
        return max(0.0, -self._left / _RETRIES_EARNED_PER_SECOND)
