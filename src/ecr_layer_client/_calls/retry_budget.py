"""How many retries an account's calls may make, so that an outage is not multiplied.

Pure: it is told the time.
"""

from __future__ import annotations

_PER_REQUEST = 0.1  # retries earned by a request
_PER_SECOND = 10.0
_MOST = 10.0  # saved up at most


class RetryBudget:
    """Ten retries a second, and one more for each ten requests.

    An empty budget delays a retry and refuses none.
    """

    def __init__(self) -> None:
        self._left = _MOST
        self._at = 0.0

    def earn(self) -> None:
        """A request was made."""
        self._left = min(_MOST, self._left + _PER_REQUEST)

    def spend(self, now: float) -> float:
        """Take one retry and return the seconds until it may be made."""
        self._left = min(_MOST, self._left + _PER_SECOND * max(0.0, now - self._at)) - 1
        self._at = now
        return max(0.0, -self._left / _PER_SECOND)
