"""Calls that cause the messages about images on disk, by their entries in troubleshooting."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import Repository
from ecr_layer_client.images import ImageReport, ImageSource, PushPlan, parse_manifest, plan
from ecr_layer_client.images import _tar as tar_module
from images.making import (
    CONFIG,
    IMAGE,
    INDEX,
    LAYER,
    docker_25,
    docker_files,
    entry,
    image,
    index,
    layout_files,
    linked,
    packed,
    sha256,
    tar,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_APP = image("app", "base")
# A value that type checkers would refuse.
_any: Any = object()


def _of_layout(files: Mapping[str, bytes], *changes: tuple[str, bytes]) -> Callable[[], object]:
    """Return a function that reads a layout in which some files were changed."""
    return lambda: ImageSource.from_oci_layout(write(Path("other"), dict(files) | dict(changes)))


def _laid_out(*roots: dict[str, Any]) -> dict[str, bytes]:
    return layout_files(roots or [entry(_APP.manifest, IMAGE)], [_APP.manifest, *_APP.blobs])


def _of_archive(files: Mapping[str, bytes]) -> Callable[[], object]:
    """Return a function that reads an archive as one of `docker save`."""
    return lambda: ImageSource.from_docker_archive(tar(Path("other.tar"), files))


def _saved(
    layer: bytes = b"layer", config: bytes | None = None, name: str = "a.tar"
) -> dict[str, bytes]:
    """Return the files of an archive of `docker save` that has this one layer."""
    known = (
        json.dumps({"rootfs": {"diff_ids": [sha256(b"layer")]}}).encode()
        if config is None
        else config
    )
    return docker_files(known, {name: layer})


def _listed(files: dict[str, bytes], **members: object) -> dict[str, bytes]:
    """Change members of an archive's list."""
    (saved,) = json.loads(files["manifest.json"])
    return files | {"manifest.json": json.dumps([saved | members]).encode()}


def _read_all(source: ImageSource) -> None:
    for blob in source.blobs:
        with source.open(blob) as file:
            file.read()


def _truncated_while_open() -> None:
    directory = write(Path("other"), _laid_out())
    source = ImageSource.from_oci_layout(directory)
    blob = source.blobs[-1]
    with source.open(blob) as file:
        (directory / f"blobs/{blob.digest.replace(':', '/')}").write_bytes(b"")
        file.read()


def _deleted_before_it_is_opened() -> None:
    path = tar(Path("other.tar"), _laid_out())
    source = ImageSource.from_path(path)
    path.unlink()
    _read_all(source)


def _of_another_algorithm() -> None:
    named = {"mediaType": LAYER, "digest": f"blake3:{'0' * 64}", "size": 1}
    manifest = packed(mediaType=IMAGE, config=entry(_APP.config, CONFIG), layers=[named])
    files = layout_files([entry(manifest, IMAGE)], [manifest, _APP.config]) | {
        f"blobs/blake3/{'0' * 64}": b"x"
    }
    _read_all(ImageSource.from_oci_layout(write(Path("other"), files)))


def _nested() -> None:
    below, blobs, media_type = _APP.manifest, [*_APP.blobs, _APP.manifest], IMAGE

    for _ in range(9):
        below, media_type = packed(mediaType=INDEX, manifests=[entry(below, media_type)]), INDEX
        blobs.append(below)
    ImageSource.from_oci_layout(write(Path("other"), layout_files([entry(below, INDEX)], blobs)))


def _of_two_sizes() -> None:
    layers = [{**entry(layer, LAYER), "size": 1} for layer in _APP.layers]
    other = packed(mediaType=IMAGE, config=entry(_APP.config, CONFIG), layers=layers)
    both = index({"linux/amd64": _APP.manifest, "linux/arm64": other})
    ImageSource.from_manifest(both, [_APP.manifest, other])


def _long_manifest() -> None:
    long = b"{" + b" " * (4 * 2**20)
    ImageSource.from_oci_layout(write(Path("other"), layout_files([entry(long, IMAGE)], [long])))


def _of_many_members() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tar_module, "_MAX_MEMBERS", 1)
        ImageSource.from_path(tar(Path("other.tar"), _laid_out()))


def _platform_not_saved() -> None:
    both = index({"linux/amd64": _APP.manifest, "linux/arm64": image("arm").manifest})
    files = docker_25([], [entry(both, INDEX)], both, _APP.manifest, *_APP.blobs)
    ImageSource.from_path(write(Path("other"), files)).select(platform="linux/arm64")


def _of_xz() -> None:
    packing = io.BytesIO()
    with tarfile.open(fileobj=packing, mode="w:xz"):
        pass
    Path("other.tar.xz").write_bytes(packing.getvalue())
    ImageSource.from_path("other.tar.xz")


def _directory_in_place_of_a_file() -> None:
    Path("other/oci-layout").mkdir(parents=True)
    _without("oci-layout")()


