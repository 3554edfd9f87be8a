"""A push uploads what the repository lacks, and sends no other request than its plan names."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError, OperationTimeoutError, RetryPolicy, ServiceError
from ecr_layer_client.images import ImageSource
from images.making import IMAGE, Image, entry, index, layout_files, packed, sha256, write
from transfers.making import BLOBS, PART, PARTS, SIZES, requests
from transports import TRANSPORTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ecr_layer_client.images import Descriptor
    from ecr_layer_client.local import LocalECR
    from ecr_layer_client.transfers import TransferProgress

pytestmark = pytest.mark.asyncio

COLD = {
    "BatchCheckLayerAvailability": 1,
    "BatchGetImage": 1,
    "InitiateLayerUpload": BLOBS,
    "UploadLayerPart": PARTS,
    "CompleteLayerUpload": BLOBS,
    "PutImage": 1,
}
WARM = {"BatchCheckLayerAvailability": 1, "BatchGetImage": 1}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_cold_push_sends_the_requests_of_its_plan(
    ecr: LocalECR, source: ImageSource
) -> None:
    """Per absent blob there is one Initiate, its parts and one Complete; per manifest one put."""
    async with ecr.client() as client:
        result = await client.push("app", source)

    assert requests(ecr) == COLD
    assert result.calls == COLD


async def test_what_was_pushed_is_complete(ecr: LocalECR, source: ImageSource) -> None:
    """The image is deployable under its tag, and every layer is there."""
    async with ecr.client() as client:
        result = await client.push("app", source)
        report = await client.verify_image("app", "v1")

    assert report.deployable
    assert report.digest == result.digest
    assert [blob.digest for blob in result.moved] == [blob.digest for blob in source.blobs]


async def test_the_result(ecr: LocalECR, source: ImageSource) -> None:
    """The result counts bytes, and ends with the URI of the image."""
    async with ecr.client() as client:
        result = await client.push("app", source)

    host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    assert result.uri == f"{host}/app@{source.roots[0].digest}"
    assert str(result).splitlines()[-1] == result.uri
    assert result.bytes_moved == sum(SIZES) + len(b'{"os": "linux"}')
    assert result.bytes_repeated == 0
    assert result.images[0].tags == ("v1",)
    assert result.plan is not None
    assert result.plan.to_upload == result.moved


async def test_a_warm_push_only_looks(ecr: LocalECR, source: ImageSource) -> None:
    """A second push of the same image is one check and one BatchGetImage."""
    async with ecr.client() as client:
        await client.push("app", source)
        result = await client.push("app", source)

    assert result.calls == WARM
    assert result.moved == ()
    assert result.present == source.blobs
    assert result.uri.endswith(source.roots[0].digest)


async def test_only_what_is_absent_is_uploaded(
    ecr: LocalECR, source: ImageSource, image: Image
) -> None:
    """A layer that the repository has is not uploaded again."""
    held = ecr.put_layer("app", image.layers[0])
    async with ecr.client() as client:
        result = await client.push("app", source)

    assert held not in {blob.digest for blob in result.moved}
    assert requests(ecr)["UploadLayerPart"] == PARTS - 4


@pytest.mark.parametrize(
    ("tags", "named"),
    [(None, ["v1"]), ((), []), (["a", "b", "a"], ["a", "b"])],
    ids=["of the source", "none", "given"],
)
async def test_tags(
    ecr: LocalECR, source: ImageSource, tags: list[str] | None, named: list[str]
) -> None:
    """The image gets the given tags, or the source's own."""
    async with ecr.client() as client:
        await client.push("app", source, tags=tags)
        listed = [image async for image in client.list_images("app")]

    assert [sorted(image.tags) for image in listed] == [named]


