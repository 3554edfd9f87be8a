"""The client's verbs on images: get_image, plan_push, verify_image and audit, on the local ECR."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import (
    CallError,
    ClientStateError,
    InvalidInputError,
    Repository,
    RepositoryNotFoundError,
    ResponseError,
    RetryPolicy,
    ServiceError,
)
from ecr_layer_client.images import Descriptor, ImageReport, ImageSource, Platform, PushPlan, plan
from images.making import (
    CONFIG,
    DOCKER,
    IMAGE,
    INDEX,
    LAYER,
    Image,
    entry,
    image,
    index,
    packed,
    sha256,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ecr_layer_client.local import LocalECR
    from ecr_layer_client.local._registry.state import StoredRepository

pytestmark = pytest.mark.asyncio

APP = image("app", "base", "code")
ARM = image("arm", "base", "arm code", foreign=["windows"])
BOTH = index({"linux/amd64": APP.manifest, "linux/arm64": ARM.manifest})
DIGEST, ARM_DIGEST, BOTH_DIGEST = map(sha256, (APP.manifest, ARM.manifest, BOTH))


def push(
    ecr: LocalECR, *images: Image, tag: str | None = None, repository: str = "team/app"
) -> None:
    """Put images into the repository, the last under a tag."""
    for one in images:
        for blob in one.blobs:
            ecr.put_layer(repository, blob)
        ecr.put_image(repository, one.manifest, tag if one is images[-1] else None)


def push_both(ecr: LocalECR) -> None:
    """Put an index of two platforms under the tag `v1`."""
    push(ecr, APP, ARM)
    ecr.put_image("team/app", BOTH, "v1")


def inside(ecr: LocalECR, repository: str = "team/app") -> StoredRepository:
    """Return what the repository holds, to break it by hand."""
    return ecr._registry._repositories[ecr.account, repository]


def named(reports: Iterable[ImageReport]) -> dict[str, tuple[str, ...]]:
    """Return the defects of the images that are not deployable, by digest."""
    return {
        report.digest or report.reference: report.defects
        for report in reports
        if not report.deployable
    }


def calls(ecr: LocalECR) -> dict[str, int]:
    """Return how many requests there were, by operation."""
    return {
        operation: sum(outcomes.values()) for operation, outcomes in ecr.stats.by_operation.items()
    }


# -- get_image
# ---------------------------------------------------------------------------------------------------------


_NAMED_FOR = ("amd64", "386", "amd64")
TWO_OF_ONE = packed(
    mediaType=INDEX,
    manifests=[
        entry(APP.manifest, IMAGE, platform={"os": "linux", "architecture": name})
        for name in _NAMED_FOR
    ],
)


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/386"])
async def test_an_image_of_two_platforms(ecr: LocalECR, platform: str) -> None:
    """An image that an index names for two platforms is found by either, and fetched once."""
    push(ecr, APP)
    ecr.put_image("team/app", TWO_OF_ONE, "v1")
    async with ecr.client() as client:
        source = await client.get_image("team/app", "v1", platform=platform)
    assert [manifest.raw for manifest in source.manifests] == [APP.manifest]


async def test_a_report_of_two_platforms(ecr: LocalECR) -> None:
    """A report tells of each platform that an index names an image for, and each blob is asked for once."""
    push(ecr, APP)
    ecr.put_image("team/app", TWO_OF_ONE, "v1")
    del inside(ecr).layers[sha256(APP.layers[0])]
    async with ecr.client() as client:
        report = await client.verify_image("team/app", "v1")
    absent = sha256(APP.layers[0])
    assert report.defects == (f"linux/amd64: absent: {absent}", f"linux/386: absent: {absent}")
    assert [str(image.platform) for image in report.images] == ["linux/amd64", "linux/386"]
    assert ecr.stats.digests_checked == 3


async def test_an_image_within_an_index_and_beside_it(ecr: LocalECR) -> None:
    """An image that an index names, and another one within it, too, is in the reports of both."""
    push_both(ecr)
    outer = packed(
        mediaType=INDEX,
        manifests=[entry(BOTH, INDEX), entry(APP.manifest, IMAGE), entry(BOTH, INDEX)],
    )
    ecr.put_image("team/app", outer, "v2")
    async with ecr.client() as client:
        report = await client.verify_image("team/app", "v2")
    told = [(child.digest, [image.digest for image in child.children]) for child in report.children]
    assert (told, report.deployable) == ([(BOTH_DIGEST, [DIGEST, ARM_DIGEST]), (DIGEST, [])], True)


async def test_a_size_that_one_platform_has_wrong(ecr: LocalECR) -> None:
    """Of one image that an index describes twice, the size that is wrong is told for its platform alone; of one that is gone, for both."""
    push(ecr, APP)
    entries = [
        entry(APP.manifest, IMAGE) | {"platform": {"os": "linux", "architecture": name}}
        for name in ("amd64", "386")
    ]
    ecr.put_image(
        "team/app", packed(mediaType=INDEX, manifests=[entries[0], entries[1] | {"size": 1}]), "v1"
    )
    async with ecr.client() as client:
        one = (await client.verify_image("team/app", "v1")).defects
        del inside(ecr).images[DIGEST]
        both = (await client.verify_image("team/app", "v1")).defects
    assert one == (f"linux/386: it has {len(APP.manifest)} bytes, but its index says 1: {DIGEST}",)
    assert both == tuple(
        f"linux/{name}: not found (ImageNotFound): {DIGEST}" for name in ("amd64", "386")
    )


async def test_the_blobs_of_get_image_are_not_here(ecr: LocalECR) -> None:
    """What opens a blob of an image that was fetched is told that its manifests alone were."""
    push(ecr, APP, tag="v1")
    async with ecr.client() as client:
        source = await client.get_image("team/app", "v1")
    with pytest.raises(
        InvalidInputError,
        match=rf"team/app:v1: {sha256(APP.config)} \(.*\) is not in this source, which has only",
    ):
        source.open(source.blobs[0])


@pytest.mark.parametrize(
    ("reference", "tags"), [("v1", {DIGEST: ("v1",)}), (DIGEST, {})], ids=["tag", "digest"]
)
async def test_get_image(ecr: LocalECR, reference: str, tags: dict[str, tuple[str, ...]]) -> None:
    """An image comes with the exact bytes of its manifest, by tag or by digest, in one request."""
    push(ecr, APP, tag="v1")
    async with ecr.client() as client:
        source = await client.get_image("team/app", reference)
    assert ([manifest.raw for manifest in source.manifests], source.tags) == ([APP.manifest], tags)
    assert calls(ecr) == {"BatchGetImage": 1}


async def test_get_image_of_an_index(ecr: LocalECR) -> None:
    """An index comes with all its images, fetched in one more request."""
    push_both(ecr)
    async with ecr.client() as client:
        source = await client.get_image("team/app", "v1")
    assert [manifest.raw for manifest in source.manifests] == [APP.manifest, ARM.manifest, BOTH]
    assert ([root.raw for root in source.roots], source.name) == ([BOTH], "team/app:v1")
    assert calls(ecr) == {"BatchGetImage": 2}


@pytest.mark.parametrize(
    "platform", ["linux/arm64", Platform(os="linux", architecture="arm64")], ids=["str", "value"]
)
async def test_get_image_of_a_platform(ecr: LocalECR, platform: str | Platform) -> None:
    """Of an index, the image of a platform can be had alone, under the tag."""
    push_both(ecr)
    async with ecr.client() as client:
        source = await client.get_image("team/app", "v1", platform=platform)
    assert ([manifest.raw for manifest in source.manifests], source.tags) == (
        [ARM.manifest],
        {ARM_DIGEST: ("v1",)},
    )


async def test_get_image_of_a_platform_in_an_inner_index(ecr: LocalECR) -> None:
    """A platform is found in an index within the index, too; a plain image is what it is."""
    push_both(ecr)
    ecr.put_image(
        "team/app",
        packed(mediaType=INDEX, manifests=[entry(BOTH, INDEX), entry(APP.manifest, IMAGE)]),
        "outer",
    )
    async with ecr.client() as client:
        inner = await client.get_image("team/app", "outer", platform="linux/arm64")
        plain = await client.get_image("team/app", DIGEST, platform="linux/s390x")
    assert [source.roots[0].raw for source in (inner, plain)] == [ARM.manifest, APP.manifest]


@pytest.mark.parametrize(
    ("platform", "variant"),
    [
        ("linux/arm", "v7"),
        ("linux/arm/v6", "v6"),
        ("linux/arm/v5", "v5"),
        ("linux/arm64", "v8"),
        ("linux/amd64", None),
        ("linux/amd64/v3", "v3"),
    ],
)
async def test_get_image_of_a_variant(ecr: LocalECR, platform: str, variant: str | None) -> None:
    """Of several variants the architecture's own is taken where none is said, whichever comes first in the index."""
    offered = [
        ("arm", "v5"),
        ("arm", "v6"),
        ("arm", "v7"),
        ("arm64", "v9"),
        ("arm64", "v8"),
        ("amd64", "v3"),
        ("amd64", None),
    ]
    images = [image(f"{architecture} {own}", "base") for architecture, own in offered]
    push(ecr, *images)
    platforms = [
        {"os": "linux", "architecture": architecture, "variant": own}
        for architecture, own in offered
    ]
    manifests = [
        entry(one.manifest, IMAGE, platform=each)
        for one, each in zip(images, platforms, strict=True)
    ]
    ecr.put_image("team/app", packed(mediaType=INDEX, manifests=manifests), "v1")
    async with ecr.client() as client:
        source = await client.get_image("team/app", "v1", platform=platform)
    taken = offered[[one.manifest for one in images].index(source.roots[0].raw)]
    assert taken == (platform.split("/")[1], variant)


