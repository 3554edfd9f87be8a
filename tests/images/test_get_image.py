"""get_image of a client, on the local ECR."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import (
    CallError,
    ClientStateError,
    InvalidInputError,
    ResponseError,
    RetryPolicy,
    ServiceError,
)
from ecr_layer_client.images import ImageReport, ImageSource, Platform
from images.making import DOCKER, IMAGE, INDEX, entry, image, packed, sha256
from images.pushed import (
    APP,
    ARM,
    ARM_DIGEST,
    BOTH,
    DIGEST,
    REPOSITORY,
    UPPER_DIGEST,
    calls,
    child,
    contents,
    get,
    push,
    push_both,
    put_index,
    raws,
    source_of,
    verify,
)

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


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


async def test_the_first_of_equal_platforms(ecr: LocalECR) -> None:
    """Of several images for a platform, the first is taken, in the order of all the indexes."""
    images = [image(f"image {number}", "base") for number in range(4)]
    push(ecr, *images)
    children = [child(one.manifest) for one in images]
    inner, other = (packed(mediaType=INDEX, manifests=two) for two in (children[:2], children[2:]))
    for one in (inner, other):
        ecr.put_image(REPOSITORY, one)
    put_index(ecr, entry(inner, INDEX), entry(other, INDEX), tag="outer")
    assert raws(await get(ecr, "outer", "linux/amd64")) == [images[0].manifest]


async def test_indexes_that_name_each_other_many_times(ecr: LocalECR) -> None:
    """An index is followed once, however many paths lead to it."""
    push(ecr, APP)
    below, media_type = APP.manifest, IMAGE
    for _ in range(8):
        children = [
            entry(below, media_type, platform={"os": "linux", "architecture": str(number)})
            for number in range(12)
        ]
        below, media_type = packed(mediaType=INDEX, manifests=children), INDEX
        ecr.put_image(REPOSITORY, below, "deep")
    assert raws(await get(ecr, "deep", "linux/7"))[:1] == [APP.manifest]


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


VERSIONS = "10.0.17763.6189", "10.0.26100.1742", "10.0.9600.1", "9" * 5000, "next"


@pytest.mark.parametrize(
    ("platform", "version"),
    [("windows/amd64", VERSIONS[1]), *((f"windows/amd64:{each}", each) for each in VERSIONS)],
    ids=lambda text: text[:30],
)
async def test_get_image_of_a_windows_version(ecr: LocalECR, platform: str, version: str) -> None:
    """Without a version, the newest one is chosen; otherwise exactly the given one."""
    images = {each: image(each, "base") for each in VERSIONS[: None if ":" in platform else 3]}
    push(ecr, *images.values())
    where = {"os": "windows", "architecture": "amd64"}
    children = (
        entry(one.manifest, IMAGE, platform={**where, "os.version": each})
        for each, one in images.items()
    )
    put_index(ecr, *children)
    assert raws(await get(ecr, platform=platform)) == [images[version].manifest]


async def test_the_platforms_that_an_error_offers(ecr: LocalECR) -> None:
    """The platforms that an error names are text that can be passed as the platform."""
    push(ecr, APP)
    where = {"os": "windows", "architecture": "amd64", "os.version": VERSIONS[0]}
    put_index(ecr, entry(APP.manifest, IMAGE, platform=where))
    with pytest.raises(InvalidInputError) as raised:
        await get(ecr, platform="linux/amd64")
    offered = str(raised.value).rpartition(" ")[2]
    assert (offered, raws(await get(ecr, platform=offered))) == (
        f"windows/amd64:{VERSIONS[0]}",
        [APP.manifest],
    )


async def test_blobs_of_get_image(ecr: LocalECR) -> None:
    """Opening a blob of a fetched image is refused, because only its manifests were fetched."""
    push(ecr, APP, tag="v1")
    source = await get(ecr)
    message = f"team/app:v1: {sha256(APP.config)} is missing, .* has only manifests"
    with pytest.raises(InvalidInputError, match=message):
        source.open(source.blobs[0])


async def test_get_image_not_found(ecr: LocalECR) -> None:
    """An absent image is an error with ECR's code and what to check."""
    ecr.create_repository(REPOSITORY)
    message = r"team/app:v9: ECR has no such image \(ImageNotFound: .*check the tag or digest"
    with pytest.raises(ServiceError, match=message) as raised:
        await get(ecr, "v9")
    error = raised.value
    assert (error.code, error.operation) == ("ImageNotFound", "BatchGetImage")
    assert (error.retryable, str(error.repository)) == (False, "team/app")


