"""A pull writes an OCI layout: resumable, verified, with the index last."""

from __future__ import annotations

import asyncio
import errno
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError, OperationTimeoutError, ResponseError, ServiceError
from ecr_layer_client.images import ImageSource
from images.making import LAYOUT, packed, sha256, write
from transfers.making import BLOBS, SIZES, requests, small_files

if TYPE_CHECKING:
    from pathlib import Path

    from ecr_layer_client.local import LocalECR
    from images.making import Image

pytestmark = pytest.mark.asyncio


def blobs_of(layout: Path) -> dict[str, bytes]:
    """Return the blobs of a layout."""
    return {path.name: path.read_bytes() for path in (layout / "blobs" / "sha256").iterdir()}


def index_of(layout: Path) -> list[Any]:
    """Return the entries of a layout's index."""
    entries: list[Any] = json.loads((layout / "index.json").read_bytes())["manifests"]
    return entries


async def test_what_was_pushed_is_pulled(ecr: LocalECR, layout: Path, tmp_path: Path) -> None:
    """Every blob comes back byte for byte."""
    async with ecr.client() as client:
        result = await client.pull("app", "v1", tmp_path / "pulled")

    assert blobs_of(tmp_path / "pulled") == blobs_of(layout)
    assert result.digest == index_of(layout)[0]["digest"]
    assert len(result.moved) == BLOBS


async def test_our_reader_accepts_it(ecr: LocalECR, source: ImageSource, tmp_path: Path) -> None:
    """The layout has the tag, and can be read and pushed again."""
    async with ecr.client() as client:
        await client.pull("app", "v1", tmp_path / "pulled")
    pulled = ImageSource.from_path(tmp_path / "pulled")

    assert dict(pulled.tags) == dict(source.tags)
    assert pulled.roots[0].digest == source.roots[0].digest


async def test_the_uri(ecr: LocalECR, source: ImageSource, tmp_path: Path) -> None:
    """The result ends with the URI of the image in its repository."""
    async with ecr.client() as client:
        result = await client.pull("app", "v1", tmp_path / "pulled")

    host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    assert result.uri == f"{host}/app@{source.roots[0].digest}"


async def test_requests(ecr: LocalECR, tmp_path: Path) -> None:
    """A pull asks for one URL and sends one request per blob."""
    async with ecr.client() as client:
        result = await client.pull("app", "v1", tmp_path / "pulled")

    assert result.calls == {"GetDownloadUrlForLayer": BLOBS, "GetLayer": BLOBS}


async def test_a_second_pull_downloads_nothing(ecr: LocalECR, tmp_path: Path) -> None:
    """Blobs that the layout has are not downloaded again, and the index stays as it is."""
    async with ecr.client() as client:
        await client.pull("app", "v1", tmp_path / "pulled")
        before = index_of(tmp_path / "pulled")
        result = await client.pull("app", "v1", tmp_path / "pulled")

    assert result.calls == {}
    assert len(result.present) == BLOBS
    assert index_of(tmp_path / "pulled") == before


async def test_other_entries_stay(ecr: LocalECR, tmp_path: Path) -> None:
    """An image is added to a layout; only an entry of the same names is replaced."""
    pulled = tmp_path / "pulled"
    async with ecr.client() as client:
        await client.copy("app", "v1", tags=["v2"])
        await client.pull("app", "v1", pulled)
        await client.pull("app", "v2", pulled)
        await client.pull("app", "v1", pulled)

    names = [
        entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index_of(pulled)
    ]
    assert sorted(names) == ["v1", "v2"]


async def test_a_digest_has_no_name(ecr: LocalECR, source: ImageSource, tmp_path: Path) -> None:
    """An image that is pulled by its digest is in the index without a tag."""
    async with ecr.client() as client:
        await client.pull("app", source.roots[0].digest, tmp_path / "pulled")

    assert [sorted(entry) for entry in index_of(tmp_path / "pulled")] == [
        ["digest", "mediaType", "size"]
    ]


async def test_resume(ecr: LocalECR, image: Image, tmp_path: Path) -> None:
    """A pull continues behind the bytes that an earlier one wrote."""
    digest = sha256(image.layers[0])
    part = tmp_path / "pulled" / ".incoming" / f"{digest.replace(':', '-')}.part"
    write(part.parent, {part.name: image.layers[0][:1234]})
    async with ecr.client() as client:
        result = await client.pull("app", "v1", tmp_path / "pulled")

    assert [blob.digest for blob in result.resumed] == [digest]
    assert result.bytes_moved == sum(SIZES) + len(image.config) - 1234
    assert blobs_of(tmp_path / "pulled")[digest[7:]] == image.layers[0]


