"""The tables that the benchmark makes from its trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from bars import bars
from bench import main, write
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
    """A row shows the medians of the rounds, and their ratios to the floor and to aiobotocore."""
    figures = _figures(
        *(
            (work("signed", 1000), {"cpu": cpu, "wall": 2.0, "grown": 2048, "stub": 0.001})
            for cpu in (0.004, 0.9, 0.002)
        ),
        (work("floor", 1000), {"cpu": 0.002}),
        (work("aiobotocore", 1000), {"cpu": 0.016}),
    )

    assert tables(1000)["cpu"].markdown(figures).splitlines()[-1] == (
        "| **ours, signed transport** | 4.00 | 2.00 | 0.25 | 2,500 | 2.00 | 2.0 | 25% |"
    )


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
        write({name: f"{text}:{name}" for name in ("machine", "bars", *tables(1000))}, page)

    written = page.read_text(encoding="utf-8")
    assert (written.count("first:"), written.count("second:")) == (0, len(tables(1000)) + 2)


def test_only_a_complete_run_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """The figures of a partial run are not written to the page."""
    with pytest.raises(SystemExit):
        main(["--write", "--quick"])
    assert "--write takes a whole run" in capsys.readouterr().err
