"""`ImageSource.select` picks one image of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ecr_layer_client import InvalidInputError
from ecr_layer_client.images import ImageSource, Platform
from images.making import IMAGE, INDEX, entry, image, index, layout_files, packed, sha256, write

if TYPE_CHECKING:
    from pathlib import Path

AMD, ARM = image("amd", "base", "code"), image("arm", "base", "arm code")
BOTH = index({"linux/amd64": AMD.manifest, "linux/arm64": ARM.manifest})
NAME = "org.opencontainers.image.ref.name"


@pytest.fixture
def source(tmp_path: Path) -> ImageSource:
    """Return a source of an index, `both`, and of an image, `one`."""
    roots = [
        entry(BOTH, INDEX, annotations={NAME: "both"}),
        entry(AMD.manifest, IMAGE, annotations={NAME: "one"}),
    ]
    blobs = [BOTH, AMD.manifest, ARM.manifest, *AMD.blobs, *ARM.blobs]
    return ImageSource.from_path(write(tmp_path / "layout", layout_files(roots, blobs)))


@pytest.mark.parametrize(
    ("reference", "platform", "digest"),
    [
        ("both", None, sha256(BOTH)),
        ("one", None, sha256(AMD.manifest)),
        ("both", "linux/arm64", sha256(ARM.manifest)),
        ("both", Platform(os="linux", architecture="amd64"), sha256(AMD.manifest)),
        ("both", "linux/arm64/v8", sha256(ARM.manifest)),
        ("one", "linux/arm64", sha256(AMD.manifest)),
        (sha256(ARM.manifest), None, sha256(ARM.manifest)),
    ],
    ids=["index", "image", "platform", "a value", "a variant", "no index", "digest"],
)
def test_selected(
    source: ImageSource, reference: str, platform: str | Platform | None, digest: str
) -> None:
    """A tag or a digest names the image, and a platform picks one of an index."""
    selected = source.select(reference, platform=platform)

    assert [root.digest for root in selected.roots] == [digest]


def test_what_it_has(source: ImageSource) -> None:
    """The selected source has the image's manifests, blobs and tags, and no other."""
    selected = source.select("both")

    assert [manifest.digest for manifest in selected.manifests] == [
        sha256(AMD.manifest),
        sha256(ARM.manifest),
        sha256(BOTH),
    ]
    assert set(selected.tags.values()) <= {("both",), ("one",)}
    assert len(selected.blobs) == len({*AMD.blobs, *ARM.blobs})


def test_an_image_of_two_platforms(tmp_path: Path) -> None:
    """An image that an index names for two platforms is there once."""
    twice = index({"linux/amd64": AMD.manifest, "linux/386": AMD.manifest})
    files = layout_files([entry(twice, INDEX)], [twice, AMD.manifest, *AMD.blobs])
    selected = ImageSource.from_path(write(tmp_path / "twice", files)).select()

    assert [manifest.digest for manifest in selected.manifests] == [
        sha256(AMD.manifest),
        sha256(twice),
    ]


def test_the_newest_windows(tmp_path: Path) -> None:
    """Of several versions of Windows the newest is selected, as by `get_image`."""
    windows = {"os": "windows", "architecture": "amd64"}
    old, new = (windows | {"os.version": f"10.0.{number}"} for number in (9, 10))
    root = packed(
        mediaType=INDEX,
        manifests=[
            entry(AMD.manifest, IMAGE, platform=old),
            entry(ARM.manifest, IMAGE, platform=new),
        ],
    )
    blobs = [root, AMD.manifest, ARM.manifest, *AMD.blobs, *ARM.blobs]
    source = ImageSource.from_path(
        write(tmp_path / "windows", layout_files([entry(root, INDEX)], blobs))
    )

    assert source.select(platform="windows/amd64").roots[0].digest == sha256(ARM.manifest)


def test_the_only_image() -> None:
    """Without a reference, the source's one image is meant."""
    source = ImageSource.from_manifest(AMD.manifest)

    assert source.select().roots == source.roots


@pytest.mark.parametrize(
    ("reference", "platform", "problem"),
    [
        (None, None, "has several images: select one of its images: both, one$"),
        ("gone", None, "has no image 'gone': select one of its images: both, one$"),
        ("both", "windows/amd64", "has no image for windows/amd64: it has linux/amd64, linux/arm"),
    ],
    ids=["several", "unknown", "platform"],
)
def test_not_selected(
    source: ImageSource, reference: str | None, platform: str | None, problem: str
) -> None:
    """The error says what can be selected."""
    with pytest.raises(InvalidInputError, match=problem):
        source.select(reference, platform=platform)


def test_every_image_is_offered(tmp_path: Path) -> None:
    """The error names all tags in full, and the digest of an image without a tag."""
    tags = [f"tag-{number}" for number in range(60)]
    roots = [entry(AMD.manifest, IMAGE, annotations={NAME: tag}) for tag in tags]
    files = layout_files(
        [*roots, entry(ARM.manifest, IMAGE)], [AMD.manifest, ARM.manifest, *AMD.blobs, *ARM.blobs]
    )
    source = ImageSource.from_path(write(tmp_path / "many", files))
    offered = ", ".join([*tags, sha256(ARM.manifest)])
    with pytest.raises(InvalidInputError, match=f"select one of its images: {offered}$"):
        source.select()


def test_blobs_that_are_no_function() -> None:
    """`blobs=` is a function."""
    with pytest.raises(InvalidInputError, match="blobs=7 must be a function"):
        ImageSource.from_manifest(AMD.manifest, blobs=7)  # type: ignore[arg-type]