async def test_a_tag_moves(ecr: LocalECR, source: ImageSource) -> None:
    """A tag that names another image is moved, after one look at the repository."""
    other = packed(mediaType=IMAGE, config=entry(b"{}", "application/json"), layers=[])
    ecr.put_layer("app", b"{}")
    ecr.put_image("app", other, tag="v1")
    async with ecr.client() as client:
        result = await client.push("app", source)
        report = await client.verify_image("app", "v1")

    assert report.digest == source.roots[0].digest
    assert result.calls["DescribeRepositories"] == 1


async def test_an_immutable_tag_is_refused_before_any_byte(
    ecr: LocalECR, source: ImageSource
) -> None:
    """A tag that can't be moved ends the push before the first upload."""
    async with ecr.session().create_client("ecr", endpoint_url=ecr.endpoint_url) as api:
        await api.create_repository(repositoryName="fixed", imageTagMutability="IMMUTABLE")
    other = packed(mediaType=IMAGE, config=entry(b"{}", "application/json"), layers=[])
    ecr.put_layer("fixed", b"{}")
    ecr.put_image("fixed", other, tag="v1")
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="the tag 'v1' already names another image"):
            await client.push("fixed", source)

    assert "InitiateLayerUpload" not in requests(ecr)


async def test_an_index_comes_after_its_images(ecr: LocalECR, tmp_path: Path, image: Image) -> None:
    """Every manifest is put once, the index last, with the tag."""
    other = Image(b'{"os": "windows"}', image.layers[:2])
    names = {"org.opencontainers.image.ref.name": "multi"}
    root = index({"linux/amd64": image.manifest, "windows/amd64": other.manifest})
    blobs = [root, image.manifest, other.manifest, *image.blobs, *other.blobs]
    entries = [entry(root, "application/vnd.oci.image.index.v1+json", annotations=names)]
    layout = write(tmp_path / "multi", layout_files(entries, blobs))

    async with ecr.client() as client:
        result = await client.push("app", ImageSource.from_path(layout))
        report = await client.verify_image("app", "multi")

    assert report.deployable
    assert result.digest == sha256(root)
    assert result.calls["PutImage"] == 3


async def test_one_platform_is_selected(ecr: LocalECR, tmp_path: Path, image: Image) -> None:
    """`select` picks the image of a platform, and a push of it leaves the others out."""
    other = Image(b'{"os": "windows"}', image.layers[:2])
    root = index({"linux/amd64": image.manifest, "windows/amd64": other.manifest})
    blobs = [root, image.manifest, other.manifest, *image.blobs, *other.blobs]
    entries = [entry(root, "application/vnd.oci.image.index.v1+json")]
    layout = write(tmp_path / "multi", layout_files(entries, blobs))

    source = ImageSource.from_path(layout).select(platform="windows/amd64")
    async with ecr.client() as client:
        result = await client.push("app", source, tags=["win"])

    assert result.digest == sha256(other.manifest)
    assert len(result.moved) == len(other.blobs)


async def made_in_a_file(image: Image, path: Path) -> Callable[[Descriptor], Any]:
    """Return a function that opens blobs as files."""
    write(path, {sha256(blob)[7:]: blob for blob in image.blobs})
    return lambda blob: (path / blob.digest[7:]).open("rb")


@pytest.mark.parametrize("kind", ["file", "chunks", "async chunks"])
async def test_blobs_made_on_demand(ecr: LocalECR, image: Image, tmp_path: Path, kind: str) -> None:
    """`blobs=` may return a file, chunks or async chunks, and is called for absent blobs only."""
    by_digest, asked = {sha256(blob): blob for blob in image.blobs}, list[str]()
    opened = await made_in_a_file(image, tmp_path)

    def pieces(data: bytes) -> list[bytes]:
        return [data[:7], b"", data[7:2001], data[2001:]]

    async def async_pieces(data: bytes) -> Any:
        for piece in pieces(data):
            yield piece

    def make(blob: Descriptor) -> Any:
        asked.append(blob.digest)
        if kind == "file":
            return opened(blob)
        data = by_digest[blob.digest]
        return pieces(data) if kind == "chunks" else async_pieces(data)

    held = ecr.put_layer("app", image.layers[0])
    async with ecr.client() as client:
        await client.push("app", ImageSource.from_manifest(image.manifest, blobs=make), tags=["v1"])
        report = await client.verify_image("app", "v1")

    assert report.deployable
    assert sorted(asked) == sorted(set(by_digest) - {held})