async def test_a_variant_that_may_serve(ecr: LocalECR) -> None:
    """Where the architecture's own variant is not there, the first that is asked for without a variant serves."""
    push(ecr, APP)
    child = entry(
        APP.manifest, IMAGE, platform={"os": "linux", "architecture": "arm", "variant": "v6"}
    )
    ecr.put_image("team/app", packed(mediaType=INDEX, manifests=[child]), "v1")
    async with ecr.client() as client:
        assert (await client.get_image("team/app", "v1", platform="linux/arm")).roots[
            0
        ].raw == APP.manifest
        with pytest.raises(
            InvalidInputError, match="has no image for linux/arm/v7: it has linux/arm/v6"
        ):
            await client.get_image("team/app", "v1", platform="linux/arm/v7")


async def test_a_digest_in_upper_case(ecr: LocalECR) -> None:
    """A digest is taken in either letter case, and is in lower case in what is given."""
    push(ecr, APP)
    upper = f"sha256:{DIGEST[7:].upper()}"
    async with ecr.client() as client:
        source, report = (
            await client.get_image("team/app", upper),
            await client.verify_image("team/app", upper),
        )
    assert (source.name, report.reference, report.digest, report.deployable) == (
        f"team/app@{DIGEST}",
        DIGEST,
        DIGEST,
        True,
    )


