"""skopeo and this library read the same images from skopeo's layouts and archives.

The tests need skopeo (Debian's package `skopeo`).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from clients.images import AMD, ARM, BOTH, REF
from ecr_layer_client.images import ImageSource
from ecr_layer_client.local import LocalECR
from images.making import CONFIG, DOCKER, IMAGE, INDEX, LAYER, entry, layout_files, sha256, write

if TYPE_CHECKING:
    from pathlib import Path

SKOPEO = shutil.which("skopeo")

pytestmark = [pytest.mark.full, pytest.mark.skipif(SKOPEO is None, reason="needs skopeo")]


def copy(directory: Path, *arguments: str) -> None:
    """Copy an image with skopeo, in a directory whose `layout` has the images `both` and `v1`."""
    roots = [
        entry(BOTH, INDEX, annotations={REF: "both"}),
        entry(AMD.manifest, IMAGE, annotations={REF: "v1"}),
    ]
    blobs = [BOTH, AMD.manifest, ARM.manifest, *AMD.blobs, *ARM.blobs]
    write(directory / "layout", layout_files(roots, blobs))

    assert SKOPEO is not None
    command = [SKOPEO, "--insecure-policy", "copy", "--quiet", *arguments]
    subprocess.run(command, cwd=directory, check=True)


def verified(source: ImageSource) -> int:
    """Read every blob to its end, and return the number of blobs."""
    for blob in source.blobs:
        with source.open(blob) as file:
            file.read()
    return len(source.blobs)


@pytest.mark.parametrize(
    ("source", "target", "manifests", "tags"),
    [
        ("oci:layout:v1", "oci-archive:made:1.0", [AMD.manifest], ["1.0"]),
        ("oci:layout:both", "oci-archive:made:all", [AMD.manifest, ARM.manifest, BOTH], ["all"]),
        ("oci:layout:both", "oci:made:all", [AMD.manifest, ARM.manifest, BOTH], ["all"]),
    ],
    ids=["image", "archive", "directory"],
)
def test_its_layouts(
    tmp_path: Path, source: str, target: str, manifests: list[bytes], tags: list[str]
) -> None:
    """A layout that skopeo copied has the same images under the tag that skopeo gave."""
    copy(tmp_path, "--all", source, target)
    made = ImageSource.from_path(tmp_path / "made")

    assert (
        [manifest.raw for manifest in made.manifests],
        [tag for its in made.tags.values() for tag in its],
    ) == (manifests, tags)
    assert verified(made) == len(
        {blob for one in (AMD, ARM)[: 2 if len(manifests) > 1 else 1] for blob in one.blobs}
    )


def test_zstd(tmp_path: Path) -> None:
    """Layers that skopeo compressed with zstd are read as other layers are."""
    copy(tmp_path, "--dest-compress-format", "zstd", "oci:layout:v1", "oci:made:z")
    made = ImageSource.from_path(tmp_path / "made")
    assert {layer.media_type for layer in made.images[0].layers} == {
        "application/vnd.oci.image.layer.v1.tar+zstd"
    }
    assert verified(made) == 3


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
def test_its_docker_archives(tmp_path: Path, gzipped: bool) -> None:
    """An archive of `docker save` has the config, layers and tags that skopeo finds there."""
    copy(
        tmp_path,
        "--additional-tag",
        "team/app:2.0",
        "oci:layout:v1",
        "docker-archive:saved.tar:team/app:1.0",
    )
    copy(tmp_path, "docker-archive:saved.tar:team/app:1.0", "dir:found")
    path = tmp_path / "saved.tar"
    if gzipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    saved = ImageSource.from_docker_archive(path)
    found = json.loads((tmp_path / "found" / "manifest.json").read_bytes())
    [manifest] = saved.images

    assert manifest.config is not None
    assert (manifest.config.digest, manifest.config.size) == (
        found["config"]["digest"],
        found["config"]["size"],
    )
    assert [(layer.digest, layer.size) for layer in manifest.layers] == [
        (layer["digest"], layer["size"]) for layer in found["layers"]
    ]
    assert (saved.tags[manifest.digest], verified(saved)) == (("1.0", "2.0"), 3)


# Docker's manifest has the same members as OCI's, with other media types.
DOCKER_MANIFEST = (
    AMD.manifest.replace(IMAGE.encode(), f"{DOCKER}.v2+json".encode())
    .replace(CONFIG.encode(), b"application/vnd.docker.container.image.v1+json")
    .replace(LAYER.encode(), b"application/vnd.docker.image.rootfs.diff.tar.gzip")
)


@pytest.mark.parametrize(
    ("manifest", "layout"),
    [
        (AMD.manifest, "oci:pulled:v1"),
        (AMD.manifest, "oci:pulled"),
        (DOCKER_MANIFEST, "oci:pulled"),
    ],
    ids=["by tag", "without a tag", "in Docker's format"],
)
def test_skopeo_reads_what_we_pull(tmp_path: Path, manifest: bytes, layout: str) -> None:
    """A layout that `client.pull` wrote is one for skopeo, too, which copies all of it.

    An image in Docker's format has no tag for skopeo, but is found if it is alone.
    """

    async def pull() -> None:
        async with LocalECR() as ecr:
            for blob in AMD.blobs:
                ecr.put_layer("app", blob)
            ecr.put_image("app", manifest, "v1")
            async with ecr.client() as client:
                await client.pull("app", "v1", tmp_path / "pulled")

    asyncio.run(pull())
    command = [SKOPEO or "", "inspect", layout]
    inspected = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    copy(tmp_path, layout, "dir:copied")

    copied = {sha256(path.read_bytes()) for path in (tmp_path / "copied").iterdir()}
    assert json.loads(inspected.stdout)["Digest"] == sha256(manifest)
    assert copied >= {sha256(blob) for blob in AMD.blobs}
