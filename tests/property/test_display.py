"""Whatever text comes from outside, what is shown of it is harmless, prints, and is small."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ecr_layer_client import (
    CallError,
    Layer,
    LayerAvailability,
    LayerCheckResult,
    LayerCheckResults,
    LayerFailure,
    LayerFailureCode,
    Repository,
)
from ecr_layer_client.images import Descriptor, ImageReport, Platform, PushPlan
from seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecr_layer_client.display._mixin import DisplayMixin

NASTY = st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "' style='position:fixed",
        "</td></table>",
        "&lt;b&gt;",
        "[bold red]x[/]",
        "\x1b]8;;http://x\x07",
        "\ud800",
        "\u202e",
        "\0",
        "a" * 5000,
    ]
)
TEXTS = st.one_of(NASTY, st.text(), st.lists(NASTY, max_size=3).map("".join))
ELEMENTS = {"div", "span", "table", "caption", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"class", "role", "aria-label", "aria-hidden", "scope", "style"}


def results(text: str) -> DisplayMixin:
    """Return results with the text wherever one can be, as if they had come past every check."""
    where = Repository.model_construct(name=text, registry_id=None, region=None)
    outcomes = (
        Layer.model_construct(
            digest=text,
            availability=LayerAvailability.UNKNOWN,
            raw_availability=text,
            media_type=text,
            size=None,
        ),
        LayerFailure.model_construct(
            digest=f"{text}{text}", code=LayerFailureCode.UNKNOWN, raw_code=text, reason=text
        ),
    )
    error = CallError(text)
    return LayerCheckResults(
        [LayerCheckResult.model_construct(repository=where, outcomes=outcomes)], {"team/app": error}
    )


def result(text: str) -> DisplayMixin:
    """Return the result of them."""
    every = results(text)
    assert isinstance(every, LayerCheckResults)
    return next(iter(every.values()))


def plan(text: str) -> DisplayMixin:
    """Return a plan with the text wherever one can be."""
    blob = Descriptor.model_construct(digest=text, size=1, media_type=text)
    calls = dict.fromkeys(
        (
            "BatchCheckLayerAvailability",
            "InitiateLayerUpload",
            "UploadLayerPart",
            "CompleteLayerUpload",
            "PutImage",
        ),
        1,
    )
    return PushPlan.model_construct(
        repository=Repository.model_construct(name=text, registry_id=None, region=None),
        manifests=(blob,),
        to_upload=(blob,),
        present=(),
        foreign=(),
        archived=(),
        undetermined=(),
        calls=calls | {text: 1},
        shared_bytes=0,
    )


def report(text: str) -> DisplayMixin:
    """Return a report with the text wherever one can be."""
    where = Repository.model_construct(name=text, registry_id=None, region=None)
    blob = Descriptor.model_construct(digest=text, size=1, media_type=text)
    platform = Platform.model_construct(
        os=text, architecture=text, variant=text, os_version=text, os_features=()
    )
    child = ImageReport.model_construct(
        repository=where,
        reference=text,
        digest=text,
        platform=platform,
        absent=(blob,),
        problem=text,
    )
    return ImageReport.model_construct(
        repository=where,
        reference=text,
        tags=(text,),
        digest=text,
        media_type=text,
        children=(child,),
    )


@given(st.sampled_from([results, result, plan, report]), TEXTS)
def test_html_is_harmless(make: Callable[[str], DisplayMixin], text: str) -> None:
    """The HTML has the elements and attributes that it always has, its text prints and can be sent, and it is small."""
    html = make(text)._repr_html_()
    seen = Seen(html)
    assert (seen.names() - ELEMENTS, seen.attributes() - ATTRIBUTES) == (set(), set())
    assert [
        shown for shown in (*seen.texts, *seen.valued("aria-label")) if not shown.isprintable()
    ] == []
    assert [
        style for style in seen.valued("style") if not re.fullmatch(r"[a-z0-9 :;.,()#%-]*", style)
    ] == []
    assert len(html.encode()) < 20_000


@given(st.sampled_from([results, result, plan, report]), TEXTS)
def test_a_terminal_is_not_told_what_to_do(make: Callable[[str], DisplayMixin], text: str) -> None:
    """What rich prints to a terminal has rich's own colours, no other control, and is short."""
    file = io.StringIO()
    Console(
        file=file, width=100, force_terminal=True, color_system="standard", legacy_windows=False
    ).print(make(text))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())
    assert [line for line in plain.splitlines() if not line.isprintable()] == []
    assert len(plain.splitlines()) < 60
