"""The performance targets of the library.

Each target bounds a ratio, or a difference, of medians of one run.
"""

from __future__ import annotations

from functools import partial
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
    dicts = work("aiobotocore", count)
    grouped, streamed = work("signed-groups", count), partial(work, "signed-streamed")
    more = 3 * count
    shorter, longer = (streamed(each, shape="made on demand") for each in (count, 10 * count))
    at_latency = [work("signed", count, each, LATENCY) for each in IN_FLIGHT]
    walls = [quotient(figures.median(trial, "wall"), ideal(trial)) for trial in at_latency]
    late = Trial("late", "signed", count)
    stall = figures.median(late, "stall")

    def cpu(trial: Trial, to: Trial = dicts) -> float | None:
        return figures.ratio(trial, to, "cpu")

    return [
        Bar("CPU, `check_layers`, four groups read, x aiobotocore's dicts", 0.45, cpu(grouped)),
        Bar(
            f"CPU, the same with {more:,} digests, x aiobotocore's dicts",
            0.48,
            cpu(work("signed-groups", more), work("aiobotocore", more)),
        ),
        Bar(
            "CPU, `check_layers`, four groups read, x capo-ecr's dicts",
            0.70,
            cpu(grouped, work("capo", count)),
        ),
        Bar(
            "CPU, `check_layers`, each model read, x aiobotocore's dicts",
            0.55,
            cpu(work("signed-each", count)),
        ),
        Bar(
            "CPU, streamed from an iterator, x aiobotocore's dicts",
            0.42,
            cpu(streamed(count, shape="iterator")),
        ),
        Bar(
            "CPU, streamed from an async generator, x aiobotocore's dicts",
            0.45,
            cpu(streamed(count, shape="async generator")),
        ),
        Bar(
            "CPU, client transport, `check_layers`, x aiobotocore's dicts",
            0.90,
            cpu(work("client", count)),
        ),
        Bar(
            "CPU, client transport, streamed, x aiobotocore's dicts",
            0.78,
            cpu(work("client-streamed", count)),
        ),
        Bar(
            "memory of results held, x aiobotocore's dicts",
            0.45,
            figures.ratio(work("signed", count), dicts, "grown"),
        ),
        Bar(
            "additional memory of a stream ten times as long, MiB",
            4.0,
            _more(figures, longer, shorter),
        ),
        Bar(
            "longest stall of the event loop during a check, ms",
            20.0,
            None if stall is None else 1000 * stall,
        ),
        Bar(
            "longest stall of the event loop during a check, x aiobotocore + `model_validate`",
            0.25,
            figures.ratio(late, Trial("late", "aiobotocore-models", count), "stall"),
        ),
        Bar("wall time at 50 ms, 10 in flight, x ideal", 1.08, walls[0]),
        Bar("wall time at 50 ms, 50 in flight, x ideal", 1.30, walls[1]),
        Bar(
            "import, x capo-ecr",
            1.0,
            figures.ratio(Trial("import", "ours"), Trial("import", "capo"), "seconds"),
        ),
        Bar(
            "longest stall of the event loop while opening, x aiobotocore",
            0.25,
            _of_aiobotocore(figures, "stall", "stall"),
        ),
        Bar(
            "first response of a new process, x aiobotocore",
            1.10,
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