async def test_a_wrong_beginning(ecr: LocalECR, image: Image, tmp_path: Path) -> None:
    """Bytes of an earlier pull that are wrong are found, and the blob is downloaded again."""
    digest = sha256(image.layers[0])
    part = tmp_path / "pulled" / ".incoming" / f"{digest.replace(':', '-')}.part"
    write(part.parent, {part.name: b"x" * 1234})
    async with ecr.client() as client:
        result = await client.pull("app", "v1", tmp_path / "pulled")

    assert blobs_of(tmp_path / "pulled")[digest[7:]] == image.layers[0]
    assert result.bytes_repeated == len(image.layers[0])


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503},
        {"reset": True},
        {"cut_at": 700},
        {"cut_at": 700, "reset": True},
    ],
    ids=["500", "503", "reset", "cut", "cut and reset"],
)
async def test_one_fault(
    ecr: LocalECR, layout: Path, tmp_path: Path, fault: dict[str, Any]
) -> None:
    """A download that fails once goes on behind the bytes that came."""
    ecr.faults.add(operation="GetLayer", times=2, **fault)
    async with ecr.client() as client:
        await client.pull("app", "v1", tmp_path / "pulled")

    assert blobs_of(tmp_path / "pulled") == blobs_of(layout)


async def test_an_expired_url(ecr: LocalECR, layout: Path, tmp_path: Path) -> None:
    """A URL that S3 refuses with 403 is renewed once."""
    ecr.faults.add(operation="GetLayer", error="AccessDenied", status=403, times=1)
    async with ecr.client() as client:
        result = await client.pull("app", "v1", tmp_path / "pulled")

    assert blobs_of(tmp_path / "pulled") == blobs_of(layout)
    assert result.calls["GetDownloadUrlForLayer"] == BLOBS + 1


async def test_a_download_that_is_refused(ecr: LocalECR, tmp_path: Path) -> None:
    """A refusal that a new URL does not end is an error that names the layer."""
    ecr.faults.add(operation="GetLayer", error="AccessDenied", status=403)
    async with ecr.client() as client:
        with pytest.raises(
            ServiceError, match=r"GetLayer: sha256:\w+ of repository 'app'"
        ) as raised:
            await client.pull("app", "v1", tmp_path / "pulled")

    assert raised.value.code == "AccessDenied"
    assert raised.value.transfer is not None
    assert "X-Amz-Signature" not in str(raised.value)


async def test_the_whole_layer_in_place_of_a_range(ecr: LocalECR, tmp_path: Path) -> None:
    """A server that ignores ranges is refused."""
    ecr.faults.add(operation="GetLayer", body=b"all of it")
    async with ecr.client() as client:
        with pytest.raises(ResponseError, match="the whole layer instead of the requested range"):
            await client.pull("app", "v1", tmp_path / "pulled")


async def test_wrong_bytes(ecr: LocalECR, image: Image, tmp_path: Path) -> None:
    """Bytes that have another digest, twice, are an error, and never get the blob's name."""
    ecr.faults.add(operation="GetLayer", body=b"x" * 35_000, status=206)
    async with ecr.client() as client:
        with pytest.raises(
            ResponseError, match=r"another digest, twice|has more bytes than the requested range"
        ):
            await client.pull("app", "v1", tmp_path / "pulled")

    assert not (tmp_path / "pulled" / "index.json").exists()
    assert not (tmp_path / "pulled" / "blobs" / "sha256" / sha256(image.layers[0])[7:]).exists()


async def test_cancellation(ecr: LocalECR, layout: Path, tmp_path: Path) -> None:
    """A cancelled pull names no image, and a later one goes on."""
    fault = ecr.faults.add(operation="GetLayer", latency=30, after=2)
    async with ecr.client() as client:
        pull = asyncio.create_task(client.pull("app", "v1", tmp_path / "pulled"))
        while ecr.in_flight == 0:  # noqa: ASYNC110 (a server works)
            await asyncio.sleep(0.01)
        pull.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pull
        assert not (tmp_path / "pulled" / "index.json").exists()
        fault.remove()
        await client.pull("app", "v1", tmp_path / "pulled")

    assert blobs_of(tmp_path / "pulled") == blobs_of(layout)


async def test_timeout(ecr: LocalECR, tmp_path: Path) -> None:
    """`timeout=` ends a pull."""
    ecr.faults.add(operation="GetLayer", latency=30)
    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError, match=r"pull from repository 'app': timeout=0.2"):
            await client.pull("app", "v1", tmp_path / "pulled", timeout=0.2)


