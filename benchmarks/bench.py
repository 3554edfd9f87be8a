"""Compare the CPU, memory and time of this library with those of other clients.

`make bench` runs all trials, stores their medians in docs/performance.json, and draws the tables of
docs/performance.md and its charts from them.

Each trial runs in its own process, on one core. The stub that answers the requests runs on another
core, if the machine has two. Rounds are interleaved, and the tables show medians. Compare them
within one run, as ratios: the machine may be slower or faster in another run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import bars
from charts import charts
from contenders import CONTENDERS
from figures import Figures, Trial
from fresh import import_seconds, stub_ecr, trial
from tables import IMPORTS, tables

from ecr_layer_client import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DOCS = Path(__file__).parents[1] / "docs"
_PAGE, _STORED = _DOCS / "performance.md", _DOCS / "performance.json"
_PACKAGES = ("aiobotocore", "aiohttp", "boto3", "botocore", "capo-ecr", "orjson", "pydantic")
# Kinds of trials that take less than a second.
_SHORT = ("import", "stall", "first")
# A stable median needs so many rounds of short trials, and of the checks that others are compared
# with.
_MIN_ROUNDS = 7


def measure(trials: Iterable[Trial], count: int, rounds: int, more_rounds: int) -> Figures:
    """Run all trials, round after round: more rounds of short ones, and of checks of `count`."""
    figures = Figures()
    plan = list(dict.fromkeys(trials))

    with ExitStack() as stack:
        urls = {
            latency: stack.enter_context(stub_ecr("--latency", str(latency)))
            for latency in {each.latency for each in plan}
        }

        for number in range(max(rounds, more_rounds)):
            for each in plan:
                is_check = each.kind == "work" and each.count == count and not each.latency
                if number < (more_rounds if is_check or each.kind in _SHORT else rounds):
                    figures.add(each, _run(each, urls[each.latency]))
                    print(
                        f"round {number + 1}: {each}: {_told(figures, each)}",
                        file=sys.stderr,
                        flush=True,
                    )

    return figures


def _run(each: Trial, url: str) -> Mapping[str, float | None]:
    if each.kind == "import":
        return {"seconds": import_seconds(IMPORTS[each.contender])}
    parameters = {"contender": each.contender, "url": url, "in_flight": each.in_flight}
    if each.kind in {"work", "profile", "late"}:
        parameters["count"] = each.count
    if each.kind == "work":
        parameters["shape"] = each.shape
    return trial(each.kind, **parameters)


def _told(figures: Figures, each: Trial) -> str:
    return ", ".join(
        f"{name} {value:.4g}"
        for name in ("cpu", "wall", "seconds", "stall", "elapsed")
        if (value := figures.latest(each, name))
    )


def machine(command: str) -> str:
    """Return a sentence with the command, the date, the machine and the versions."""
    versions = ", ".join(
        (f"ecr_layer_client {__version__}", *(f"{name} {version(name)}" for name in _PACKAGES))
    )
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return (
        f"`{command}` on {datetime.now(UTC):%Y-%m-%d}; {_processor()}, {os.cpu_count()} cores; "
        f"{platform.system()} {platform.machine()}, {python}; {versions}."
    )


def _processor() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    model = re.search(r"^model name\s*: (.+)$", told, re.MULTILINE)
    return model[1] if model else platform.processor()


def sections(figures: Figures, count: int, machine: str) -> dict[str, str]:
    """Return the sections of the page, by name."""
    made = {
        "summary": bars.summary(figures, count),
        "machine": machine,
        "bars": bars.markdown(figures, count),
    }
    return made | {table.name: table.markdown(figures) for table in tables(count).values()}


def write(sections: Mapping[str, str], page: Path) -> None:
    """Put each section between its markers in the page.

    Raises:
        ValueError: The page lacks the markers of a section.
    """
    text = page.read_text(encoding="utf-8")
    for name, section in sections.items():
        before, begin, rest = text.partition(f"<!-- bench: {name} -->")
        _, end, after = rest.partition("<!-- bench: end -->")
        if not end:
            msg = f"{page} has no markers for {name!r}"
            raise ValueError(msg)
        text = f"{before}{begin}\n\n{section}\n\n{end}{after}"
    page.write_text(text, encoding="utf-8")


def draw(stored: Path = _STORED, page: Path = _PAGE) -> None:
    """Write the sections of the page and its charts from stored medians."""
    run = json.loads(stored.read_text(encoding="utf-8"))
    figures, count = Figures.of(run["trials"]), run["digests"]
    write(sections(figures, count, run["machine"]), page)
    for name, chart in charts(figures, count).items():
        (page.parent / "pictures" / name).write_text(chart, encoding="utf-8")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    parser.add_argument("--rounds", type=int, default=3, help="rounds of each trial (default 3)")
    parser.add_argument(
        "--digests", type=int, default=100_000, help="digests in a check (default 100,000)"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=CONTENDERS,
        metavar="NAME",
        help=f"contenders: {', '.join(CONTENDERS)} (default: all)",
    )
    parser.add_argument(
        "--tables",
        nargs="+",
        choices=tables(1),
        metavar="NAME",
        help=f"tables: {', '.join(tables(1))} (default: all)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one round of 10,000 digests, to see that it runs; the figures mean little",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="also store the figures and write docs/performance.md; needs a complete run",
    )
    parser.add_argument(
        "--draw",
        action="store_true",
        help="measure nothing: write docs/performance.md and its charts from the stored figures",
    )

    options = parser.parse_args(arguments)
    if options.write and (options.quick or options.only or options.tables):
        parser.error("--write takes a whole run, without --quick, --only and --tables")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the tables and, with --write, store the figures and write the page."""
    options = _options(arguments)
    if options.draw:
        draw()
        return

    rounds, count = (1, 10_000) if options.quick else (options.rounds, options.digests)
    chosen = [
        table
        for name, table in tables(count).items()
        if not options.tables or name in options.tables
    ]
    wanted = (
        each
        for table in chosen
        for each in table.trials()
        if not options.only or each.contender in (*options.only, *IMPORTS)
    )

    more_rounds = rounds if options.quick else max(rounds, _MIN_ROUNDS)
    figures = measure(wanted, count, rounds, more_rounds)
    command = (
        "make bench"
        if options.write
        else " ".join(("python", "benchmarks/bench.py", *(arguments or sys.argv[1:])))
    )

    made = sections(figures, count, machine(command))
    print("\n\n".join(section for name, section in made.items() if _is_chosen(name, options)))
    if options.write:
        run = {"machine": made["machine"], "digests": count, "trials": figures.medians()}
        _STORED.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        draw()


def _is_chosen(section: str, options: argparse.Namespace) -> bool:
    """Return whether to print a section. The summary needs a complete run."""
    if section == "summary":
        return not (options.only or options.tables)
    return not options.tables or section not in tables(1) or section in options.tables


if __name__ == "__main__":
    main()
