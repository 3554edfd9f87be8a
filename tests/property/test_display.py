"""Text from outside is harmless where it is displayed: it is printable and short."""

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

HOSTILE = st.sampled_from(
    [
        *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</td></table>"),
        *("' style='position:fixed", "&lt;b&gt;", "[bold red]x[/]", "\x1b]8;;http://x\x07"),
        *("\ud800", "\u202e", "\0", "a" * 5000),
    ]
)
TEXTS = st.one_of(HOSTILE, st.text(), st.lists(HOSTILE, max_size=3).map("".join))
ELEMENTS = {"div", "span", "table", "caption", "thead", "tbody", "tr", "th", "td"}
ATTRIBUTES = {"class", "role", "aria-label", "aria-hidden", "scope", "style"}
CALLS = (
    *("BatchCheckLayerAvailability", "InitiateLayerUpload", "UploadLayerPart"),
    *("CompleteLayerUpload", "PutImage"),
)

# These have the text wherever a text can be, as if it had passed every validation.


def repository(text: str) -> Repository:
    """Return a repository of that name."""
    return Repository.model_construct(name=text, registry_id=None, region=None)


def blob(text: str) -> Descriptor:
    """Return a descriptor of that digest and media type."""
    return Descriptor.model_construct(digest=text, size=1, media_type=text)


def result(text: str) -> LayerCheckResult:
    """Return a result."""
    layer = Layer.model_construct(
        digest=text,
        availability=LayerAvailability.UNKNOWN,
        raw_availability=text,
        media_type=text,
        size=None,
    )
    failure = LayerFailure.model_construct(
        digest=f"{text}{text}", code=LayerFailureCode.UNKNOWN, raw_code=text, reason=text
    )
    outcomes = (layer, failure)
    return LayerCheckResult.model_construct(repository=repository(text), outcomes=outcomes)


def results(text: str) -> LayerCheckResults:
    """Return results and an error."""
    return LayerCheckResults([result(text)], {"team/app": CallError(text)})


def plan(text: str) -> PushPlan:
    """Return a plan."""
    return PushPlan.model_construct(
        repository=repository(text),
        manifests=(blob(text),),
        to_upload=(blob(text),),
        present=(),
        foreign=(),
        archived=(),
        undetermined=(),
        calls=dict.fromkeys((*CALLS, text), 1),
        shared_bytes=0,
    )


def report(text: str) -> ImageReport:
    """Return a report of an index with one image."""
    platform = Platform.model_construct(
        os=text, architecture=text, variant=text, os_version=text, os_features=()
    )
    child = ImageReport.model_construct(
        repository=repository(text),
        reference=text,
        digest=text,
        platform=platform,
        absent=(blob(text),),
        problem=text,
    )
    return ImageReport.model_construct(
        repository=repository(text),
        reference=text,
        tags=(text,),
        digest=text,
        media_type=text,
        children=(child,),
    )


MAKERS = st.sampled_from([results, result, plan, report])


@given(MAKERS, TEXTS)
def test_html(make: Callable[[str], DisplayMixin], text: str) -> None:
    """HTML has known elements and attributes only; its text is printable, and it is small."""
    html = make(text)._repr_html_()
    seen = Seen(html)
    assert (seen.names() - ELEMENTS, seen.attributes() - ATTRIBUTES) == (set(), set())

    texts = (*seen.texts, *seen.valued("aria-label"))
    assert [text for text in texts if not text.isprintable()] == []
    allowed = re.compile(r"[a-z0-9 :;.,()#%-]*")
    assert [style for style in seen.valued("style") if not allowed.fullmatch(style)] == []
    assert len(html.encode()) < 20_000


@given(MAKERS, TEXTS)
def test_terminal(make: Callable[[str], DisplayMixin], text: str) -> None:
    """Terminal output has the colours of rich, no other control character, and is short."""
    file = io.StringIO()
    Console(
        file=file, width=100, force_terminal=True, color_system="standard", legacy_windows=False
    ).print(make(text))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()).splitlines()
    assert [line for line in lines if not line.isprintable()] == []
    assert len(lines) < 60
