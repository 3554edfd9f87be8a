"""Layouts are read completely, or one error says what is wrong. Reading a blob verifies it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError
from ecr_layer_client.images import Descriptor, ImageSource
from images.making import (
    IMAGE,
    INDEX,
    Image,
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

    LayOut = Callable[[dict[str, bytes]], Path]

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


def without(files: dict[str, bytes], data: bytes) -> dict[str, bytes]:
    """Return files without the one that has these bytes."""
    return {name: held for name, held in files.items() if held != data}


def digests(blobs: tuple[Descriptor, ...]) -> list[str]:
    """Return the digests of descriptors."""
    return [blob.digest for blob in blobs]


def test_layout_of_one_image(lay_out: LayOut) -> None:
    """A layout gives its manifest, its blobs with their sizes, and its tag."""
    source = ImageSource.from_oci_layout(lay_out(ONE_IMAGE))
    assert [manifest.raw for manifest in source.manifests] == [APP.manifest]
    assert [(blob.digest, blob.size) for blob in source.blobs] == [
        (sha256(blob), len(blob)) for blob in APP.blobs
    ]
    assert (source.foreign, source.tags) == ((), {sha256(APP.manifest): ("v1",)})


def test_layout_of_an_index(lay_out: LayOut) -> None:
    """The children of an index come before it, and blobs that they share come once.

    Foreign layers are listed separately and may be missing.
    """
    source = ImageSource.from_oci_layout(str(lay_out(TWO_PLATFORMS)))

    assert [manifest.raw for manifest in source.manifests] == [APP.manifest, ARM.manifest, BOTH]
    assert ([root.raw for root in source.roots], [image.raw for image in source.images]) == (
        [BOTH],
        [APP.manifest, ARM.manifest],
    )
    assert digests(source.blobs) == [
        sha256(blob) for blob in (*APP.blobs, ARM.config, ARM.layers[1])
    ]
    assert digests(source.foreign) == [sha256(b"foreign windows")]


def test_index_within_an_index(tmp_path: Path) -> None:
    """Indexes can be nested, and a manifest that is named twice is read once."""
    outer = packed(mediaType=INDEX, manifests=[entry(BOTH, INDEX), entry(APP.manifest, IMAGE)])
    files = layout_files(
        [entry(outer, INDEX), entry(APP.manifest, IMAGE)],
        [outer, BOTH, APP.manifest, ARM.manifest, *APP.blobs, *ARM.blobs],
    )
    source = ImageSource.from_oci_layout(write(tmp_path, files))

    assert [manifest.raw for manifest in source.manifests] == [
        APP.manifest,
        ARM.manifest,
        BOTH,
        outer,
    ]


@pytest.mark.parametrize("depth", [8, 9])
def test_nesting_is_bounded(tmp_path: Path, depth: int) -> None:
    """An image within eight indexes is read, and one within more is refused."""
    chain = [BOTH]
    while len(chain) < depth:
        chain.append(packed(mediaType=INDEX, manifests=[entry(chain[-1], INDEX)]))
    blobs = [*chain, APP.manifest, ARM.manifest, *APP.blobs, *ARM.blobs]
    path = write(tmp_path, layout_files([entry(chain[-1], INDEX)], blobs))
    if depth == 8:
        assert len(ImageSource.from_oci_layout(path).manifests) == 10
    else:
        with pytest.raises(InvalidInputError, match="is nested in more than 8 indexes"):
            ImageSource.from_oci_layout(path)


def test_what_a_layout_names_beside_images(lay_out: LayOut) -> None:
    """An entry of unknown type in a layout's index is neither an error nor an image.

    OCI's specification says so. The images beside the entry count.
    """
    other = entry(b"<xml/>", "application/xml")
    path = lay_out(layout_files([other, entry(APP.manifest, IMAGE)], [APP.manifest, *APP.blobs]))
    assert [manifest.raw for manifest in ImageSource.from_oci_layout(path).manifests] == [
        APP.manifest
    ]


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
def test_a_pipe_in_a_layout(tmp_path: Path, name: str) -> None:
    """A pipe in place of a layout's file is refused without waiting for it."""
    path = write(tmp_path, ONE_IMAGE)
    (path / name).unlink()
    os.mkfifo(path / name)
    with pytest.raises(InvalidInputError, match=f"{path}: '{name}' is not a regular file"):
        ImageSource.from_oci_layout(path)


