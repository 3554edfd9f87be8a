"""`plan` computes the effect of a push."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_layer_client import (
    InvalidInputError,
    Layer,
    LayerAvailability,
    LayerCheckResult,
    LayerFailureCode,
    PublicRepository,
)
from ecr_layer_client.images import ImageSource, PushPlan, plan
from images.making import (
    CONFIG,
    FOREIGN,
    IMAGE,
    Image,
    entry,
    image,
    index,
    layout_files,
    packed,
    sha256,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

APP = image("app", "base", "code", "base")
NEXT = image("next", "base", "more", foreign=["windows"])
MIB = 1024 * 1024
HELD = LayerAvailability.AVAILABLE


def source(*images: Image) -> ImageSource:
    """Return a source of one image, or of an index of several images."""
    if len(images) == 1:
        return ImageSource.from_manifest(images[0].manifest)
    listed = index({f"linux/{number}": one.manifest for number, one in enumerate(images)})
    return ImageSource.from_manifest(listed, [one.manifest for one in images])


def held(**outcomes: LayerAvailability | LayerFailureCode) -> LayerCheckResult:
    """Return a result for layers by the word that they consist of."""
    return LayerCheckResult.of(
        "team/app",
        {sha256(f"layer {word}".encode()): outcome for word, outcome in outcomes.items()},
    )


def of_sizes(*sizes: int | None) -> ImageSource:
    """Return a source whose layers have these sizes."""
    layers = [
        {"mediaType": "a/b", "digest": f"sha256:{number:064x}", "size": size}
        for number, size in enumerate(sizes)
    ]
    return ImageSource.from_manifest(packed(config=entry(b"{}", CONFIG), layers=layers))


def test_new_image() -> None:
    """A push to an empty repository uploads everything, each digest once."""
    planned = plan(source(APP), {})

    assert [blob.digest for blob in planned.to_upload] == [
        sha256(blob) for blob in (APP.config, *APP.layers[:2])
    ]
    assert planned.bytes_to_upload == sum(map(len, (APP.config, *APP.layers[:2])))
    assert (planned.present, planned.foreign, planned.archived, planned.undetermined) == (
        (),
        (),
        (),
        (),
    )
    assert (planned.all_blobs_present, planned.repository) == (False, None)


def test_half_present_image() -> None:
    """Blobs that the repository holds are not uploaded.

    Foreign layers are neither uploaded nor present.
    """
    planned = plan(source(NEXT), held(base=HELD))

    assert [blob.digest for blob in planned.to_upload] == [
        sha256(NEXT.config),
        sha256(NEXT.layers[1]),
    ]
    assert [blob.digest for blob in planned.present] == [sha256(NEXT.layers[0])]
    assert [blob.digest for blob in planned.foreign] == [sha256(b"foreign windows")]
    assert (planned.bytes_present, planned.bytes_foreign) == (
        len("layer base"),
        len("foreign windows"),
    )


def test_whole_image() -> None:
    """A push of an image whose blobs all exist only puts the manifest."""
    planned = plan(
        source(APP),
        {sha256(blob): Layer(digest=sha256(blob), availability=HELD) for blob in APP.blobs},
    )

    assert planned.all_blobs_present
    assert {name: count for name, count in planned.calls.items() if count} == {
        "BatchCheckLayerAvailability": 1,
        "PutImage": 1,
    }


def test_archived_and_undetermined() -> None:
    """Archived and undetermined blobs are uploaded and listed separately.

    Absent blobs are not listed separately.
    """
    outcomes = held(base=LayerAvailability.ARCHIVED, code=LayerFailureCode.NOT_REPORTED)
    planned = plan(source(APP), outcomes)

    assert planned.archived == (planned.to_upload[1],)
    assert planned.undetermined == (planned.to_upload[2],)
    planned = plan(
        source(APP),
        held(base=LayerAvailability.UNKNOWN, code=LayerFailureCode.MISSING_LAYER_DIGEST),
    )
    assert [blob.digest for blob in planned.undetermined] == [sha256(b"layer base")]


def test_held_by_hand() -> None:
    """`held` may be a mapping of digests to availabilities and failure codes.

    The digests may have either letter case.
    """
    said: dict[str, LayerAvailability | LayerFailureCode] = {
        sha256(APP.config).upper(): HELD,
        sha256(b"layer base"): LayerFailureCode.NOT_REPORTED,
    }
    planned = plan(source(APP), said)

    assert [blob.digest for blob in planned.present] == [sha256(APP.config)]
    assert [blob.digest for blob in planned.undetermined] == [sha256(b"layer base")]


@pytest.mark.parametrize(
    "given",
    [None, [1], "sha256:aa", {1: HELD}, {"sha256:aa": 1}, {"sha256:aa": HELD, "sha256:AA": HELD}],
)
def test_no_outcomes(given: Any) -> None:
    """A value that is not a mapping of digests to outcomes is refused."""
    with pytest.raises(
        InvalidInputError,
        match=r"held=.* must be a mapping of digests|the outcome of '.*' must be|lower case: give",
    ):
        plan(source(APP), given)


def test_no_truth_value() -> None:
    """A plan has no truth value."""
    with pytest.raises(
        TypeError, match=r"PushPlan has no truth value: use plan\.all_blobs_present"
    ):
        bool(plan(source(APP), {}))


def test_repository() -> None:
    """The repository is that of the result, unless another one is given."""
    assert str(plan(source(APP), held()).repository) == "team/app"
    assert str(plan(source(APP), {}, repository="other/app").repository) == "other/app"
    assert str(plan(source(APP), held(), repository="other/app").repository) == "other/app"


@pytest.mark.parametrize(
    ("size", "parts"),
    [
        (0, 1),
        (1, 1),
        (10 * MIB, 1),
        (10 * MIB + 1, 2),
        (100 * MIB, 10),
        (42_000 * MIB, 4200),
        (52_000 * MIB, 4200),
    ],
)
def test_parts(size: int, parts: int) -> None:
    """A layer is uploaded in parts of 10 MiB.

    An empty layer has one part, and the largest layers have the maximum of 4,200 parts.
    """
    calls = plan(
        of_sizes(size), {sha256(b"{}"): Layer(digest=sha256(b"{}"), availability=HELD)}
    ).calls

    assert calls == {
        "BatchCheckLayerAvailability": 1,
        "InitiateLayerUpload": 1,
        "UploadLayerPart": parts,
        "CompleteLayerUpload": 1,
        "PutImage": 1,
    }


def test_a_plan_for_ecr_public() -> None:
    """A plan for ECR Public counts its parts, at most 1,000 for a layer, and its quotas."""
    planned = plan(of_sizes(20_480 * MIB), {}, repository=PublicRepository(name="app"))
    total = PushPlan.total([planned])
    assert (planned.service, planned.calls["UploadLayerPart"]) == ("ecr-public", 1000 + 1)
    assert (total.service, total.seconds_at_quota) == ("ecr-public", planned.seconds_at_quota)


def test_no_total_of_both_services() -> None:
    """Plans for ECR and for ECR Public have no total."""
    both = [
        plan(source(APP), {}, repository=each) for each in ("app", PublicRepository(name="app"))
    ]
    with pytest.raises(InvalidInputError) as raised:
        PushPlan.total(both)
    assert str(raised.value) == (
        "plans for ECR and for ECR Public have no total, because they share no quotas"
    )


def test_part_size() -> None:
    """Another part size gives another number of parts. The smallest and the largest are allowed."""
    sizes = (5 * MIB, 20_971_520)
    assert [
        plan(of_sizes(20_971_520), {}, part_size=size).calls["UploadLayerPart"] for size in sizes
    ] == [4 + 1, 1 + 1]


@pytest.mark.parametrize(
    ("sizes", "seconds"),
    [
        ([1] * 99, 1.0),  # 100 uploads at 100 a second
        ([1000 * 10 * MIB], 1001 / 500),
        ([], 0.1),  # the manifest, at 10 a second
    ],
    ids=["uploads", "parts", "manifest"],
)
def test_seconds_at_quota(sizes: list[int], seconds: float) -> None:
    """The lower bound is the number of calls of the slowest operation, divided by its quota."""
    assert plan(of_sizes(*sizes), {}).seconds_at_quota == seconds


def test_checks_are_batches() -> None:
    """One check covers 100 digests."""
    assert [
        plan(of_sizes(*[1] * layers), {}).calls["BatchCheckLayerAvailability"]
        for layers in (99, 100, 250)
    ] == [1, 2, 3]


def test_index() -> None:
    """Blobs that the images of an index share are uploaded once.

    Each manifest is put, children first.
    """
    planned = plan(source(APP, NEXT), {})
    digests = [sha256(blob) for blob in (APP.config, *APP.layers[:2], NEXT.config, NEXT.layers[1])]

    assert [blob.digest for blob in planned.to_upload] == digests
    assert [manifest.digest for manifest in planned.manifests][:2] == [
        sha256(APP.manifest),
        sha256(NEXT.manifest),
    ]
    assert (planned.calls["PutImage"], planned.shared_bytes) == (3, len("layer base"))


def test_several_sources() -> None:
    """Blobs that several sources share are checked and uploaded once.

    The plan has the number of bytes that this saves.
    """
    together = plan([source(APP), source(NEXT), source(APP)], {})
    apart = [plan(source(one), {}) for one in (APP, NEXT)]
    assert together.bytes_to_upload + together.shared_bytes == sum(
        one.bytes_to_upload for one in apart
    )
    assert (len(together.to_upload), together.calls["PutImage"]) == (5, 2)


def test_tags(tmp_path: Path) -> None:
    """A manifest is put once for each of its tags."""
    roots = [
        entry(APP.manifest, IMAGE, annotations={"org.opencontainers.image.ref.name": tag})
        for tag in ("1", "1.0", "1")
    ]
    laid_out = ImageSource.from_oci_layout(
        write(tmp_path, layout_files(roots, [APP.manifest, *APP.blobs]))
    )

    assert plan(laid_out, {}).calls["PutImage"] == 2


def test_tags_of_several_sources(tmp_path: Path) -> None:
    """A tag that several sources give to one manifest is put once."""
    name = {"org.opencontainers.image.ref.name": "1"}
    files = layout_files([entry(APP.manifest, IMAGE, annotations=name)], [APP.manifest, *APP.blobs])
    laid_out = ImageSource.from_oci_layout(write(tmp_path, files))
    assert plan([laid_out, laid_out], {}).calls["PutImage"] == 1


def test_foreign_in_one_source_and_stored_in_another() -> None:
    """A layer that one source stores and another one takes for foreign is uploaded, not foreign."""
    config, layer = entry(b"{}", CONFIG), b"layer base"
    far = packed(config=config, layers=[entry(layer, FOREIGN)])
    planned = plan([ImageSource.from_manifest(far), source(image("app", "base"))], {})
    assert (sha256(layer) in {blob.digest for blob in planned.to_upload}, planned.foreign) == (
        True,
        (),
    )


def test_an_image_of_foreign_layers_alone() -> None:
    """Foreign layers are not blobs that a repository lacks."""
    planned = plan(source(NEXT), held(base=HELD, more=HELD))
    assert [blob.digest for blob in planned.to_upload] == [sha256(NEXT.config)]
    config = {sha256(NEXT.config): HELD}
    layers = {sha256(layer): HELD for layer in NEXT.layers}
    assert plan(source(NEXT), {**config, **layers}).all_blobs_present


def test_unknown_sizes() -> None:
    """Layers of schema 1 have unknown sizes, are listed, and count as at least one part."""
    data = packed(schemaVersion=1, fsLayers=[{"blobSum": "sha256:" + "a" * 64}] * 2)
    planned = plan(ImageSource.from_manifest(data), {})

    assert (planned.unknown_sizes, planned.bytes_to_upload, planned.calls["UploadLayerPart"]) == (
        planned.to_upload,
        0,
        1,
    )
    assert plan(of_sizes(0), {}).unknown_sizes == ()


def test_warning_of_an_empty_blob() -> None:
    """A plan warns of a blob of 0 bytes that it would upload, because ECR refuses it."""
    [warning] = plan(of_sizes(0, 1), {}).warnings
    assert warning.startswith(f"sha256:{0:064x} ('a/b') has 0 bytes, and ECR refuses")
    assert plan(of_sizes(0), {f"sha256:{0:064x}": HELD}).warnings == ()


LARGEST = {"app": ("ECR", 52_000), "public.ecr.aws/team/app": ("ECR Public", 10_000)}  # MiB


@pytest.mark.parametrize("repository", LARGEST)
def test_warning_of_a_layer_that_is_too_large(repository: str) -> None:
    """A plan warns of each layer that is larger than its service accepts."""
    service, mib = LARGEST[repository]
    most = mib * 1024 * 1024
    [warning] = plan(of_sizes(most, most + 1), {}, repository=repository).warnings
    assert warning == (
        f"sha256:{1:064x} ('a/b') has {most + 1} bytes, and {service} accepts at most {most} "
        f"({mib:,} MiB): make the image again with smaller layers"
    )


@pytest.mark.parametrize("media_type", ["a/b", FOREIGN], ids=["layer", "foreign"])
def test_warning_of_a_build_cache(media_type: str) -> None:
    """A plan warns of an index of layers, as that of a build cache, because ECR refuses it."""
    cache = packed(manifests=[entry(b"layer", media_type)])
    [warning] = plan([ImageSource.from_manifest(cache)] * 2, {}).warnings
    assert warning.startswith(f"{sha256(cache)} is an index whose entries are layers, such as a")


def test_warnings_are_shown() -> None:
    """A plan prints its first warnings and counts the others. Those of several plans add up."""
    cache = ImageSource.from_manifest(packed(manifests=[entry(b"layer", "a/b")]))
    planned = plan([of_sizes(*[0] * 20), cache], {})
    assert (len(planned.warnings), planned.warnings[-1][-21:]) == (21, "(image-manifest=true)")
    shown = str(planned).splitlines()
    assert [line for line in shown if line.startswith("warning: ")] == [
        f"warning: {warning}" for warning in planned.warnings[:10]
    ]
    assert "and 11 more warnings" in shown
    assert PushPlan.total([planned, planned]).warnings == planned.warnings * 2


def test_total() -> None:
    """Plans for several repositories add up: a layer is uploaded to each repository."""
    plans = [plan(source(APP), {}, repository=name) for name in ("team/app", "team/copy")]
    total = PushPlan.total(plans)
    assert (total.bytes_to_upload, total.repository) == (2 * plans[0].bytes_to_upload, None)
    assert total.calls == {operation: 2 * count for operation, count in plans[0].calls.items()}
    assert PushPlan.total(plans[:1]) == plans[0]
    shared = [plan(source(APP, NEXT), {}), plans[0]]
    assert PushPlan.total(shared).shared_bytes == shared[0].shared_bytes
    assert PushPlan.total(shared[::-1]).shared_bytes == shared[0].shared_bytes > 0


@pytest.mark.parametrize("plans", [[], None, 1, "plans", [None], [{}]], ids=repr)
def test_total_of_what_are_no_plans(plans: Any) -> None:
    """No plans, and values that are not plans, are refused."""
    with pytest.raises(InvalidInputError, match=r"^plans=.* must be one or more PushPlan"):
        PushPlan.total(plans)


@pytest.mark.parametrize("sources", [None, [], ["a.tar"], "a.tar", 1])
def test_no_source(sources: Any) -> None:
    """A value that is not a source is refused, and the error says how to make one."""
    said = r"must be one or more ImageSource objects, such as ImageSource\.from_oci_layout\(path\)"
    with pytest.raises(InvalidInputError, match=said):
        plan(sources, {})


@pytest.mark.parametrize("part_size", [0, 5 * MIB - 1, 20_971_521, 1e7, True, "10"])
def test_no_part_size(part_size: Any) -> None:
    """A part size that ECR would refuse is refused."""
    with pytest.raises(InvalidInputError) as raised:
        plan(source(APP), {}, part_size=part_size)
    said = f"part_size={part_size!r} must be 5242880 to 20971520 bytes"
    assert str(raised.value) == said


def test_repr_is_one_line() -> None:
    """The repr of a plan is one line of counts."""
    assert repr(plan(source(NEXT), held(base=LayerAvailability.ARCHIVED))) == (
        "PushPlan(repository='team/app', manifests=1, to_upload=3, present=0, foreign=1, "
        f"archived=1, undetermined=0, bytes_to_upload={len(NEXT.config) + 20}, calls=11)"
    )


def test_str_is_for_people() -> None:
    """A plan prints as a few lines, without lines for empty parts."""
    lines = str(plan(source(APP), held(base=HELD))).splitlines()
    calls = (
        "calls: 1 BatchCheckLayerAvailability, 2 InitiateLayerUpload, 2 UploadLayerPart, "
        "2 CompleteLayerUpload, 1 PutImage"
    )

    assert [line.split("  ")[0] for line in lines] == [
        "push of 1 manifest to team/app",
        "to upload",
        "present",
        calls,
        "at ECR's quotas at least 0.10 s",
    ]


def test_str_in_full() -> None:
    """Each unusual part of a plan has its own line."""
    schema_1 = ImageSource.from_manifest(
        packed(schemaVersion=1, fsLayers=[{"blobSum": "sha256:" + "a" * 64}])
    )
    outcomes = {
        **held(base=LayerAvailability.ARCHIVED, code=LayerFailureCode.NOT_REPORTED).by_digest
    }
    lines = str(plan([source(APP, NEXT), schema_1], outcomes)).splitlines()

    assert [line.split("  ")[0] for line in lines[:-2]] == [
        "push of 4 manifests",
        "to upload",
        "present",
        "foreign, not pushed",
        "of the uploads, archived",
        "of the uploads, undetermined",
        "of the uploads, of unknown size",
        "shared between the images",
    ]


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (2_500_000, "2.5 MB"),
        (3 * 10**18, "3000.0 PB"),
    ],
)
def test_bytes_for_people(size: int, shown: str) -> None:
    """Bytes are shown in the unit that people read."""
    held_config = {sha256(b"{}"): Layer(digest=sha256(b"{}"), availability=HELD)}
    assert shown in str(plan(of_sizes(size), held_config)).splitlines()[1]


WORDS = st.lists(st.sampled_from("abcdefgh"), max_size=6)
OUTCOMES = st.sampled_from([*LayerAvailability, *LayerFailureCode])


@given(
    st.lists(WORDS, min_size=1, max_size=4), st.dictionaries(st.sampled_from("abcdefgh"), OUTCOMES)
)
def test_a_plan_is_a_partition(
    images: list[list[str]], outcomes: dict[str, LayerAvailability | LayerFailureCode]
) -> None:
    """Each blob of the images is in exactly one part, and the bytes add up.

    If the repository holds more, there is not more to upload.
    """
    sources = [source(image(f"image {number}", *words)) for number, words in enumerate(images)]
    planned = plan(sources, held(**outcomes))
    parts = [
        blob.digest
        for part in (planned.to_upload, planned.present, planned.foreign)
        for blob in part
    ]

    assert sorted(parts) == sorted({blob.digest for one in sources for blob in one.blobs})
    assert planned.bytes_to_upload + planned.bytes_present == plan(sources, {}).bytes_to_upload
    assert {*planned.archived, *planned.undetermined} <= {*planned.to_upload}
    assert planned.calls["CompleteLayerUpload"] == len(planned.to_upload)
