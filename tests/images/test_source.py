"""`ImageSource` reads complete layouts, archives and manifests, and refuses broken ones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError
from ecr_layer_client.images import ImageSource
from images.making import (
    CONFIG,
    FOREIGN,
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
    from collections.abc import Callable
    from pathlib import Path

APP = image("app", "base", "code")
ARM = image("arm", "base", "arm code", foreign=["windows"])
BOTH = index({"linux/amd64": APP.manifest, "linux/arm64": ARM.manifest})
REF = "org.opencontainers.image.ref.name"

ONE_IMAGE = layout_files(
    [entry(APP.manifest, IMAGE, annotations={REF: "v1"})], [APP.manifest, *APP.blobs]
)
TWO_PLATFORMS = layout_files(
    [entry(BOTH, INDEX)], [BOTH, APP.manifest, ARM.manifest, *APP.blobs, *ARM.blobs]
)


def test_from_path(tmp_path: Path) -> None:
    """The format of a path is recognised.

    The formats are a layout, an archive of one, an archive of docker save, and a manifest.
    """
    layout = write(tmp_path / "layout", ONE_IMAGE)
    (tmp_path / "manifest.json").write_bytes(b"\n " + APP.manifest)
    packed_layout = tar(tmp_path / "layout.tar.gz", ONE_IMAGE, gzipped=True)
    saved = tar(tmp_path / "saved.tar", docker_files(b'{"rootfs": {}}', {}))
    sources = [
        ImageSource.from_path(path)
        for path in (layout, packed_layout, saved, tmp_path / "manifest.json")
    ]

    assert [source.name for source in sources] == [
        str(path) for path in (layout, packed_layout, saved, tmp_path / "manifest.json")
    ]
    assert [len(source.blobs) for source in sources] == [3, 3, 1, 3]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, r"can't be read: No such file or directory"),
        (b"{" + bytes(4 * 1024 * 1024), r"at most 4194304 bytes \(4 MiB\)"),
        (b"x" * 100, "is not a complete tar archive"),
    ],
    ids=["nothing", "long", "text"],
)
def test_from_path_of_no_image(tmp_path: Path, data: bytes | None, why: str) -> None:
    """A path that is not an image is refused."""
    if data is not None:
        (tmp_path / "image").write_bytes(data)
    with pytest.raises(InvalidInputError, match=why):
        ImageSource.from_path(tmp_path / "image")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"schemaVersion": 2}', "no 'layers', 'manifests' or 'fsLayers'"),
        (b' \n{"layers": [', "EOF"),
        (b"[]", "Input should be an object"),
        (
            b"\xef\xbb\xbf" + APP.manifest,
            "it begins with a byte order mark: JSON must be UTF-8 without one",
        ),
        (
            APP.manifest.decode().encode("utf-16"),
            "it begins with a byte order mark: JSON must be UTF-8 without one",
        ),
    ],
    ids=["shape", "truncated", "list", "utf-8-mark", "utf-16"],
)
def test_from_path_of_json_that_is_no_manifest(tmp_path: Path, data: bytes, why: str) -> None:
    """JSON that is not a valid manifest is refused with the file and the digest of its content."""
    path = tmp_path / "manifest.json"
    path.write_bytes(data)

    with pytest.raises(InvalidInputError) as raised:
        ImageSource.from_path(path)
    said = str(raised.value)
    assert (
        said.startswith(f"{path}: not a valid manifest ({len(data)} bytes, {sha256(data)})"),
        why in said,
    ) == (True, True)


def test_from_path_of_an_index(tmp_path: Path) -> None:
    """An index alone is refused, because it does not say what its images contain.

    The error says what to do. An index that names nothing contains nothing.
    """
    path = tmp_path / "index.json"
    path.write_bytes(BOTH)

    with pytest.raises(
        InvalidInputError,
        match=rf"{path}: an index alone \({sha256(BOTH)}\) does not say.*also pass the manifests",
    ):
        ImageSource.from_path(path)
    path.write_bytes(index({}))
    assert ImageSource.from_path(path).blobs == ()


def test_from_path_of_a_pipe(tmp_path: Path) -> None:
    """A pipe is refused without waiting for it."""
    os.mkfifo(tmp_path / "image")
    with pytest.raises(
        InvalidInputError, match="is not a regular file: an archive is read more than once"
    ):
        ImageSource.from_path(tmp_path / "image")


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without read permission is refused with its path and the reason."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tar(tmp_path / "a.tar", ONE_IMAGE)
    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(InvalidInputError, match=r"a\.tar can't be read: Permission denied"):
        ImageSource.from_path(path)


@pytest.mark.parametrize(
    "make", [ImageSource.from_path, ImageSource.from_oci_layout, ImageSource.from_docker_archive]
)
def test_a_path_that_may_not_be_looked_at(
    make: Callable[[Path], ImageSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path in a directory without permission is refused with the path and the reason."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.is_dir", refuse)
    monkeypatch.setattr("pathlib.Path.stat", refuse)
    with pytest.raises(InvalidInputError, match=r"a\.tar can't be read: Permission denied"):
        make(tmp_path / "a.tar")


@pytest.mark.parametrize(
    "make", [ImageSource.from_path, ImageSource.from_oci_layout, ImageSource.from_docker_archive]
)
def test_a_path_that_is_too_long(make: Callable[[str], ImageSource]) -> None:
    """A path that is too long for the system is refused."""
    with pytest.raises(InvalidInputError, match="a can't be read: File name too long"):
        make("a" * 5000)


def test_no_file(tmp_path: Path) -> None:
    """A path that does not exist is refused with the path."""
    with pytest.raises(
        InvalidInputError, match=r"nothing\.tar can't be read: No such file or directory"
    ):
        ImageSource.from_oci_layout(tmp_path / "nothing.tar")


@pytest.mark.parametrize("path", [None, 1, b"a.tar"])
def test_no_path(path: Any) -> None:
    """A value that is not a path is refused."""
    with pytest.raises(InvalidInputError, match="must be a str or a Path"):
        ImageSource.from_oci_layout(path)


@pytest.mark.parametrize(
    "make", [ImageSource.from_path, ImageSource.from_oci_layout, ImageSource.from_docker_archive]
)
def test_an_empty_path(make: Callable[[str], ImageSource]) -> None:
    """An empty path is refused, and does not mean the current directory.

    It often comes from a variable that is not set.
    """
    with pytest.raises(
        InvalidInputError, match="path='' is empty: pass the path of a file or a directory"
    ):
        make("")


class _BytesPath:
    def __fspath__(self) -> bytes:
        return b"a.tar"


@pytest.mark.parametrize(
    "make", [ImageSource.from_path, ImageSource.from_oci_layout, ImageSource.from_docker_archive]
)
def test_a_path_of_bytes(make: Callable[[Any], ImageSource]) -> None:
    """A path object whose name is bytes is refused, as bytes are."""
    with pytest.raises(InvalidInputError, match="must be a str or a Path"):
        make(_BytesPath())


def test_from_manifest() -> None:
    """A manifest alone is a source whose blobs are known but can't be opened."""
    source = ImageSource.from_manifest(APP.manifest)

    assert [blob.digest for blob in source.blobs] == [sha256(blob) for blob in APP.blobs]
    with pytest.raises(
        InvalidInputError,
        match=f"a manifest: {sha256(APP.config)} is missing, .* has only manifests",
    ):
        source.open(source.blobs[0])


