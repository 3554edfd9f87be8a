"""Pushes and copies to ECR Public."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ecr_layer_client import (
    ClientStateError,
    InvalidInputError,
    PublicRepository,
    Repository,
    ServiceError,
)
from ecr_layer_client.images import ImageSource, PushPlan, plan
from images.making import IMAGE, INDEX, Image, entry, index, layout_files, packed, sha256, write
from transfers.making import BLOBS, PARTS, requests
from transfers.memory_downloads import download_from_memory
from transports import TRANSPORTS

if TYPE_CHECKING:
    from pathlib import Path

    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

ACCOUNT = "123456789012"
ALIAS = "public.ecr.aws/local/app"
ARN = f"arn:aws:ecr-public::{ACCOUNT}:repository/app"
UPLOADS = {
    "BatchCheckLayerAvailability": 1,
    "InitiateLayerUpload": BLOBS,
    "UploadLayerPart": PARTS,
    "CompleteLayerUpload": BLOBS,
    "PutImage": 1,
}


@pytest.fixture
def ecr(bare_ecr: LocalECR) -> LocalECR:
    """Give an open local ECR in memory with an empty public repository, `app`."""
    bare_ecr.create_repository(ALIAS)
    return bare_ecr


def tagged(ecr: LocalECR, tag: str = "v1") -> str:
    """Return the digest that a tag of the public repository names."""
    with ecr._contents._public.viewing("app") as stored:
        return stored.tags[tag]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", [ALIAS, ARN, "app"])
async def test_a_cold_push(ecr: LocalECR, source: ImageSource, name: str) -> None:
    """A push uploads what the repository lacks, and puts the image under its tag."""
    async with ecr.public_client() as client:
        result = await client.push(name, source)
    assert requests(ecr) == UPLOADS
    assert (tagged(ecr), len(result.moved)) == (result.digest, BLOBS)


@pytest.mark.parametrize("name", [ARN, "app"])
async def test_a_warm_push_asks_describe_images(
    ecr: LocalECR, source: ImageSource, name: str
) -> None:
    """A second push of the same image is one check and one DescribeImages."""
    async with ecr.public_client() as client:
        await client.push(name, source)
        result = await client.push(name, source)
    assert result.calls == {"BatchCheckLayerAvailability": 1, "DescribeImages": 1}


async def test_a_warm_push_by_an_alias_puts_the_image(ecr: LocalECR, source: ImageSource) -> None:
    """DescribeImages takes no alias, so the image is put, which ECR says it has."""
    async with ecr.public_client() as client:
        await client.push(ALIAS, source)
        result = await client.push(ALIAS, source)
    assert result.calls == {"BatchCheckLayerAvailability": 1, "PutImage": 1}
    assert (result.moved, result.uri) == ((), f"{ALIAS}@{source.roots[0].digest}")


async def test_a_tag_moves(ecr: LocalECR, source: ImageSource) -> None:
    """A tag that names another image is moved. Tags of ECR Public are not immutable."""
    other = packed(mediaType=IMAGE, config=entry(b"{}", "application/json"), layers=[])
    async with ecr.public_client() as client:
        await client.push("app", source)
        ecr.put_layer(ALIAS, b"{}")
        ecr.put_image(ALIAS, other, tag="v1")
        result = await client.push("app", source)
    assert (tagged(ecr), result.moved) == (source.roots[0].digest, ())


async def test_a_new_tag_of_an_image(ecr: LocalECR, source: ImageSource) -> None:
    """A further tag is put. DescribeImages says only that not all names exist."""
    async with ecr.public_client() as client:
        await client.push("app", source)
        result = await client.push("app", source, tags=["v2"])
    calls = {"BatchCheckLayerAvailability": 1, "DescribeImages": 1, "PutImage": 1}
    assert (tagged(ecr, "v2"), result.calls) == (source.roots[0].digest, calls)


async def test_an_index(ecr: LocalECR, image: Image, tmp_path: Path) -> None:
    """An index is put after its images, and a second push finds all of them."""
    both = index({"linux/amd64": image.manifest})
    root = entry(both, INDEX, annotations={"org.opencontainers.image.ref.name": "v1"})
    files = layout_files([root], [both, image.manifest, *image.blobs])
    source = ImageSource.from_path(write(tmp_path / "index", files))
    async with ecr.public_client() as client:
        await client.push("app", source)
        result = await client.push("app", source)
    assert tagged(ecr) == sha256(both)
    assert result.calls == {"BatchCheckLayerAvailability": 1, "DescribeImages": 1}


async def test_the_registry_of_the_result(ecr: LocalECR, source: ImageSource) -> None:
    """The result has the account that ECR Public names, which is not enough for a URI."""
    async with ecr.public_client() as client:
        result = await client.push("app", source)
    where = PublicRepository(name="app", registry_id=ACCOUNT, region="us-east-1")
    assert result.repository == where
    with pytest.raises(ValueError, match="in ECR Public, its alias"):
        _ = result.uri


async def test_the_text_of_a_result_without_an_alias(ecr: LocalECR, source: ImageSource) -> None:
    """The last line of a result has the ARN, because a name alone means a private repository."""
    async with ecr.public_client() as client:
        result = await client.push("app", source)
    assert str(result).splitlines()[-1] == f"{ARN}@{result.digest}"


async def test_another_error_of_describe_images(ecr: LocalECR, source: ImageSource) -> None:
    """An error response that does not mean "absent" ends the push."""
    ecr.faults.add(operation="DescribeImages", error="AccessDeniedException")
    async with ecr.public_client() as client:
        with pytest.raises(ServiceError, match="allow the IAM action ecr-public:DescribeImages"):
            await client.push("app", source)


async def test_a_layer_above_the_limit(ecr: LocalECR) -> None:
    """A layer that is larger than ECR Public accepts is refused before any request."""
    size = 10_000 * 1024 * 1024 + 1
    config = entry(b"{}", "application/json") | {"size": size}
    manifest = packed(mediaType=IMAGE, config=config, layers=[])
    source = ImageSource.from_manifest(manifest, blobs=lambda _: [b"{}"])
    async with ecr.public_client() as client:
        with pytest.raises(InvalidInputError) as caught:
            await client.push("app", source)
    message = f"{size} bytes, and ECR Public accepts at most 10485760000 (10,000 MiB)"
    assert str(caught.value).endswith(message)
    assert requests(ecr) == {}


async def test_a_plan_has_the_quotas_of_ecr_public(ecr: LocalECR, source: ImageSource) -> None:
    """A plan counts by ECR Public's quotas: 10 uploads of a layer a second."""
    async with ecr.public_client() as client:
        planned = await client.plan_push(ALIAS, source)
    assert (planned.service, planned.seconds_at_quota) == ("ecr-public", BLOBS / 10)


