"""get_image, plan_push, verify_image and audit of a client, on the local ECR."""

from __future__ import annotations

import asyncio
import json
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

REPOSITORY = "team/app"
APP = image("app", "base", "code")
ARM = image("arm", "base", "arm code", foreign=["windows"])
BOTH = index({"linux/amd64": APP.manifest, "linux/arm64": ARM.manifest})
DIGEST, ARM_DIGEST, BOTH_DIGEST = map(sha256, (APP.manifest, ARM.manifest, BOTH))
UPPER_DIGEST = f"sha256:{DIGEST[7:].upper()}"


def push(ecr: LocalECR, *images: Image, tag: str | None = None) -> None:
    """Put images into the repository, the last one with a tag."""
    for one in images:
        for blob in one.blobs:
            ecr.put_layer(REPOSITORY, blob)
        ecr.put_image(REPOSITORY, one.manifest, tag if one is images[-1] else None)


def push_both(ecr: LocalECR) -> None:
    """Put an index of two platforms into the repository, with the tag `v1`."""
    push(ecr, APP, ARM)
    ecr.put_image(REPOSITORY, BOTH, "v1")


def put_index(ecr: LocalECR, *children: dict[str, Any], tag: str = "v1") -> None:
    """Put an index into the repository, with a tag."""
    ecr.put_image(REPOSITORY, packed(mediaType=INDEX, manifests=children), tag)


def child(manifest: bytes = APP.manifest, size: int | None = None, **platform: Any) -> Any:
    """Return the descriptor of an image in an index, by default for linux/amd64."""
    where = {"os": "linux", "architecture": "amd64", **platform}
    found = entry(manifest, IMAGE, platform=where)
    return found if size is None else {**found, "size": size}


def contents(ecr: LocalECR) -> StoredRepository:
    """Return the contents of the repository, so that a test can damage them."""
    return ecr._registry._repositories[ecr.account, REPOSITORY]


def source_of(one: Image) -> ImageSource:
    """Return the source of an image."""
    return ImageSource.from_manifest(one.manifest)


async def get(
    ecr: LocalECR, reference: str = "v1", platform: str | Platform | None = None, **options: Any
) -> ImageSource:
    """Fetch an image."""
    async with ecr.client(**options) as client:
        return await client.get_image(REPOSITORY, reference, platform=platform)


async def verify(ecr: LocalECR, reference: str = "v1") -> ImageReport:
    """Verify an image."""
    async with ecr.client() as client:
        return await client.verify_image(REPOSITORY, reference)


async def audit(ecr: LocalECR) -> list[ImageReport]:
    """Audit the repository."""
    async with ecr.client() as client:
        return [report async for report in client.audit(REPOSITORY)]


def raws(source: ImageSource) -> list[bytes]:
    """Return the bytes of the manifests of an image."""
    return [manifest.raw for manifest in source.manifests]


def defects_of(reports: Iterable[ImageReport]) -> dict[str, tuple[str, ...]]:
    """Return the defects of the images that are not deployable, by digest."""
    return {
        report.digest or report.reference: report.defects
        for report in reports
        if not report.deployable
    }


def calls(ecr: LocalECR) -> dict[str, int]:
    """Return the number of requests of each operation."""
    stats = ecr.stats.by_operation
    return {operation: sum(outcomes.values()) for operation, outcomes in stats.items()}


# -- get_image


@pytest.mark.parametrize(
    ("reference", "name", "tags"),
    [
        ("v1", "team/app:v1", {DIGEST: ("v1",)}),
        *((digest, f"team/app@{DIGEST}", {}) for digest in (DIGEST, UPPER_DIGEST)),
    ],
    ids=["tag", "digest", "upper case"],
)
async def test_get_image(
    ecr: LocalECR, reference: str, name: str, tags: dict[str, tuple[str, ...]]
) -> None:
    """An image has the exact bytes of its manifest, by tag or digest, in one request."""
    push(ecr, APP, tag="v1")
    source = await get(ecr, reference)
    assert (raws(source), source.name, source.tags) == ([APP.manifest], name, tags)
    assert calls(ecr) == {"BatchGetImage": 1}


