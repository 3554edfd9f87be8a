"""The sample of real images in the package."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from ecr_layer_client import Repository
from ecr_layer_client.local import sample_images

SAMPLE = files("ecr_layer_client.local").joinpath("sample")


def test_the_size_of_the_sample() -> None:
    """856 images of 135 repositories refer to 7,254 distinct digests 10,349 times."""
    images = sample_images()
    layers = [layer for image in images for layer in image.layers]
    counts = (
        len(images),
        len({image.repository for image in images}),
        len({layer.digest for layer in layers}),
        len(layers),
    )

    assert counts == (856, 135, 7254, 10349)


def test_images_are_sorted_and_named_once() -> None:
    """Images are sorted by repository and tag, each once."""
    names = [(image.repository, image.tag) for image in sample_images()]
    assert names == sorted(set(names))


def test_an_image_follows_its_manifest() -> None:
    """Digests, sizes and media types are those of the manifest, in its order."""
    image = sample_images()[0]
    first = image.layers[0]
    found = (
        image.repository,
        image.tag,
        len(image.layers),
        first.digest[:14],
        first.size,
        first.media_type,
    )
    expected = (
        "aerospike",
        "3.12.1.1",
        8,
        "sha256:bd97b43",
        46933232,
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    )

    assert found == expected


def test_repository_names_are_valid_in_ecr() -> None:
    """The client's own validation accepts the name of every repository unchanged."""
    names = {image.repository for image in sample_images()}
    assert {Repository(name=name).name for name in names} == names


def test_digests_are_complete_and_lower_case() -> None:
    """Every digest is a lower-case sha256."""
    wrong = [
        layer
        for image in sample_images()
        for layer in image.layers
        if not re.fullmatch("sha256:[0-9a-f]{64}", layer.digest)
    ]
    assert wrong == []


def test_a_digest_has_one_size() -> None:
    """No digest has two sizes."""
    digests = {layer.digest for image in sample_images() for layer in image.layers}
    sizes = {(layer.digest, layer.size) for image in sample_images() for layer in image.layers}
    assert len(sizes) == len(digests)


def test_no_layer_is_foreign() -> None:
    """Layers that ordinary clients never push are left out, so that there are two media types."""
    expected = {
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    }
    assert {layer.media_type for image in sample_images() for layer in image.layers} == expected


def test_the_sample_is_small() -> None:
    """The sample adds less than 400 KB to the package."""
    assert len(SAMPLE.joinpath("images.json.gz").read_bytes()) < 400_000


@pytest.mark.parametrize(
    "named",
    ["container-chonks", "fa067497", "MIT License", "LLNS, LLC"],
    ids=["source", "commit", "licence", "holder"],
)
def test_the_sample_is_attributed(named: str) -> None:
    """The attribution beside the sample names source, commit, licence and holder."""
    assert named in SAMPLE.joinpath("ATTRIBUTION.md").read_text(encoding="utf-8")
