"""A push repairs lost responses, parts taken in part, and uploads that somebody else ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError, ServiceError
from ecr_layer_client.images import ImageSource
from images.making import IMAGE, entry, packed, sha256
from transfers.making import BLOBS, PART
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
        with pytest.raises(InvalidInputError, match="ECR computed another digest") as raised:
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
        with pytest.raises(InvalidInputError, match="is missing, but a manifest lists it"):
            await client.push("app", source)

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