@pytest.mark.parametrize(
    "children",
    [APP.manifest, "abc", [APP.manifest, None], [APP.manifest.decode()], None, 1],
    ids=range(6),
)
def test_children_that_are_no_bytes(children: Any) -> None:
    """Children that are not each bytes are refused."""
    with pytest.raises(
        InvalidInputError, match="must be the manifests that an index names, each as bytes"
    ):
        ImageSource.from_manifest(BOTH, children)


def test_from_an_index() -> None:
    """The children of an index may be given in any order."""
    source = ImageSource.from_manifest(BOTH, [ARM.manifest, APP.manifest])
    assert [manifest.raw for manifest in source.manifests] == [APP.manifest, ARM.manifest, BOTH]


def test_from_an_index_without_a_child() -> None:
    """An index is refused if one of its children is missing, and the error names one."""
    with pytest.raises(
        InvalidInputError,
        match=f"a manifest: {sha256(ARM.manifest)} is missing, but a manifest lists it",
    ):
        ImageSource.from_manifest(BOTH, [APP.manifest])


def test_a_blob_of_two_sizes() -> None:
    """A blob to which two images of an index give two sizes is refused with both."""
    layer = {**entry(b"layer base", LAYER), "size": 7}
    wrong = packed(mediaType=IMAGE, config=entry(b"{}", CONFIG), layers=[layer])
    both = index({"linux/amd64": APP.manifest, "linux/arm64": wrong})
    why = f"{sha256(b'layer base')} has two sizes in the manifests, 10 and 7 bytes"
    with pytest.raises(InvalidInputError, match=why):
        ImageSource.from_manifest(both, [APP.manifest, wrong])


def test_foreign_in_one_image_and_stored_in_another() -> None:
    """A layer that is foreign in one image and not in another is stored."""
    layer = b"layer base"
    far = packed(mediaType=IMAGE, config=entry(b"{}", CONFIG), layers=[entry(layer, FOREIGN)])
    both = index({"linux/amd64": APP.manifest, "windows/amd64": far})
    source = ImageSource.from_manifest(both, [APP.manifest, far])
    assert (sha256(layer) in [blob.digest for blob in source.blobs], source.foreign) == (True, ())


def test_repr_is_one_bounded_line(tmp_path: Path) -> None:
    """The repr of a source is one line with its place and its size."""
    source = ImageSource.from_oci_layout(write(tmp_path, TWO_PLATFORMS))
    size = sum(blob.size or 0 for blob in source.blobs)
    assert repr(source) == f"<ImageSource of {tmp_path}: 3 manifests, 5 blobs, {size} bytes>"
    source.name = "\n" * 1000
    assert ("\n" in repr(source), len(repr(source)) < 400) == (False, True)
