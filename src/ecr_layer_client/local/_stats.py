"""What the local registry was asked and how it answered."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Stats:
    """The requests that a `LocalECR` answered since it was made, or since `reset()`.

    Attributes:
        requests: how many, refused ones included.
        digests_checked: how many digests the answered `BatchCheckLayerAvailability` requests held, repeats included.
        by_operation: operation -> outcome -> count. An outcome is "ok", the error code that was answered, the name of the
            fault that was played ("cut_at", "reset", "503" ...), or "abandoned" when the caller gave up first or the registry
            was closed.
            What names none of the operations that are served counts as operation "".

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
        self.requests += 1
        outcomes = self.by_operation.setdefault(operation, {})
        outcomes[outcome] = outcomes.get(outcome, 0) + 1

    def reset(self) -> None:
        """Start counting again from nothing."""
        self.requests = self.digests_checked = 0
        self.by_operation = {}
