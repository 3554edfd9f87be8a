"""Slow transfers that make progress are neither ended nor repeated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import OperationTimeoutError, ResponseError, RetryPolicy, TransportError
from images.making import IMAGE, entry, packed
from transfers.making import BLOBS, PART, PARTS, requests
from transfers.memory_downloads import download_from_memory

if TYPE_CHECKING:
    from pathlib import Path

    from ecr_layer_client.images import ImageSource
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def downloads(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clients download from memory."""
    download_from_memory(ecr, monkeypatch)


@pytest.fixture
def one_blob(ecr: LocalECR) -> str:
    """Put an image with one blob of 5,000 bytes, and return its tag."""
    blob = b"x" * 5000
    ecr.put_layer("app", blob)
    ecr.put_image("app", packed(mediaType=IMAGE, config=entry(blob, "a/b"), layers=[]), "one")
    return "one"


@pytest.mark.parametrize("verb", ["push", "copy", "pull"])
async def test_a_bandwidth_below_a_piece_per_timeout(
    ecr: LocalECR, source: ImageSource, tmp_path: Path, verb: str
) -> None:
    """The wait for `max_bandwidth` does not count against `attempt_timeout`."""
    async with ecr.client() as client:
        await client.push("app", source)
    ecr.create_repository("other")
    before = requests(ecr)
    async with ecr.client(max_bandwidth=1000.0, attempt_timeout=2.0) as client:
        if verb == "push":
            await client.push("other", source)
        elif verb == "copy":
            await client.copy("app", "v1", to_repository="other")
        else:
            await client.pull("app", "v1", tmp_path / "pulled")

    after = requests(ecr)
    names = ("UploadLayerPart", "GetLayer")
    made = {name: after.get(name, 0) - before.get(name, 0) for name in names}
    assert (
        made
        == {
            "push": {"UploadLayerPart": PARTS, "GetLayer": 0},
            "copy": {"UploadLayerPart": PARTS, "GetLayer": PARTS},
            "pull": {"UploadLayerPart": 0, "GetLayer": BLOBS},
        }[verb]
    )


async def test_a_low_bandwidth_ends_one_part_after_another(
    ecr: LocalECR, source: ImageSource
) -> None:
    """Layers don't share a low bandwidth: what a timeout allows for one part, it keeps."""
    async with ecr.client(max_bandwidth=4000.0) as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.push("app", source, timeout=6)

    state = raised.value.transfer
    assert state is not None
    assert max(layer.received for layer in state.unfinished) == PART


async def test_a_long_part_that_fails_is_sent_again(ecr: LocalECR, source: ImageSource) -> None:
    """A part whose first attempt takes longer than `max_elapsed` is sent again once it failed."""
    ecr.faults.add(operation="UploadLayerPart", latency=150.0, status=503, times=1)
    async with ecr.client(attempt_timeout=200.0, retry=RetryPolicy(max_elapsed=120)) as client:
        result = await client.push("app", source)

    assert len(result.moved) == BLOBS


async def test_a_long_download_that_breaks_often(
    ecr: LocalECR, one_blob: str, tmp_path: Path
) -> None:
    """A download goes on after each break, also if all of it takes longer than `max_elapsed`."""
    ecr.faults.add(operation="GetLayer", cut_at=1000, drip=10.0)
    async with ecr.client(retry=RetryPolicy(max_elapsed=30)) as client:
        result = await client.pull("app", one_blob, tmp_path / "pulled")

    assert result.bytes_moved == 5000
    assert result.bytes_repeated == 0


@pytest.mark.parametrize("operation", ["BatchGetImage", "GetLayer"])
async def test_a_pull_that_takes_too_long(
    ecr: LocalECR, one_blob: str, tmp_path: Path, operation: str
) -> None:
    """The error of a timeout says which layers are left, if the pull came so far."""
    ecr.faults.add(operation=operation, latency=5)
    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError, match="pull again to continue") as raised:
            await client.pull("app", one_blob, tmp_path / "pulled", timeout=2)

    state = raised.value.transfer
    left = None if state is None else [layer.size for layer in state.unfinished]
    assert left == (None if operation == "BatchGetImage" else [5000])


async def test_a_download_that_brings_nothing(ecr: LocalECR, one_blob: str, tmp_path: Path) -> None:
    """A download that breaks without a byte ends after `max_elapsed`."""
    ecr.faults.add(operation="GetLayer", cut_at=0)
    async with ecr.client(retry=RetryPolicy(max_elapsed=30)) as client:
        with pytest.raises(TransportError, match="no complete response") as raised:
            await client.pull("app", one_blob, tmp_path / "pulled")

    assert raised.value.attempts > 1


async def test_a_url_that_expires_twice(ecr: LocalECR, one_blob: str, tmp_path: Path) -> None:
    """A URL is renewed each time, as long as bytes come in between."""
    for at in (0, 2):
        ecr.faults.add(operation="GetLayer", cut_at=1000, after=at, times=1)
        expired: Any = {"error": "AccessDenied", "status": 403}
        ecr.faults.add(operation="GetLayer", after=at + 1, times=1, **expired)
    async with ecr.client() as client:
        result = await client.pull("app", one_blob, tmp_path / "pulled")

    assert result.calls["GetDownloadUrlForLayer"] == 3


@pytest.mark.parametrize(
    "url",
    ["https://[bad", "https://", "https:///x", "http://127.0.0.1:99999/", "//x", "http://h/x"],
)
async def test_a_url_that_is_none(ecr: LocalECR, one_blob: str, tmp_path: Path, url: str) -> None:
    """A download URL that is not an https URL with a host is refused, and not retried."""
    body = json.dumps({"downloadUrl": url}).encode()
    ecr.faults.add(operation="GetDownloadUrlForLayer", body=body)
    async with ecr.client() as client:
        with pytest.raises(ResponseError, match="only https is used"):
            await client.pull("app", one_blob, tmp_path / "pulled")
