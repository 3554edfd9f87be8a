"""A push repairs lost responses, parts taken in part, and uploads that somebody else ended."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError, ServiceError
from ecr_layer_client.images import ImageSource
from images.making import IMAGE, entry, packed, sha256
from transfers.making import BLOBS, PART, PARTS, requests
from transports import TRANSPORTS

if TYPE_CHECKING:
    from pathlib import Path

    from ecr_layer_client.local import LocalECR
    from ecr_layer_client.transfers import TransferProgress
    from images.making import Image

pytestmark = pytest.mark.asyncio

OPERATIONS = ("InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage")


async def pushed(ecr: LocalECR, source: ImageSource, **options: Any) -> Any:
    """Push an image, check that the repository has all of it, and return the result."""
    async with ecr.client() as client:
        result = await client.push("app", source, **options)
        report = await client.verify_image("app", "v1")
    assert report.deployable
    return result


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "fault",
    [
        {"cut_at": 0},
        {"reset": True},
        {"error": "ServerException"},
        {"error": "ThrottlingException"},
        {"status": 503},
        {"body": b"{}"},
    ],
    ids=["lost response", "reset", "server error", "throttled", "load balancer", "empty body"],
)
async def test_one_fault(
    ecr: LocalECR, source: ImageSource, operation: str, fault: dict[str, Any]
) -> None:
    """A request that fails once, whether it ran or not, is repaired."""
    ecr.faults.add(operation=operation, after=1 if operation != "PutImage" else 0, times=1, **fault)
    result = await pushed(ecr, source)

    assert len(result.moved) == BLOBS


@pytest.mark.parametrize("seed", range(5))
async def test_many_faults(ecr: LocalECR, source: ImageSource, seed: int) -> None:
    """With faults of every kind in 30 % of the requests, every layer is complete once."""
    ecr.faults.seed(seed)
    faults: list[dict[str, Any]] = [
        {"cut_at": 0},
        {"reset": True},
        {"error": "ServerException"},
        {"error": "ThrottlingException"},
        {"status": 500},
    ]
    for fault in faults:
        ecr.faults.add(probability=0.06, **fault)
    result = await pushed(ecr, source)

    assert len(result.moved) == BLOBS


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_lost_response_repeats_one_part(ecr: LocalECR, source: ImageSource) -> None:
    """A part whose response is lost is sent again once, and ECR says that it has it."""
    ecr.faults.add(operation="UploadLayerPart", cut_at=0, times=1)
    result = await pushed(ecr, source)

    assert result.bytes_repeated == PART


async def test_another_push_was_first(ecr: LocalECR, source: ImageSource) -> None:
    """A layer that somebody else completed meanwhile counts as moved and raced."""
    ecr.faults.add(operation="CompleteLayerUpload", error="LayerAlreadyExistsException", times=1)
    async with ecr.client() as client:
        with pytest.raises(ServiceError, match="LayersNotFound"):
            # The error was a lie: nobody has the layer.
            ecr.faults.add(operation="PutImage", error="LayersNotFoundException", message="[]")
            await client.push("app", source)


async def test_a_layer_vanishes(ecr: LocalECR, source: ImageSource) -> None:
    """A layer that ECR lacks when the image is put is uploaded, and the image put again."""
    ecr.faults.add(operation="CompleteLayerUpload", error="LayerAlreadyExistsException", times=1)
    result = await pushed(ecr, source)

    assert result.calls["PutImage"] == 2
    assert len(result.raced) == 1


async def test_a_forgotten_upload_starts_over(ecr: LocalECR, source: ImageSource) -> None:
    """An uploadId that ECR does not know any more begins that layer again."""
    ecr.faults.add(operation="UploadLayerPart", error="UploadNotFoundException", after=2, times=1)
    result = await pushed(ecr, source)

    assert result.calls["InitiateLayerUpload"] == BLOBS + 1


async def test_an_upload_that_is_always_forgotten(ecr: LocalECR, source: ImageSource) -> None:
    """An upload starts over a few times, and not for ever."""
    ecr.faults.add(operation="UploadLayerPart", error="UploadNotFoundException")
    async with ecr.client() as client:
        with pytest.raises(ServiceError, match="UploadNotFoundException"):
            await client.push("app", source)


async def test_changed_content(
    ecr: LocalECR, source: ImageSource, layout: Path, image: Image
) -> None:
    """Content with another digest is uploaded twice, and then refused with the name of the file."""
    layer = image.layers[0]
    path = layout / "blobs" / "sha256" / sha256(layer)[7:]
    path.write_bytes(layer[::-1])
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="has another digest") as raised:
            await client.push("app", source)

    assert str(layout) in str(raised.value)


async def test_truncated_content(
    ecr: LocalECR, source: ImageSource, layout: Path, image: Image
) -> None:
    """A file that became shorter is an error that names it."""
    layer = image.layers[0]
    path = layout / "blobs" / "sha256" / sha256(layer)[7:]

    def truncate(progress: TransferProgress) -> None:
        if progress.confirmed:
            path.write_bytes(layer[:25_000])

    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="is truncated: it ends after 25000 of 35000"):
            await client.push("app", source, progress=truncate)


async def test_missing_content(
    ecr: LocalECR, source: ImageSource, layout: Path, image: Image
) -> None:
    """A file that is gone is refused before any request."""
    (layout / "blobs" / "sha256" / sha256(image.layers[0])[7:]).unlink()
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="is named but missing"):
            await client.push("app", source)

    assert ecr.stats.requests == 0


async def interrupted(ecr: LocalECR, source: ImageSource, journal: Any, after: int) -> None:
    """Push, and cancel it when some parts were accepted."""
    fault = ecr.faults.add(operation="UploadLayerPart", latency=1000, after=after)
    async with ecr.client(attempt_timeout=2000.0) as client:
        push = asyncio.create_task(client.push("app", source, journal=journal))
        await asyncio.sleep(10)
        push.cancel()
        with pytest.raises(asyncio.CancelledError):
            await push
    fault.remove()


@pytest.mark.parametrize("kind", ["mapping", "directory"])
async def test_resume(ecr: LocalECR, source: ImageSource, tmp_path: Path, kind: str) -> None:
    """A later push continues what an interrupted one had uploaded, by its journal."""
    journal: Any = {} if kind == "mapping" else tmp_path / "journal"
    await interrupted(ecr, source, journal, after=6)
    before = requests(ecr)["UploadLayerPart"]
    result = await pushed(ecr, source, journal=journal)

    assert result.resumed
    assert requests(ecr)["UploadLayerPart"] <= PARTS + len(result.resumed)
    assert before == 6


async def test_a_finished_push_leaves_no_entry(ecr: LocalECR, source: ImageSource) -> None:
    """The journal is empty when everything is uploaded."""
    journal: dict[str, str] = {}
    await interrupted(ecr, source, journal, after=6)
    assert journal
    await pushed(ecr, source, journal=journal)

    assert journal == {}


async def test_a_finished_push_leaves_no_file(
    ecr: LocalECR, source: ImageSource, tmp_path: Path
) -> None:
    """The directory of the journal is empty when everything is uploaded."""
    journal = tmp_path / "journal"
    await interrupted(ecr, source, journal, after=6)
    await pushed(ecr, source, journal=journal)

    assert [*journal.iterdir()] == []


async def test_entries(ecr: LocalECR, source: ImageSource) -> None:
    """An entry is small, and has neither keys nor URLs beside the endpoint."""
    journal: dict[str, str] = {}
    await interrupted(ecr, source, journal, after=6)

    entries = [json.loads(text) for text in journal.values()]
    assert all(len(text) < 500 for text in journal.values())
    assert [sorted(entry) for entry in entries] == [["target", "upload", "written_at"]] * len(
        entries
    )


async def test_a_stale_journal_costs_one_part(ecr: LocalECR, source: ImageSource) -> None:
    """An entry that knows of fewer bytes than ECR has costs one part that is sent again."""
    journal: dict[str, str] = {}
    await interrupted(ecr, source, journal, after=6)
    stale: dict[str, str] = {}
    for key, text in journal.items():
        entry = json.loads(text)
        entry["upload"]["received"] = 0
        stale[key] = json.dumps(entry)
    entries = len(stale)
    result = await pushed(ecr, source, journal=stale)

    assert result.bytes_repeated == PART * entries


@pytest.mark.parametrize(
    "changes",
    [
        {"upload_id": "6f0f9a5e-0000-0000-0000-000000000000"},
        {"part_size": 0},
        {"received": 10**9},
        {"part_size": "many"},
    ],
    ids=["unknown upload", "part size", "beyond the end", "not a number"],
)
async def test_a_wrong_entry_starts_over(
    ecr: LocalECR, source: ImageSource, changes: dict[str, Any]
) -> None:
    """An entry that does not fit costs no more than the upload that it stands for."""
    journal: dict[str, str] = {}
    await interrupted(ecr, source, journal, after=6)
    for key, text in journal.items():
        entry = json.loads(text)
        journal[key] = json.dumps(entry | {"upload": entry["upload"] | changes})
    result = await pushed(ecr, source, journal=journal)

    assert len(result.moved) + len(result.present) == BLOBS


async def test_an_entry_of_another_endpoint(ecr: LocalECR, source: ImageSource) -> None:
    """An upload continues at the endpoint where it began, and nowhere else."""
    journal: dict[str, str] = {}
    await interrupted(ecr, source, journal, after=6)
    elsewhere = {
        key: text.replace(ecr.endpoint_url, "https://elsewhere.example")
        for key, text in journal.items()
    }
    result = await pushed(ecr, source, journal=elsewhere)

    assert result.resumed == ()


async def test_the_directory(ecr: LocalECR, source: ImageSource, tmp_path: Path) -> None:
    """The journal's directory and its files are their owner's alone."""
    journal = tmp_path / "state" / "journal"
    await interrupted(ecr, source, journal, after=6)
    files = [path for path in journal.iterdir() if path.suffix != ".lock"]

    assert journal.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


async def test_a_journal_that_is_a_file(ecr: LocalECR, source: ImageSource, tmp_path: Path) -> None:
    """A journal that can't be a directory is refused before any request."""
    path = tmp_path / "file"
    path.touch()
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="can't be made a directory"):
            await client.push("app", source, journal=path)

    assert ecr.stats.requests == 0


