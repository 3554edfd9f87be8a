"""`ImageSource` reads complete layouts, archives and manifests, and refuses broken ones."""

from __future__ import annotations

import json
import os
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError
from ecr_layer_client.images import Descriptor, ImageSource
from images.making import (
    CONFIG,
    FOREIGN,
    IMAGE,
    INDEX,
    LAYER,
    Image,
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


def without(files: dict[str, bytes], data: bytes) -> dict[str, bytes]:
    """Return files without the one that has these bytes."""
    return {name: held for name, held in files.items() if held != data}


def digests(blobs: tuple[Descriptor, ...]) -> list[str]:
    """Return the digests of descriptors."""
    return [blob.digest for blob in blobs]


@pytest.fixture(params=["directory", "tar", "gzipped"])
def laid_out(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[dict[str, bytes]], Path]:
    """Return a function that writes the files of a layout as a directory or an archive."""

    def lay_out(files: dict[str, bytes]) -> Path:
        if request.param == "directory":
            return write(tmp_path / "layout", files)

        return tar(
            tmp_path / "layout.tar",
            {f"./{name}": data for name, data in files.items()},
            gzipped=request.param == "gzipped",
        )

    return lay_out


def test_layout_of_one_image(laid_out: Callable[[dict[str, bytes]], Path]) -> None:
    """A layout gives its manifest, its blobs with their sizes, and its tag."""
    source = ImageSource.from_oci_layout(laid_out(ONE_IMAGE))
    assert [manifest.raw for manifest in source.manifests] == [APP.manifest]
    assert [(blob.digest, blob.size) for blob in source.blobs] == [
        (sha256(blob), len(blob)) for blob in APP.blobs
    ]
    assert (source.foreign, source.tags) == ((), {sha256(APP.manifest): ("v1",)})


def test_layout_of_an_index(laid_out: Callable[[dict[str, bytes]], Path]) -> None:
    """The children of an index come before it, and blobs that they share come once.

    Foreign layers are listed separately and may be missing.
    """
    source = ImageSource.from_oci_layout(str(laid_out(TWO_PLATFORMS)))

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


def test_nesting_is_bounded(tmp_path: Path) -> None:
    """Endlessly nested indexes are refused."""
    chain = [BOTH]
    while len(chain) < 10:
        chain.append(packed(mediaType=INDEX, manifests=[entry(chain[-1], INDEX)]))
    files = layout_files(
        [entry(chain[-1], INDEX)], [*chain, APP.manifest, ARM.manifest, *APP.blobs, *ARM.blobs]
    )

    with pytest.raises(InvalidInputError, match="is an index within more than 8 other indexes"):
        ImageSource.from_oci_layout(write(tmp_path, files))


def test_what_a_layout_names_beside_images(laid_out: Callable[[dict[str, bytes]], Path]) -> None:
    """An entry of unknown type in a layout's index is neither an error nor an image.

    OCI's specification says so. The images beside the entry count.
    """
    other = entry(b"<xml/>", "application/xml")
    path = laid_out(layout_files([other, entry(APP.manifest, IMAGE)], [APP.manifest, *APP.blobs]))
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


def test_open_reads_a_blob(laid_out: Callable[[dict[str, bytes]], Path]) -> None:
    """The bytes of a blob are read from their place, in parts or at once."""
    source = ImageSource.from_oci_layout(laid_out(ONE_IMAGE))
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


@pytest.mark.parametrize(
    "absent", [APP.manifest, APP.config, APP.layers[0]], ids=["manifest", "config", "layer"]
)
def test_absent_blob(laid_out: Callable[[dict[str, bytes]], Path], absent: bytes) -> None:
    """A layout without a named blob is refused with the layout and the digest."""
    path = laid_out(without(ONE_IMAGE, absent))
    with pytest.raises(InvalidInputError, match=f"{path}.*: {sha256(absent)} is named but missing"):
        ImageSource.from_oci_layout(path)


def test_wrong_size(laid_out: Callable[[dict[str, bytes]], Path]) -> None:
    """A blob whose size differs from the manifest's is refused without reading it."""
    path = laid_out(ONE_IMAGE | {f"blobs/{sha256(b'layer base').replace(':', '/')}": b"layer"})
    with pytest.raises(
        InvalidInputError, match=f"{sha256(b'layer base')} has 5 bytes, but its descriptor says 10"
    ):
        ImageSource.from_oci_layout(path)


def test_manifest_of_another_digest(laid_out: Callable[[dict[str, bytes]], Path]) -> None:
    """A manifest whose bytes do not match its digest is refused."""
    changed = APP.manifest.replace(b"schemaVersion", b"SchemaVersion")
    path = laid_out(ONE_IMAGE | {f"blobs/{sha256(APP.manifest).replace(':', '/')}": changed})
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
    with pytest.raises(InvalidInputError, match="is named but missing"):
        ImageSource.from_oci_layout(path)


def test_sha512(tmp_path: Path) -> None:
    """A blob with a sha512 digest is found and verified."""
    import hashlib

    digest = f"sha512:{hashlib.sha512(b'layer').hexdigest()}"
    manifest = packed(
        mediaType=IMAGE,
        config=entry(b"{}", CONFIG),
        layers=[{**entry(b"layer", LAYER), "digest": digest}],
    )
    files = layout_files([entry(manifest, IMAGE)], [manifest, b"{}"]) | {
        f"blobs/{digest.replace(':', '/')}": b"layer"
    }
    source = ImageSource.from_oci_layout(write(tmp_path, files))
    with source.open(source.blobs[1]) as file:
        assert file.read() == b"layer"


@pytest.mark.parametrize("left_out", range(1, 9))
def test_an_archive_without_its_checksum(tmp_path: Path, left_out: int) -> None:
    """A gzipped archive is truncated if its checksum or its length is missing at its end."""
    path = tar(tmp_path / "a.tar.gz", ONE_IMAGE, gzipped=True)
    path.write_bytes(path.read_bytes()[:-left_out])
    with pytest.raises(
        InvalidInputError,
        match="not a complete tar archive, plain or gzipped: 'Compressed file ended",
    ):
        ImageSource.from_path(path)


@pytest.mark.parametrize(
    ("place", "why"),
    [(-8, "CRC check failed"), (-4, "Incorrect length")],
    ids=["checksum", "length"],
)
def test_an_archive_of_another_checksum(tmp_path: Path, place: int, why: str) -> None:
    """A gzipped archive that does not match its checksum or its length is refused."""
    path = tar(tmp_path / "a.tar.gz", ONE_IMAGE, gzipped=True)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(InvalidInputError, match=why):
        ImageSource.from_path(path)


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.8])
def test_truncated_archive(tmp_path: Path, part: float, gzipped: bool) -> None:
    """An archive that is truncated anywhere is one error that names it."""
    large = Image(b"{}", (b"".join(sha256(bytes([number])).encode() for number in range(256)) * 4,))
    path = tar(
        tmp_path / "a.tar",
        layout_files([entry(large.manifest, IMAGE)], [large.manifest, *large.blobs]),
        gzipped=gzipped,
    )
    data = path.read_bytes()
    # A plain archive is also complete without the padding at its end.
    needed = len(data) - (0 if gzipped else tarfile.RECORDSIZE)
    path.write_bytes(data[: int(needed * part)])

    with pytest.raises(InvalidInputError, match=str(path)):
        ImageSource.from_oci_layout(path)


