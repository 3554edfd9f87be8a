"""What another tool writes is read as that tool reads it: skopeo's layouts and archives, where it is installed (Debian's `skopeo`)."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client.images import ImageSource
from images.making import IMAGE, INDEX, Image, entry, index, layout_files, sha256, write

if TYPE_CHECKING:
    from pathlib import Path

SKOPEO = shutil.which("skopeo")

pytestmark = [pytest.mark.full, pytest.mark.skipif(SKOPEO is None, reason="needs skopeo")]


def real(architecture: str, *names: str) -> Image:
    """Make an image that a tool may unpack: its layers are gzipped archives, which its config knows by what they unpack to."""
    plain: list[bytes] = []
    for name in names:
        packing = io.BytesIO()
        with tarfile.open(fileobj=packing, mode="w") as packed:
            member = tarfile.TarInfo(name)
            member.size = 5000
            packed.addfile(member, io.BytesIO(name.encode().ljust(5000)))
        plain.append(packing.getvalue())
    diff_ids = [sha256(layer) for layer in plain]
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    }
    return Image(
        json.dumps(config).encode(), tuple(gzip.compress(layer, mtime=0) for layer in plain)
    )


AMD, ARM = real("amd64", "base", "code", "base"), real("arm64", "base", "arm code")
BOTH = index({"linux/amd64": AMD.manifest, "linux/arm64": ARM.manifest})
REF = "org.opencontainers.image.ref.name"


def copy(directory: Path, *arguments: str) -> None:
    """Let skopeo copy an image, in a directory in which `layout` has `both` and `v1`."""
    roots = [
        entry(BOTH, INDEX, annotations={REF: "both"}),
        entry(AMD.manifest, IMAGE, annotations={REF: "v1"}),
    ]
    write(
        directory / "layout",
        layout_files(roots, [BOTH, AMD.manifest, ARM.manifest, *AMD.blobs, *ARM.blobs]),
    )
    assert SKOPEO is not None
    subprocess.run(
        [SKOPEO, "--insecure-policy", "copy", "--quiet", *arguments], cwd=directory, check=True
    )


def verified(source: ImageSource) -> int:
    """Read every blob to its end, and return how many there are."""
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
    """A layout that it copied, in a directory or an archive, is the same images, under the tag that it gave."""
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
    """Layers that it compressed by zstd are layers as others are."""
    copy(tmp_path, "--dest-compress-format", "zstd", "oci:layout:v1", "oci:made:z")
    made = ImageSource.from_path(tmp_path / "made")
    assert {layer.media_type for layer in made.images[0].layers} == {
        "application/vnd.oci.image.layer.v1.tar+zstd"
    }
    assert verified(made) == 3


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
def test_its_docker_archives(tmp_path: Path, gzipped: bool) -> None:
    """An archive in the form of `docker save` has the config, the layers and the sizes that it itself finds there, and all its tags."""
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