async def test_get_image_of_an_index(ecr: LocalECR) -> None:
    """An index has all its images, fetched in one more request."""
    push_both(ecr)
    source = await get(ecr)
    assert raws(source) == [APP.manifest, ARM.manifest, BOTH]
    assert ([root.raw for root in source.roots], source.name) == ([BOTH], "team/app:v1")
    assert calls(ecr) == {"BatchGetImage": 2}


@pytest.mark.parametrize(
    "platform", ["linux/arm64", Platform(os="linux", architecture="arm64")], ids=["str", "value"]
)
async def test_get_image_of_a_platform(ecr: LocalECR, platform: str | Platform) -> None:
    """One platform of an index is fetched alone, with the tag."""
    push_both(ecr)
    source = await get(ecr, platform=platform)
    assert (raws(source), source.tags) == ([ARM.manifest], {ARM_DIGEST: ("v1",)})


async def test_get_image_of_a_platform_in_an_inner_index(ecr: LocalECR) -> None:
    """A platform is found in an inner index; a plain image is returned for any platform."""
    push_both(ecr)
    put_index(ecr, entry(BOTH, INDEX), entry(APP.manifest, IMAGE), tag="outer")
    assert raws(await get(ecr, "outer", "linux/arm64")) == [ARM.manifest]
    assert raws(await get(ecr, DIGEST, "linux/s390x")) == [APP.manifest]


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/386"])
async def test_get_image_of_two_platforms(ecr: LocalECR, platform: str) -> None:
    """An image that an index names for two platforms is found by either, and fetched once."""
    push(ecr, APP)
    put_index(ecr, *(child(architecture=name) for name in ("amd64", "386", "amd64")))
    assert raws(await get(ecr, platform=platform)) == [APP.manifest]


@pytest.mark.parametrize(
    ("platform", "variant"),
    [
        *(("linux/arm", "v7"), ("linux/arm/v6", "v6"), ("linux/arm/v5", "v5")),
        *(("linux/arm64", "v8"), ("linux/amd64", None), ("linux/amd64/v3", "v3")),
    ],
)
async def test_get_image_of_a_variant(ecr: LocalECR, platform: str, variant: str | None) -> None:
    """Without a variant, the architecture's own is chosen, wherever it is in the index."""
    offered: list[tuple[str, str | None]] = [
        *(("arm", "v5"), ("arm", "v6"), ("arm", "v7"), ("arm64", "v9"), ("arm64", "v8")),
        *(("amd64", "v3"), ("amd64", None)),
    ]
    images = {each: image(f"{each[0]} {each[1]}", "base") for each in offered}
    push(ecr, *images.values())
    children = (
        child(one.manifest, architecture=architecture, variant=own)
        for (architecture, own), one in images.items()
    )
    put_index(ecr, *children)

    expected = images[platform.split("/")[1], variant]
    assert raws(await get(ecr, platform=platform)) == [expected.manifest]


async def test_another_variant(ecr: LocalECR) -> None:
    """Without a variant, any variant is accepted; another one is refused with those there are."""
    push_both(ecr)
    put_index(ecr, child(architecture="arm", variant="v6"), child(), tag="v2")
    assert raws(await get(ecr, "v2", "linux/arm")) == [APP.manifest]

    offered = {"v1": "linux/amd64, linux/arm64", "v2": "linux/arm/v6, linux/amd64"}
    for tag, platforms in offered.items():
        message = f"team/app:{tag} has no image for linux/arm/v7: it has {platforms}"
        with pytest.raises(InvalidInputError, match=message):
            await get(ecr, tag, "linux/arm/v7")


async def test_blobs_of_get_image(ecr: LocalECR) -> None:
    """Opening a blob of a fetched image is refused, because only its manifests were fetched."""
    push(ecr, APP, tag="v1")
    source = await get(ecr)
    message = rf"team/app:v1: {sha256(APP.config)} \(.*\) is not in this source, which has only"
    with pytest.raises(InvalidInputError, match=message):
        source.open(source.blobs[0])


async def test_get_image_not_found(ecr: LocalECR) -> None:
    """An absent image is an error with ECR's code and what to check."""
    ecr.create_repository(REPOSITORY)
    message = r"team/app:v9: ECR has no such image \(ImageNotFound\).*check the tag or digest"
    with pytest.raises(ServiceError, match=message) as raised:
        await get(ecr, "v9")
    error = raised.value
    assert (error.code, error.operation) == ("ImageNotFound", "BatchGetImage")
    assert (error.retryable, str(error.repository)) == (False, "team/app")


