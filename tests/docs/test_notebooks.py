"""The example notebooks run from top to bottom in a kernel, and show what they are stored with.

The progress bar works in a notebook, too.
"""

from __future__ import annotations

import os
import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from nbclient import NotebookClient

from seen import Seen

if TYPE_CHECKING:
    from pathlib import Path

# nbformat has no types.
NBFORMAT: Any = import_module("nbformat")
NOTEBOOKS = ["explore", "push"]
_PICTURE = re.compile(r"base64,[A-Za-z0-9+/=]+")

# The first cell of a notebook that needs a local ECR, digests and a client.
BEGIN = """
from ecr_layer_client.local import LocalECR
ecr = await LocalECR().open()
ecr.create_repository("app")
digests = [f"sha256:{number:064x}" for number in range(250)]
client = await ecr.client(retry={"max_attempts": 1}).open()
"""
CHECK = "result = await client.check_layers('app', digests, progress=True)"


def executed(notebook: Any, monkeypatch: pytest.MonkeyPatch, *, allow_errors: bool = False) -> Any:
    """Run a notebook's cells in a new kernel, without AWS settings and with loopback alone.

    Return the notebook.
    """
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)

    # No proxy listens there.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    NotebookClient(notebook, timeout=60, kernel_name="python3", allow_errors=allow_errors).execute()
    return notebook


def outputs(notebook: Any) -> list[Any]:
    """Return the outputs of a notebook's cells, in order."""
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def shown(notebook: Any, kind: str) -> list[Any]:
    """Return the outputs of one media type, in order."""
    return [output.data[kind] for output in outputs(notebook) if kind in output.get("data", {})]


def printed(notebook: Any, name: str) -> str:
    """Return the text that a notebook printed to stdout or to stderr."""
    return "".join(
        output.text
        for output in outputs(notebook)
        if output.output_type == "stream" and output.name == name
    )


def cells(*sources: str) -> Any:
    """Return a notebook of these cells."""
    return NBFORMAT.v4.new_notebook(cells=[NBFORMAT.v4.new_code_cell(source) for source in sources])


@pytest.fixture
def stored(request: pytest.FixtureRequest, root: Path) -> Any:
    """Return an example notebook as the repository stores it."""
    return NBFORMAT.read(root / "docs" / "notebooks" / f"{request.param}.ipynb", as_version=4)


@pytest.mark.parametrize("stored", NOTEBOOKS, indirect=True)
def test_a_notebook_is_stored_with_its_outputs(
    stored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook runs and shows what it is stored with. If not, run `make generate`.

    The bytes of its pictures differ between versions of matplotlib.
    """
    before = [_shown_by(cell) for cell in stored.cells]
    ran = executed(stored, monkeypatch)
    assert [_shown_by(cell) for cell in ran.cells] == before


def _shown_by(cell: Any) -> list[Any]:
    """Return the outputs of a cell without pictures and widgets."""
    return [
        {"kind": output.output_type, "text": output.get("text")}
        | {kind: _PICTURE.sub("", text) for kind, text in output.get("data", {}).items()}
        for output in cell.get("outputs", [])
        if "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
    ]


@pytest.mark.parametrize("stored", ["explore"], indirect=True)
def test_exploring_a_repository(stored: Any) -> None:
    """The notebook shows two results and three described pictures, without a warning."""
    seen = [Seen(html) for html in shown(stored, "text/html")]
    titles = [label[0] for each in seen if (label := each.valued("aria-label"))]
    pictures = [alternative for each in seen for alternative in each.valued("alt")]

    assert (titles, pictures, printed(stored, "stderr")) == (
        [
            "Layers of 135 repositories",
            "Layers of gcr.io/distroless/cc-debian11",
            "Layers of 135 repositories",
        ],
        [
            "How much 24 repositories hold of their last image.",
            "Most layers are small, most bytes are in large ones.",
            (
                "Requests: 10,349 for each layer of each image, 895 with batches of one image, "
                "175 by this library."
            ),
        ],
        "",
    )


@pytest.mark.parametrize("stored", ["push"], indirect=True)
def test_planning_a_push(stored: Any) -> None:
    """The notebook shows a plan, two reports and a finished stream, without a warning."""
    texts = [
        [text for text in Seen(html).texts if text.strip()][:2]
        for html in shown(stored, "text/html")
    ]

    assert (texts, printed(stored, "stderr")) == (
        [
            ["Push of 1 manifest to production/base", "9 blobs to upload, 9.5 MB"],
            [
                "Image production/base:debug-nonroot-s390x",
                "complete: every manifest and blob exists",
            ],
            ["Image production/base:debug-nonroot-s390x", "not deployable: 1 defect"],
            ["Checking layers of production/base", "7,254 of 7,254 digests answered so far"],
        ],
        "",
    )


@pytest.mark.parametrize("stored", ["push"], indirect=True)
def test_pushing_with_a_bar(stored: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The push has a bar, full at the end, and the result of a second push uploads nothing."""
    ran = executed(stored, monkeypatch)
    assert _bars(ran) == [("success", 12_000_002.0, 12_000_002.0, True)]
    assert any(text.startswith("(4,\n 12000002,") for text in shown(ran, "text/plain"))
    assert "{'BatchCheckLayerAvailability': 1, 'BatchGetImage': 1}" in shown(ran, "text/plain")


@pytest.mark.full
def test_a_bar_with_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ipywidgets, `progress=True` shows a widget, full at the end or marked after an error."""
    failing = """
ecr.faults.add(error="ServerException", after=1)
await client.with_config(max_concurrency=1).check_layers("app", digests, progress=True)
"""
    succeeding = "result = await client.check_layers('app', iter(digests), progress=True)"
    ran = executed(cells(BEGIN, CHECK, succeeding, failing), monkeypatch, allow_errors=True)

    assert [output.ename for output in outputs(ran) if output.output_type == "error"] == [
        "ServerError"
    ]
    assert (_bars(ran), printed(ran, "stderr")) == (
        [
            ("success", 250.0, 250.0, True),
            ("success", 1.0, 1.0, False),
            ("danger", 100.0, 250.0, True),
        ],
        "",
    )


@pytest.mark.full
def test_a_bar_without_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ipywidgets, the bar is a line of text, without a warning, and ends if cancelled."""
    cancelled = """
import asyncio
from tqdm.auto import tqdm
ecr.faults.add(latency=30.0, after=1)
narrow = client.with_config(max_concurrency=1)
task = asyncio.ensure_future(narrow.check_layers("app", digests, progress=True))
await asyncio.sleep(0.5)
task.cancel()
await asyncio.wait([task])
print(task.cancelled(), len(tqdm._instances))
"""
    ran = executed(
        cells("import sys; sys.modules['ipywidgets'] = None", BEGIN, CHECK, cancelled), monkeypatch
    )
    text = printed(ran, "stderr")

    assert (printed(ran, "stdout"), "250/250" in text, "100/250" in text, "Warning" in text) == (
        "True 0\n",
        True,
        True,
        False,
    )


def _bars(notebook: Any) -> list[tuple[str, float, float, bool]]:
    """Return the style, value and end of each bar, and whether it takes the full width."""
    models = notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    states = {identity: model["state"] for identity, model in models.items()}
    bars = [state for state in states.values() if state["_model_name"] == "FloatProgressModel"]
    layouts = [states[bar["layout"].removeprefix("IPY_MODEL_")] for bar in bars]
    return [
        (bar["bar_style"], bar["value"], bar["max"], layout["width"] is None)
        for bar, layout in zip(bars, layouts, strict=True)
    ]
