"""The performance targets of the library, and the sentences about them.

Each target bounds a ratio, or a difference, of medians of one run.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from contenders import BATCH_SIZE
from figures import Trial, quotient
from tables import IN_FLIGHT, LATENCY, ideal, lines, number, work

if TYPE_CHECKING:
    from figures import Figures

_MIB = 1 / 1024


class Bar(NamedTuple):
    """A target.

    Attributes:
        measured: What is measured.
        bound: The highest value that meets the target.
        value: The measured value. None: not measured.
        limit: What keeps the value from being lower.
    """

    measured: str
    bound: float
    value: float | None
    limit: str


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
        Bar(
            "CPU of `check_layers` and its four groups, x aiobotocore",
            0.45,
            cpu(grouped),
            "parsing of the rows of each response",
        ),
        Bar(
            f"CPU of `check_layers` and its four groups, {more:,} digests, x aiobotocore",
            0.48,
            cpu(work("signed-groups", more), work("aiobotocore", more)),
            "parsing of the rows of each response",
        ),
        Bar(
            "CPU of `check_layers` and its four groups, x capo-ecr",
            0.70,
            cpu(grouped, work("capo", count)),
            "parsing of the rows of each response",
        ),
        Bar(
            "CPU of `check_layers` and each model, x aiobotocore",
            0.55,
            cpu(work("signed-each", count)),
            "it makes a model for each digest",
        ),
        Bar(
            "CPU of `stream_layers` over an iterator, x aiobotocore",
            0.42,
            cpu(streamed(count, shape="iterator")),
            "it makes a model for each digest",
        ),
        Bar(
            "CPU of `stream_layers` over an async generator, x aiobotocore",
            0.45,
            cpu(streamed(count, shape="async generator")),
            "each step of the generator costs time",
        ),
        Bar(
            "CPU of `check_layers`, client transport, x aiobotocore",
            0.90,
            cpu(work("client", count)),
            "aiobotocore's own client method takes most of the CPU time",
        ),
        Bar(
            "CPU of `stream_layers`, client transport, x aiobotocore",
            0.78,
            cpu(work("client-streamed", count)),
            "aiobotocore's own client method takes most of the CPU time",
        ),
        Bar(
            "memory of a result, x aiobotocore",
            0.45,
            figures.ratio(work("signed", count), dicts, "grown"),
            "the text of each digest",
        ),
        Bar(
            "additional memory of a stream ten times as long, MiB",
            4.0,
            _more(figures, longer, shorter),
            "the batches in flight",
        ),
        Bar(
            "longest stall of the event loop during a check, ms",
            20.0,
            None if stall is None else 1000 * stall,
            "the longest piece of work without an `await`",
        ),
        Bar(
            "longest stall during a check, x aiobotocore with models",
            0.25,
            figures.ratio(late, Trial("late", "aiobotocore-models", count), "stall"),
            "the longest piece of work without an `await`",
        ),
        Bar(
            "time of a check at 50 ms, 10 requests in flight, x ideal",
            1.08,
            walls[0],
            "responses arrive together, and each waits for the CPU time of those before it",
        ),
        Bar(
            "time of a check at 50 ms, 50 requests in flight, x ideal",
            1.30,
            walls[1],
            "the CPU time is longer than the waits",
        ),
        Bar(
            "import, x capo-ecr",
            1.0,
            figures.ratio(Trial("import", "ours"), Trial("import", "capo"), "seconds"),
            "the import of pydantic",
        ),
        Bar(
            "longest stall of the event loop while opening, x aiobotocore",
            0.25,
            _of_aiobotocore(figures, "stall", "stall"),
            "one visit of the garbage collector while a thread imports aiobotocore",
        ),
        Bar(
            "first response of a new process, x aiobotocore",
            1.10,
            _of_aiobotocore(figures, "first", "elapsed"),
            "this library imports pydantic and aiobotocore",
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
            "yes" if (bar.value or 0) <= bar.bound else f"**no**: {bar.limit}",
        )
        for bar in measured
    ]
    return lines(("target", "at most", "measured", "met"), rows, words="met")


def summary(figures: Figures, count: int) -> str:
    """Return in three sentences what a check costs beside aiobotocore."""
    held, streamed, client = (
        number(figures.ratio(work(name, count), work("aiobotocore", count), "cpu"), ".2f")
        for name in ("signed", "signed-streamed", "client")
    )
    seconds = figures.median(work("signed", count), "cpu")
    calls = number(quotient(count / BATCH_SIZE, seconds), ",.0f")
    return (
        f"A check with this library takes {held} times the CPU of plain aiobotocore, and "
        f"{streamed} times if you stream the outcomes.\n"
        f"With your own session or client, it takes {client} times the CPU of aiobotocore.\n"
        f"One core sends {calls} requests a second, each with {BATCH_SIZE} digests; ECR's default "
        "quota is 1,000."
    )