async def test_get_image_of_another_platform(ecr: LocalECR) -> None:
    """A platform that the index does not have is refused, naming those it has."""
    push_both(ecr)
    async with ecr.client() as client:
        with pytest.raises(
            InvalidInputError,
            match=r"team/app:v1 has no image for linux/s390x: it has linux/amd64, linux/arm64",
        ):
            await client.get_image("team/app", "v1", platform="linux/s390x")


async def test_get_image_not_found(ecr: LocalECR) -> None:
    """An image that is not there is an error with ECR's code and what to check."""
    ecr.create_repository("team/app")
    async with ecr.client() as client:
        with pytest.raises(
            ServiceError,
            match=r"team/app:v9: ECR has no such image \(ImageNotFound\).*check the tag or digest",
        ) as raised:
            await client.get_image("team/app", "v9")
    error = raised.value
    assert (error.code, error.operation, error.retryable, str(error.repository)) == (
        "ImageNotFound",
        "BatchGetImage",
        False,
        "team/app",
    )


async def test_get_image_archived(ecr: LocalECR) -> None:
    """An archived image is an error that says what to do."""
    push(ecr, APP, tag="v1")
    ecr.archive("team/app", DIGEST)
    async with ecr.client() as client:
        with pytest.raises(
            ServiceError, match=r"\(ImageInaccessible\).*it is archived: restore it"
        ):
            await client.get_image("team/app", "v1")


async def test_get_image_with_a_child_gone(ecr: LocalECR) -> None:
    """An index one of whose images is gone is an error that names it.

    Another platform of it can still be had.
    """
    push_both(ecr)
    del inside(ecr).images[ARM_DIGEST]
    async with ecr.client() as client:
        with pytest.raises(ServiceError, match=f"team/app@{ARM_DIGEST}"):
            await client.get_image("team/app", "v1")
        source = await client.get_image("team/app", "v1", platform="linux/amd64")
    assert source.roots[0].raw == APP.manifest


async def test_get_image_that_is_called_schema_1(ecr: LocalECR) -> None:
    """What is called a signed schema 1 manifest, whose digest is that of other bytes than its own, has the members of one."""
    push(ecr, APP, tag="v1")
    held = inside(ecr).images[DIGEST]
    held.media_type = f"{DOCKER}.v1+prettyjws"
    async with ecr.client() as client:
        with pytest.raises(
            ResponseError, match=r"team/app:v1: not a valid manifest.*its members are those of"
        ):
            await client.get_image("team/app", "v1")


async def test_get_image_that_cannot_be_read(ecr: LocalECR) -> None:
    """A manifest that is none, wherever it came from, is an answer that can't be used."""
    push(ecr, APP, tag="v1")
    inside(ecr).images[DIGEST].media_type = INDEX
    async with ecr.client() as client:
        with pytest.raises(
            ResponseError,
            match=f"team/app:v1: not a valid manifest.*its media type is {INDEX}".replace(
                "+", r"\+"
            ),
        ):
            await client.get_image("team/app", "v1")


async def test_get_image_with_a_child_of_another_size(ecr: LocalECR) -> None:
    """An index that says another size of its image than it has is an answer that can't be used."""
    push(ecr, APP)
    ecr.put_image(
        "team/app", packed(mediaType=INDEX, manifests=[entry(APP.manifest, IMAGE, size=1)]), "v1"
    )
    async with ecr.client() as client:
        with pytest.raises(
            ResponseError,
            match=f"team/app:v1: {DIGEST} has {len(APP.manifest)} bytes, but its descriptor says 1",
        ):
            await client.get_image("team/app", "v1")


async def test_get_image_of_many(ecr: LocalECR) -> None:
    """An index of 250 images is fetched a hundred at a time."""
    images = [image(f"image {number}", "base") for number in range(250)]
    push(ecr, *images)
    ecr.put_image(
        "team/app",
        index({f"linux/{number}": one.manifest for number, one in enumerate(images)}),
        "all",
    )
    async with ecr.client() as client:
        assert len((await client.get_image("team/app", "all")).images) == 250
    assert calls(ecr) == {"BatchGetImage": 1 + 3}


async def test_manifests_too_large_for_one_answer(ecr: LocalECR) -> None:
    """Where the manifests of a hundred images are too much for one answer, they are asked for in halves, and nothing is tried in vain."""
    images = [image(f"image {number}", *map(str, range(20))) for number in range(10)]
    push(ecr, *images)
    ecr.put_image(
        "team/app",
        index({f"linux/{number}": one.manifest for number, one in enumerate(images)}),
        "all",
    )
    async with ecr.client(max_response_bytes=25_000) as client:
        assert len((await client.get_image("team/app", "all")).images) == 10
    assert calls(ecr) == {"BatchGetImage": 1 + 1 + 2}


async def test_a_manifest_too_large_for_any_answer(ecr: LocalECR) -> None:
    """A single manifest beyond the bound is an error that names the bound, after one request."""
    push(ecr, APP, tag="v1")
    async with ecr.client(max_response_bytes=100) as client:
        with pytest.raises(ResponseError, match="max_response_bytes=100") as raised:
            await client.get_image("team/app", "v1")
    assert (raised.value.too_large, calls(ecr)) == (True, {"BatchGetImage": 1})


