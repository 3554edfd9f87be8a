"""plan_push and plan_pushes of a client, on the local ECR."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError, Repository, RepositoryNotFoundError
from ecr_layer_client.images import ImageSource, PushPlan, plan
from images.making import CONFIG, LAYER, entry, index, packed, sha256
from images.pushed import APP, ARM, BOTH, DIGEST, REPOSITORY, calls, push, source_of

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


async def test_plan_push(ecr: LocalECR) -> None:
    """A plan is `plan` of one check: it has what the repository lacks."""
    push(ecr, APP)
    source = ImageSource.from_manifest(BOTH, [APP.manifest, ARM.manifest])
    async with ecr.client() as client:
        planned = await client.plan_push(REPOSITORY, source)
        checked = await client.check_layers(REPOSITORY, [blob.digest for blob in source.blobs])

    assert planned == plan(source, checked)
    absent = [sha256(ARM.config), sha256(ARM.layers[1])]
    assert [blob.digest for blob in planned.to_upload] == absent
    assert (len(planned.foreign), calls(ecr)["BatchCheckLayerAvailability"]) == (1, 2)


async def test_plan_push_with_archived_layers(ecr: LocalECR) -> None:
    """Layers of archived images alone are uploaded again, and named."""
    push(ecr, APP)
    ecr.archive(REPOSITORY, DIGEST)
    async with ecr.client() as client:
        planned = await client.plan_push(REPOSITORY, source_of(APP))
    assert planned.archived == planned.to_upload == source_of(APP).blobs


@pytest.mark.parametrize("verb", ["plan_push", "plan_pushes"])
async def test_plan_of_shared_layers(ecr: LocalECR, verb: str) -> None:
    """A layer that several sources share is checked once, also in two spellings of a repository."""
    ecr.create_repository(REPOSITORY)
    app, arm = source_of(APP), source_of(ARM)
    respelled = Repository(name=REPOSITORY, region=ecr.region)
    async with ecr.client() as client:
        if verb == "plan_push":
            planned = await client.plan_push(REPOSITORY, [app, arm])
        else:
            spellings: dict[str | Repository, ImageSource] = {REPOSITORY: app, respelled: arm}
            [planned] = await client.plan_pushes(spellings)

    assert (len(planned.to_upload), planned.shared_bytes) == (5, len(APP.layers[0]))
    assert ecr.stats.digests_checked == 5


async def test_plan_pushes(ecr: LocalECR) -> None:
    """Several repositories are planned at once, in order, and add up."""
    sources = {REPOSITORY: [source_of(APP)], "team/arm": [source_of(ARM)]}
    for name in sources:
        ecr.create_repository(name)
    async with ecr.client() as client:
        plans = await client.plan_pushes(sources)
        alone = [await client.plan_push(name, its) for name, its in sources.items()]

    assert [*plans] == alone
    total = sum(planned.bytes_to_upload for planned in plans)
    assert PushPlan.total(plans).bytes_to_upload == total


async def test_plan_pushes_without_blobs(ecr: LocalECR) -> None:
    """No repositories have no plans, and an image without blobs is planned without a request."""
    ecr.create_repository(REPOSITORY)
    empty = ImageSource.from_manifest(index({}))
    async with ecr.client() as client:
        assert await client.plan_pushes({}) == ()
        [planned] = await client.plan_pushes({REPOSITORY: empty})
        alone = await client.plan_push(REPOSITORY, empty)

    assert (planned, calls(ecr)) == (alone, {})
    assert (planned.all_blobs_present, planned.calls["PutImage"]) == (True, 1)
    assert str(planned.repository) == "team/app"


@pytest.mark.parametrize(
    "sources", [None, [], [("team/app", None)], {"team/app": None}, {"team/app": []}], ids=range(5)
)
async def test_plan_pushes_without_sources(ecr: LocalECR, sources: Any) -> None:
    """A value that is not a mapping of repositories to sources is refused before any request."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="one or more ImageSource objects"):
            await client.plan_pushes(sources)
    assert calls(ecr) == {}


async def test_plan_pushes_fails_plainly(ecr: LocalECR) -> None:
    """The error of one repository is raised by itself, and the other plans end."""
    ecr.create_repository(REPOSITORY)
    async with ecr.client() as client:
        with pytest.raises(RepositoryNotFoundError, match="team/none"):
            await client.plan_pushes({REPOSITORY: source_of(APP), "team/none": source_of(APP)})


async def test_planning_real_images_takes_the_fewest_checks(ecr: LocalECR) -> None:
    """Planning all images of 50 real repositories sends one check per 100 digests."""
    from ecr_layer_client.local import sample_images

    largest = Counter(one.repository for one in sample_images()).most_common(50)
    sources: dict[Any, list[ImageSource]] = {repository: [] for repository, _ in largest}
    for one in sample_images():
        if one.repository in sources:
            config = entry(f"{one.repository}:{one.tag}".encode(), CONFIG)
            layers = [
                {"mediaType": LAYER, "digest": layer.digest, "size": layer.size}
                for layer in one.layers
            ]
            manifest = packed(config=config, layers=layers)
            sources[one.repository].append(ImageSource.from_manifest(manifest))
    for repository in sources:
        ecr.create_repository(repository)

    async with ecr.client() as client:
        plans = await client.plan_pushes(sources)

    total = PushPlan.total(plans)
    assert ecr.stats.digests_checked == len(total.to_upload)
    fewest = sum(-(-len(planned.to_upload) // 100) for planned in plans)
    check = "BatchCheckLayerAvailability"
    assert (calls(ecr)[check], total.calls[check]) == (fewest, fewest)
