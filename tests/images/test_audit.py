"""The audit of a client, on the local ECR."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from client.steps import on_request
from ecr_layer_client import Repository, RepositoryNotFoundError, ResponseError
from images.making import image, sha256
from images.pushed import (
    APP,
    ARM_DIGEST,
    BOTH,
    BOTH_DIGEST,
    DIGEST,
    REPOSITORY,
    audit,
    calls,
    contents,
    defects_of,
    push,
    push_both,
)

if TYPE_CHECKING:
    from ecr_layer_client.images import ImageReport
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


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


@pytest.mark.parametrize(("remembered", "checked"), [(200_000, 31), (40, 31), (0, 33)])
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
    message = "ECR's response names a next page that was already read"
    with pytest.raises(ResponseError, match=f"ListImages: team/app: {message}"):
        await audit(ecr)
    assert calls(ecr) == {"ListImages": len(tokens)}


async def test_audit_of_archived_images(ecr: LocalECR) -> None:
    """With `archived=True`, an archived image has a report, which says that it is archived."""
    push_both(ecr)
    ecr.archive(REPOSITORY, ARM_DIGEST)
    expected = {
        ARM_DIGEST: (f"archived: {ARM_DIGEST}",),
        BOTH_DIGEST: (f"linux/arm64: archived: {ARM_DIGEST}",),
    }
    assert defects_of(await audit(ecr, archived=True)) == expected


async def test_audit_leaves_archived_images_out(ecr: LocalECR) -> None:
    """An archived image has no report, but is a defect of an index that names it."""
    push_both(ecr)
    ecr.archive(REPOSITORY, ARM_DIGEST)
    expected = {BOTH_DIGEST: (f"linux/arm64: archived: {ARM_DIGEST}",)}
    assert defects_of(await audit(ecr)) == expected


async def test_audit_of_an_image_that_ecr_does_not_return(ecr: LocalECR) -> None:
    """An image that was not deleted, but that ECR does not return, is a defect of the audit."""
    push(ecr, APP)
    reason = {"failureCode": "UpstreamUnavailable", "failureReason": "try later"}
    body = json.dumps({"failures": [{"imageId": {"imageDigest": DIGEST}, **reason}]})
    ecr.faults.add(operation="BatchGetImage", body=body.encode())
    why = "not returned by ECR (UpstreamUnavailable: 'try later')"
    assert defects_of(await audit(ecr)) == {DIGEST: (f"{why}: {DIGEST}",)}


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


async def test_audit_of_an_empty_repository(ecr: LocalECR) -> None:
    """A repository without images has no report; an absent one is an error."""
    ecr.create_repository(REPOSITORY)
    assert await audit(ecr) == []
    async with ecr.client() as client:
        with pytest.raises(RepositoryNotFoundError):
            await anext(client.audit("team/none"))


async def test_the_first_page_has_no_token(ecr: LocalECR) -> None:
    """The request for the first page names no page."""
    push(ecr, APP)
    members: list[object] = []
    on_request(ecr, lambda request: members.append(json.loads(request.body)))
    await audit(ecr)
    assert members[0] == {"repositoryName": REPOSITORY, "maxResults": 1000}


@pytest.mark.parametrize("given", [None, "123456789012"], ids=["name", "uri"])
async def test_the_registry_of_the_images(ecr: LocalECR, given: str | None) -> None:
    """The registry is the one of the repository, or else the one that responses name."""
    push(ecr, APP, tag="v1")
    async with ecr.client() as client:
        reader = client._image_reader(Repository(name=REPOSITORY, registry_id=given))
        before = reader.registry_id
        await reader.get("v1", None)
    assert (before, reader.registry_id) == (given, ecr.account)


async def test_audit_that_ends_early(ecr: LocalECR) -> None:
    """An audit that is left after one report, or cancelled, leaves nothing running."""
    push(ecr, *(image(f"image {number}", "base") for number in range(250)))
    async with ecr.client() as client:
        async for _ in client.audit(REPOSITORY):
            break
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.07):
                await anext(client.audit(REPOSITORY))