async def test_get_image_is_retried(ecr: LocalECR) -> None:
    """A call about images is retried as any other, and fails plainly for good."""
    push_both(ecr)
    ecr.faults.add(operation="BatchGetImage", error="ServerException", times=2)
    async with ecr.client(retry=RetryPolicy(max_attempts=3)) as client:
        assert len((await client.get_image("team/app", "v1")).images) == 2
        ecr.faults.add(operation="BatchGetImage", error="ServerException")
        with pytest.raises(CallError, match="BatchGetImage on repository 'team/app'"):
            await client.get_image("team/app", "v1")


@pytest.mark.parametrize("verb", ["get_image", "verify_image"])
@pytest.mark.parametrize(
    "reference", ["a b", "\N{LATIN SMALL LETTER LONG S}" + DIGEST[1:], DIGEST[:-1]], ids=ascii
)
async def test_no_reference(ecr: LocalECR, verb: str, reference: str) -> None:
    """What is neither a tag nor a digest is refused before any request."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=f"reference='{reference}'"):
            await getattr(client, verb)("team/app", reference)
    assert calls(ecr) == {}


@pytest.mark.parametrize("platform", ["arm64", "", 1, ["linux/arm64"]], ids=ascii)
async def test_no_platform(ecr: LocalECR, platform: Any) -> None:
    """What is no platform is refused before any request."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=r"platform=.* is not a valid platform"):
            await client.get_image("team/app", "v1", platform=platform)
    assert calls(ecr) == {}


async def test_not_open(ecr: LocalECR) -> None:
    """A client that is not open says so, for images as for layers."""
    client = ecr.client()
    with pytest.raises(ClientStateError, match="not open yet"):
        await client.get_image("team/app", "v1")
    with pytest.raises(ClientStateError, match="not open yet"):
        await anext(client.audit("team/app"))


@pytest.mark.parametrize("verb", ["get_image", "verify_image"])
async def test_closed_under_way(ecr: LocalECR, verb: str) -> None:
    """Closing the client ends what is under way with an error that says so, at once."""
    push_both(ecr)
    async with ecr.client() as client:
        task = asyncio.create_task(getattr(client, verb)("team/app", "v1"))
        await asyncio.sleep(0.07)
    with pytest.raises(ClientStateError, match="the client was closed while this was running"):
        await task
    assert asyncio.get_running_loop().time() < 0.2