def _without(name: str) -> Callable[[], object]:
    """Return a function that reads a layout without one of its files."""
    files = {other: data for other, data in _laid_out().items() if other != name}
    return lambda: ImageSource.from_path(write(Path("other"), files))


def _of_a_link() -> None:
    files: dict[str, Any] = _saved() | {"a.tar": linked("a.tar", "b.tar")}
    ImageSource.from_path(tar(Path("other.tar"), files))


FILES: dict[str, Callable[[], object]] = {
    "… bytes, but its descriptor says …": _of_layout(
        _laid_out(), (f"blobs/{sha256(_APP.layers[0]).replace(':', '/')}", b"more than it says")
    ),
    "… bytes, but a manifest has at most … (4 MiB)": _long_manifest,
    "… is truncated: … bytes are missing": _truncated_while_open,
    "… can't be opened: …": _deleted_before_it_is_opened,
    "… can't be verified: …": _of_another_algorithm,
    "… names no image that exists…": _of_layout(_laid_out(), ("index.json", packed(manifests=[]))),
    "… is not an image index, but …": _of_layout(_laid_out(), ("index.json", _APP.manifest)),
    "… is not a regular file…": _directory_in_place_of_a_file,
    "… is not a valid layout file: …": _of_layout(_laid_out(), ("oci-layout", b"{}")),
    "… has imageLayoutVersion …: …": _of_layout(
        _laid_out(), ("oci-layout", b'{"imageLayoutVersion": "2.0.0"}')
    ),
    "… has two sizes in the manifests, …": _of_two_sizes,
    "… is nested in more than … indexes": _nested,
    "… does not say what its images contain: …": lambda: ImageSource.from_manifest(
        index({"linux/amd64": _APP.manifest})
    ),
    "not a valid manifest (…): …": lambda: parse_manifest(b'{"layers": []}'),
    "a manifest must be bytes, exactly as the registry holds them, not …": lambda: parse_manifest(
        _any
    ),
    "media_type=… must be a str or None": lambda: parse_manifest(_APP.manifest, _any),
    "path=… must be a str or a Path": lambda: ImageSource.from_path(_any),
    "path='' is empty: pass the path of a file or a directory …": lambda: ImageSource.from_path(""),
    "one of its objects has the key … twice": _of_archive(
        _saved() | {"manifest.json": b'[{"Config": "a", "Config": "a", "Layers": []}]'}
    ),
    "…, but an OCI layout has that file: …": _without("oci-layout"),
    "… nor an archive of docker save (manifest.json) in it": _of_archive({"a": b""}),
    "… is a link to …, which …": _of_a_link,
    "… leads out of this directory": lambda: ImageSource.from_path(
        write(Path("other"), _listed(_saved(), Config="../config"))
    ),
    "the image is inside the folder …: …": _of_archive(
        {f"folder/{name}": data for name, data in _laid_out().items()}
    ),
    "… is not the list of docker save…": _of_archive({"manifest.json": _APP.manifest}),
    "… is an archive of docker save, not an OCI layout: …": lambda: ImageSource.from_oci_layout(
        tar(Path("other.tar"), _saved())
    ),
    "blob=… must be a Descriptor from source.blobs": lambda: ImageSource.from_manifest(
        _APP.manifest
    ).open(_any),
    "ImageReport has no truth value: …": lambda: bool(
        ImageReport(repository=Repository(name="app"), reference="latest")
    ),
    "PushPlan has no truth value: …": lambda: bool(
        plan(ImageSource.from_manifest(_APP.manifest), {})
    ),
    "blobs=… must be a function that takes a Descriptor": lambda: ImageSource.from_manifest(
        _APP.manifest, blobs=_any
    ),
    "… is named by the index, but was not saved; …": _platform_not_saved,
    "… has …: select one of its images: …": lambda: ImageSource.from_manifest(_APP.manifest).select(
        "gone"
    ),
    "it has …, which is not JSON": lambda: parse_manifest(_APP.manifest[:-1] + b', "a": NaN}'),
    "children=… must be the manifests that an index names, each as bytes": lambda: (
        ImageSource.from_manifest(_APP.manifest, [_any])
    ),
    "… is compressed with …": _of_xz,
    "there is no … in this …": _of_archive(_listed(_saved(), Layers=["other"])),
    "… bytes: at most … are read": _of_archive({"manifest.json": b" " * (4 * 2**20 + 1)}),
    "… has more than … files, so it is not an image": _of_many_members,
    "… does not have the format of 'docker save': …": _of_archive({"manifest.json": b"[1]"}),
    "has … layers, but manifest.json lists …": _of_archive(_listed(_saved(), Layers=[])),
    "… is not a valid image config: …": _of_archive(_saved(config=b"{}")),
    "plans=… must be one or more PushPlan objects": lambda: PushPlan.total([]),
}
