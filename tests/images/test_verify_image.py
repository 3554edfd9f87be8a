"""verify_image of a client, and its report, on the local ECR."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client import Repository
from ecr_layer_client.images import Descriptor, ImageReport, Platform
from images.making import CONFIG, DOCKER, IMAGE, INDEX, LAYER, entry, image, packed, sha256
from images.pushed import (
    APP,
    ARM,
    ARM_DIGEST,
    BOTH,
    BOTH_DIGEST,
    DIGEST,
    REPOSITORY,
    UPPER_DIGEST,
    child,
    contents,
    push,
    push_both,
    put_index,
    verify,
)

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


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


async def test_archived_blob_of_another_size(ecr: LocalECR) -> None:
    """An archived blob is archived, whatever its size."""
    push(ecr, APP, tag="v1")
    archived = contents(ecr).layers[sha256(APP.layers[1])]
    archived.archived, archived.size = True, archived.size + 1
    assert (await verify(ecr)).defects == (f"archived: {sha256(APP.layers[1])}",)


async def test_sizes_that_are_not_given(ecr: LocalECR) -> None:
    """A blob is available if the manifest, as in schema 1, or ECR does not give its size."""
    push(ecr, APP, tag="v1")
    layers = [{"blobSum": sha256(layer)} for layer in APP.layers]
    old = packed(schemaVersion=1, mediaType=f"{DOCKER}.v1+json", fsLayers=layers)
    ecr.put_image(REPOSITORY, old, "v2")
    assert (await verify(ecr, "v2")).deployable

    rows = [{"layerDigest": sha256(each), "layerAvailability": "AVAILABLE"} for each in APP.blobs]
    body = json.dumps({"layers": rows}).encode()
    ecr.faults.add(operation="BatchCheckLayerAvailability", body=body)
    assert (await verify(ecr)).deployable


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


async def test_index_in_two_indexes(ecr: LocalECR) -> None:
    """An index that two indexes name is in the report of the first, so that reports stay small."""
    push_both(ecr)
    outer = [
        packed(mediaType=INDEX, manifests=[entry(BOTH, INDEX)], annotations={"n": number})
        for number in "12"
    ]
    for one in outer:
        ecr.put_image(REPOSITORY, one)
    put_index(ecr, *(entry(one, INDEX) for one in outer), tag="v2")
    report = await verify(ecr, "v2")
    found = [[each.digest for each in one.children] for one in report.children]
    assert (found, report.deployable) == ([[BOTH_DIGEST], []], True)


async def test_wrong_size_in_one_index(ecr: LocalECR) -> None:
    """A wrong size is a defect of the index that gives it; an absent image is one of all."""
    push_both(ecr)
    put_index(ecr, entry(BOTH, INDEX), child(size=1), tag="v2")
    sizes = f"it has {len(APP.manifest)} bytes, but its index says 1"
    assert (await verify(ecr, "v2")).defects == (f"linux/amd64: {sizes}: {DIGEST}",)

    del contents(ecr).images[DIGEST]
    absent = f"linux/amd64: not found (ImageNotFound): {DIGEST}"
    assert (await verify(ecr, "v2")).defects == (absent, absent)


async def test_wrong_size_of_a_child(ecr: LocalECR) -> None:
    """A child that has another size than its index says is a defect."""
    push(ecr, APP)
    put_index(ecr, child(size=1))
    sizes = f"it has {len(APP.manifest)} bytes, but its index says 1"
    assert (await verify(ecr)).defects == (f"linux/amd64: {sizes}: {DIGEST}",)


async def test_one_image_of_two_sizes(ecr: LocalECR) -> None:
    """An index that gives an image two sizes is a defect itself."""
    push(ecr, APP)
    put_index(ecr, child(), child(architecture="386", size=1))
    [defect] = (await verify(ecr)).defects
    assert f"manifests.1: {DIGEST} has 'size' 1, but {len(APP.manifest)} in manifests.0" in defect


async def test_absent_image(ecr: LocalECR) -> None:
    """An absent image has a report that says so; there is no error."""
    ecr.create_repository(REPOSITORY)
    report = await verify(ecr, "v9")
    assert (report.deployable, report.digest) == (False, None)
    assert report.defects == ("not found (ImageNotFound): v9",)
    assert (await verify(ecr, DIGEST)).digest == DIGEST


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
    """An image within eight indexes is found; one within more is a defect."""
    push(ecr, APP)
    inner, media_type = APP.manifest, IMAGE
    for depth in range(1, 10):
        inner, media_type = packed(mediaType=INDEX, manifests=[entry(inner, media_type)]), INDEX
        ecr.put_image(REPOSITORY, inner, f"within-{depth}")

    assert (await verify(ecr, "within-8")).deployable
    [defect] = (await verify(ecr, "within-9")).defects
    assert defect == f"it is nested in more than 8 indexes: {DIGEST}"


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
