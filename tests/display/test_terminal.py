"""The panels that rich prints in terminals."""

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
    """Return the text that a console prints for an object."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=file, width=width, **options).print(shown)  # type: ignore[arg-type]
    file.seek(0)
    return file.read()


def test_a_panel() -> None:
    """A panel has the title, the verdict, the bar, the parts, the facts and the tables."""
    lines = printed(renderable_of(DESCRIPTION)).splitlines()

    assert lines == [
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
    """On a terminal with only ASCII, the panel has only ASCII."""
    lines = printed(renderable_of(DESCRIPTION), encoding="ascii").splitlines()

    assert lines[:5] == [
        "+- A title --------------------------------+",
        "| a verdict                                |",
        "| #############################----------- |",
        "| #  good  1,200  5.0 MB                   |",
        "| -  new     400                           |",
    ]


def test_colours() -> None:
    """On a terminal with colours, each part has its own, in the bar and beside its name."""
    text = printed(renderable_of(DESCRIPTION), force_terminal=True, color_system="standard")
    assert (text.count("\x1b[32m█"), text.count("\x1b[36m▒")) == (2, 2)


def test_the_bar_is_no_wider_than_it_need_be() -> None:
    """On a wide terminal, the bar has 60 cells."""
    bar = printed(renderable_of(DESCRIPTION), width=200).splitlines()[2]
    assert bar.count("█") + bar.count("▒") == 60


def test_without_parts_there_is_no_bar() -> None:
    """Without parts, the panel only has the verdict."""
    assert printed(renderable_of(Description("A title", "nothing", ()))).splitlines() == [
        "╭─ A title ─╮",
        "│ nothing   │",
        "╰───────────╯",
    ]


@pytest.mark.parametrize("width", [1, 5, 20], ids=str)
def test_a_narrow_terminal(width: int) -> None:
    """No line is wider than the terminal, however narrow it is."""
    assert max(map(len, printed(renderable_of(DESCRIPTION), width=width).splitlines())) <= width


def test_text_is_no_markup() -> None:
    """Untrusted text is shown as it is, without effects.

    It may look like rich's markup or like a control sequence of a terminal.
    """
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
    """`rich.print(result)` prints the result's panel."""
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
    """The cells of a bar are divided by weight, and each part has at least one cell."""
    assert cells_of(weights, width) == cells