async def test_a_part_that_is_always_out_of_place(ecr: LocalECR, source: ImageSource) -> None:
    """ECR may send a push back a few times, and not for ever."""
    ecr.faults.add(operation="UploadLayerPart", error="InvalidLayerPartException")
    async with ecr.client() as client:
        with pytest.raises(ServiceError, match="InvalidLayerPartException"):
            await client.push("app", source)


async def test_an_image_that_is_refused(ecr: LocalECR, source: ImageSource) -> None:
    """An error of PutImage that names no layer ends the push."""
    ecr.faults.add(operation="PutImage", error="LimitExceededException")
    async with ecr.client() as client:
        with pytest.raises(ServiceError, match="LimitExceededException") as raised:
            await client.push("app", source)

    assert raised.value.transfer is not None
    assert raised.value.transfer.unfinished == ()


async def test_a_timeout_error_of_the_source(ecr: LocalECR, image: Image) -> None:
    """A TimeoutError that `blobs=` raises passes unchanged."""

    def make(_: object) -> Any:
        msg = "the store is slow"
        raise TimeoutError(msg)

    async with ecr.client() as client:
        with pytest.raises(TimeoutError, match=r"^the store is slow$"):
            await client.push("app", ImageSource.from_manifest(image.manifest, blobs=make))


async def test_who_may_not_describe_the_repository(ecr: LocalECR, source: ImageSource) -> None:
    """Without the permission to look, the push goes on, and ECR decides about the tag."""
    async with ecr.client() as client:
        await client.push("app", source)
        other = ImageSource.from_manifest(
            packed(mediaType=IMAGE, config=entry(b"x", "a/b"), layers=[]), blobs=lambda _: [b"x"]
        )
        ecr.faults.add(operation="DescribeRepositories", error="AccessDeniedException")
        result = await client.push("app", other, tags=["v1"])

    assert result.images[0].tags == ("v1",)
