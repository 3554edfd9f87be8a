"""Lost responses and races: one function for each rule of a transfer, for any local ECR.

Each is given a local ECR with an empty repository `here`, an image, and a directory for files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError, ResponseError, ServiceError
from ecr_layer_client.images import ImageSource
from images.making import IMAGE, INDEX, Image, entry, index, layout_files, packed, sha256, write
from transfers.making import BLOBS, PART, PARTS, requests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from ecr_layer_client.local import LocalECR
    from ecr_layer_client.transfers import TransferProgress, TransferResult

    Rule = Callable[[LocalECR, Image, Path], Awaitable[None]]

HERE = "here"


def source_of(image: Image) -> ImageSource:
    """Return an image whose blobs are made on demand."""
    blobs = {sha256(blob): blob for blob in image.blobs}
    return ImageSource.from_manifest(image.manifest, blobs=lambda blob: [blobs[blob.digest]])


async def pushed(ecr: LocalECR, image: Image, **options: Any) -> TransferResult:
    """Push an image, and check that the repository has all of it."""
    async with ecr.client() as client:
        result = await client.push(HERE, source_of(image), tags=["v1"], **options)
        report = await client.verify_image(HERE, "v1")
    assert report.deployable
    return result


def made(ecr: LocalECR, operation: str, before: dict[str, int]) -> int:
    """Return how many requests of an operation succeeded since another count."""
    return requests(ecr).get(operation, 0) - before.get(operation, 0)


async def the_response_of_a_part_is_lost(ecr: LocalECR, image: Image, _: Path) -> None:
    """The part is sent again, ECR says that it has it, and the push goes on behind it."""
    ecr.faults.add(operation="UploadLayerPart", cut_at=0, times=1)
    result = await pushed(ecr, image)

    assert result.bytes_repeated == PART


async def a_part_is_taken_in_part(ecr: LocalECR, image: Image, _: Path) -> None:
    """The push goes on behind the last byte that ECR received, and repeats the others."""
    ecr.faults.add(operation="UploadLayerPart", accept_bytes=PART // 2, times=1)
    result = await pushed(ecr, image)

    assert result.calls["UploadLayerPart"] == PARTS
    assert result.bytes_repeated == PART // 2


async def the_response_of_complete_is_lost(ecr: LocalECR, image: Image, _: Path) -> None:
    """ECR does not know the upload any more, and a check finds the layer: that is success."""
    ecr.faults.add(operation="CompleteLayerUpload", cut_at=0, times=1)
    result = await pushed(ecr, image)

    assert len(result.moved) == BLOBS
    assert result.calls["BatchCheckLayerAvailability"] == 2


async def complete_does_not_know_the_upload(ecr: LocalECR, image: Image, _: Path) -> None:
    """If the check does not find the layer either, the layer starts over."""
    ecr.faults.add(operation="CompleteLayerUpload", error="UploadNotFoundException", times=1)
    result = await pushed(ecr, image)

    assert result.calls["InitiateLayerUpload"] == BLOBS + 1
    assert result.bytes_repeated > 0


async def another_pusher_is_first(ecr: LocalECR, image: Image, _: Path) -> None:
    """A layer that somebody else completed in the meantime counts as moved and raced."""
    layer = image.layers[0]

    def race(progress: TransferProgress) -> None:
        if progress.sent:
            ecr.put_layer(HERE, layer)

    result = await pushed(ecr, image, progress=race)

    assert [blob.digest for blob in result.raced] == [sha256(layer)]
    assert len(result.moved) == BLOBS


async def the_response_of_initiate_is_lost(ecr: LocalECR, image: Image, _: Path) -> None:
    """The upload is begun again, and the first one is never used."""
    ecr.faults.add(operation="InitiateLayerUpload", cut_at=0, times=1)
    before = requests(ecr)
    result = await pushed(ecr, image)

    assert result.calls["InitiateLayerUpload"] == BLOBS
    assert made(ecr, "UploadLayerPart", before) == PARTS


async def an_upload_expires(ecr: LocalECR, image: Image, _: Path) -> None:
    """The layers that were uploaded under ids that ECR has forgotten start over."""
    has_expired = False

    def expire(progress: TransferProgress) -> None:
        nonlocal has_expired
        if progress.confirmed and not has_expired:
            has_expired = True
            ecr.expire_uploads()

    result = await pushed(ecr, image, progress=expire)

    assert result.calls["InitiateLayerUpload"] > BLOBS
    assert result.bytes_repeated > 0


async def a_layer_vanishes_before_the_image_is_put(ecr: LocalECR, image: Image, _: Path) -> None:
    """The layer that ECR names as missing is uploaded, and the image is put again."""
    ecr.faults.add(operation="PutImage", lose_layer=sha256(image.layers[0]), times=1)
    result = await pushed(ecr, image)

    assert result.calls["PutImage"] == 2
    assert result.bytes_repeated == len(image.layers[0])


async def a_layer_vanishes_each_time(ecr: LocalECR, image: Image, _: Path) -> None:
    """An image is put three times at most."""
    ecr.faults.add(operation="PutImage", lose_layer=sha256(image.layers[0]))
    async with ecr.client() as client:
        with pytest.raises(ServiceError, match="LayersNotFoundException"):
            await client.push(HERE, source_of(image))

    assert ecr.stats.by_operation["PutImage"]["LayersNotFoundException"] == 3


async def the_response_of_put_is_lost(ecr: LocalECR, image: Image, _: Path) -> None:
    """ECR says that the image exists when it is put again: that is success."""
    ecr.faults.add(operation="PutImage", cut_at=0, times=1)
    result = await pushed(ecr, image)

    assert result.calls["PutImage"] == 1
    assert result.uri.endswith(f"/{HERE}@{result.digest}")
    assert ecr.stats.by_operation["PutImage"]["ImageAlreadyExistsException"] == 1


async def an_index_comes_after_its_images(ecr: LocalECR, image: Image, path: Path) -> None:
    """Indexes in indexes are put after what they name, so ECR refuses none."""
    other = Image(b'{"os": "windows"}', image.layers[:1])
    inner = index({"linux/amd64": image.manifest, "windows/amd64": other.manifest})
    outer = packed(mediaType=INDEX, manifests=[entry(inner, INDEX)])
    blobs = [outer, inner, image.manifest, other.manifest, *image.blobs, *other.blobs]
    layout = write(path / "nested", layout_files([entry(outer, INDEX)], blobs))
    before = requests(ecr)
    async with ecr.client() as client:
        await client.push(HERE, ImageSource.from_path(layout), tags=["v1"])
        report = await client.verify_image(HERE, "v1")

    assert report.deployable
    assert made(ecr, "PutImage", before) == 4
    assert "ReferencedImagesNotFoundException" not in ecr.stats.by_operation["PutImage"]


async def an_immutable_tag_names_another_image(ecr: LocalECR, image: Image, _: Path) -> None:
    """The push is refused before any byte is sent."""
    async with ecr.session().create_client(
        "ecr", endpoint_url=ecr.endpoint_url, region_name=ecr.region
    ) as api:
        await api.create_repository(repositoryName="fixed", imageTagMutability="IMMUTABLE")
    ecr.put_layer("fixed", b"{}")
    ecr.put_image("fixed", packed(mediaType=IMAGE, config=entry(b"{}", "a/b"), layers=[]), "v1")
    before = requests(ecr)
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="the tag 'v1' already names another image"):
            await client.push("fixed", source_of(image), tags=["v1"])

    assert made(ecr, "InitiateLayerUpload", before) == 0


async def a_blob_is_empty(ecr: LocalECR, image: Image, _: Path) -> None:
    """A blob of 0 bytes, which ECR does not accept, is refused before any request."""
    before = ecr.stats.requests
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="has 0 bytes, and ECR refuses empty blobs"):
            await client.push(HERE, source_of(Image(image.config, (b"",))))

    assert ecr.stats.requests == before


async def a_download_url_expires(ecr: LocalECR, image: Image, path: Path) -> None:
    """A URL that is refused with 403 is renewed, and the download goes on at the same byte."""
    await pushed(ecr, image)
    ecr.faults.add(operation="GetLayer", cut_at=700, times=1)
    ecr.faults.add(operation="GetLayer", error="AccessDenied", status=403, after=1, times=1)
    async with ecr.client() as client:
        result = await client.pull(HERE, "v1", path / "pulled")

    assert (result.calls["GetDownloadUrlForLayer"], result.bytes_repeated) == (BLOBS + 1, 0)


async def the_whole_layer_comes_in_place_of_a_range(
    ecr: LocalECR, image: Image, path: Path
) -> None:
    """A response of 200 to a request for a range is refused."""
    await pushed(ecr, image)
    ecr.faults.add(operation="GetLayer", body=image.layers[0], status=200)
    async with ecr.client() as client:
        with pytest.raises(ResponseError, match="the whole layer instead of the requested range"):
            await client.pull(HERE, "v1", path / "pulled")


async def a_request_is_signed_too_early(ecr: LocalECR, image: Image, _: Path) -> None:
    """A request that arrived late, although the clock is right, is signed and sent once more."""
    late: Any = {"error": "InvalidSignatureException", "message": "Signature expired: too old"}
    ecr.faults.add(operation="CompleteLayerUpload", times=1, **late)
    result = await pushed(ecr, image)

    assert len(result.moved) == BLOBS


RULES: tuple[Rule, ...] = (
    the_response_of_a_part_is_lost,
    a_part_is_taken_in_part,
    the_response_of_complete_is_lost,
    complete_does_not_know_the_upload,
    another_pusher_is_first,
    the_response_of_initiate_is_lost,
    an_upload_expires,
    a_layer_vanishes_before_the_image_is_put,
    a_layer_vanishes_each_time,
    the_response_of_put_is_lost,
    an_index_comes_after_its_images,
    an_immutable_tag_names_another_image,
    a_blob_is_empty,
    a_download_url_expires,
    the_whole_layer_comes_in_place_of_a_range,
    a_request_is_signed_too_early,
)
