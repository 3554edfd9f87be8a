"""Where layers are downloaded from, and what else may come from there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import (
    ClientConfig,
    ECRLayerClient,
    InvalidInputError,
    Repository,
    ResponseError,
    RetryPolicy,
    TransportError,
)
from ecr_layer_client._calls.bounds import Bandwidth
from ecr_layer_client.images import Descriptor, ImageSource
from ecr_layer_client.transfers import _incoming_blob, _layout_writer
from ecr_layer_client.transfers._download import DownloadUrl, RangeDownload
from ecr_layer_client.transfers._parts import Span
from images.making import IMAGE, Image, entry, packed, sha256, write
from transfers.making import BLOBS

if TYPE_CHECKING:
    from pathlib import Path

    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("url", ["http://layers.example/a", "ftp://127.0.0.1/a", "file:///etc"])
async def test_an_unsafe_url(ecr: LocalECR, tmp_path: Path, url: str) -> None:
    """Only https is used, but for this machine; the URL itself is in no message."""
    body = json.dumps({"downloadUrl": f"{url}?X-Amz-Signature=secret"}).encode()
    ecr.faults.add(operation="GetDownloadUrlForLayer", body=body)
    async with ecr.client() as client:
        with pytest.raises(ResponseError, match="only https is used") as raised:
            await client.pull("app", "v1", tmp_path / "pulled")

    assert "secret" not in str(raised.value)


async def test_an_insecure_url_is_allowed(ecr: LocalECR, tmp_path: Path) -> None:
    """With `allow_insecure_endpoint` plain http is used; the failure is that of the network."""
    body = json.dumps({"downloadUrl": "http://layers.invalid/a"}).encode()
    ecr.faults.add(operation="GetDownloadUrlForLayer", body=body)
    async with ecr.client(
        allow_insecure_endpoint=True, retry=RetryPolicy(max_attempts=1)
    ) as client:
        with pytest.raises(TransportError, match="no complete response: ClientConnectorDNSError"):
            await client.pull("app", "v1", tmp_path / "pulled")


async def test_too_many_bytes(ecr: LocalECR, tmp_path: Path) -> None:
    """More bytes than the range has are refused."""
    ecr.faults.add(operation="GetLayer", body=b"x" * 40_000, status=206)
    async with ecr.client() as client:
        with pytest.raises(ResponseError, match="has more bytes than the requested range"):
            await client.pull("app", "v1", tmp_path / "pulled")


@pytest.fixture
def small(ecr: LocalECR) -> bytes:
    """Put an image that has one blob, under the tag `small`, and return the blob."""
    blob = b"a config"
    manifest = packed(mediaType=IMAGE, config=entry(blob, "a/b"), layers=[])
    ecr.put_layer("app", blob)
    ecr.put_image("app", manifest, "small")
    return blob


async def test_a_layer_that_never_fits(ecr: LocalECR, small: bytes, tmp_path: Path) -> None:
    """Bytes with another digest, twice, are an error, and nothing of them stays."""
    ecr.faults.add(operation="GetLayer", body=small[::-1], status=206)
    async with ecr.client() as client:
        with pytest.raises(ResponseError, match=r"both times the bytes had another digest"):
            await client.pull("app", "small", tmp_path / "pulled")

    incoming = tmp_path / "pulled" / ".incoming"
    assert [path.stat().st_size for path in incoming.iterdir()] == [0]


async def test_a_layer_that_fits_at_last(ecr: LocalECR, small: bytes, tmp_path: Path) -> None:
    """Bytes with another digest, once, cost another download."""
    ecr.faults.add(operation="GetLayer", body=small[::-1], status=206, times=1)
    async with ecr.client() as client:
        result = await client.pull("app", "small", tmp_path / "pulled")

    assert result.bytes_repeated == len(small)


async def test_a_response_that_ends_early(ecr: LocalECR, small: bytes, tmp_path: Path) -> None:
    """A response with fewer bytes than the range is continued behind them."""
    ecr.faults.add(operation="GetLayer", body=small[:3], status=206, times=1)
    async with ecr.client() as client:
        result = await client.pull("app", "small", tmp_path / "pulled")

    assert result.bytes_repeated == 0
    assert result.calls["GetLayer"] == 1


async def test_observers(ecr: LocalECR, small: bytes, tmp_path: Path) -> None:
    """An observer is told of the pull and of each attempt of a download."""
    seen: list[str] = []

    class Seen:
        def operation(self, name: str, *_: object) -> None:
            seen.append(name)

        def attempt(self, name: str, *_: object) -> None:
            seen.append(name)

        def retry(self, *_: object) -> None: ...

        def throttle(self, *_: object) -> None: ...

    async with ecr.client(observer=Seen()) as client:  # type: ignore[arg-type]
        await client.pull("app", "small", tmp_path / "pulled")

    assert [seen[0], seen[-1]] == ["pull", "GetLayer"]
    assert small


async def test_a_timeout_error_of_the_disk(
    ecr: LocalECR, small: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An OSError of the disk passes unchanged, even one that is called a timeout."""

    def fail(*_: object) -> Any:
        raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr(_incoming_blob.IncomingBlob, "write", fail)
    async with ecr.client() as client:
        with pytest.raises(TimeoutError, match="Connection timed out"):
            await client.pull("app", "small", tmp_path / "pulled", timeout=30)

    assert small


