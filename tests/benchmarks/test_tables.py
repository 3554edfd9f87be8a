"""The tables that the benchmark makes from its trials."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from bars import bars, markdown
from bench import draw, main, sections, write
from charts import charts
from figures import Figures, Trial
from tables import tables, work

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PAGE = "docs/performance.md"


def _figures(*samples: tuple[Trial, Mapping[str, float]]) -> Figures:
    figures = Figures()
    for trial, sample in samples:
        figures.add(trial, sample)
    return figures


def test_a_row_shows_medians_and_ratios() -> None:
    """Rows show the medians of the rounds, and their ratios to aiobotocore and to the floor."""
    figures = _figures(
        *(
            (work("signed", 1000), {"cpu": cpu, "wall": 2.0, "grown": 2048, "stub": 0.001})
            for cpu in (0.004, 0.9, 0.002)
        ),
        (work("floor", 1000), {"cpu": 0.002}),
        (work("aiobotocore", 1000), {"cpu": 0.016}),
    )

    rows = [tables(1000)[name].markdown(figures).splitlines()[-1] for name in ("cpu", "cost")]
    assert rows == [
        "| **this library**, signed transport | 4.00 | 0.25 | 2,500 |",
        "| **this library**, signed transport | 2.00 | 2.00 | 2.0 | 25% |",
    ]


def test_a_row_that_was_not_measured_is_left_out() -> None:
    """A table has rows only for the contenders that ran."""
    figures = _figures((work("floor", 1000), {"cpu": 0.002}))
    assert len(tables(1000)["cpu"].markdown(figures).splitlines()) == len(("head", "rule", "floor"))


def test_waiting_is_a_ratio_to_the_ideal_time() -> None:
    """Checking 1,000 digests with 10 requests in flight ideally takes one round trip of 50 ms."""
    figures = _figures((work("signed", 1000, 10, 0.05), {"wall": 0.06}))
    assert [bar.value for bar in bars(figures, 1000) if bar.value is not None] == [
        pytest.approx(1.2)
    ]


def test_the_page_has_a_place_for_every_table(root: Path, tmp_path: Path) -> None:
    """Each table has its place in the page, and a new table replaces the previous one."""
    page = tmp_path / "page.md"
    page.write_text((root / _PAGE).read_text(encoding="utf-8"), encoding="utf-8")

    for text in ("first", "second"):
        write({name: f"{text}:{name}" for name in sections(Figures(), 1000, "")}, page)

    written = page.read_text(encoding="utf-8")
    assert (written.count("first:"), written.count("second:")) == (
        0,
        page.read_text(encoding="utf-8").count("<!-- bench: end -->"),
    )


def test_only_a_complete_run_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """The figures of a partial run are not written to the page."""
    with pytest.raises(SystemExit):
        main(["--write", "--quick"])
    assert "--write takes a whole run" in capsys.readouterr().err


def test_the_page_shows_the_stored_figures(root: Path, tmp_path: Path) -> None:
    """The page and its chart are drawn from the stored figures.

    If not, run `python benchmarks/bench.py --draw`.
    """
    docs = root / "docs"
    page, pictures = tmp_path / "performance.md", tmp_path / "pictures"
    pictures.mkdir()
    page.write_text((root / _PAGE).read_text(encoding="utf-8"), encoding="utf-8")
    draw(docs / "performance.json", page)

    drawn = (page, *sorted(pictures.iterdir()))
    assert [path.read_text(encoding="utf-8") for path in drawn] == [
        (docs / path.relative_to(tmp_path)).read_text(encoding="utf-8") for path in drawn
    ]


def test_stored_figures_are_read_back() -> None:
    """Figures that were stored as JSON have the same medians when they are read."""
    figures = _figures(*((work("signed", 1000), {"cpu": cpu}) for cpu in (0.004, 0.9, 0.002)))
    read = Figures.of(json.loads(json.dumps(figures.medians())))
    assert read.median(work("signed", 1000), "cpu") == pytest.approx(0.004)


def test_a_target_that_is_missed_has_a_reason_beside_it() -> None:
    """The row of a missed target ends with what keeps the value from being lower."""
    figures = _figures(
        (Trial("first", "signed"), {"elapsed": 0.4}),
        (Trial("first", "aiobotocore"), {"elapsed": 0.3}),
    )
    assert (
        markdown(figures, 1000)
        .splitlines()[-1]
        .endswith("| 1.10 | 1.33 | **no**: this library imports pydantic and aiobotocore |")
    )


def test_the_chart_has_a_bar_as_long_as_its_value() -> None:
    """A bar of half the CPU has half the length, and its label is text."""
    figures = _figures(
        (work("aiobotocore", 1000), {"cpu": 0.008}), (work("signed", 1000), {"cpu": 0.004})
    )
    chart = ET.fromstring(charts(figures, 1000)["cpu-light.svg"])  # noqa: S314 (our own chart)
    widths = [float(each.get("width", 0)) for each in chart if each.tag.endswith("rect")]
    assert widths[0] / widths[1] == pytest.approx(2.0)
    assert [text for text in chart.itertext() if text.strip()] == [
        *("CPU time for each digest", "CPU time for each digest, in µs (less is better)"),
        *("aiobotocore", "8.0", "this library, signed transport", "4.0"),
    ]
