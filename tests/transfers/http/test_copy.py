"""A copy moves images between repositories, accounts and Regions without touching the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError, ServiceError
from ecr_layer_client.local import LocalECR
from transfers.making import BLOBS, PARTS, requests

if TYPE_CHECKING:
    from ecr_layer_client.images import ImageSource

pytestmark = pytest.mark.asyncio


async def test_another_repository(ecr: LocalECR, source: ImageSource) -> None:
    """The copy is complete under the same tag."""
    ecr.create_repository("copy")
    async with ecr.client() as client:
        result = await client.copy("app", "v1", to_repository="copy")
        report = await client.verify_image("copy", "v1")

    assert report.deployable
    assert result.digest == source.roots[0].digest


async def test_another_region(ecr: LocalECR) -> None:
    """`to=` is the client of another Region; the repository has the same name there."""
    async with ecr.client() as client, client.for_region("eu-west-1") as there:
        async with ecr.session().create_client(
            "ecr", endpoint_url=ecr.endpoint_url, region_name="eu-west-1"
        ) as api:
            await api.create_repository(repositoryName="app")
        result = await client.copy("app", "v1", to=there)
        report = await there.verify_image("app", "v1")

    assert report.deployable
    assert "eu-west-1" in result.uri


async def test_another_account(ecr: LocalECR, source: ImageSource) -> None:
    """A target in another account, named by its URI, gets the image, and the source keeps its."""
    there = ecr.create_repository("app", registry_id="210987654321")
    async with ecr.client() as client:
        result = await client.copy("app", "v1", to_repository=there)
        report = await client.verify_image(there, "v1")

    assert report.deployable
    assert result.uri == f"{there}@{source.roots[0].digest}"
    assert len(result.moved) == BLOBS


async def test_another_endpoint(ecr: LocalECR, source: ImageSource) -> None:
    """`to=` may be a client with another endpoint and other keys."""
    async with LocalECR(account="210987654321") as other:
        other.create_repository("app")
        async with ecr.client() as client, other.client() as there:
            result = await client.copy("app", "v1", to=there)
            report = await there.verify_image("app", "v1")

    assert report.deployable
    assert result.uri.startswith("210987654321.")
    assert result.digest == source.roots[0].digest


async def test_requests(ecr: LocalECR) -> None:
    """The source gives one URL per blob and one range per part; the target gets a cold push."""
    ecr.create_repository("copy")
    async with ecr.client() as client:
        result = await client.copy("app", "v1", to_repository="copy")

    assert result.calls == {
        "BatchCheckLayerAvailability": 1,
        "BatchGetImage": 1,
        "InitiateLayerUpload": BLOBS,
        "UploadLayerPart": PARTS,
        "CompleteLayerUpload": BLOBS,
        "PutImage": 1,
        "GetDownloadUrlForLayer": BLOBS,
        "GetLayer": PARTS,
    }


async def test_a_warm_copy(ecr: LocalECR) -> None:
    """A second copy downloads nothing."""
    ecr.create_repository("copy")
    async with ecr.client() as client:
        await client.copy("app", "v1", to_repository="copy")
        result = await client.copy("app", "v1", to_repository="copy")

    assert result.calls == {"BatchCheckLayerAvailability": 1, "BatchGetImage": 1}


async def test_retag(ecr: LocalECR) -> None:
    """A copy of a repository onto itself puts the tags, and moves nothing."""
    before = requests(ecr)
    async with ecr.client() as client:
        result = await client.copy("app", "v1", tags=["v2", "v3"])
        listed = [image async for image in client.list_images("app")]

    after = requests(ecr)
    assert sorted(listed[0].tags) == ["v1", "v2", "v3"]
    assert result.calls == {"PutImage": 2}
    assert after["BatchGetImage"] - before["BatchGetImage"] == 1
    assert after["BatchCheckLayerAvailability"] == before["BatchCheckLayerAvailability"]


async def test_a_second_retag(ecr: LocalECR) -> None:
    """A tag that the image has already is success, and the result has the same URI."""
    async with ecr.client() as client:
        first = await client.copy("app", "v1", tags=["v2"])
        second = await client.copy("app", "v1", tags=["v2"])

    assert second.uri == first.uri


async def test_a_copy_onto_itself_needs_tags(ecr: LocalECR) -> None:
    """Without tags there is nothing to do, so something was forgotten."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="a copy within one repository needs tags="):
            await client.copy("app", "v1")


async def test_several_references(ecr: LocalECR) -> None:
    """Several references are copied at once, and what they share is moved once."""
    ecr.create_repository("copy")
    async with ecr.client() as client:
        await client.copy("app", "v1", tags=["v2"])
        result = await client.copy("app", ["v1", "v2"], to_repository="copy")
        tags = [image.tags async for image in client.list_images("copy")]

    assert sorted(tags[0]) == ["v1", "v2"]
    assert len(result.moved) == BLOBS


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"reset": True}, {"cut_at": 300}],
    ids=["500", "reset", "cut"],
)
async def test_faults_of_the_source(ecr: LocalECR, fault: dict[str, Any]) -> None:
    """A download that fails goes on, and the copy is complete."""
    ecr.create_repository("copy")
    ecr.faults.add(operation="GetLayer", probability=0.3, **fault)
    async with ecr.client() as client:
        await client.copy("app", "v1", to_repository="copy")
        report = await client.verify_image("copy", "v1")

    assert report.deployable


async def test_a_layer_that_cannot_be_downloaded(ecr: LocalECR) -> None:
    """A layer that ECR gives no URL for is found before any byte is sent."""
    ecr.create_repository("copy")
    ecr.faults.add(operation="GetDownloadUrlForLayer", error="LayerInaccessibleException", after=3)
    before = requests(ecr)["InitiateLayerUpload"]
    async with ecr.client() as client:
        with pytest.raises(ServiceError, match="LayerInaccessibleException"):
            await client.copy("app", "v1", to_repository="copy")

    assert requests(ecr)["InitiateLayerUpload"] == before


async def test_no_references(ecr: LocalECR) -> None:
    """An empty list of references is refused."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="references is empty"):
            await client.copy("app", [], to_repository="copy")


async def test_repositories(ecr: LocalECR) -> None:
    """The repositories of the registry are listed with their URIs."""
    ecr.create_repository("copy")
    async with ecr.client() as client:
        found = [repository.name async for repository in client.list_repositories()]

    assert sorted(found) == ["app", "copy"]