async def test_a_directory_that_cannot_be_removed(
    ecr: LocalECR, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal of the system at the end is raised."""

    def fail(*_: object) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.rmdir", fail)
    async with ecr.client() as client:
        with pytest.raises(PermissionError, match="Permission denied"):
            await client.pull("app", "v1", tmp_path / "pulled")


@pytest.mark.parametrize(
    "index",
    [b"{", b"[]", b"{}", b'{"schemaVersion": 2, "manifests": [5]}'],
    ids=["cut", "a list", "an empty object", "a number"],
)
async def test_an_index_that_is_damaged(ecr: LocalECR, tmp_path: Path, index: bytes) -> None:
    """A layout whose index is damaged is refused before any request, and not overwritten."""
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": index}
    write(tmp_path / "pulled", files)
    async with ecr.client() as client:
        before = ecr.stats.requests
        with pytest.raises(InvalidInputError, match=r"index\.json: not a valid manifest"):
            await client.pull("app", "v1", tmp_path / "pulled")

    assert ecr.stats.requests == before
    assert (tmp_path / "pulled" / "index.json").read_bytes() == index


async def test_what_another_pull_writes_stays(ecr: LocalECR, tmp_path: Path) -> None:
    """A part of another image that is being pulled is not removed."""
    part = write(tmp_path / "pulled" / ".incoming", {"sha256-other.part": b"some"})
    async with ecr.client() as client:
        await client.pull("app", "v1", tmp_path / "pulled")

    assert [path.name for path in part.iterdir()] == ["sha256-other.part"]


async def test_a_part_that_is_too_long(ecr: LocalECR, image: Image, tmp_path: Path) -> None:
    """More bytes than the blob has are thrown away."""
    digest = sha256(image.layers[1])
    name = f"{digest.replace(':', '-')}.part"
    write(tmp_path / "pulled" / ".incoming", {name: b"x" * 100_000})
    async with ecr.client() as client:
        result = await client.pull("app", "v1", tmp_path / "pulled")

    assert len(result.moved) == BLOBS
    assert result.bytes_repeated == 0


async def test_a_failed_write_leaves_nothing(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that can't be written has no final name, and no other."""
    layout = _layout_writer.LayoutWriter(tmp_path / "pulled")
    layout.create()
    source = ImageSource.from_manifest(image.manifest)

    def fail(*_: object) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="No space left"):
        layout.add_image(source.manifests, source.roots[0], ["v1"])

    assert [*(tmp_path / "pulled" / ".incoming").iterdir()] == []


async def test_a_digest_that_is_no_path(tmp_path: Path) -> None:
    """A digest that is not hexadecimal never becomes a path."""
    layout = _layout_writer.LayoutWriter(tmp_path / "pulled")
    manifest = packed(
        mediaType=IMAGE,
        config=entry(b"{}", "a/b"),
        layers=[{"mediaType": "a/b", "digest": "other+x:a_b", "size": 1}],
    )
    blob = ImageSource.from_manifest(manifest).blobs[1]
    with pytest.raises(InvalidInputError, match="only sha256 and sha512 digests can"):
        layout.has(blob)


