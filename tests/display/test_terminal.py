"""What rich prints in terminals."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ecr_layer_client import LayerAvailability, LayerCheckResult, LayerFailure, LayerFailureCode
from ecr_layer_client.display._cells import Bytes
from ecr_layer_client.display._description import Description, Part, Table, Tone
from ecr_layer_client.display._terminal import cells_of, renderable_of

DESCRIPTION = Description(
    "A title",
    "a verdict",
    (Part("good", Tone.GOOD, 1200, 5_000_000), Part("new", Tone.NEW, 400)),
    facts=(("a fact", "its value"),),
    tables=(
        Table("Rows: 1", ("a text", "a number", "a size"), (("a cell", 1200, Bytes(2_000_000)),)),
    ),
)


def printed(shown: object, *, width: int = 44, encoding: str = "utf-8", **options: object) -> str:
    """Return what a console prints of something."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    # As the tests give them.
    Console(file=file, width=width, **options).print(shown)  # type: ignore[arg-type]
    file.seek(0)
    return file.read()


def test_a_panel() -> None:
    """A panel holds title, verdict, bar, parts, facts and tables."""
    assert printed(renderable_of(DESCRIPTION)).splitlines() == [
        "╭─ A title ────────────────────────────────╮",
        "│ a verdict                                │",
        "│ █████████████████████████████▒▒▒▒▒▒▒▒▒▒▒ │",
        "│ █  good  1,200  5.0 MB                   │",
        "│ ▒  new     400                           │",
        "│ a fact: its value                        │",
        "│                                          │",
        "│ Rows: 1                                  │",
        "│ a text  a number  a size                 │",
        "│ a cell     1,200  2.0 MB                 │",
        "╰──────────────────────────────────────────╯",
    ]


def test_where_there_is_ascii_alone() -> None:
    """Where a terminal prints ASCII alone, so is the panel."""
    lines = printed(renderable_of(DESCRIPTION), encoding="ascii").splitlines()
    assert lines[:5] == [
        "+- A title --------------------------------+",
        "| a verdict                                |",
        "| #############################----------- |",
        "| #  good  1,200  5.0 MB                   |",
        "| -  new     400                           |",
    ]


def test_colours() -> None:
    """Where there are colours, each part has its own, in the bar and beside its name."""
    text = printed(renderable_of(DESCRIPTION), force_terminal=True, color_system="standard")
    assert (text.count("\x1b[32m█"), text.count("\x1b[36m▒")) == (2, 2)


def test_the_bar_is_no_wider_than_it_need_be() -> None:
    """On a wide terminal, the bar is 60 cells."""
    bar = printed(renderable_of(DESCRIPTION), width=200).splitlines()[2]
    assert bar.count("█") + bar.count("▒") == 60


def test_without_parts_there_is_no_bar() -> None:
    """Where there are no parts, there is the verdict alone."""
    assert printed(renderable_of(Description("A title", "nothing", ()))).splitlines() == [
        "╭─ A title ─╮",
        "│ nothing   │",
        "╰───────────╯",
    ]


@pytest.mark.parametrize("width", [1, 5, 20], ids=str)
def test_a_narrow_terminal(width: int) -> None:
    """However narrow the terminal is, no line is wider."""
    assert max(map(len, printed(renderable_of(DESCRIPTION), width=width).splitlines())) <= width


def test_text_is_no_markup() -> None:
    """What looks like rich's markup or like a terminal's control in text from outside is shown as it is, and does nothing."""
    failure = LayerFailure(
        digest="[red]x[/red]",
        code=LayerFailureCode.UNKNOWN,
        raw_code="[/]",
        reason="\x1b[2J[link=http://x]",
    )
    text = printed(
        LayerCheckResult.of("team/app", {failure.digest: failure}),
        width=80,
        force_terminal=True,
        color_system="standard",
    )
    assert (
        "[red]x[/red]" in text,
        "[/]" in text,
        r"\x1b[2J[link=http://x]" in text,
        "\x1b[2J" in text,
    ) == (True, True, True, False)


def test_a_result_shows_itself() -> None:
    """`rich.print(result)` prints its panel."""
    text = printed(LayerCheckResult.of("team/app", {"sha256:aa": LayerAvailability.AVAILABLE}))
    assert text.splitlines()[:2] == [
        "╭─ Layers of team/app ─────────────────────╮",
        "│ 1 layer available                        │",
    ]


@pytest.mark.parametrize(
    ("weights", "width", "cells"),
    [
        ((1, 1), 10, [5, 5]),
        ((1, 999_999), 10, [1, 9]),
        ((0, 5), 4, [1, 3]),
        ((1, 2, 3), 2, [1, 1, 1]),
        ((7,), 4, [4]),
    ],
    ids=["even", "a small one", "an empty one", "too narrow", "one"],
)
def test_cells(weights: tuple[int, ...], width: int, cells: list[int]) -> None:
    """A bar's cells are parted by weight; each part has one at least."""
    assert cells_of(weights, width) == cells