async def test_get_image_archived(ecr: LocalECR) -> None:
    """An archived image is an error that says what to do."""
    push(ecr, APP, tag="v1")
    ecr.archive(REPOSITORY, DIGEST)
    with pytest.raises(ServiceError, match=r"\(ImageInaccessible\).*it is archived: restore it"):
        await get(ecr)


async def test_get_image_without_a_child(ecr: LocalECR) -> None:
    """An absent image of an index is named; another platform is still returned."""
    push_both(ecr)
    del contents(ecr).images[ARM_DIGEST]
    with pytest.raises(ServiceError, match=f"team/app@{ARM_DIGEST}"):
        await get(ecr)
    assert raws(await get(ecr, platform="linux/amd64")) == [APP.manifest]


@pytest.mark.parametrize(
    ("media_type", "why"),
    [
        (f"{DOCKER}.v1+prettyjws", "its members are those of"),
        (INDEX, r"its media type is application/vnd.oci.image.index.v1\+json"),
    ],
    ids=["signed schema 1", "index"],
)
async def test_get_image_of_another_type(ecr: LocalECR, media_type: str, why: str) -> None:
    """A manifest that is not of the type that ECR says is an error of the response."""
    push(ecr, APP, tag="v1")
    contents(ecr).images[DIGEST].media_type = media_type
    with pytest.raises(ResponseError, match=f"team/app:v1: not a valid manifest.*{why}"):
        await get(ecr)


async def test_get_image_of_another_size(ecr: LocalECR) -> None:
    """An index with a wrong size of an image is an error of the response."""
    push(ecr, APP)
    put_index(ecr, child(size=1))
    sizes = f"has {len(APP.manifest)} bytes, but its descriptor says 1"
    with pytest.raises(ResponseError, match=f"team/app:v1: {DIGEST} {sizes}"):
        await get(ecr)


async def test_get_image_of_many(ecr: LocalECR) -> None:
    """The images of an index are fetched in batches of 100."""
    images = [image(f"image {number}", "base") for number in range(250)]
    push(ecr, *images)
    put_index(ecr, *(child(one.manifest) for one in images))
    assert len((await get(ecr)).images) == 250
    assert calls(ecr) == {"BatchGetImage": 1 + 3}


async def test_manifests_too_large_for_one_response(ecr: LocalECR) -> None:
    """Manifests that are too large for one response are fetched in halves."""
    images = [image(f"image {number}", *map(str, range(20))) for number in range(10)]
    push(ecr, *images)
    put_index(ecr, *(child(one.manifest) for one in images))
    assert len((await get(ecr, max_response_bytes=25_000)).images) == 10
    assert calls(ecr) == {"BatchGetImage": 1 + 1 + 2}


async def test_manifest_too_large_for_any_response(ecr: LocalECR) -> None:
    """A manifest larger than the limit is an error that names the limit, after one request."""
    push(ecr, APP, tag="v1")
    with pytest.raises(ResponseError, match="max_response_bytes=100") as raised:
        await get(ecr, max_response_bytes=100)
    assert (raised.value.too_large, calls(ecr)) == (True, {"BatchGetImage": 1})


async def test_get_image_is_retried(ecr: LocalECR) -> None:
    """A request about images is retried like any other, and raises its last error."""
    push_both(ecr)
    retry = RetryPolicy(max_attempts=3)
    ecr.faults.add(operation="BatchGetImage", error="ServerException", times=2)
    assert len((await get(ecr, retry=retry)).images) == 2

    ecr.faults.add(operation="BatchGetImage", error="ServerException")
    with pytest.raises(CallError, match="BatchGetImage on repository 'team/app'"):
        await get(ecr, retry=retry)


@pytest.mark.parametrize(
    "reference", ["a b", "\N{LATIN SMALL LETTER LONG S}" + DIGEST[1:], DIGEST[:-1]], ids=ascii
)
async def test_not_a_reference(ecr: LocalECR, reference: str) -> None:
    """A reference that is neither a tag nor a digest is refused before any request."""
    for verb in (get, verify):
        with pytest.raises(InvalidInputError, match=f"reference='{reference}'"):
            await verb(ecr, reference)
    assert calls(ecr) == {}