async def test_progress(ecr: LocalECR, source: ImageSource) -> None:
    """Progress grows to the total, and never claims more than was sent."""
    seen: list[TransferProgress] = []
    async with ecr.client() as client:
        result = await client.push("app", source, progress=seen.append)

    last = seen[-1]
    assert (
        (last.confirmed, last.layers_done)
        == (last.total, last.layers)
        == (
            result.bytes_moved,
            BLOBS,
        )
    )
    assert all(each.confirmed <= each.sent <= each.total for each in seen)
    assert [each.confirmed for each in seen] == sorted(each.confirmed for each in seen)


async def test_two_pushes_share_an_upload(ecr: LocalECR, source: ImageSource) -> None:
    """Two transfers of one client upload a layer once: the second waits for the first."""
    async with ecr.client() as client:
        results = await asyncio.gather(client.push("app", source), client.push("app", source))

    assert requests(ecr)["UploadLayerPart"] == PARTS
    assert sorted(result.bytes_moved for result in results) == [
        0,
        sum(SIZES) + len(b'{"os": "linux"}'),
    ]


async def test_timeout(ecr: LocalECR, source: ImageSource) -> None:
    """`timeout=` ends the push with what was transferred, and what was not."""
    ecr.faults.add(operation="UploadLayerPart", latency=30, after=5)
    async with ecr.client(attempt_timeout=60.0) as client:
        with pytest.raises(OperationTimeoutError, match=r"timeout=2 s expired") as raised:
            await client.push("app", source, timeout=2)

    state = raised.value.transfer
    assert state is not None
    assert {*state.moved} | {each.digest for each in state.unfinished} == {
        blob.digest for blob in source.blobs
    }
    assert state.unfinished


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (0, "0 of 5 layers and 0 bytes of 64.0 kB uploaded: nothing was kept: allow more time"),
        (1, "of 64.0 kB uploaded: push again to continue"),
    ],
)
async def test_the_message_of_a_timeout(
    ecr: LocalECR, source: ImageSource, kept: int, said: str
) -> None:
    """The message has the bytes that ECR holds, and says if another push would be no further."""
    ecr.faults.add(operation="UploadLayerPart", latency=30, after=kept)
    async with ecr.client(attempt_timeout=60.0) as client:
        with pytest.raises(OperationTimeoutError, match=said):
            await client.push("app", source, timeout=2)


async def test_a_failure_says_how_far_it_came(ecr: LocalECR, source: ImageSource) -> None:
    """The one error that ended the push has the state of the transfer."""
    ecr.faults.add(operation="CompleteLayerUpload", error="KmsException", after=2)
    async with ecr.client() as client:
        with pytest.raises(ServiceError, match="KmsException") as raised:
            await client.push("app", source)

    assert raised.value.transfer is not None
    assert len(raised.value.transfer.moved) == 2


async def test_cancellation_leaves_nothing_behind(ecr: LocalECR, source: ImageSource) -> None:
    """A cancelled push leaves no request and no task; the fixture looks for them."""
    ecr.faults.add(operation="UploadLayerPart", latency=5)
    async with ecr.client() as client:
        push = asyncio.create_task(client.push("app", source))
        await asyncio.sleep(1)
        push.cancel()
        with pytest.raises(asyncio.CancelledError):
            await push

    assert "PutImage" not in requests(ecr)


EMPTY = packed(
    mediaType=IMAGE,
    config=entry(b"{}", "application/json"),
    layers=[{**entry(b"", "application/x-tar"), "size": 0}],
)
HUGE = packed(
    mediaType=IMAGE,
    config=entry(b"{}", "application/json"),
    layers=[{**entry(b"a", "application/x-tar"), "size": 52_000 * 1024 * 1024 + 1}],
)
SHA512 = packed(
    mediaType=IMAGE,
    config=entry(b"{}", "application/json"),
    layers=[
        {"mediaType": "application/x-tar", "digest": f"sha512:{'a' * 128}", "size": 1},
    ],
)