@pytest.mark.parametrize(
    "absent", [APP.manifest, APP.config, APP.layers[0]], ids=["manifest", "config", "layer"]
)
def test_absent_blob(lay_out: LayOut, absent: bytes) -> None:
    """A layout without a named blob is refused with the layout and the digest."""
    path = lay_out(without(ONE_IMAGE, absent))
    with pytest.raises(
        InvalidInputError,
        match=f"{path}.*: {sha256(absent)} is missing, but a manifest lists it",
    ):
        ImageSource.from_oci_layout(path)


def test_wrong_size(lay_out: LayOut) -> None:
    """A blob whose size differs from the manifest's is refused without reading it."""
    path = lay_out(ONE_IMAGE | {f"blobs/{sha256(b'layer base').replace(':', '/')}": b"layer"})
    with pytest.raises(
        InvalidInputError, match=f"{sha256(b'layer base')} has 5 bytes, but its descriptor says 10"
    ):
        ImageSource.from_oci_layout(path)


def test_manifest_of_another_digest(lay_out: LayOut) -> None:
    """A manifest whose bytes do not match its digest is refused."""
    changed = APP.manifest.replace(b"schemaVersion", b"SchemaVersion")
    path = lay_out(ONE_IMAGE | {f"blobs/{sha256(APP.manifest).replace(':', '/')}": changed})
    said = f"the content of {sha256(APP.manifest)} has the digest {sha256(changed)}"
    with pytest.raises(InvalidInputError, match=said):
        ImageSource.from_oci_layout(path)


def test_a_manifest_too_long(tmp_path: Path) -> None:
    """A manifest above 4 MiB is refused without reading it."""
    long = APP.manifest.ljust(4 * 1024 * 1024 + 1)
    files = layout_files([entry(long, IMAGE)], [long, *APP.blobs])

    with pytest.raises(
        InvalidInputError,
        match=rf"{sha256(long)} has 4194305 bytes, but a manifest has at most 4194304 \(4 MiB\)",
    ):
        ImageSource.from_oci_layout(write(tmp_path, files))


def test_a_digest_that_cannot_be_verified(tmp_path: Path) -> None:
    """A manifest with a digest of another algorithm is refused: it can't be verified."""
    files = layout_files([{**entry(APP.manifest, IMAGE), "digest": "blake3:abc"}], APP.blobs) | {
        "blobs/blake3/abc": APP.manifest
    }

    with pytest.raises(
        InvalidInputError,
        match="'blake3:abc' can't be verified: its algorithm is neither sha256 nor sha512",
    ):
        ImageSource.from_oci_layout(write(tmp_path, files))


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    """A blob that is not the manifest it should be is refused with its path and digest."""
    files = layout_files([entry(b"[]", IMAGE)], [b"[]"])
    said = rf"{tmp_path}: {sha256(b'[]')}: not a valid manifest"
    with pytest.raises(InvalidInputError, match=said):
        ImageSource.from_oci_layout(write(tmp_path, files))


def test_a_device_is_no_blob(tmp_path: Path) -> None:
    """A directory or a device in place of a blob is not opened."""
    path = write(tmp_path, without(ONE_IMAGE, b"layer base"))
    (path / "blobs" / sha256(b"layer base").replace(":", "/")).mkdir()
    with pytest.raises(InvalidInputError, match="is missing, but a manifest lists it"):
        ImageSource.from_oci_layout(path)


