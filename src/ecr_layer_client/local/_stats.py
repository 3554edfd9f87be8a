"""Statistics: the requests that the local registry received, and how each of them ended."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

# One short lock for all objects: one thread may count while another one resets the counts.
_LOCK = threading.Lock()


@dataclass(slots=True)
class Stats:
    """The requests of a `LocalECR` since it was created, or since `reset()`.

    Attributes:
        requests: how many requests were answered, rejected ones included.
        digests_checked: how many digests the answered `BatchCheckLayerAvailability` requests had,
            repeats included.
        by_operation: operation -> outcome -> count. An outcome is one of these:

            - "ok"
            - the error code of the response
            - the name of the fault that affected the request ("cut_at", "reset", "503" ...)
            - "abandoned", when the caller gave up first or the registry was closed

            A download counts as operation "GetLayer", and a request to `/v2/` as the operation of
            ECR that it is for, such as "PutImage". An operation that is not served counts under
            its name, and a request that names no operation counts as operation "". Each read
            returns the counts of one moment.

    >>> stats = Stats()
    >>> stats.count("DescribeRepositories", "ok")
    >>> stats.by_operation
    {'DescribeRepositories': {'ok': 1}}
    """

    requests: int = 0
    digests_checked: int = 0
    by_operation: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])

    def count(self, operation: str, outcome: str) -> None:
        """Count one request. The registry calls this method, tests need not."""
        with _LOCK:
            outcomes = self.by_operation.get(operation, {})
            self.by_operation = {
                **self.by_operation,
                operation: {**outcomes, outcome: outcomes.get(outcome, 0) + 1},
            }
            self.requests += 1

    def count_digests(self, checked: int) -> None:
        """Count the digests of one answered check. The registry calls this method."""
        with _LOCK:
            self.digests_checked += checked

    def reset(self) -> None:
        """Set all counts to zero."""
        with _LOCK:
            self.requests = self.digests_checked = 0
            self.by_operation = {}