async def test_plans_for_several_repositories(ecr: LocalECR, source: ImageSource) -> None:
    """The total of plans for public repositories has ECR Public's quotas."""
    ecr.create_repository("public.ecr.aws/local/other")
    async with ecr.public_client() as client:
        plans = await client.plan_pushes({"app": source, "other": source})
    assert PushPlan.total(plans).seconds_at_quota == 2 * BLOBS / 10


async def test_a_total_of_both_services(source: ImageSource) -> None:
    """Plans for both services have no total, because they share no quotas."""
    plans = [plan(source, {}, repository=name) for name in ("app", ALIAS)]
    with pytest.raises(InvalidInputError, match="plans for ECR and for ECR Public have no total"):
        PushPlan.total(plans)


async def test_a_plan_is_read_back(source: ImageSource) -> None:
    """A plan for a public repository is read back from its JSON."""
    planned = plan(source, {}, repository=ALIAS)
    assert PushPlan.model_validate_json(planned.model_dump_json()) == planned


async def test_the_largest_layers_have_larger_parts() -> None:
    """A layer has at most 1,000 parts in ECR Public."""
    size = 10_000 * 1024 * 1024
    config = entry(b"{}", "application/json") | {"size": size}
    source = ImageSource.from_manifest(packed(mediaType=IMAGE, config=config, layers=[]))
    parts = plan(source, {}, repository=ALIAS, part_size=5 * 1024 * 1024).calls["UploadLayerPart"]
    assert parts == 1000


@pytest.mark.parametrize("target", [ALIAS, "app", None], ids=["uri", "name", "same name"])
async def test_a_copy_to_ecr_public(
    ecr: LocalECR, source: ImageSource, target: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A private image is copied to ECR Public through its client."""
    ecr.create_repository("app")
    download_from_memory(ecr, monkeypatch)
    async with ecr.client() as private, ecr.public_client() as public:
        await private.push("app", source)
        result = await private.copy("app", "v1", to=public, to_repository=target)
    assert (tagged(ecr), len(result.moved)) == (source.roots[0].digest, BLOBS)


async def test_a_second_copy_to_ecr_public(
    ecr: LocalECR, source: ImageSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository of the same name in ECR Public is another one, so a copy to it works."""
    ecr.create_repository("app")
    download_from_memory(ecr, monkeypatch)
    async with ecr.client() as private, ecr.public_client() as public:
        await private.push("app", source)
        await private.copy("app", "v1", to=public)
        result = await private.copy("app", "v1", to=public)
    assert result.moved == ()


async def test_a_copy_to_ecr_public_without_its_client(ecr: LocalECR, source: ImageSource) -> None:
    """A public target is refused with the class to use, if the client is a private one."""
    ecr.create_repository("app")
    async with ecr.client() as private:
        await private.push("app", source)
        with pytest.raises(InvalidInputError, match="push with ECRPublicLayerClient"):
            await private.copy("app", "v1", to_repository=ALIAS)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("UP", "'UP' is not a valid repository name of ECR Public"),
        (Repository(name="app"), "'app' is a repository of ECR: use ECRLayerClient"),
        (
            PublicRepository(name="app", region="us-west-2"),
            "repository 'app' is in Region 'us-west-2', but this client is for 'us-east-1'",
        ),
    ],
    ids=["malformed", "private", "another Region"],
)
async def test_a_target_that_is_not_of_its_client(
    ecr: LocalECR, target: str | Repository, problem: str
) -> None:
    """A target that its client can't push to is refused before any request."""
    ecr.create_repository("app")
    async with ecr.client() as private, ecr.public_client() as public:
        with pytest.raises(InvalidInputError) as caught:
            await private.copy("app", "v1", to=public, to_repository=target)
    assert str(caught.value).startswith(problem)
    assert ecr.stats.requests == 0


async def test_a_closed_target(ecr: LocalECR) -> None:
    """A copy to a client that is not open is refused before any request."""
    ecr.create_repository("app")
    async with ecr.client() as private:
        with pytest.raises(ClientStateError):
            await private.copy("app", "v1", to=ecr.public_client())
    assert ecr.stats.requests == 0


@pytest.mark.parametrize("source", [ALIAS, ARN])
async def test_a_copy_from_ecr_public(ecr: LocalECR, source: str) -> None:
    """A copy from ECR Public is refused, with the programs that can pull."""
    async with ecr.client() as private:
        with pytest.raises(InvalidInputError) as caught:
            await private.copy(source, "v1", to_repository="app")
    assert str(caught.value) == (
        f"'{source}' is a repository of ECR Public: check layers and push with "
        "ECRPublicLayerClient, and pull with docker, skopeo or crane"
    )