def test_many_tags_of_one_image(tmp_path: Path) -> None:
    """An image keeps each of its tags once, in order, however many there are.

    Names that are not valid tags are left out.
    """
    names = [*(f"v{number}" for number in range(2000)), "v0", "n\u00e4me", "a b"]
    roots = [entry(APP.manifest, IMAGE, annotations={REF: name}) for name in names]
    path = write(tmp_path, layout_files(roots, [APP.manifest, *APP.blobs]))
    assert ImageSource.from_oci_layout(path).tags == {sha256(APP.manifest): tuple(names[:2000])}


def test_open_reads_a_blob(lay_out: LayOut) -> None:
    """The bytes of a blob are read from their place, in parts or at once."""
    source = ImageSource.from_oci_layout(lay_out(ONE_IMAGE))
    with source.open(source.blobs[1]) as file:
        assert (file.read(3), file.read()) == (b"lay", b"er base")


def test_open_reads_a_large_blob(tmp_path: Path) -> None:
    """A blob that is too large to be kept in memory is found again in a gzipped archive."""
    large = Image(b"{}", (bytes(range(256)) * 5000, b"small"))
    files = layout_files([entry(large.manifest, IMAGE)], [large.manifest, *large.blobs])
    source = ImageSource.from_oci_layout(tar(tmp_path / "a.tar.gz", files, gzipped=True))
    with source.open(source.blobs[1]) as file:
        assert file.read() == large.layers[0]


def test_an_empty_blob(tmp_path: Path) -> None:
    """A blob may have no bytes."""
    empty = Image(b"{}", (b"",))
    source = ImageSource.from_oci_layout(
        write(
            tmp_path, layout_files([entry(empty.manifest, IMAGE)], [empty.manifest, *empty.blobs])
        )
    )
    with source.open(source.blobs[1]) as file:
        assert (file.read(), file.readable()) == (b"", True)


def test_open_verifies(tmp_path: Path) -> None:
    """Bytes that do not match the digest are refused before the last of them is returned.

    The error has the path and both digests.
    """
    changed = ONE_IMAGE | {f"blobs/{sha256(b'layer base').replace(':', '/')}": b"layer BASE"}
    source = ImageSource.from_oci_layout(write(tmp_path, changed))
    said = (
        f"{tmp_path}: the content of {sha256(b'layer base')} has the digest "
        f"{sha256(b'layer BASE')}: it was changed or truncated"
    )

    with source.open(source.blobs[1]) as file, pytest.raises(InvalidInputError) as raised:
        file.read()
    assert str(raised.value) == said


@pytest.mark.parametrize("blob", ["sha256:aa", None])
def test_open_of_no_descriptor(tmp_path: Path, blob: Any) -> None:
    """A value that is not a descriptor is refused, and the error says what to pass."""
    source = ImageSource.from_oci_layout(write(tmp_path, ONE_IMAGE))
    with pytest.raises(InvalidInputError, match=r"blob=.* must be a Descriptor from source\.blobs"):
        source.open(blob)


def test_open_sees_a_cut(tmp_path: Path) -> None:
    """A blob that was truncated after the layout was read is refused."""
    source = ImageSource.from_oci_layout(write(tmp_path, ONE_IMAGE))
    reader = source.open(source.blobs[1])
    (tmp_path / "blobs" / sha256(b"layer base").replace(":", "/")).write_bytes(b"lay")
    with reader, pytest.raises(InvalidInputError, match="is truncated: 7 bytes are missing"):
        reader.read()


def test_open_of_what_is_gone(tmp_path: Path) -> None:
    """An archive that was deleted before a blob is opened is one clear error."""
    path = tar(tmp_path / "a.tar", ONE_IMAGE)
    source = ImageSource.from_oci_layout(path)
    path.unlink()

    with pytest.raises(
        InvalidInputError, match=r"a\.tar: sha256:\w+ can't be opened: No such file"
    ):
        source.open(source.blobs[1])
