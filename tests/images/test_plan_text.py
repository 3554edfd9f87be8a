"""The complete texts of a plan for people."""

from __future__ import annotations

import pytest

from ecr_layer_client import InvalidInputError, LayerAvailability, LayerFailureCode
from ecr_layer_client.images import ImageSource, PushPlan, plan
from images.making import CONFIG, entry, image, packed, sha256

HELD: dict[str, LayerAvailability | LayerFailureCode] = {
    sha256(b"layer base"): LayerAvailability.ARCHIVED,
    sha256(b"layer code"): LayerFailureCode.NOT_REPORTED,
}
SOURCES = [
    ImageSource.from_manifest(image("app", "base", "code").manifest),
    ImageSource.from_manifest(image("next", "base", "more", foreign=["windows"]).manifest),
    ImageSource.from_manifest(
        packed(schemaVersion=1, fsLayers=[{"blobSum": "sha256:" + "a" * 64}])
    ),
]


def of_empty_layers(count: int) -> ImageSource:
    """Return an image whose layers have no bytes, which ECR refuses."""
    empty = [
        {"mediaType": "a/b", "digest": f"sha256:{number:064x}", "size": 0}
        for number in range(count)
    ]
    return ImageSource.from_manifest(packed(config=entry(b"{}", CONFIG), layers=empty))


def test_text() -> None:
    """A plan has a line for each part, with its blobs and bytes."""
    assert str(plan(SOURCES, HELD)).splitlines() == [
        "push of 3 manifests",
        "to upload                             6 blobs   413 bytes",
        "present                               0 blobs     0 bytes",
        "foreign, not pushed                   1 blob     15 bytes",
        "of the uploads, archived              1 blob     10 bytes",
        "of the uploads, undetermined          1 blob     10 bytes",
        "of the uploads, of unknown size       1 blob ",
        "shared between the images                        10 bytes",
        (
            "calls: 1 BatchCheckLayerAvailability, 6 InitiateLayerUpload, 6 UploadLayerPart, "
            "6 CompleteLayerUpload, 3 PutImage"
        ),
        "at ECR's quotas at least 0.30 s",
    ]


def test_repr_without_a_repository() -> None:
    """A plan without a repository has None in its repr."""
    assert repr(plan(SOURCES, HELD)).startswith("PushPlan(repository=None, manifests=3, ")


@pytest.mark.parametrize(
    ("layers", "last"), [(10, "a blob that is not empty"), (11, "and 1 more warning")]
)
def test_warnings(layers: int, last: str) -> None:
    """A plan shows ten warnings, and says how many more there are."""
    planned = plan(of_empty_layers(layers), {})
    shown = str(planned).partition("\ncalls: ")[0].splitlines()[3:]
    assert (len(planned.warnings), len(shown)) == (layers, layers)
    assert shown[-1].endswith(last)


def test_total_of_what_is_no_plan() -> None:
    """The error names the value that is not a plan."""
    with pytest.raises(InvalidInputError) as raised:
        PushPlan.total("text")  # type: ignore[arg-type]
    assert str(raised.value) == "plans='text' must be one or more PushPlan objects"
