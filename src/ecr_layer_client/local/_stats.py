"""What the local registry was asked and how it answered."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

_LOCK = (
    threading.Lock()
)  # one for all, held for a moment: a registry and who resets its counts may be in two threads


@dataclass(slots=True)
class Stats:
    """The requests that a `LocalECR` answered since it was made, or since `reset()`.

    Attributes:
        requests: how many, refused ones included.
        digests_checked: how many digests the answered `BatchCheckLayerAvailability` requests held,
            repeats included.
        by_operation: operation -> outcome -> count. An outcome is "ok", the error code that was
            answered, the name of the fault that was played ("cut_at", "reset", "503" ...), or
            "abandoned" when the caller gave up first or the registry was closed. A download counts
            as operation "GetLayer"; what names none of the operations that are served counts as
            operation "". Each read gives the counts of one moment.

    >>> stats = Stats()
    >>> stats.count("DescribeRepositories", "ok")
    >>> stats.by_operation
    {'DescribeRepositories': {'ok': 1}}
    """

    requests: int = 0
    digests_checked: int = 0
    by_operation: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])

    def count(self, operation: str, outcome: str) -> None:
        """Count one answer; the registry calls this, tests need not."""
        with _LOCK:
            outcomes = self.by_operation.get(operation, {})
            self.by_operation = {
                **self.by_operation,
                operation: {**outcomes, outcome: outcomes.get(outcome, 0) + 1},
            }
            self.requests += 1

    def count_digests(self, checked: int) -> None:
        """Count the digests of one answered check; the registry calls this, tests need not."""
        with _LOCK:
            self.digests_checked += checked

    def reset(self) -> None:
        """Start counting again from nothing."""
        with _LOCK:
            self.requests = self.digests_checked = 0
            self.by_operation = {}