@pytest.mark.parametrize("platform", ["arm64", "", 1, ["linux/arm64"]], ids=ascii)
async def test_not_a_platform(ecr: LocalECR, platform: Any) -> None:
    """An invalid platform is refused before any request."""
    with pytest.raises(InvalidInputError, match=r"platform=.* is not a valid platform"):
        await get(ecr, platform=platform)
    assert calls(ecr) == {}


async def test_not_open(ecr: LocalECR) -> None:
    """A client that is not open says so, for images as for layers."""
    client = ecr.client()
    with pytest.raises(ClientStateError, match="not open yet"):
        await client.get_image(REPOSITORY, "v1")
    with pytest.raises(ClientStateError, match="not open yet"):
        await anext(client.audit(REPOSITORY))


@pytest.mark.parametrize("verb", ["get_image", "verify_image"])
async def test_closed_while_running(ecr: LocalECR, verb: str) -> None:
    """Closing the client ends running work at once, with an error that says so."""
    push_both(ecr)
    async with ecr.client() as client:
        task = asyncio.create_task(getattr(client, verb)(REPOSITORY, "v1"))
        await asyncio.sleep(0.07)
    with pytest.raises(ClientStateError, match="the client was closed while this was running"):
        await task
    assert asyncio.get_running_loop().time() < 0.2


async def test_cancelled_and_closed(ecr: LocalECR) -> None:
    """Work that is cancelled while the client closes ends as cancelled, so that timeouts work."""
    push_both(ecr)
    async with ecr.client() as client:
        task = asyncio.create_task(client.verify_image(REPOSITORY, "v1"))
        await asyncio.sleep(0.07)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("seconds", [0.02, 0.07, 0.12, 0.17])
