"""The figures of trials: the samples of each trial, and their medians."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field, fields
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Trial:
    """A measurement that runs in a new process in each round.

    Attributes:
        kind: A kind of `trial.py`, or `import`.
        contender: The name of the contender. For an import: a key of `tables.IMPORTS`.
        count: The number of digests.
        in_flight: The most requests in flight.
        latency: Seconds that the stub waits before each response.
        shape: The shape of the input: a key of `trial.py`'s shapes.
    """

    kind: str
    contender: str
    count: int = 0
    in_flight: int = 10
    latency: float = 0.0
    shape: str = "list"

    def __str__(self) -> str:
        parts = [self.kind, self.contender]
        if self.count:
            parts.append(f"{self.count:,} digests, {self.shape}, {self.in_flight} in flight")
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
        """Add the sample of one round."""
        self._samples[trial].append(sample)

    def has(self, trial: Trial) -> bool:
        """Return whether a trial was run."""
        return trial in self._samples

    def latest(self, trial: Trial, quantity: str) -> float | None:
        """Return a quantity of the last round."""
        return self._samples[trial][-1].get(quantity)

    def median(self, trial: Trial, quantity: str) -> float | None:
        """Return the median of a quantity over the rounds, or None if it was not measured."""
        measured = [
            value
            for sample in self._samples.get(trial, ())
            if (value := sample.get(quantity)) is not None
        ]
        return median(measured) if measured else None

    def medians(self) -> list[dict[str, Any]]:
        """Return each trial with its medians, as JSON stores them."""
        return [
            asdict(trial)
            | {
                quantity: self.median(trial, quantity)
                for quantity in dict.fromkeys(chain(*samples))
            }
            for trial, samples in self._samples.items()
        ]

    @classmethod
    def of(cls, medians: Iterable[Mapping[str, Any]]) -> Self:
        """Return the figures that `medians` described."""
        figures = cls()
        names = [field.name for field in fields(Trial)]
        for each in medians:
            sample = {name: value for name, value in each.items() if name not in names}
            figures.add(Trial(**{name: each[name] for name in names}), sample)
        return figures

    def ratio(self, trial: Trial, to: Trial, quantity: str) -> float | None:
        """Return the quotient of two trials' medians, or None if one was not measured."""
        return quotient(self.median(trial, quantity), self.median(to, quantity))


def quotient(value: float | None, to: float | None) -> float | None:
    """Return a quotient, or None if a value is missing or the divisor is 0."""
    return value / to if value is not None and to else None