@pytest.mark.parametrize(
    "data",
    [b"", b"no archive", b"\x1f\x8b no gzip", b"PK\x03\x04"],
    ids=["empty", "text", "gzip", "zip"],
)
def test_no_archive(tmp_path: Path, data: bytes) -> None:
    """A file that is not an archive is refused with its path."""
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    with pytest.raises(
        InvalidInputError, match=r"a\.tar is not a complete tar archive, plain or gzipped"
    ):
        ImageSource.from_docker_archive(path)


def test_from_path(tmp_path: Path) -> None:
    """The format of a path is recognised.

    The formats are a layout, an archive of one, an archive of docker save, and a manifest.
    """
    layout = write(tmp_path / "layout", ONE_IMAGE)
    (tmp_path / "manifest.json").write_bytes(b"\n " + APP.manifest)
    packed_layout = tar(tmp_path / "layout.tar.gz", ONE_IMAGE, gzipped=True)
    saved = tar(tmp_path / "saved.tar", SAVED)
    sources = [
        ImageSource.from_path(path)
        for path in (layout, packed_layout, saved, tmp_path / "manifest.json")
    ]

    assert [source.name for source in sources] == [
        str(path) for path in (layout, packed_layout, saved, tmp_path / "manifest.json")
    ]
    assert [len(source.blobs) for source in sources] == [3, 3, 3, 3]


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
            "it begins with a byte order mark: JSON is UTF-8 without one",
        ),
        (
            APP.manifest.decode().encode("utf-16"),
            "it begins with a byte order mark: JSON is UTF-8 without one",
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
        InvalidInputError, match="is not a regular file: an archive is read in more than one pass"
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


def test_many_tags_of_one_image(tmp_path: Path) -> None:
    """An image keeps each of its tags once, in order, however many there are.

    Names that are not valid tags are left out.
    """
    names = [*(f"v{number}" for number in range(2000)), "v0", "n\u00e4me", "a b"]
    roots = [entry(APP.manifest, IMAGE, annotations={REF: name}) for name in names]
    path = write(tmp_path, layout_files(roots, [APP.manifest, *APP.blobs]))
    assert ImageSource.from_oci_layout(path).tags == {sha256(APP.manifest): tuple(names[:2000])}


def test_names_that_lead_out_of_an_archive(tmp_path: Path) -> None:
    """Names and links that lead out of an archive are ignored.

    Devices and directories are ignored, too, and nothing is written.
    """
    layer = b"layer base"
    name = f"blobs/{sha256(layer).replace(':', '/')}"
    (tmp_path / "outside").write_bytes(layer)
    others: dict[str, Any] = {
        "../outside": b"x",
        "/etc/passwd": b"x",
        name: linked(name, "../../../outside"),
        "device": linked("device", "", tarfile.CHRTYPE),
        "pipe": linked("pipe", "", tarfile.FIFOTYPE),
        "directory": linked("directory", "", tarfile.DIRTYPE),
        "loop": linked("loop", "loop"),
    }
    (tmp_path / "in").mkdir()
    path = tar(tmp_path / "in" / "a.tar", {**without(ONE_IMAGE, layer), **others})

    with pytest.raises(InvalidInputError, match=f"{sha256(layer)} is named but missing"):
        ImageSource.from_oci_layout(path)
    assert sorted(found.name for found in tmp_path.rglob("*")) == ["a.tar", "in", "outside"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE], ids=["symbolic", "hard"])