@pytest.mark.parametrize("verb", ["get_image", "verify_image", "plan_push", "plan_pushes", "audit"])
async def test_cancelled(ecr: LocalECR, verb: str, seconds: float) -> None:
    """Work that is cancelled in any request ends at once, and the client stays usable."""
    push_both(ecr)
    source = ImageSource.from_manifest(BOTH, [APP.manifest, ARM.manifest])
    sources = [source, source_of(image("many", *map(str, range(3000))))]

    async with ecr.client(max_concurrency=2) as client:

        async def audited() -> list[ImageReport]:
            return [report async for report in client.audit(REPOSITORY)]

        work: dict[str, Any] = {
            "get_image": lambda: client.get_image(REPOSITORY, "v1"),
            "verify_image": lambda: client.verify_image(REPOSITORY, "v1"),
            "plan_push": lambda: client.plan_push(REPOSITORY, sources),
            "plan_pushes": lambda: client.plan_pushes({REPOSITORY: sources}),
            "audit": audited,
        }
        begun = asyncio.get_running_loop().time()
        duration = {"get_image": 0.1, "verify_image": 0.15, "audit": 0.15}.get(verb, 1.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await work[verb]()

        elapsed = asyncio.get_running_loop().time() - begun
        assert round(elapsed, 3) == min(seconds, duration)
        assert (ecr.in_flight, asyncio.all_tasks()) == (0, {asyncio.current_task()})
        assert (await client.verify_image(REPOSITORY, "v1")).deployable


# -- plan_push


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


# -- verify_image


async def test_complete_image(ecr: LocalECR) -> None:
    """A complete image is deployable without its foreign layers, with a report per platform."""
    push_both(ecr)
    report = await verify(ecr)
    assert (report.deployable, report.defects) == (True, ())
    assert (report.digest, report.media_type) == (BOTH_DIGEST, INDEX)
    assert [(str(one.platform), one.digest, len(one.available)) for one in report.images] == [
        ("linux/amd64", DIGEST, 3),
        ("linux/arm64", ARM_DIGEST, 3),
    ]
    assert str(report) == "team/app:v1: complete"


@pytest.mark.parametrize("digest", [DIGEST, UPPER_DIGEST], ids=["lower case", "upper case"])
async def test_image_by_digest(ecr: LocalECR, digest: str) -> None:
    """The report of a digest is that of its image alone, with the digest in lower case."""
    push_both(ecr)
    report = await verify(ecr, digest)
    assert (report.images, report.deployable, report.tags) == ((report,), True, ())
    assert (report.reference, report.digest) == (DIGEST, DIGEST)
    assert str(report) == f"team/app@{DIGEST}: complete"


async def test_defects_are_named_per_platform(ecr: LocalECR) -> None:
    """An absent or archived blob, and one of another size, is named with its platform."""
    push_both(ecr)
    layers = contents(ecr).layers
    del layers[sha256(APP.layers[1])]
    layers[sha256(ARM.layers[1])].archived = True
    layers[sha256(ARM.config)].size += 1

    report = await verify(ecr)
    assert report.defects == (
        f"linux/amd64: absent: {sha256(APP.layers[1])}",
        f"linux/arm64: archived: {sha256(ARM.layers[1])}",
        f"linux/arm64: wrong size: {sha256(ARM.config)}",
    )
    assert [one.deployable for one in (report, *report.images)] == [False, False, False]


async def test_report_of_two_platforms(ecr: LocalECR) -> None:
    """A report has each platform that an index names an image for, and checks a blob once."""
    push(ecr, APP)
    put_index(ecr, *(child(architecture=name) for name in ("amd64", "386", "amd64")))
    absent = sha256(APP.layers[0])
    del contents(ecr).layers[absent]

    report = await verify(ecr)
    assert report.defects == (f"linux/amd64: absent: {absent}", f"linux/386: absent: {absent}")
    assert [str(image.platform) for image in report.images] == ["linux/amd64", "linux/386"]
    assert ecr.stats.digests_checked == 3


async def test_image_in_two_indexes(ecr: LocalECR) -> None:
    """An image that an index and an inner index name is in the reports of both."""
    push_both(ecr)
    inner = entry(BOTH, INDEX)
    put_index(ecr, inner, entry(APP.manifest, IMAGE), inner, tag="v2")
    report = await verify(ecr, "v2")
    found = [(one.digest, [each.digest for each in one.children]) for one in report.children]
    assert found == [(BOTH_DIGEST, [DIGEST, ARM_DIGEST]), (DIGEST, [])]
    assert report.deployable


async def test_wrong_size_for_one_platform(ecr: LocalECR) -> None:
    """A wrong size of an image is a defect of its platform; an absent image is one of all."""
    push(ecr, APP)
    put_index(ecr, child(), child(architecture="386", size=1))
    sizes = f"it has {len(APP.manifest)} bytes, but its index says 1"
    assert (await verify(ecr)).defects == (f"linux/386: {sizes}: {DIGEST}",)

    del contents(ecr).images[DIGEST]
    expected = [f"linux/{name}: not found (ImageNotFound): {DIGEST}" for name in ("amd64", "386")]
    assert (await verify(ecr)).defects == tuple(expected)


async def test_absent_image(ecr: LocalECR) -> None:
    """An absent image has a report that says so; there is no error."""
    ecr.create_repository(REPOSITORY)
    report = await verify(ecr, "v9")
    assert (report.deployable, report.digest) == (False, None)
    assert report.defects == ("not found (ImageNotFound): v9",)


async def test_children_with_problems(ecr: LocalECR) -> None:
    """A report names each archived, absent or malformed image of an index."""
    other = image("other", "base")
    push(ecr, APP, ARM, other)
    put_index(ecr, *(entry(one.manifest, IMAGE) for one in (APP, ARM, other)))
    ecr.archive(REPOSITORY, DIGEST)
    del contents(ecr).images[ARM_DIGEST]
    contents(ecr).images[sha256(other.manifest)].media_type = INDEX

    report = await verify(ecr)
    problems = [one.problem or "" for one in report.images]
    assert problems[:2] == ["archived", "not found (ImageNotFound)"]
    assert problems[2].startswith("not a valid manifest")
    assert len(report.defects) == 3


async def test_indexes_without_end(ecr: LocalECR) -> None:
    """Nested indexes are followed to a depth of 8; deeper ones are a defect."""
    push(ecr, APP)
    inner, media_type = APP.manifest, IMAGE
    for _ in range(9):
        inner, media_type = packed(mediaType=INDEX, manifests=[entry(inner, media_type)]), INDEX
        ecr.put_image(REPOSITORY, inner, "deep")

    [defect] = (await verify(ecr, "deep")).defects
    assert defect.startswith("it lies within more than 8 indexes: ")


async def test_undetermined_blobs(ecr: LocalECR) -> None:
    """A blob without a clear outcome is undetermined, neither available nor absent."""
    push(ecr, APP, tag="v1")
    config, base, code = map(sha256, APP.blobs)
    layers = [{"layerDigest": digest, "layerAvailability": "NEW"} for digest in (config, base)]
    failures = [{"layerDigest": code, "failureCode": "New"}]
    body = json.dumps({"layers": layers, "failures": failures})
    ecr.faults.add(operation="BatchCheckLayerAvailability", body=body.encode())

    report = await verify(ecr)
    assert [blob.digest for blob in report.undetermined] == [config, base, code]


async def test_digests_in_two_letter_cases(ecr: LocalECR) -> None:
    """Of digests that differ only in letter case, one is checked; the other is undetermined."""
    layers = [
        {"mediaType": LAYER, "digest": digest, "size": 1} for digest in ("blake3:AB", "blake3:ab")
    ]
    ecr.seed(REPOSITORY, [("blake3:ab", 1)])
    ecr.put_layer(REPOSITORY, b"{}")
    manifest = packed(mediaType=IMAGE, config=entry(b"{}", CONFIG), layers=layers)
    ecr.put_image(REPOSITORY, manifest, "v1")

    report = await verify(ecr)
    assert [blob.digest for blob in report.undetermined] == ["blake3:ab"]


async def test_image_that_ecr_does_not_return(ecr: LocalECR) -> None:
    """A defect has ECR's code and message if ECR does not return an image."""
    ecr.create_repository(REPOSITORY)
    reason = {"failureCode": "UpstreamUnavailable", "failureReason": "try later"}
    body = json.dumps({"images": [], "failures": [{"imageId": {"imageTag": "v1"}, **reason}]})
    ecr.faults.add(operation="BatchGetImage", body=body.encode())
    expected = "not returned by ECR (UpstreamUnavailable: 'try later'): v1"
    assert (await verify(ecr)).defects == (expected,)


async def test_hostile_platform(ecr: LocalECR) -> None:
    """A platform in an index is quoted and truncated, because it may be any text."""
    push(ecr, APP)
    put_index(ecr, child(os="linux\nteam/app:v1: complete", architecture="a" * 1000))
    contents(ecr).layers.clear()

    defects = (await verify(ecr)).defects
    assert [("\n" in defect, len(defect) < 400) for defect in defects] == [(False, True)] * 3
    assert defects[0].startswith("linux\\nteam/app:v1: complete/aaa")


async def test_report_is_quoted_once() -> None:
    """The text of a report quotes hostile words once."""
    platform = Platform(os="linux\n", architecture="x")
    where, problem = Repository(name=REPOSITORY), "gone\nand complete"
    report = ImageReport(repository=where, reference="v1", platform=platform, problem=problem)
    assert report.defects == ("linux\\n/x: gone\\nand complete: v1",)
    assert str(report) == "team/app:v1: linux\\n/x: gone\\nand complete: v1 (1 in all)"


async def test_report_has_no_truth_value() -> None:
    """A report has no truth value; the error names what to use instead."""
    report = ImageReport(repository=Repository(name=REPOSITORY), reference="v1")
    with pytest.raises(TypeError, match=r"ImageReport has no truth value: use report\.deployable"):
        bool(report)


async def test_report_of_many_defects() -> None:
    """A report counts a million defects and shows the first ones, without a line for each."""
    where = Repository(name=REPOSITORY)
    absent = tuple(Descriptor(digest=f"sha256:{number:064x}", size=1) for number in range(1000))
    one = ImageReport(repository=where, reference=DIGEST, absent=absent)
    report = ImageReport(
        repository=where, reference="v1", problem="gone", children=tuple([one] * 1000)
    )

    tracemalloc.start()
    try:
        shown = str(report), repr(report)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    first = f"gone: v1; absent: {absent[0].digest}; absent: {absent[1].digest}; ... "
    assert shown[0] == f"team/app:v1: {first}(1000001 in all)"
    assert (shown[1][-18:], peak < 2**20) == (", defects=1000001)", True)


async def test_report_is_one_bounded_line(ecr: LocalECR) -> None:
    """A report is one line, however many defects it has, and is read back from JSON."""
    push(ecr, image("many", *map(str, range(300))), tag="v1")
    contents(ecr).layers.clear()
    report = await verify(ecr)
    assert (len(report.absent), len(str(report)) < 600) == (301, True)
    assert "(301 in all)" in str(report)
    assert repr(report).endswith("images=1, deployable=False, defects=301)")
    assert ImageReport.model_validate_json(report.model_dump_json()) == report


# -- audit


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an audit read one image at a time."""
    monkeypatch.setattr("ecr_layer_client.images._reader._IMAGES_PER_ROUND", 1)


async def test_audit_finds_all_defects(ecr: LocalECR) -> None:
    """The audit of 500 images names exactly the 20 damaged ones, each with its defect."""
    images = [
        image(f"image {number}", "base", f"shared {number % 50}", f"own {number}")
        for number in range(500)
    ]
    for number, one in enumerate(images):
        push(ecr, one, tag=f"v{number}")

    layers = contents(ecr).layers
    expected: dict[str, tuple[str, ...]] = {}
    for number in range(0, 500, 25):
        damaged, layer = sha256(images[number].manifest), sha256(images[number].layers[2])
        kind = ("absent", "archived", "wrong size", "absent")[number // 25 % 4]
        if kind == "absent":
            del layers[layer]
        elif kind == "archived":
            layers[layer].archived = True
        else:
            layers[layer].size += 1
        expected[damaged] = (f"{kind}: {layer}",)

    reports = await audit(ecr)
    assert (len(reports), len(expected), defects_of(reports)) == (500, 20, expected)
    # One page lists up to 1,000 images. There are 500 configs and 551 layers to check.
    assert calls(ecr) == {"ListImages": 1, "BatchGetImage": 5, "BatchCheckLayerAvailability": 11}


@pytest.mark.parametrize(("remembered", "checked"), [(200_000, 31), (0, 33)])
async def test_audit_of_many_rounds(
    ecr: LocalECR, monkeypatch: pytest.MonkeyPatch, remembered: int, checked: int
) -> None:
    """An audit reads images in rounds, and does not check again what it remembers."""
    monkeypatch.setattr("ecr_layer_client.images._reader._IMAGES_PER_ROUND", 10)
    monkeypatch.setattr("ecr_layer_client.images._reader._REMEMBERED_OUTCOMES", remembered)
    push(ecr, *(image(f"image {number}", "base") for number in range(30)))
    assert [report.deployable for report in await audit(ecr)] == [True] * 30
    assert ecr.stats.digests_checked == checked


async def test_audit_of_pages_and_tags(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image is reported once, with all its tags, on whichever pages ECR lists them."""
    monkeypatch.setattr("ecr_layer_client.images._operations.PAGE_SIZE", 1)
    push_both(ecr)
    for tag in ("v2", "v3"):
        ecr.put_image(REPOSITORY, BOTH, tag)
    tags = {report.digest: report.tags for report in await audit(ecr)}
    assert tags == {DIGEST: (), ARM_DIGEST: (), BOTH_DIGEST: ("v1", "v2", "v3")}
    assert calls(ecr)["ListImages"] == 5


@pytest.mark.parametrize("tokens", [["a", "a"], ["a", "b", "a"]], ids=["its own", "an earlier one"])
async def test_audit_of_a_repeated_page(ecr: LocalECR, tokens: list[str]) -> None:
    """A page token that ECR repeats is an error, so that an audit ends."""
    for token in tokens:
        body = json.dumps({"imageIds": [], "nextToken": token}).encode()
        ecr.faults.add(operation="ListImages", body=body, times=1)
    message = "ECR's response names as the next page one that was read already"
    with pytest.raises(ResponseError, match=f"ListImages: team/app: {message}"):
        await audit(ecr)
    assert calls(ecr) == {"ListImages": len(tokens)}


async def test_audit_leaves_archived_images_out(ecr: LocalECR) -> None:
    """An archived image has no report, but is a defect of an index that names it."""
    push_both(ecr)
    ecr.archive(REPOSITORY, ARM_DIGEST)
    expected = {BOTH_DIGEST: (f"linux/arm64: archived: {ARM_DIGEST}",)}
    assert defects_of(await audit(ecr)) == expected


@pytest.mark.parametrize(
    ("change", "remaining"), [("deleted", 1), ("archived", 1), ("tag moved", 2)]
)
@pytest.mark.usefixtures("one_at_a_time")
async def test_audit_of_changing_images(ecr: LocalECR, change: str, remaining: int) -> None:
    """An image that is deleted or archived during the audit is left out; a moved tag is fine."""
    images = [image(f"image {number}", "base") for number in range(3)]
    for number, one in enumerate(images):
        push(ecr, one, tag=f"v{number}")

    async with ecr.client() as client:
        reports = client.audit(REPOSITORY)
        first = await anext(reports)
        second = next(
            digest for one in images[1:] if (digest := sha256(one.manifest)) != first.digest
        )
        if change == "deleted":
            del contents(ecr).images[second]
        elif change == "archived":
            ecr.archive(REPOSITORY, second)
        else:
            ecr.put_image(REPOSITORY, images[0].manifest, "v1")
        rest = [report async for report in reports]
    assert (len(rest), defects_of([first, *rest])) == (remaining, {})


@pytest.mark.usefixtures("one_at_a_time")
async def test_audit_of_an_index_that_loses_an_image(ecr: LocalECR) -> None:
    """An image that is deleted during the audit is a defect of an index that names it."""
    push_both(ecr)
    # ECR lists the images by digest; this one comes first.
    others = (image(f"other {number}") for number in range(1000))
    push(ecr, next(one for one in others if sha256(one.manifest) < min(BOTH_DIGEST, ARM_DIGEST)))

    async with ecr.client() as client:
        audit = client.audit(REPOSITORY)
        reports = [await anext(audit)]
        del contents(ecr).images[ARM_DIGEST]
        reports += [report async for report in audit]

    expected = {BOTH_DIGEST: (f"linux/arm64: not found (ImageNotFound): {ARM_DIGEST}",)}
    assert defects_of(reports) == expected
    assert ARM_DIGEST not in {report.digest for report in reports}


@pytest.mark.usefixtures("one_at_a_time")
async def test_audit_of_a_deleted_repository(ecr: LocalECR) -> None:
    """An audit raises an error after its reports if the repository is deleted meanwhile."""
    push_both(ecr)
    reports: list[ImageReport] = []
    async with ecr.client() as client:
        with pytest.raises(RepositoryNotFoundError, match="team/app"):
            async for report in client.audit(REPOSITORY):
                reports.append(report)
                ecr._registry._repositories.clear()
    assert [report.deployable for report in reports] == [True]


async def test_audit_sends_few_requests(ecr: LocalECR) -> None:
    """An audit sends a request per 1,000 listed images, and per 100 manifests or digests."""
    for number in range(400):
        amd, arm = image(f"amd {number}", "base"), image(f"arm {number}", "base")
        push(ecr, amd, arm)
        both = index({"linux/amd64": amd.manifest, "linux/arm64": arm.manifest})
        ecr.put_image(REPOSITORY, both, f"v{number}")
    assert [report.deployable for report in await audit(ecr)] == [True] * 1200

    sent = calls(ecr)
    assert (sent["ListImages"], ecr.stats.digests_checked) == (2, 801)
    assert sent["BatchCheckLayerAvailability"] <= 10
    # An index and its images may be in two rounds.
    assert 12 <= sent["BatchGetImage"] <= 20


async def test_audit_of_an_empty_repository(ecr: LocalECR) -> None:
    """A repository without images has no report; an absent one is an error."""
    ecr.create_repository(REPOSITORY)
    assert await audit(ecr) == []
    async with ecr.client() as client:
        with pytest.raises(RepositoryNotFoundError):
            await anext(client.audit("team/none"))


async def test_audit_that_ends_early(ecr: LocalECR) -> None:
    """An audit that is left after one report, or cancelled, leaves nothing running."""
    push(ecr, *(image(f"image {number}", "base") for number in range(250)))
    async with ecr.client() as client:
        async for _ in client.audit(REPOSITORY):
            break
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.07):
                await anext(client.audit(REPOSITORY))