async def test_a_directory_with_other_files(ecr: LocalECR, tmp_path: Path) -> None:
    """A directory that is neither empty nor a layout is refused before any request."""
    write(tmp_path / "other", {"notes.txt": b"mine"})
    before = ecr.stats.requests
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="is neither empty nor an OCI layout"):
            await client.pull("app", "v1", tmp_path / "other")

    assert ecr.stats.requests == before


async def test_an_archive(ecr: LocalECR, tmp_path: Path) -> None:
    """A path of an archive gets advice."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="looks like an archive: pull into a directory"):
            await client.pull("app", "v1", tmp_path / "image.tar")


async def test_an_unknown_image(ecr: LocalECR, tmp_path: Path) -> None:
    """An image that does not exist leaves no directory behind."""
    async with ecr.client() as client:
        with pytest.raises(ServiceError, match="ImageNotFound"):
            await client.pull("app", "gone", tmp_path / "pulled")

    assert not (tmp_path / "pulled").exists()


async def test_a_full_disk(ecr: LocalECR, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without enough room is found before the first download, and no directory is made."""
    full = SimpleNamespace(free=10)

    def usage(_: object) -> SimpleNamespace:
        return full

    monkeypatch.setattr("shutil.disk_usage", usage)
    async with ecr.client() as client:
        with pytest.raises(OSError, match="but only 10 bytes are free"):
            await client.pull("app", "v1", tmp_path / "new" / "pulled")

    assert ("GetLayer" in requests(ecr), (tmp_path / "new").exists()) == (False, False)


async def test_what_is_there_needs_no_space(
    ecr: LocalECR, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes that an earlier pull wrote are not counted again."""
    digest = sha256(image.layers[0])
    part = tmp_path / "pulled" / ".incoming" / f"{digest.replace(':', '-')}.part"
    write(part.parent, {part.name: image.layers[0][:30_000]})
    left = sum(SIZES) + len(image.config) - 30_000

    def usage(_: object) -> SimpleNamespace:
        return SimpleNamespace(free=left)

    monkeypatch.setattr("shutil.disk_usage", usage)
    async with ecr.client() as client:
        result = await client.pull("app", "v1", tmp_path / "pulled")

    assert len(result.moved) == BLOBS


async def test_pulls_into_one_layout(ecr: LocalECR, layout: Path, tmp_path: Path) -> None:
    """Pulls at the same time, of images that share layers, all end, and all are in the index."""
    pulled, tags = tmp_path / "pulled", ["v1", "v2", "v3"]
    async with ecr.client() as client:
        await client.copy("app", "v1", tags=tags)
        # Each pull has opened its files before the first bytes come.
        ecr.faults.add(operation="GetLayer", latency=0.2)
        await asyncio.gather(*(client.pull("app", tag, pulled) for tag in tags))

    names = [each["annotations"]["org.opencontainers.image.ref.name"] for each in index_of(pulled)]
    assert sorted(names) == tags
    assert blobs_of(pulled) == blobs_of(layout)
    assert not (pulled / ".incoming").exists()


async def test_a_file_that_cannot_be_written(ecr: LocalECR, image: Image, tmp_path: Path) -> None:
    """The error names the file, and what was written has no final name."""
    pulled, digest = tmp_path / "pulled", sha256(image.layers[0])
    async with ecr.client() as client:
        with small_files(20_000), pytest.raises(OSError, match="File too large") as raised:
            await client.pull("app", "v1", pulled)

    assert raised.value.filename == str(pulled / ".incoming" / f"{digest.replace(':', '-')}.part")
    assert digest[7:] not in blobs_of(pulled)
    assert not (pulled / "index.json").exists()


async def test_a_directory_in_place_of_a_blob(ecr: LocalECR, image: Image, tmp_path: Path) -> None:
    """A file that can't be replaced is an error that names it."""
    blob = tmp_path / "pulled" / "blobs" / "sha256" / sha256(image.config)[7:]
    write(tmp_path / "pulled", {"oci-layout": LAYOUT, "index.json": packed(manifests=[])})
    write(blob, {"file": b""})
    async with ecr.client() as client:
        with pytest.raises(OSError, match=r"Is a directory|not empty") as raised:
            await client.pull("app", "v1", tmp_path / "pulled")

    assert str(blob) in {raised.value.filename, raised.value.filename2}


async def test_a_file_system_without_locks(
    ecr: LocalECR, layout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that has no locks, as some network file systems, can be pulled to."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    async with ecr.client() as client:
        await client.pull("app", "v1", tmp_path / "pulled")

    assert blobs_of(tmp_path / "pulled") == blobs_of(layout)
