"""The chart of the page on performance: the CPU time of each client, as bars."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

from contenders import CONTENDERS
from tables import work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from figures import Figures

_MICRO = 1e6
# The clients in the chart: the ones that do the same work.
_SHOWN = (
    *("aiobotocore-models", "boto3-threads", "aiobotocore", "capo"),
    *("client", "signed-each", "signed-groups", "signed", "signed-streamed"),
)
_WIDTH, _BAR, _ROW, _TOP, _NUMBERS = 420, 18, 46, 34, 44


class Scheme(NamedTuple):
    """The colours of a page: its text, the bars of this library, and the other bars."""

    text: str
    ours: str
    other: str


SCHEMES = {
    "light": Scheme("#1f2328", "#3f51b5", "#9aa0a6"),
    "dark": Scheme("#e6edf3", "#8ab4f8", "#6b7280"),
}


def charts(figures: Figures, count: int) -> dict[str, str]:
    """Return the chart in each scheme, by the name of its file."""
    return {f"cpu-{name}.svg": _chart(figures, count, each) for name, each in SCHEMES.items()}


def _chart(figures: Figures, count: int, scheme: Scheme) -> str:
    bars = {
        name: seconds / count * _MICRO
        for name in _SHOWN
        if (seconds := figures.median(work(name, count), "cpu")) is not None
    }
    height = _TOP + _ROW * len(bars)
    lines = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"',
        f'font-family="sans-serif" font-size="14" fill="{scheme.text}">',
        "<title>CPU time for each digest</title>",
        '<text y="16" font-weight="bold">CPU time for each digest, in µs (less is better)</text>',
        *_rows(bars, scheme),
        "</svg>",
    )
    return "\n".join(lines) + "\n"


def _rows(bars: dict[str, float], scheme: Scheme) -> Iterator[str]:
    """Yield a label and a bar for each client."""
    longest = max(bars.values(), default=1.0)
    for row, (name, value) in enumerate(bars.items()):
        top = _TOP + row * _ROW
        length = (_WIDTH - _NUMBERS) * value / longest
        is_ours = "**" in CONTENDERS[name].label
        label = escape(CONTENDERS[name].label.replace("**", ""))
        yield f'<text y="{top + 13}">{label}</text>'
        yield (
            f'<rect y="{top + 19}" width="{length:.1f}" height="{_BAR}" rx="2" '
            f'fill="{scheme.ours if is_ours else scheme.other}"/>'
        )
        yield f'<text x="{length + 6:.1f}" y="{top + 33}">{value:.1f}</text>'
