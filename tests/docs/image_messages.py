"""What brings about the messages about images on disk: each by the words that the page for troubleshooting has of it."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import Repository
from ecr_layer_client.images import ImageReport, ImageSource, PushPlan, parse_manifest, plan
from ecr_layer_client.images import _tar as tar_room
from images.making import (
    CONFIG,
    IMAGE,
    INDEX,
    LAYER,
    docker_files,
    entry,
    image,
    index,
    layout_files,
    packed,
    sha256,
    tar,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_APP = image("app", "base")
_any: Any = object()  # what type checkers would refuse


def _of_layout(files: Mapping[str, bytes], *changes: tuple[str, bytes]) -> Callable[[], object]:
    """Read a layout some of whose files are others."""
    return lambda: ImageSource.from_oci_layout(write(Path("other"), dict(files) | dict(changes)))


def _laid_out(*roots: dict[str, Any]) -> dict[str, bytes]:
    return layout_files(roots or [entry(_APP.manifest, IMAGE)], [_APP.manifest, *_APP.blobs])


def _of_archive(files: Mapping[str, bytes]) -> Callable[[], object]:
    """Read an archive as one of `docker save`."""
    return lambda: ImageSource.from_docker_archive(tar(Path("other.tar"), files))


def _saved(
    layer: bytes = b"layer", config: bytes | None = None, name: str = "a.tar"
) -> dict[str, bytes]:
    """Return the files of an archive of `docker save` whose one layer is as given."""
    known = (
        json.dumps({"rootfs": {"diff_ids": [sha256(b"layer")]}}).encode()
        if config is None
        else config
    )
    return docker_files(known, {name: layer})


def _listed(files: dict[str, bytes], **members: object) -> dict[str, bytes]:
    """Change the list of an archive."""
    (saved,) = json.loads(files["manifest.json"])
    return files | {"manifest.json": json.dumps([saved | members]).encode()}


def _read_whole(source: ImageSource) -> None:
    for blob in source.blobs:
        with source.open(blob) as file:
            file.read()


def _cut_while_open() -> None:
    directory = write(Path("other"), _laid_out())
    source = ImageSource.from_oci_layout(directory)
    blob = source.blobs[-1]
    with source.open(blob) as file:
        (directory / f"blobs/{blob.digest.replace(':', '/')}").write_bytes(b"")
        file.read()


def _gone_before_it_is_opened() -> None:
    path = tar(Path("other.tar"), _laid_out())
    source = ImageSource.from_path(path)
    path.unlink()
    _read_whole(source)


def _of_another_algorithm() -> None:
    named = {"mediaType": LAYER, "digest": f"blake3:{'0' * 64}", "size": 1}
    manifest = packed(mediaType=IMAGE, config=entry(_APP.config, CONFIG), layers=[named])
    files = layout_files([entry(manifest, IMAGE)], [manifest, _APP.config]) | {
        f"blobs/blake3/{'0' * 64}": b"x"
    }
    _read_whole(ImageSource.from_oci_layout(write(Path("other"), files)))


def _nested() -> None:
    below, blobs, media_type = _APP.manifest, [*_APP.blobs, _APP.manifest], IMAGE
    for _ in range(9):
        below, media_type = packed(mediaType=INDEX, manifests=[entry(below, media_type)]), INDEX
        blobs.append(below)
    ImageSource.from_oci_layout(write(Path("other"), layout_files([entry(below, INDEX)], blobs)))


def _long_manifest() -> None:
    long = b"{" + b" " * (4 * 2**20)
    ImageSource.from_oci_layout(write(Path("other"), layout_files([entry(long, IMAGE)], [long])))


def _of_many_members() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tar_room, "_MAX_MEMBERS", 1)
        ImageSource.from_path(tar(Path("other.tar"), _laid_out()))


def _of_xz() -> None:
    packing = io.BytesIO()
    with tarfile.open(fileobj=packing, mode="w:xz"):
        pass
    Path("other.tar.xz").write_bytes(packing.getvalue())
    ImageSource.from_path("other.tar.xz")


def _directory_in_place_of_a_file() -> None:
    Path("empty/oci-layout").mkdir(parents=True)
    ImageSource.from_oci_layout("empty")


FILES: dict[str, Callable[[], object]] = {
    "… bytes and should have …": _of_layout(
        _laid_out(), (f"blobs/{sha256(_APP.layers[0]).replace(':', '/')}", b"more than it says")
    ),
    "… bytes, and a manifest at most … (4 MiB)": _long_manifest,
    "… is cut short: … bytes are missing": _cut_while_open,
    "… can't be opened: …": _gone_before_it_is_opened,
    "… can't be verified: …": _of_another_algorithm,
    "… names no image…": _of_layout(_laid_out(), ("index.json", packed(manifests=[]))),
    "… is longer than … bytes (4 MiB)": _of_layout(
        _laid_out(), ("index.json", b" " * (4 * 2**20 + 1))
    ),
    "… is no index, but …": _of_layout(_laid_out(), ("index.json", _APP.manifest)),
    "… is no file…": _directory_in_place_of_a_file,
    "… is not that of an OCI layout: …": _of_layout(_laid_out(), ("oci-layout", b"{}")),
    "… says imageLayoutVersion …: …": _of_layout(
        _laid_out(), ("oci-layout", b'{"imageLayoutVersion": "2.0.0"}')
    ),
    "… is an index within more than … others": _nested,
    "… does not say what its images hold: …": lambda: ImageSource.from_manifest(
        index({"linux/amd64": _APP.manifest})
    ),
    "this is no manifest (…): …": lambda: parse_manifest(b'{"layers": []}'),
    "a manifest is bytes, exactly as the registry holds them, not …": lambda: parse_manifest(_any),
    "media_type=…: a str, or None": lambda: parse_manifest(_APP.manifest, _any),
    "path=…: a str or a Path": lambda: ImageSource.from_path(_any),
    "path='': the path of a file or a directory; …": lambda: ImageSource.from_path(""),
    "blob=…: a Descriptor, one of source.blobs": lambda: ImageSource.from_manifest(
        _APP.manifest
    ).open(_any),
    "ImageReport has no truth value: …": lambda: bool(
        ImageReport(repository=Repository(name="app"), reference="latest")
    ),
    "PushPlan has no truth value: …": lambda: bool(
        plan(ImageSource.from_manifest(_APP.manifest), {})
    ),
    "children=…: the manifests that an index names, each as bytes": lambda: (
        ImageSource.from_manifest(_APP.manifest, [_any])
    ),
    "… is compressed with …": _of_xz,
    "there is no … in this archive…": _of_archive({"a": b""}),
    "… bytes: at most … are read": _of_archive({"manifest.json": b" " * (4 * 2**20 + 1)}),
    "more than … members: this is no image": _of_many_members,
    "… is not what docker save writes: …": _of_archive({"manifest.json": b"{}"}),
    "has … layers, and manifest.json names … of it": _of_archive(_listed(_saved(), Layers=[])),
    "… is no image's config: …": _of_archive(_saved(config=b"{}")),
    "plans=…: at least one PushPlan, to add up": lambda: PushPlan.total([]),
}