async def test_get_image_archived(ecr: LocalECR) -> None:
    """An archived image is an error that says what to do."""
    push(ecr, APP, tag="v1")
    ecr.archive(REPOSITORY, DIGEST)
    with pytest.raises(ServiceError, match=r"\(ImageInaccessible: .*it is archived: restore it"):
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
        (f"{DOCKER}.v1+prettyjws", "it has the JSON keys of"),
        (INDEX, r"its media type is application/vnd.oci.image.index.v1\+json"),
    ],
    ids=["signed schema 1", "index"],
)
async def test_get_image_of_another_type(ecr: LocalECR, media_type: str, why: str) -> None:
    """A manifest that is not of the type that ECR says is an error of the response."""
    push(ecr, APP, tag="v1")
    contents(ecr).images[DIGEST].media_type = media_type
    with pytest.raises(ResponseError, match=f"team/app:v1: not a valid manifest.*{why}") as raised:
        await get(ecr)
    assert not raised.value.retryable


async def test_get_image_of_another_size(ecr: LocalECR) -> None:
    """An index with a wrong size of an image is an error of the response."""
    push(ecr, APP)
    put_index(ecr, child(size=1))
    sizes = f"has {len(APP.manifest)} bytes, but its descriptor says 1"
    with pytest.raises(ResponseError, match=f"team/app:v1: {DIGEST} {sizes}") as raised:
        await get(ecr)
    assert not raised.value.retryable


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


async def test_a_malformed_response_about_many(ecr: LocalECR) -> None:
    """A malformed response is an error, and not fetched in halves as a too large one is."""
    push_both(ecr)
    ecr.faults.add(operation="BatchGetImage", after=1, body=b"[]")
    with pytest.raises(ResponseError, match="breaks its contract"):
        await get(ecr, retry=RetryPolicy(max_attempts=1))
    assert calls(ecr) == {"BatchGetImage": 2}


async def test_an_error_is_alone(ecr: LocalECR) -> None:
    """An error of one of several requests has no group of errors in its traceback."""
    push_both(ecr)
    ecr.faults.add(operation="BatchGetImage", error="AccessDeniedException")
    with pytest.raises(CallError) as raised:
        await get(ecr)
    assert "ExceptionGroup" not in "".join(traceback.format_exception(raised.value))


async def test_get_image_is_retried(ecr: LocalECR) -> None:
    """A request about images is retried like any other, and raises its last error."""
    push_both(ecr)
    retry = RetryPolicy(max_attempts=3)
    ecr.faults.add(operation="BatchGetImage", error="ServerException", times=2)
    assert len((await get(ecr, retry=retry)).images) == 2

    ecr.faults.add(operation="BatchGetImage", error="ServerException")
    with pytest.raises(CallError, match="BatchGetImage on repository 'team/app'"):
        await get(ecr, retry=retry)


async def test_not_a_reference(ecr: LocalECR) -> None:
    """A reference that is neither a tag nor a digest is refused before any request."""
    for verb in (get, verify):
        with pytest.raises(InvalidInputError, match="reference='a b' is not a valid reference"):
            await verb(ecr, "a b")
    assert calls(ecr) == {}


@pytest.mark.parametrize("platform", ["arm64", ["linux/arm64"]], ids=ascii)
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
    with pytest.raises(ClientStateError, match="closed while this operation was running"):
        await task
    assert asyncio.get_running_loop().time() < 0.2


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
