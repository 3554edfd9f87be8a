"""The HTML that notebooks show."""

from __future__ import annotations

import re

import pytest

from ecr_layer_client import LayerAvailability, LayerCheckResult, LayerFailureCode
from ecr_layer_client.display._cells import Bytes
from ecr_layer_client.display._description import Description, Part, Table, Tone
from ecr_layer_client.display._html import COLOURS, html_of
from seen import Seen

DESCRIPTION = Description(
    "A title",
    "a verdict",
    (Part("good", Tone.GOOD, 1200, 5_000_000), Part("new", Tone.NEW, 3)),
    facts=(("a fact", "its value"),),
    tables=(
        Table("Rows: 1", ("a text", "a number", "a size"), (("a cell", 1200, Bytes(2_000_000)),)),
    ),
)


def test_everything_is_in_it() -> None:
    """Title, verdict, parts, facts and tables are in the HTML as text.

    The facts of the bar and of the colours are there in words, too.
    """
    seen = Seen(html_of(DESCRIPTION))

    assert seen.tables == [
        [["good", "1,200", "5.0 MB"], ["new", "3", ""]],
        [["a text", "a number", "a size"], ["a cell", "1,200", "2.0 MB"]],
    ]
    assert [text for text in seen.texts if text.strip()] == [
        *("A title", "a verdict"),
        *("good", "1,200", "5.0 MB", "new", "3"),
        *("a fact:", " its value"),
        *("Rows: 1", "a text", "a number", "a size", "a cell", "1,200", "2.0 MB"),
    ]


def test_the_bar_has_a_width_and_a_colour_for_each_part() -> None:
    """Each part of the bar has a width by its weight, and its colour."""
    styles = [
        style for style in Seen(html_of(DESCRIPTION)).valued("style") if style.startswith("flex:")
    ]

    assert styles == [
        f"flex:1200 1 0;min-width:3px;background:{COLOURS[Tone.GOOD]}",
        f"flex:3 1 0;min-width:3px;background:{COLOURS[Tone.NEW]}",
    ]


def test_screen_readers() -> None:
    """Screen readers get the title, the bar in words, and marked table headers.

    They skip the swatches.
    """
    seen = Seen(html_of(DESCRIPTION))

    assert (
        seen.valued("role"),
        seen.valued("aria-label"),
        seen.valued("aria-hidden"),
        seen.valued("scope"),
    ) == (
        ["group", "img"],
        ["A title", "good 1,200 (over 99 %), new 3 (under 1 %)"],
        ["true", "true"],
        ["row", "row", "col", "col", "col"],
    )


def test_without_parts_there_is_no_bar() -> None:
    """Without parts there is neither a bar nor its table."""
    seen = Seen(html_of(Description("A title", "nothing", ())))
    assert (seen.names(), seen.valued("role")) == ({"div"}, ["group"])


def test_no_script_and_no_address() -> None:
    """The HTML has plain elements with inline styles, and fetches, runs and links nothing."""
    seen = Seen(html_of(DESCRIPTION))
    assert seen.names() == {"div", "span", "table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert seen.attributes() == {"class", "role", "aria-label", "aria-hidden", "scope", "style"}
    assert not any("url(" in style or "position" in style for style in seen.valued("style"))


def test_it_is_the_pages_own_colour() -> None:
    """Text, lines and backgrounds have the colours of the page, or a half-transparent grey.

    So they are visible in any theme. Only the parts have their own colours.
    """
    styles = ";".join(Seen(html_of(DESCRIPTION)).valued("style"))
    colours = set(re.findall(r"(?:color|background):([^;]+)", styles)) | set(
        re.findall(r"solid ([^;]+)", styles)
    )

    assert colours == {
        "inherit",
        "transparent",
        "rgba(128,132,136,.35)",
        COLOURS[Tone.GOOD],
        COLOURS[Tone.NEW],
    }


def test_long_texts_stay_legible() -> None:
    """A column of long texts has a minimum width, and its table scrolls on a phone."""
    row = ("a short one", "a text that is long enough to be worth a width")
    seen = Seen(
        html_of(
            Description("A title", "a verdict", (), tables=(Table("Rows: 1", ("a", "b"), (row,)),))
        )
    )
    cells = [attributes["style"] for name, attributes in seen.elements if name == "td"]

    assert (
        ["min-width" in style for style in cells],
        any("overflow-x:auto" in style for style in seen.valued("style")),
    ) == (
        [False, True],
        True,
    )


@pytest.mark.parametrize("tone", Tone)
@pytest.mark.parametrize(
    "background", ["#ffffff", "#1e1e1e", "#111111"], ids=["light", "dark", "darker"]
)
def test_the_colours_stand_out(tone: Tone, background: str) -> None:
    """Each part's colour has the 3 : 1 contrast that WCAG 2.2 (1.4.11) requires of graphics."""
    lighter, darker = sorted((_luminance(COLOURS[tone]), _luminance(background)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 3.0


def test_the_colours_differ() -> None:
    """No two tones have the same colour."""
    assert len(set(COLOURS.values())) == len(Tone)


def test_a_result_shows_itself() -> None:
    """A notebook gets the HTML of the result's description."""
    result = LayerCheckResult.of(
        "team/app",
        {"sha256:aa": LayerAvailability.AVAILABLE, "sha256:bb": LayerAvailability.UNAVAILABLE},
    )
    assert Seen(result._repr_html_()).tables == [[["available", "1"], ["absent", "1"]]]


def test_its_size_is_bounded() -> None:
    """The size of the HTML does not grow with the number of failures, except for its digits."""

    def html(failures: int) -> str:
        return LayerCheckResult.of(
            "team/app",
            {f"{number:0999}": LayerFailureCode.NOT_REPORTED for number in range(failures)},
        )._repr_html_()

    assert (len(html(10_000)) - len(html(100)) < 20, len(html(100)) < 10_000) == (True, True)


def _luminance(colour: str) -> float:
    """Return the relative luminance that WCAG defines."""
    parts = [int(colour[begin : begin + 2], 16) / 255 for begin in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
