"""The performance targets of the library.

Each target bounds a ratio, or a difference, of medians of one run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from figures import Trial, quotient
from tables import IN_FLIGHT, LATENCY, ideal, lines, number, work

if TYPE_CHECKING:
    from figures import Figures

_MIB = 1 / 1024


class Bar(NamedTuple):
    """A target: what is measured, its bound, and the measured value (None if not measured)."""

    measured: str
    bound: float
    value: float | None


def bars(figures: Figures, count: int) -> list[Bar]:
    """Return all targets with their measured values."""
    held, streamed = work("signed", count), work("signed-streamed", count)
    dicts, models = work("aiobotocore", count), work("aiobotocore-models", count)
    shorter, longer = (work("signed-streamed", each, lazy=True) for each in (count, 10 * count))
    at_latency = [work("signed", count, each, LATENCY) for each in IN_FLIGHT]
    walls = [quotient(figures.median(trial, "wall"), ideal(trial)) for trial in at_latency]

    return [
        Bar(
            "CPU, signed transport, `check_layers`, x aiobotocore's dicts",
            0.62,
            figures.ratio(held, dicts, "cpu"),
        ),
        Bar(
            "CPU, signed transport, `check_layers`, x aiobotocore + `model_validate`",
            0.48,
            figures.ratio(held, models, "cpu"),
        ),
        Bar(
            "CPU, signed transport, streamed and dropped, x aiobotocore's dicts",
            0.45,
            figures.ratio(streamed, dicts, "cpu"),
        ),
        Bar(
            "CPU, client transport, `check_layers`, x aiobotocore's dicts",
            1.10,
            figures.ratio(work("client", count), dicts, "cpu"),
        ),
        Bar(
            "CPU, client transport, streamed, x aiobotocore's dicts",
            0.80,
            figures.ratio(work("client-streamed", count), dicts, "cpu"),
        ),
        Bar("wall time at 50 ms, 10 in flight, x ideal", 1.08, walls[0]),
        Bar("wall time at 50 ms, 50 in flight, x ideal", 1.20, walls[1]),
        Bar(
            "memory of results held, x aiobotocore's dicts",
            1.45,
            figures.ratio(held, dicts, "grown"),
        ),
        Bar(
            "additional memory of a stream ten times as long, MiB",
            4.0,
            _more(figures, longer, shorter),
        ),
        Bar(
            "import, x capo-ecr",
            1.15,
            figures.ratio(Trial("import", "ours"), Trial("import", "capo"), "seconds"),
        ),
        Bar(
            "longest stall of the event loop while opening, x aiobotocore",
            0.25,
            _of_aiobotocore(figures, "stall", "stall"),
        ),
        Bar(
            "first response of a new process, x aiobotocore",
            1.0,
            _of_aiobotocore(figures, "first", "elapsed"),
        ),
    ]


def _more(figures: Figures, trial: Trial, than: Trial) -> float | None:
    more, less = figures.median(trial, "grown"), figures.median(than, "grown")
    return None if more is None or less is None else (more - less) * _MIB


def _of_aiobotocore(figures: Figures, kind: str, quantity: str) -> float | None:
    return figures.ratio(Trial(kind, "signed"), Trial(kind, "aiobotocore"), quantity)


def markdown(figures: Figures, count: int) -> str:
    """Return the targets that were measured, as a table."""
    measured = [bar for bar in bars(figures, count) if bar.value is not None]
    rows = [
        (
            bar.measured,
            f"{bar.bound:.2f}",
            number(bar.value, ".2f"),
            "yes" if (bar.value or 0) <= bar.bound else "**no**",
        )
        for bar in measured
    ]
    return lines(("target", "at most", "measured", "met"), rows)
