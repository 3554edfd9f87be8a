"""What trials came to: samples of each, and their medians."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Trial:
    """What is run in a process of its own, round after round.

    Attributes:
        kind: As `trial.py` calls it, or `import`.
        contender: Whose it is; of an import, the statement.
        count: Digests.
        in_flight: Requests in flight.
        latency: Seconds the stub waits with each answer.
        lazy: Whether the digests come from a generator.
    """

    kind: str
    contender: str
    count: int = 0
    in_flight: int = 10
    latency: float = 0.0
    lazy: bool = False

    def __str__(self) -> str:
        parts = [self.kind, self.contender]
        if self.count:
            parts.append(f"{self.count:,} digests, {self.in_flight} in flight")
        if self.latency:
            parts.append(f"{self.latency * 1000:.0f} ms")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Figures:
    """The samples of every trial."""

    _samples: dict[Trial, list[Mapping[str, float | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, trial: Trial, sample: Mapping[str, float | None]) -> None:
        """Add what one round gave."""
        self._samples[trial].append(sample)

    def has(self, trial: Trial) -> bool:
        """Say whether it was run."""
        return trial in self._samples

    def latest(self, trial: Trial, quantity: str) -> float | None:
        """Return what the last round gave."""
        return self._samples[trial][-1].get(quantity)

    def median(self, trial: Trial, quantity: str) -> float | None:
        """Return the median of a quantity over the rounds; None where it was not measured."""
        measured = [
            value
            for sample in self._samples.get(trial, ())
            if (value := sample.get(quantity)) is not None
        ]
        return median(measured) if measured else None

    def ratio(self, trial: Trial, to: Trial, quantity: str) -> float | None:
        """Return the quotient of two medians; None where one of them was not measured."""
        return quotient(self.median(trial, quantity), self.median(to, quantity))


def quotient(value: float | None, to: float | None) -> float | None:
    """Return a quotient; None where there is none."""
    return value / to if value is not None and to else None