def test_links_within_an_archive(tmp_path: Path, kind: bytes) -> None:
    """A link to another file of the archive counts as that file.

    Docker saves a layer once and links to it.
    """
    target = "a/layer.tar" if kind == tarfile.LNKTYPE else "../a/layer.tar"
    config = json.dumps({"rootfs": {"diff_ids": [sha256(b"same"), sha256(b"same")]}}).encode()
    files: dict[str, Any] = {
        **docker_files(config, {"a/layer.tar": b"same", "b/layer.tar": b""}),
        "b/layer.tar": linked("b/layer.tar", target, kind),
    }
    source = ImageSource.from_docker_archive(tar(tmp_path / "a.tar", files))

    assert [(layer.digest, layer.size) for layer in source.images[0].layers] == [
        (sha256(b"same"), 4)
    ] * 2


def test_links_in_a_circle(tmp_path: Path) -> None:
    """Links that lead to each other lead to no file."""
    config = json.dumps({"rootfs": {"diff_ids": [sha256(b"x")]}}).encode()
    files: dict[str, Any] = {
        **docker_files(config, {"a": b""}),
        "a": linked("a", "b"),
        "b": linked("b", "a"),
    }
    said = (
        rf"'a' is a link to 'b', which is not a file of this archive \(the layer {sha256(b'x')}\)"
    )

    with pytest.raises(InvalidInputError, match=said):
        ImageSource.from_docker_archive(tar(tmp_path / "a.tar", files))


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive with too many members is refused, and not read to its end."""
    monkeypatch.setattr("ecr_layer_client.images._tar._MAX_MEMBERS", 3)
    with pytest.raises(InvalidInputError, match="more than 3 members, so it is not an image"):
        ImageSource.from_oci_layout(tar(tmp_path / "a.tar", ONE_IMAGE))


DIFFS = (b"plain base", b"plain code")
DOCKER_CONFIG = json.dumps(
    {"rootfs": {"type": "layers", "diff_ids": [sha256(diff) for diff in DIFFS]}}
).encode()
DOCKER_LAYERS = {"a/layer.tar": DIFFS[0], "b/layer.tar": DIFFS[1]}
SAVED = docker_files(
    DOCKER_CONFIG, DOCKER_LAYERS, ["team/app:1", "other/app:1", "localhost:5000/app:2"]
)


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
def test_docker_archive(tmp_path: Path, gzipped: bool) -> None:
    """An archive without manifests gets one from its config and its stored layers.

    The tags of the archive name it.
    """
    source = ImageSource.from_docker_archive(tar(tmp_path / "a.tar", SAVED, gzipped=gzipped))
    [manifest] = source.images

    assert manifest.media_type == "application/vnd.docker.distribution.manifest.v2+json"
    assert [(blob.digest, blob.size) for blob in manifest.blobs] == [
        (sha256(blob), len(blob)) for blob in (DOCKER_CONFIG, *DIFFS)
    ]
    assert [layer.media_type for layer in manifest.layers] == [
        "application/vnd.docker.image.rootfs.diff.tar"
    ] * 2
    assert source.tags == {manifest.digest: ("1", "2")}
    with source.open(manifest.layers[1]) as file:
        assert file.read() == DIFFS[1]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"manifest.json": b"[]"}, "names no image"),
        (
            {"manifest.json": b'[{"Config": "../../etc/passwd", "Layers": []}]'},
            r"there is no '\.\./\.\./etc/passwd' in this archive",
        ),
        (
            {f"{sha256(DOCKER_CONFIG)[7:]}.json": b"{}"},
            rf"\({sha256(b'{}')}\) is not a valid image config",
        ),
        (
            {"b/layer.tar": None},
            rf"there is no 'b/layer\.tar' in this archive \(the layer {sha256(DIFFS[1])}\)",
        ),
    ],
    ids=["empty", "traversal", "changed", "absent"],
)
def test_no_docker_archive(tmp_path: Path, change: dict[str, bytes | None], why: str) -> None:
    """An invalid archive of `docker save` is refused with its path and the reason."""
    path = tar(
        tmp_path / "a.tar",
        {name: data for name, data in (SAVED | change).items() if data is not None},
    )

    with pytest.raises(InvalidInputError, match=why) as raised:
        ImageSource.from_docker_archive(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (b"[]", "is not a valid image config"),
        (b'{"rootfs": {"diff_ids": []}}', r"has 0 layers, but manifest\.json lists 2"),
    ],
    ids=["shape", "count"],
)
def test_config_of_another_image(tmp_path: Path, config: bytes, why: str) -> None:
    """A config that does not match the layers beside it is refused with its digest."""
    path = tar(tmp_path / "a.tar", docker_files(config, DOCKER_LAYERS))
    with pytest.raises(InvalidInputError, match=why) as raised:
        ImageSource.from_docker_archive(path)
    assert sha256(config) in str(raised.value)


def test_from_manifest() -> None:
    """A manifest alone is a source whose blobs are known but can't be opened."""
    source = ImageSource.from_manifest(APP.manifest)

    assert digests(source.blobs) == [sha256(blob) for blob in APP.blobs]
    with pytest.raises(
        InvalidInputError,
        match=f"a manifest: {sha256(APP.config)} is named but missing .* has only an image's",
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
        InvalidInputError, match=f"a manifest: {sha256(ARM.manifest)} is named but missing"
    ):
        ImageSource.from_manifest(BOTH, [APP.manifest])


def test_foreign_in_one_image_and_stored_in_another() -> None:
    """A layer that is foreign in one image and not in another is stored."""
    layer = b"layer base"
    far = packed(mediaType=IMAGE, config=entry(b"{}", CONFIG), layers=[entry(layer, FOREIGN)])
    both = index({"linux/amd64": APP.manifest, "windows/amd64": far})
    source = ImageSource.from_manifest(both, [APP.manifest, far])
    assert (sha256(layer) in digests(source.blobs), source.foreign) == (True, ())


def test_repr_is_one_bounded_line(tmp_path: Path) -> None:
    """The repr of a source is one line with its place and its size."""
    source = ImageSource.from_oci_layout(write(tmp_path, TWO_PLATFORMS))
    size = sum(blob.size or 0 for blob in source.blobs)
    assert repr(source) == f"<ImageSource of {tmp_path}: 3 manifests, 5 blobs, {size} bytes>"
    source.name = "\n" * 1000
    assert ("\n" in repr(source), len(repr(source)) < 400) == (False, True)
