"""A push writes down its uploads, so that a later one continues them."""

from __future__ import annotations

import asyncio
import json
import pathlib
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from ecr_layer_client import InvalidInputError
from transfers.making import BLOBS, PART, PARTS, requests, small_files

if TYPE_CHECKING:
    from pathlib import Path

    from ecr_layer_client.images import ImageSource
    from ecr_layer_client.local import LocalECR
    from images.making import Image

pytestmark = pytest.mark.asyncio


async def pushed(ecr: LocalECR, source: ImageSource, **options: Any) -> Any:
    """Push an image, check that the repository has all of it, and return the result."""
    async with ecr.client() as client:
        result = await client.push("app", source, **options)
        report = await client.verify_image("app", "v1")
    assert report.deployable
    return result


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


async def test_the_other_service_has_its_own_entries(ecr: LocalECR, source: ImageSource) -> None:
    """A push to ECR Public leaves the entries of a private repository of the same name alone."""
    journal: dict[str, str] = {}
    await interrupted(ecr, source, journal, after=6)
    before = dict(journal)
    ecr.create_repository("public.ecr.aws/local/app")
    async with ecr.public_client() as public:
        await public.push("app", source, journal=journal)

    assert journal == before


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
        {"part_size": 10**12},
        {"received": 10**9},
        {"received": -5},
        {"part_size": "many"},
    ],
    ids=["unknown upload", "part size", "too large", "beyond the end", "negative", "not a number"],
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


@pytest.mark.parametrize(
    ("journal", "problem"),
    [
        ("file", "journal='file' can't be used: File exists: pass another directory, or None"),
        ("file/below", "can't be used: Not a directory"),
        # Nobody can make a file there.
        ("/proc", "journal='/proc' can't be used: "),
        ("", "journal='' is empty: pass a directory"),
    ],
    ids=["a file", "below a file", "not writable", "empty"],
)
async def test_a_journal_that_cannot_be_written(
    ecr: LocalECR,
    source: ImageSource,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    journal: str,
    problem: str,
) -> None:
    """A directory that can't be used is refused before any request."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=problem):
            await client.push("app", source, journal=journal)

    assert ecr.stats.requests == 0


@pytest.mark.parametrize("suffix", ["", ".lock"], ids=["entry", "lock"])
async def test_a_directory_in_place_of_a_file(
    ecr: LocalECR, source: ImageSource, tmp_path: Path, suffix: str
) -> None:
    """An entry of the journal that is not a file is an error that names the journal."""
    journal = tmp_path / "journal"
    await interrupted(ecr, source, journal, after=6)
    files = [*journal.iterdir()]
    for path in files:
        path.unlink()
    for path in files:
        if not path.suffix:
            path.with_name(f"{path.name}{suffix}").mkdir()
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=r"journal' can't be used: Is a directory"):
            await client.push("app", source, journal=journal)


async def test_the_event_loop_does_not_wait(
    ecr: LocalECR, source: ImageSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory is made in a thread, because its disk may be slow. Locks come later."""
    mkdir, seen = pathlib.Path.mkdir, list[threading.Thread]()

    def recorded(path: pathlib.Path, *args: Any, **options: Any) -> None:
        seen.append(threading.current_thread())
        mkdir(path, *args, **options)

    monkeypatch.setattr("pathlib.Path.mkdir", recorded)
    await pushed(ecr, source, journal=tmp_path / "journal")

    assert seen[0] is not threading.main_thread()


async def test_a_full_disk(ecr: LocalECR, source: ImageSource, tmp_path: Path) -> None:
    """A journal that can't be written ends the push, and leaves no half-written entry."""
    async with ecr.client() as client:
        with small_files(100), pytest.raises(InvalidInputError, match="can't be used: File too"):
            await client.push("app", source, journal=tmp_path / "journal")

    assert [*(tmp_path / "journal").iterdir()] == []


@pytest.mark.parametrize("kind", ["mapping", "directory"])
async def test_an_entry_that_is_left_over(
    ecr: LocalECR, source: ImageSource, image: Image, tmp_path: Path, kind: str
) -> None:
    """The entry of a layer that the repository has in the meantime is removed."""
    journal: Any = {} if kind == "mapping" else tmp_path / "journal"
    await interrupted(ecr, source, journal, after=6)
    for blob in image.blobs:
        ecr.put_layer("app", blob)
    await pushed(ecr, source, journal=journal)

    assert [*(journal if kind == "mapping" else journal.iterdir())] == []


async def test_an_entry_that_another_push_has(
    ecr: LocalECR, source: ImageSource, tmp_path: Path
) -> None:
    """Two clients with one directory both end, and leave an empty directory."""
    journal = tmp_path / "journal"
    await interrupted(ecr, source, journal, after=6)
    results = await asyncio.gather(*(pushed(ecr, source, journal=journal) for _ in range(2)))

    assert [len(result.moved) + len(result.present) for result in results] == [BLOBS, BLOBS]
    assert [*journal.iterdir()] == []


async def test_an_entry_in_use_is_not_removed(
    ecr: LocalECR, source: ImageSource, image: Image, tmp_path: Path
) -> None:
    """An entry that another push has is left to that push, even if the layer is there."""
    journal = tmp_path / "journal"
    await interrupted(ecr, source, journal, after=6)
    before = sorted(path.name for path in journal.iterdir())
    for blob in image.blobs:
        ecr.put_layer("app", blob)
    with ExitStack() as held:
        for path in [*journal.iterdir()]:
            if not path.suffix:
                held.enter_context(FileLock(f"{path}.lock"))
        await pushed(ecr, source, journal=journal)

        assert sorted(path.name for path in journal.iterdir() if not path.suffix) == [
            name for name in before if not name.endswith(".lock")
        ]