NO_SIZES = json.dumps(
    {
        "schemaVersion": 1,
        "name": "app",
        "tag": "v1",
        "architecture": "amd64",
        "fsLayers": [{"blobSum": sha256(b"a")}],
        "history": [{"v1Compatibility": "{}"}],
    }
).encode()


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        (EMPTY, "has 0 bytes, and ECR refuses empty blobs"),
        (HUGE, "and ECR accepts at most 54525952000"),
        (SHA512, "ECR accepts sha256 digests only"),
        (NO_SIZES, "has no size, because its manifest is of schema 1"),
    ],
    ids=["empty", "too large", "sha512", "schema 1"],
)
async def test_what_ecr_would_refuse(ecr: LocalECR, manifest: bytes, problem: str) -> None:
    """A blob that ECR would refuse after the upload is refused before any request."""
    source = ImageSource.from_manifest(manifest, blobs=lambda _: [b"a"])
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=problem):
            await client.push("app", source)

    assert ecr.stats.requests == 0


async def test_manifests_alone_are_refused(ecr: LocalECR, image: Image) -> None:
    """A source without bytes can't be pushed."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="this source has only manifests"):
            await client.push("app", ImageSource.from_manifest(image.manifest))

    assert ecr.stats.requests == 0


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"tags": "v1"}, "tags='v1' must be an iterable of tags"),
        ({"tags": ["-v1"]}, "'-v1' is not a valid tag"),
        ({"tags": [1]}, "1 is not a valid tag"),
        ({"journal": 5}, "journal=5 must be a directory"),
        ({"timeout": 0}, "timeout=0 must be a number of seconds greater than 0"),
        ({"progress": 1}, "progress=1 must be True, False"),
    ],
    ids=["str as tags", "tag", "tag of another type", "journal", "timeout", "progress"],
)
async def test_arguments(
    ecr: LocalECR, source: ImageSource, options: dict[str, Any], problem: str
) -> None:
    """An argument that is not valid is refused before any request."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=problem):
            await client.push("app", source, **options)

    assert ecr.stats.requests == 0


async def test_one_tag_for_two_images(ecr: LocalECR, source: ImageSource, tmp_path: Path) -> None:
    """A tag that is meant for two images is refused."""
    other = Image(b'{"os": "other"}', (b"x",))
    names = {"org.opencontainers.image.ref.name": "v1"}
    root = entry(other.manifest, IMAGE, annotations=names)
    layout = write(tmp_path / "other", layout_files([root], [other.manifest, *other.blobs]))
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="the tag 'v1' would name two images"):
            await client.push("app", [source, ImageSource.from_path(layout)])


async def test_max_bytes_in_flight(ecr: LocalECR, source: ImageSource) -> None:
    """A budget of less than one part still lets one part at a time pass."""
    async with ecr.client(max_bytes_in_flight=1) as client:
        result = await client.push("app", source)

    assert result.calls == COLD


async def test_max_bandwidth(ecr: LocalECR, source: ImageSource) -> None:
    """Bytes leave at the rate of `max_bandwidth`, in base64."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with ecr.client(max_bandwidth=10_000.0) as client:
        await client.push("app", source)

    assert loop.time() - began >= (sum(SIZES) - PART) * 4 / 3 / 10_000


async def test_retries_off(ecr: LocalECR, source: ImageSource) -> None:
    """`max_attempts=1` turns retries off in transfers, too."""
    ecr.faults.add(operation="UploadLayerPart", error="ServerException", times=1)
    async with ecr.client(retry=RetryPolicy(max_attempts=1)) as client:
        with pytest.raises(ServiceError, match="ServerException"):
            await client.push("app", source)