@pytest.mark.parametrize(
    ("path", "problem"),
    [(7, "path=7 must be a str or a Path"), ("", "path='' is empty")],
    ids=["a number", "empty"],
)
async def test_a_path_that_is_none(ecr: LocalECR, path: Any, problem: str) -> None:
    """A path that is neither a str nor a Path, or is empty, is refused before any request."""
    before = ecr.stats.requests
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=problem):
            await client.pull("app", "v1", path)

    assert ecr.stats.requests == before


async def test_a_pusher_of_ones_own(ecr: LocalECR, image: Image) -> None:
    """A copy gives any pusher a source whose blobs it can read."""
    seen: dict[str, bytes] = {}

    class Pusher:
        async def push(self, _: object, sources: Any, **__: object) -> Any:
            for source in sources:
                for blob in source.blobs:
                    content = source._blobs.make(blob)
                    chunks = [chunk async for chunk in content]
                    seen[blob.digest] = b"".join(chunks)
                    await content.aclose()
            from ecr_layer_client.transfers import TransferResult

            return TransferResult()

    async with ecr.client() as client:
        await client.copy("app", "v1", to=Pusher())  # type: ignore[arg-type]

    assert seen == {sha256(blob): blob for blob in image.blobs}


async def test_an_empty_blob(tmp_path: Path) -> None:
    """A blob of 0 bytes needs no request for its bytes."""
    blob = ImageSource.from_manifest(
        packed(mediaType=IMAGE, config=entry(b"", "a/b"), layers=[])
    ).blobs[0]
    layout = _layout_writer.LayoutWriter(tmp_path / "pulled")
    layout.create()
    incoming = layout.incoming(blob)
    incoming.open()
    assert incoming.finish()
    incoming.close()
    assert (tmp_path / "pulled" / "blobs" / "sha256" / blob.digest[7:]).read_bytes() == b""


async def test_a_bar_of_bytes(ecr: LocalECR, tmp_path: Path, capsys: Any) -> None:
    """`progress=True` shows bytes."""
    async with ecr.client() as client:
        await client.pull("app", "v1", tmp_path / "pulled", progress=True)

    assert "64.0k/64.0k" in capsys.readouterr().err


async def test_a_client_that_is_closed(source: ImageSource) -> None:
    """A transfer on a client that is not open says so."""
    client = ECRLayerClient(region_name="eu-west-1", config=ClientConfig())
    with pytest.raises(RuntimeError, match="the client is not open yet"):
        await client.push("app", source)


async def test_an_open_that_comes_too_late(tmp_path: Path) -> None:
    """A thread that opens a blob after it was closed opens nothing."""
    blob = ImageSource.from_manifest(
        packed(mediaType=IMAGE, config=entry(b"a", "a/b"), layers=[])
    ).blobs[0]
    incoming = _layout_writer.LayoutWriter(tmp_path / "pulled").incoming(blob)
    incoming.close()
    incoming.open()

    assert not (tmp_path / "pulled").exists()


async def test_a_blob_that_was_complete(ecr: LocalECR, small: bytes, tmp_path: Path) -> None:
    """A blob whose bytes are all there only gets its name."""
    name = f"{sha256(small).replace(':', '-')}.part"
    write(tmp_path / "pulled" / ".incoming", {name: small})
    async with ecr.client() as client:
        result = await client.pull("app", "small", tmp_path / "pulled")

    assert result.calls == {}
    assert [blob.digest for blob in result.resumed] == [sha256(small)]


async def test_a_url_that_another_reader_renewed() -> None:
    """An old URL that is refused does not make the new one expire."""
    urls = ["http://127.0.0.1/1", "http://127.0.0.1/2"]

    class Calls:
        async def call(self, _: object) -> str:
            return urls.pop(0)

    url = DownloadUrl(Calls(), Repository(name="app"), "sha256:aa", allow_insecure=False)  # type: ignore[arg-type]
    old = await url.get()
    url.expire(old)
    new = await url.get()
    url.expire(old)

    assert await url.get() == new


async def test_a_range_without_an_attempt() -> None:
    """A range takes chunks without a deadline, too."""
    taken: list[bytes] = []

    async def take(chunk: bytes) -> None:
        taken.append(chunk)

    layer = Descriptor(digest="sha256:" + "a" * 64, size=4)
    url: Any = None
    download = RangeDownload(
        Repository(name="app"), layer, Span(0, 4), url, take, Bandwidth(None), 1.0
    )
    await download.add(b"ab")

    assert (taken, download.left, download.request()) == ([b"ab"], Span(2, 4), b"")
    download.parse(b"")
