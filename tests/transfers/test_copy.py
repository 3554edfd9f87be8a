"""A copy checks its arguments before its first request, and ends early in the right way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError, OperationTimeoutError, ServiceError
from images.making import sha256
from transfers.memory_downloads import download_from_memory

if TYPE_CHECKING:
    from ecr_layer_client.images import ImageSource
    from ecr_layer_client.local import LocalECR
    from images.making import Image

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def downloads(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the clients download from memory, and make a target."""
    download_from_memory(ecr, monkeypatch)
    ecr.create_repository("copy")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"references": 5}, "references=5 must be a tag or a digest, or several of them"),
        ({"references": []}, "references is empty"),
        ({"references": ["v1", "no tag"]}, "reference='no tag' is not a valid reference"),
        ({"to": "eu-west-1"}, "to='eu-west-1' must be an open client"),
        ({"to_repository": "UP"}, "'UP' is not a valid ECR repository name"),
        ({"platform": "x"}, "platform='x' is not a valid platform"),
        ({"tags": "v1"}, "tags='v1' must be an iterable of tags"),
        ({"tags": ["-"]}, "'-' is not a valid tag"),
        ({"journal": 5}, "journal=5 must be a directory"),
        ({"progress": 1}, "progress=1 must be True, False"),
        ({"timeout": 0}, "timeout=0 must be a number of seconds"),
    ],
    ids=[
        "a number",
        "no references",
        "a reference",
        "to",
        "to_repository",
        "platform",
        "a str as tags",
        "a tag",
        "journal",
        "progress",
        "timeout",
    ],
)
async def test_arguments(
    ecr: LocalECR, source: ImageSource, options: dict[str, Any], problem: str
) -> None:
    """An argument that is not valid is refused before any request."""
    async with ecr.client() as client:
        await client.push("app", source)
        before = ecr.stats.requests
        given: dict[str, Any] = {"references": "v1", "to_repository": "copy"}
        with pytest.raises(InvalidInputError, match=problem):
            await client.copy("app", **given | options)

    assert ecr.stats.requests == before


async def test_timeout(ecr: LocalECR, source: ImageSource) -> None:
    """The error of a timeout names the copy, its whole timeout, and the layers that are left."""
    async with ecr.client(attempt_timeout=60.0) as client:
        await client.push("app", source)
        ecr.faults.add(operation="UploadLayerPart", latency=30, after=5)
        with pytest.raises(OperationTimeoutError, match=r"copy .*'app': timeout=5 s exp") as raised:
            await client.copy("app", "v1", to_repository="copy", timeout=5)

    assert raised.value.transfer is not None
    assert raised.value.transfer.unfinished


@pytest.mark.parametrize("reference", ["v1", "digest"])
async def test_onto_itself_by_another_client(
    ecr: LocalECR, source: ImageSource, reference: str
) -> None:
    """A repository is not copied onto itself, also if `to=` is another client of the same ECR."""
    named = source.roots[0].digest if reference == "digest" else reference
    async with ecr.client() as client, ecr.client() as there:
        await client.push("app", source)
        with pytest.raises(InvalidInputError, match="a copy within one repository needs tag"):
            await client.copy("app", named, to=there)


async def test_a_new_tag_by_another_client(ecr: LocalECR, source: ImageSource) -> None:
    """With new tags, another client of the same ECR puts them, and moves no layer."""
    async with ecr.client() as client, ecr.client() as there:
        await client.push("app", source)
        result = await client.copy("app", "v1", to=there, tags=["v2"])

    assert (result.moved, result.images[0].tags) == ((), ("v2",))


async def test_a_registry_that_is_not_known(ecr: LocalECR, source: ImageSource) -> None:
    """A copy whose source has no known registry is not taken for one onto itself."""
    async with ecr.client() as client, ecr.client() as there:
        await client.push("app", source)
        unnamed = {"imageId": {"imageDigest": source.roots[0].digest, "imageTag": "v1"}}
        answer = {"images": [unnamed | {"imageManifest": source.roots[0].raw.decode()}]}
        ecr.faults.add(operation="BatchGetImage", body=json.dumps(answer).encode(), times=1)
        result = await client.copy("app", "v1", to=there)

    assert result.moved == ()


async def test_a_timeout_in_the_first_request(ecr: LocalECR, source: ImageSource) -> None:
    """A timeout that ends while the image is fetched has no layers to name."""
    async with ecr.client(attempt_timeout=60.0) as client:
        await client.push("app", source)
        ecr.faults.add(operation="BatchGetImage", latency=30)
        with pytest.raises(OperationTimeoutError, match=r"copy .*timeout=5 s expired") as raised:
            await client.copy("app", "v1", to_repository="copy", timeout=5)

    assert raised.value.transfer is None


async def test_a_layer_vanishes_before_a_retag(
    ecr: LocalECR, source: ImageSource, image: Image
) -> None:
    """A new tag for an image whose layer is gone is the error of ECR, which names the layer."""
    digest = sha256(image.layers[0])
    async with ecr.client() as client:
        await client.push("app", source)
        ecr.faults.add(operation="PutImage", lose_layer=digest)
        with pytest.raises(ServiceError, match="LayersNotFoundException") as raised:
            await client.copy("app", "v1", tags=["v2"])

    assert digest in raised.value.message