async def test_cancelled_and_closed(ecr: LocalECR) -> None:
    """Who is cancelled while the client is closed, too, ends as cancelled, so that a timeout of theirs is told as one."""
    push_both(ecr)
    async with ecr.client() as client:
        task = asyncio.create_task(client.verify_image("team/app", "v1"))
        await asyncio.sleep(0.07)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "seconds", [0.02, 0.07, 0.12, 0.17], ids=["first", "second", "third", "fourth"]
)
@pytest.mark.parametrize("verb", ["get_image", "verify_image", "plan_push", "plan_pushes", "audit"])
async def test_cancelled(ecr: LocalECR, verb: str, seconds: float) -> None:
    """Cancelled in any of its requests, a verb ends at once, leaves nothing behind, and the client works on."""
    push_both(ecr)
    source = ImageSource.from_manifest(BOTH, [APP.manifest, ARM.manifest])
    many = ImageSource.from_manifest(image("many", *map(str, range(3000))).manifest)
    async with ecr.client(max_concurrency=2) as client:

        async def audited() -> list[ImageReport]:
            return [report async for report in client.audit("team/app")]

        asked: dict[str, Any] = {
            "get_image": lambda: client.get_image("team/app", "v1"),
            "verify_image": lambda: client.verify_image("team/app", "v1"),
            "plan_push": lambda: client.plan_push("team/app", [source, many]),
            "plan_pushes": lambda: client.plan_pushes({"team/app": [source, many]}),
            "audit": audited,
        }
        begun = asyncio.get_running_loop().time()
        takes = {"get_image": 0.1, "verify_image": 0.15, "audit": 0.15}.get(verb, 1.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asked[verb]()
        assert round(asyncio.get_running_loop().time() - begun, 3) == min(seconds, takes)
        assert (ecr.in_flight, asyncio.all_tasks()) == (0, {asyncio.current_task()})
        assert (await client.verify_image("team/app", "v1")).deployable


# -- plan_push
# ---------------------------------------------------------------------------------------------------------


async def test_plan_push(ecr: LocalECR) -> None:
    """A plan says what the repository lacks; it is the arithmetic of one check."""
    push(ecr, APP)
    source = ImageSource.from_manifest(BOTH, [APP.manifest, ARM.manifest])
    async with ecr.client() as client:
        planned = await client.plan_push("team/app", source)
        checked = await client.check_layers("team/app", [blob.digest for blob in source.blobs])
    assert planned == plan(source, checked)
    assert [blob.digest for blob in planned.to_upload] == [
        sha256(ARM.config),
        sha256(ARM.layers[1]),
    ]
    assert (len(planned.foreign), calls(ecr)["BatchCheckLayerAvailability"]) == (1, 2)


async def test_plan_push_names_the_archived(ecr: LocalECR) -> None:
    """What only archived images hold is uploaded again, and named."""
    push(ecr, APP)
    ecr.archive("team/app", DIGEST)
    async with ecr.client() as client:
        planned = await client.plan_push("team/app", ImageSource.from_manifest(APP.manifest))
    assert planned.archived == planned.to_upload == ImageSource.from_manifest(APP.manifest).blobs


async def test_plan_push_of_several(ecr: LocalECR) -> None:
    """Of several sources, what they share is asked once."""
    ecr.create_repository("team/app")
    sources = [ImageSource.from_manifest(one.manifest) for one in (APP, ARM)]
    async with ecr.client() as client:
        planned = await client.plan_push("team/app", sources)
    assert (ecr.stats.digests_checked, len(planned.to_upload), planned.shared_bytes) == (
        5,
        5,
        len("layer base"),
    )


async def test_plan_pushes(ecr: LocalECR) -> None:
    """Several repositories are planned at once, in order, and add up."""
    for name in ("team/app", "team/arm"):
        ecr.create_repository(name)
    sources = {
        "team/app": [ImageSource.from_manifest(APP.manifest)],
        "team/arm": [ImageSource.from_manifest(ARM.manifest)],
    }
    async with ecr.client() as client:
        plans = await client.plan_pushes(sources)
        alone = [await client.plan_push(name, its) for name, its in sources.items()]
    assert [*plans] == alone
    assert PushPlan.total(plans).bytes_to_upload == sum(
        planned.bytes_to_upload for planned in plans
    )


async def test_plan_pushes_of_one_repository_in_two_spellings(ecr: LocalECR) -> None:
    """Two spellings of one repository are one, with one plan, in which what they share counts once."""
    ecr.create_repository("team/app")
    sources: dict[str | Repository, ImageSource] = {
        "team/app": ImageSource.from_manifest(APP.manifest),
        Repository(name="team/app", region=ecr.region): ImageSource.from_manifest(ARM.manifest),
    }
    async with ecr.client() as client:
        plans = await client.plan_pushes(sources)
    assert [(len(planned.to_upload), planned.shared_bytes) for planned in plans] == [
        (5, len("layer base"))
    ]
    assert ecr.stats.digests_checked == 5


async def test_plan_pushes_of_nothing(ecr: LocalECR) -> None:
    """No repositories are no plans.

    An image without a blob, to a repository, is one without a request.
    """
    ecr.create_repository("team/app")
    empty = ImageSource.from_manifest(index({}))
    async with ecr.client() as client:
        assert await client.plan_pushes({}) == ()
        [planned] = await client.plan_pushes({"team/app": empty})
        alone = await client.plan_push("team/app", empty)
    assert (planned, calls(ecr)) == (alone, {})
    assert (planned.all_blobs_present, planned.calls["PutImage"], str(planned.repository)) == (
        True,
        1,
        "team/app",
    )


@pytest.mark.parametrize(
    "sources", [None, [], [("team/app", None)], {"team/app": None}, {"team/app": []}], ids=range(5)
)
async def test_plan_pushes_of_no_sources(ecr: LocalECR, sources: Any) -> None:
    """What is no mapping of repositories to sources is refused before any request."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="one or more ImageSource objects"):
            await client.plan_pushes(sources)
    assert calls(ecr) == {}


async def test_plan_pushes_fails_plainly(ecr: LocalECR) -> None:
    """When one repository fails, its own error is raised, and nothing goes on."""
    ecr.create_repository("team/app")
    source = ImageSource.from_manifest(APP.manifest)
    async with ecr.client() as client:
        with pytest.raises(RepositoryNotFoundError, match="team/none"):
            await client.plan_pushes({"team/app": source, "team/none": source})


async def test_planning_real_images_takes_the_fewest_checks(ecr: LocalECR) -> None:
    """Planning every image of the 50 largest of some real repositories takes a check for each hundred of their digests, and no more."""
    from ecr_layer_client.local import sample_images

    sizes = Counter(one.repository for one in sample_images())
    sources: dict[Any, list[ImageSource]] = {
        repository: [] for repository, _ in sizes.most_common(50)
    }
    for one in sample_images():
        if one.repository not in sources:
            continue
        config = entry(f"{one.repository}:{one.tag}".encode(), CONFIG)
        layers = [
            {"mediaType": LAYER, "digest": layer.digest, "size": layer.size} for layer in one.layers
        ]
        sources[one.repository].append(
            ImageSource.from_manifest(packed(config=config, layers=layers))
        )
    for repository in sources:
        ecr.create_repository(repository)
    async with ecr.client() as client:
        plans = await client.plan_pushes(sources)
    total = PushPlan.total(plans)
    assert ecr.stats.digests_checked == len(total.to_upload)
    ideal = sum(-(-len(planned.to_upload) // 100) for planned in plans)
    assert (
        calls(ecr)["BatchCheckLayerAvailability"]
        == total.calls["BatchCheckLayerAvailability"]
        == ideal
    )


# -- verify_image
# ------------------------------------------------------------------------------------------------------


async def test_whole_image(ecr: LocalECR) -> None:
    """An image that is all there is deployable, its foreign layers left aside.

    Each platform has a report of its own.
    """
    push_both(ecr)
    async with ecr.client() as client:
        report = await client.verify_image("team/app", "v1")
    assert (report.deployable, report.defects, report.digest, report.media_type) == (
        True,
        (),
        BOTH_DIGEST,
        INDEX,
    )
    assert [(str(one.platform), one.digest, len(one.available)) for one in report.images] == [
        ("linux/amd64", DIGEST, 3),
        ("linux/arm64", ARM_DIGEST, 3),
    ]
    assert str(report) == "team/app:v1: complete"


async def test_image_by_digest(ecr: LocalECR) -> None:
    """A report of a digest is that of its image alone."""
    push_both(ecr)
    async with ecr.client() as client:
        report = await client.verify_image("team/app", DIGEST)
    assert (report.images, report.deployable, report.tags) == ((report,), True, ())
    assert str(report) == f"team/app@{DIGEST}: complete"


async def test_defects_are_named_per_platform(ecr: LocalECR) -> None:
    """What is absent, archived or of another size is named with the platform that needs it."""
    push_both(ecr)
    layers = inside(ecr).layers
    del layers[sha256(APP.layers[1])]
    layers[sha256(ARM.layers[1])].archived = True
    layers[sha256(ARM.config)].size += 1
    async with ecr.client() as client:
        report = await client.verify_image("team/app", "v1")
    assert report.defects == (
        f"linux/amd64: absent: {sha256(APP.layers[1])}",
        f"linux/arm64: archived: {sha256(ARM.layers[1])}",
        f"linux/arm64: wrong size: {sha256(ARM.config)}",
    )
    assert [one.deployable for one in (report, *report.images)] == [False, False, False]


async def test_image_that_is_not_there(ecr: LocalECR) -> None:
    """An image that is not found is a report that says so, not an error."""
    ecr.create_repository("team/app")
    async with ecr.client() as client:
        report = await client.verify_image("team/app", "v9")
    assert (report.deployable, report.digest, report.defects) == (
        False,
        None,
        ("not found (ImageNotFound): v9",),
    )


async def test_children_that_are_not_there(ecr: LocalECR) -> None:
    """An index whose images are archived, gone or no manifests is not deployable, and says which is what."""
    other = image("other", "base")
    push(ecr, APP, ARM, other)
    listed = index(
        {"linux/amd64": APP.manifest, "linux/arm64": ARM.manifest, "linux/arm": other.manifest}
    )
    ecr.put_image("team/app", listed, "v1")
    ecr.archive("team/app", DIGEST)
    del inside(ecr).images[ARM_DIGEST]
    inside(ecr).images[sha256(other.manifest)].media_type = INDEX
    async with ecr.client() as client:
        report = await client.verify_image("team/app", "v1")
    problems = [one.problem or "" for one in report.images]
    assert problems[:2] == ["archived", "not found (ImageNotFound)"]
    assert problems[2].startswith("not a valid manifest")
    assert len(report.defects) == 3


async def test_a_child_of_another_size(ecr: LocalECR) -> None:
    """A manifest that is not as long as its index says is a defect."""
    push(ecr, APP)
    child = entry(APP.manifest, IMAGE, size=1)
    ecr.put_image("team/app", packed(mediaType=INDEX, manifests=[child]), "v1")
    async with ecr.client() as client:
        report = await client.verify_image("team/app", "v1")
    assert report.defects == (f"it has {len(APP.manifest)} bytes, but its index says 1: {DIGEST}",)


async def test_indexes_without_end(ecr: LocalECR) -> None:
    """Indexes within indexes are followed to a depth, and what lies deeper is a defect."""
    push(ecr, APP)
    inner, media_type = APP.manifest, IMAGE
    for _ in range(9):
        inner, media_type = packed(mediaType=INDEX, manifests=[entry(inner, media_type)]), INDEX
        ecr.put_image("team/app", inner)
    ecr.put_image("team/app", inner, "deep")
    async with ecr.client() as client:
        report = await client.verify_image("team/app", "deep")
    [defect] = report.defects
    assert defect.startswith("it lies within more than 8 indexes: ")


async def test_answers_that_say_nothing(ecr: LocalECR) -> None:
    """A blob of which ECR gives no clear answer is neither there nor absent."""
    push(ecr, APP, tag="v1")
    row = '{"layerDigest": "%s", "layerAvailability": "TOMORROW"}'
    rows = ", ".join([row % sha256(APP.config), row % sha256(APP.layers[0])])
    body = f'{{"layers": [{rows}], "failures": [{{"layerDigest": "{sha256(APP.layers[1])}", "failureCode": "Tomorrow"}}]}}'
    ecr.faults.add(operation="BatchCheckLayerAvailability", body=body.encode())
    async with ecr.client() as client:
        report = await client.verify_image("team/app", "v1")
    assert [blob.digest for blob in report.undetermined] == [sha256(blob) for blob in APP.blobs]


async def test_digests_that_differ_in_case_alone(ecr: LocalECR) -> None:
    """A digest of which nothing can be said, for another in another letter case was asked in its place, is undetermined."""
    names = ("blake3:AB", "blake3:ab")
    layers = [{"mediaType": LAYER, "digest": digest, "size": 1} for digest in names]
    ecr.seed("team/app", [("blake3:ab", 1)])
    ecr.put_layer("team/app", b"{}")
    ecr.put_image(
        "team/app", packed(mediaType=IMAGE, config=entry(b"{}", CONFIG), layers=layers), "v1"
    )
    async with ecr.client() as client:
        report = await client.verify_image("team/app", "v1")
    assert [blob.digest for blob in report.undetermined] == ["blake3:ab"]


async def test_what_ecr_gives_no_image_for(ecr: LocalECR) -> None:
    """Why ECR gives no image is told from an image that is not there, in ECR's words."""
    ecr.create_repository("team/app")
    row = '{"imageId": {"imageTag": "v1"}, "failureCode": "UpstreamUnavailable", "failureReason": "try later"}'
    ecr.faults.add(
        operation="BatchGetImage", body=f'{{"images": [], "failures": [{row}]}}'.encode()
    )
    async with ecr.client() as client:
        report = await client.verify_image("team/app", "v1")
    assert report.defects == ("not returned by ECR (UpstreamUnavailable: 'try later'): v1",)


async def test_words_of_an_index_forge_no_line(ecr: LocalECR) -> None:
    """What an index says of a platform is quoted and cut, for it may be anything."""
    push(ecr, APP)
    child = entry(
        APP.manifest,
        IMAGE,
        platform={"os": "linux\nteam/app:v1: whole", "architecture": "a" * 1000},
    )
    ecr.put_image("team/app", packed(mediaType=INDEX, manifests=[child]), "v1")
    inside(ecr).layers.clear()
    async with ecr.client() as client:
        report = await client.verify_image("team/app", "v1")
    assert [("\n" in defect, len(defect) < 400) for defect in report.defects] == [(False, True)] * 3
    assert report.defects[0].startswith("linux\\nteam/app:v1: whole/aaa")


async def test_words_that_are_quoted_already_are_quoted_once() -> None:
    """The line for people quotes what a defect holds no second time.

    What was made by hand forges no line.
    """
    platform = Platform(os="linux\n", architecture="x")
    report = ImageReport(
        repository=Repository(name="team/app"),
        reference="v1",
        platform=platform,
        problem="gone\nand whole",
    )
    assert report.defects == ("linux\\n/x: gone\\nand whole: v1",)
    assert str(report) == "team/app:v1: linux\\n/x: gone\\nand whole: v1 (1 in all)"


async def test_a_report_has_no_truth_value() -> None:
    """Whether an image is whole is a question of its own."""
    report = ImageReport(repository=Repository(name="team/app"), reference="v1")
    with pytest.raises(TypeError, match=r"ImageReport has no truth value: use report\.deployable"):
        bool(report)


async def test_a_report_of_more_than_fits_into_memory() -> None:
    """A report counts what is wrong, and names the first, without writing a line for each: a shared layer may be wrong a million times."""
    absent = tuple(Descriptor(digest=f"sha256:{number:064x}", size=1) for number in range(1000))
    child = ImageReport(repository=Repository(name="team/app"), reference=DIGEST, absent=absent)
    report = ImageReport(
        repository=Repository(name="team/app"),
        reference="v1",
        problem="gone",
        children=(child,) * 1000,
    )
    begin = f"team/app:v1: gone: v1; absent: {absent[0].digest}; absent: {absent[1].digest}; ... "
    tracemalloc.start()
    try:
        shown = str(report), repr(report)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (shown[0], shown[1][-18:], peak < 2**20) == (
        f"{begin}(1000001 in all)",
        ", defects=1000001)",
        True,
    )


async def test_report_is_one_bounded_line(ecr: LocalECR) -> None:
    """A report shows as one line, however much is wrong, and goes to JSON and back."""
    many = image("many", *map(str, range(300)))
    push(ecr, many, tag="v1")
    inside(ecr).layers.clear()
    async with ecr.client() as client:
        report = await client.verify_image("team/app", "v1")
    assert (len(report.absent), len(str(report)) < 600, "(301 in all)" in str(report)) == (
        301,
        True,
        True,
    )
    assert repr(report).endswith("images=1, deployable=False, defects=301)")
    assert ImageReport.model_validate_json(report.model_dump_json()) == report


# -- audit
# -------------------------------------------------------------------------------------------------------------


async def test_audit_names_exactly_what_is_broken(ecr: LocalECR) -> None:
    """Of 500 images with 20 planted defects, the audit names exactly those 20, each with its defect."""
    images = [
        image(f"image {number}", "base", f"shared {number % 50}", f"own {number}")
        for number in range(500)
    ]
    for number, one in enumerate(images):
        push(ecr, one, tag=f"v{number}")
    held = inside(ecr)
    expected: dict[str, tuple[str, ...]] = {}
    for number in range(0, 500, 25):
        broken, layer = sha256(images[number].manifest), sha256(images[number].layers[2])
        kind = ("absent", "archived", "wrong size", "absent")[number // 25 % 4]
        if kind == "absent":
            del held.layers[layer]
        elif kind == "archived":
            held.layers[layer].archived = True
        else:
            held.layers[layer].size += 1
        expected[broken] = (f"{kind}: {layer}",)
    async with ecr.client() as client:
        reports = [report async for report in client.audit("team/app")]
    assert (len(reports), len(expected), named(reports)) == (500, 20, expected)
    # 2 pages of the list would hold 2,000; 500 manifests in 5 hundreds; 500 configs, 551 layers in
    # 11.
    assert calls(ecr) == {"ListImages": 1, "BatchGetImage": 5, "BatchCheckLayerAvailability": 11}


async def test_audit_of_many_rounds(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many images are taken some at a time.

    What an earlier round knows is not asked again, as far as it is remembered.
    """
    monkeypatch.setattr("ecr_layer_client.images._reader._IMAGES_PER_ROUND", 10)
    push(ecr, *(image(f"image {number}", "base") for number in range(30)))
    async with ecr.client() as client:
        assert [report.deployable async for report in client.audit("team/app")] == [True] * 30
        assert ecr.stats.digests_checked == 31
        ecr.stats.reset()
        monkeypatch.setattr("ecr_layer_client.images._reader._REMEMBERED_OUTCOMES", 0)
        assert [report.deployable async for report in client.audit("team/app")] == [True] * 30
        assert ecr.stats.digests_checked == 33


async def test_audit_of_pages_and_tags(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image is reported once, with all its tags, on whichever pages they are listed.

    An index with its images.
    """
    monkeypatch.setattr("ecr_layer_client.images._operations.PAGE_SIZE", 1)
    push_both(ecr)
    for tag in ("v2", "v3"):
        ecr.put_image("team/app", BOTH, tag)
    async with ecr.client() as client:
        tags = {report.digest: report.tags async for report in client.audit("team/app")}
    assert tags == {DIGEST: (), ARM_DIGEST: (), BOTH_DIGEST: ("v1", "v2", "v3")}
    assert calls(ecr)["ListImages"] == 5


@pytest.mark.parametrize("tokens", [["a", "a"], ["a", "b", "a"]], ids=["its own", "an earlier one"])
async def test_audit_of_pages_in_a_circle(ecr: LocalECR, tokens: list[str]) -> None:
    """A page that gives one as the next which was read already is refused, and not read for ever."""
    for token in tokens:
        ecr.faults.add(
            operation="ListImages",
            body=b'{"imageIds": [], "nextToken": "%s"}' % token.encode(),
            times=1,
        )
    async with ecr.client() as client:
        with pytest.raises(
            ResponseError,
            match="ListImages: team/app: ECR's response names as the next page one that was read already",
        ):
            await anext(client.audit("team/app"))
    assert calls(ecr) == {"ListImages": len(tokens)}


async def test_audit_leaves_archived_images_out(ecr: LocalECR) -> None:
    """An image that was archived is meant to be; but an index that needs it is broken."""
    push_both(ecr)
    ecr.archive("team/app", ARM_DIGEST)
    async with ecr.client() as client:
        reports = [report async for report in client.audit("team/app")]
    assert named(reports) == {BOTH_DIGEST: (f"linux/arm64: archived: {ARM_DIGEST}",)}


@pytest.mark.parametrize("change", ["deleted", "archived", "tagged anew"])
async def test_audit_of_images_that_change_meanwhile(
    ecr: LocalECR, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """An image that is deleted or archived after it was listed is left out.

    One whose tag moved on is whole.
    """
    monkeypatch.setattr("ecr_layer_client.images._reader._IMAGES_PER_ROUND", 1)
    images = [image(f"image {number}", "base") for number in range(3)]
    for one in images:
        push(ecr, one, tag=f"v{images.index(one)}")
    async with ecr.client() as client:
        audit = client.audit("team/app")
        first = await anext(audit)
        [second] = [one for one in images[1:] if sha256(one.manifest) != first.digest][:1]
        if change == "deleted":
            del inside(ecr).images[sha256(second.manifest)]
        elif change == "archived":
            ecr.archive("team/app", sha256(second.manifest))
        else:
            ecr.put_image("team/app", images[0].manifest, "v1")
        rest = [report async for report in audit]
    assert (len(rest), named([first, *rest])) == (2 if change == "tagged anew" else 1, {})


async def test_audit_of_an_index_that_loses_an_image_meanwhile(
    ecr: LocalECR, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that an index still names is a defect of the index, though it was deleted after it was listed."""
    monkeypatch.setattr("ecr_layer_client.images._reader._IMAGES_PER_ROUND", 1)
    push_both(ecr)
    others = (image(f"other {number}") for number in range(1000))
    push(
        ecr, next(one for one in others if sha256(one.manifest) < min(BOTH_DIGEST, ARM_DIGEST))
    )  # listed first
    async with ecr.client() as client:
        audit = client.audit("team/app")
        first = await anext(audit)
        del inside(ecr).images[ARM_DIGEST]
        rest = [report async for report in audit]
    assert named([first, *rest]) == {
        BOTH_DIGEST: (f"linux/arm64: not found (ImageNotFound): {ARM_DIGEST}",)
    }
    assert [report.digest for report in (first, *rest)].count(ARM_DIGEST) == 0


async def test_audit_of_a_repository_that_is_deleted_meanwhile(
    ecr: LocalECR, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the repository is deleted in the middle, the audit ends with that error, after what it had found."""
    monkeypatch.setattr("ecr_layer_client.images._reader._IMAGES_PER_ROUND", 1)
    push_both(ecr)
    reports: list[ImageReport] = []
    async with ecr.client() as client:
        with pytest.raises(RepositoryNotFoundError, match="team/app"):
            async for report in client.audit("team/app"):
                reports.append(report)
                ecr._registry._repositories.clear()
    assert [report.deployable for report in reports] == [True]


async def test_audit_of_many_images_in_few_requests(ecr: LocalECR) -> None:
    """Many images and their indexes take a request for each thousand listed, and one for each hundred manifests and digests."""
    pairs = [
        (image(f"amd {number}", "base"), image(f"arm {number}", "base")) for number in range(400)
    ]
    for number, (amd, arm) in enumerate(pairs):
        push(ecr, amd, arm)
        ecr.put_image(
            "team/app",
            index({"linux/amd64": amd.manifest, "linux/arm64": arm.manifest}),
            f"v{number}",
        )
    async with ecr.client() as client:
        assert [report.deployable async for report in client.audit("team/app")] == [True] * 1200
    done = calls(ecr)
    assert (
        done["ListImages"],
        ecr.stats.digests_checked,
        done["BatchCheckLayerAvailability"] <= 10,
    ) == (2, 801, True)
    assert (
        12 <= done["BatchGetImage"] <= 20
    )  # an index and its images may lie in two rounds of a thousand


async def test_audit_of_an_empty_repository(ecr: LocalECR) -> None:
    """A repository without images gives no report; one that is not there is an error."""
    ecr.create_repository("team/app")
    async with ecr.client() as client:
        assert [report async for report in client.audit("team/app")] == []
        with pytest.raises(RepositoryNotFoundError):
            await anext(client.audit("team/none"))


async def test_audit_left_early(ecr: LocalECR) -> None:
    """An audit that is left after its first report, or cancelled in the middle, leaves nothing behind."""
    push(ecr, *(image(f"image {number}", "base") for number in range(250)))
    async with ecr.client() as client:
        async for _ in client.audit("team/app"):
            break
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.07):
                await anext(client.audit("team/app"))
