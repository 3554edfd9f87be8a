"""The rows of `manifest.json` and the entries of `index.json` give each image once.

What docker saves is written as a directory, an archive and a gzipped archive, and read the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError
from ecr_layer_client.images import ImageSource, plan
from ecr_layer_client.images._tar import Tar
from images.making import (
    CONFIG,
    IMAGE,
    INDEX,
    Image,
    blob_name,
    docker_25,
    docker_files,
    entry,
    image,
    index,
    layout_files,
    linked,
    packed,
    row,
    saved,
    sha256,
    tar,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    LayOut = Callable[[dict[str, Any]], Path]

REF = "org.opencontainers.image.ref.name"


A, B, C = saved("a", "base", "a"), saved("b", "b"), saved("c", "base", "b", "c")
ARM = image("arm", "base", "arm code")
S390X = image("s390x", "base", "s390x code")
BOTH = index({"linux/arm64": ARM.manifest, "linux/s390x": S390X.manifest})
BLOBS = {*A.blobs, *B.blobs, *C.blobs}
FOUND = entry(A.manifest, IMAGE), entry(C.manifest, IMAGE)
MISSING = f"{sha256(ARM.layers[1])} is missing, but a manifest lists it"


READERS = pytest.mark.parametrize(
    "read",
    [ImageSource.from_path, ImageSource.from_oci_layout, ImageSource.from_docker_archive],
    ids=["path", "layout", "archive"],
)


def layers_of(source: ImageSource) -> list[list[str]]:
    """Return the digests of the layers of each image."""
    return [[layer.digest for layer in one.layers] for one in source.images]


def digests(one: Image) -> list[str]:
    """Return the digests of an image's layers."""
    return [sha256(layer) for layer in one.layers]


@READERS
def test_a_row_that_the_layout_lacks(lay_out: LayOut, read: Callable[[Path], ImageSource]) -> None:
    """An image that only `manifest.json` lists is composed, beside those of the layout.

    Docker leaves untagged images out of `index.json` if it saves them beside others.
    """
    rows = [row(A, "team/a:1"), row(B), row(C, "team/c:1")]
    source = read(lay_out(docker_25(rows, FOUND, A.manifest, C.manifest, *BLOBS)))
    assert layers_of(source) == [digests(A), digests(C), digests(B)]
    assert source.tags == {sha256(A.manifest): ("1",), sha256(C.manifest): ("1",)}
    with source.open(source.images[2].layers[0]) as file:
        assert file.read() == B.layers[0]


@READERS
def test_an_index_without_images(lay_out: LayOut, read: Callable[[Path], ImageSource]) -> None:
    """An archive whose index names nothing has the images of `manifest.json`.

    Docker 25.0 writes null if it saves an image by its digest.
    """
    source = read(lay_out(docker_25([row(A)], None, *A.blobs)))
    assert (layers_of(source), source.tags) == ([digests(A)], {})


@READERS
def test_a_row_with_more_layers(lay_out: LayOut, read: Callable[[Path], ImageSource]) -> None:
    """An image of which the layout lacks layers is composed in place of the layout's.

    The first versions of Docker 25 leave out the layers that an earlier image has.
    """
    short = Image(C.config, C.layers[:1])
    name = entry(short.manifest, IMAGE, annotations={REF: "1"})
    source = read(lay_out(docker_25([row(C, "team/c:1")] * 2, [name], short.manifest, *BLOBS)))
    assert (layers_of(source), source.roots) == ([digests(C)], source.manifests)
    assert source.tags == {source.roots[0].digest: ("1",)}


def test_a_row_with_more_layers_beside_an_index(tmp_path: Path) -> None:
    """An index that names an image with fewer layers keeps it; the composed image is added."""
    short = Image(C.config, C.layers[:1])
    both = index({"linux/amd64": short.manifest})
    entries = [entry(both, INDEX), entry(short.manifest, IMAGE)]
    path = write(tmp_path, docker_25([row(C)], entries, both, short.manifest, *BLOBS))
    assert layers_of(ImageSource.from_path(path)) == [digests(short), digests(C)]


@pytest.mark.parametrize("named", ["config.json", "f" * 64 + ".json", "/blobs/../config.json"])
def test_a_config_of_any_name(lay_out: LayOut, named: str) -> None:
    """The name of a config need not be its digest, with a layout and without one."""
    rows = [{**row(A), "Config": named}]
    files = docker_25(rows, FOUND[:1], A.manifest, *A.blobs)
    files[named.removeprefix("/blobs/../")] = A.config
    assert raws(ImageSource.from_path(lay_out(files))) == [A.manifest]
    del files["index.json"]
    assert layers_of(ImageSource.from_path(lay_out(files))) == [digests(A)]


def raws(source: ImageSource) -> list[bytes]:
    """Return the bytes of the manifests."""
    return [manifest.raw for manifest in source.manifests]


def test_tags_of_rows(lay_out: LayOut) -> None:
    """An image of the layout has the tags of its row, too."""
    files = docker_25([row(A, "team/a:1", "team/a:2")], FOUND[:1], A.manifest, *A.blobs)
    assert ImageSource.from_path(lay_out(files)).tags == {sha256(A.manifest): ("1", "2")}


def test_a_row_of_an_image_in_an_index(lay_out: LayOut) -> None:
    """The row of one platform of a complete index adds nothing: the index has the tag."""
    both = index({"linux/amd64": A.manifest, "linux/arm64": B.manifest})
    name = entry(both, INDEX, annotations={REF: "1"})
    files = docker_25([row(A, "a:1")], [name], both, A.manifest, B.manifest, *A.blobs, *B.blobs)
    source = ImageSource.from_path(lay_out(files))
    assert ([root.raw for root in source.roots], source.tags) == ([both], {sha256(both): ("1",)})


@READERS
def test_one_platform_of_two(lay_out: LayOut, read: Callable[[Path], ImageSource]) -> None:
    """An index of which one image was saved is left out: that image counts, with its tag.

    The source says which image is missing.
    """
    name = entry(BOTH, INDEX, annotations={REF: "1.2"})
    files = docker_25([row(ARM, "team/x:1.2")], [name], BOTH, ARM.manifest, *ARM.blobs)
    source = read(lay_out(files))
    assert (raws(source), source.tags) == ([ARM.manifest], {sha256(ARM.manifest): ("1.2",)})
    assert [str(child.platform) for child in source.missing] == ["linux/s390x"]
    assert repr(source).endswith(" bytes, 1 image not saved>")


@READERS
@pytest.mark.parametrize("blobs", [[], [S390X.manifest]], ids=["nothing", "manifest"])
def test_a_layout_lacks_a_platform(
    lay_out: LayOut, read: Callable[[Path], ImageSource], blobs: list[bytes]
) -> None:
    """An index in an OCI layout, without `docker save`, must have all its images.

    Else its tag would move to the images that are left.
    """
    files = layout_files([entry(BOTH, INDEX)], [BOTH, ARM.manifest, *ARM.blobs, *blobs])
    lacking, media_type = (S390X.config, CONFIG) if blobs else (S390X.manifest, IMAGE)
    platform = "" if blobs else " for linux/s390x"
    why = f"{sha256(lacking)} is missing, but a manifest lists it ('{media_type}'{platform}): "
    with pytest.raises(InvalidInputError, match=re.escape(why)):
        read(lay_out(files))


@pytest.mark.parametrize("rows", [[], [row(ARM, "team/x:1.2")]], ids=["no row", "row"])
def test_a_platform_of_an_index_that_is_left_out(
    lay_out: LayOut, rows: list[dict[str, Any]]
) -> None:
    """A platform is selected by the entries of the index, although the index is left out."""
    files = docker_25(rows, [entry(BOTH, INDEX)], BOTH, ARM.manifest, *ARM.blobs)
    source = ImageSource.from_path(lay_out(files))
    assert raws(source.select(platform="linux/arm64")) == [ARM.manifest]


def test_a_platform_of_several_that_were_saved(tmp_path: Path) -> None:
    """A platform is selected among the images that were saved of an index."""
    three = index({"linux/amd64": A.manifest, "linux/arm64": B.manifest, "linux/s390x": C.manifest})
    blobs = (three, A.manifest, B.manifest, *A.blobs, *B.blobs)
    source = ImageSource.from_path(write(tmp_path, docker_25([], [entry(three, INDEX)], *blobs)))
    assert raws(source.select(platform="linux/arm64")) == [B.manifest]


def test_a_platform_of_one_of_two_images(tmp_path: Path) -> None:
    """Of two images whose indexes are left out, a tag names the one whose platform is selected."""
    other = index({"linux/arm64": A.manifest, "linux/s390x": B.manifest})
    entries = [
        entry(BOTH, INDEX, annotations={REF: "1"}),
        entry(other, INDEX, annotations={REF: "2"}),
    ]
    blobs = (BOTH, other, ARM.manifest, A.manifest, *ARM.blobs, *A.blobs)
    source = ImageSource.from_path(write(tmp_path, docker_25([], entries, *blobs)))
    assert raws(source.select("2", platform="linux/arm64")) == [A.manifest]


@pytest.mark.parametrize("reference", [None, "1.2", sha256(ARM.manifest)])
@pytest.mark.parametrize(
    ("platform", "why"),
    [
        ("linux/s390x", ": linux/s390x is named by the index, but was not saved; it has linux/arm"),
        ("linux/amd64", " has no image for linux/amd64: it has linux/arm64"),
    ],
)
def test_a_platform_that_was_not_saved(
    tmp_path: Path, reference: str | None, platform: str, why: str
) -> None:
    """A platform that was not saved is refused, and no other image takes its place."""
    name = entry(BOTH, INDEX, annotations={REF: "1.2"})
    files = docker_25([row(ARM, "x:1.2")], [name], BOTH, ARM.manifest, *ARM.blobs)
    source = ImageSource.from_path(write(tmp_path, files))
    with pytest.raises(InvalidInputError, match=f"{tmp_path}{why}"):
        source.select(reference, platform=platform)


def test_an_image_without_a_platform_that_was_not_saved(tmp_path: Path) -> None:
    """An image of an index without platforms is named by its digest."""
    both = packed(mediaType=INDEX, manifests=[entry(A.manifest, IMAGE), entry(B.manifest, IMAGE)])
    files = docker_25([], [entry(both, INDEX)], both, A.manifest, *A.blobs)
    [warning] = plan(ImageSource.from_path(write(tmp_path, files)), {}).warnings
    assert warning.startswith(f"{sha256(B.manifest)} was not saved: ")


def test_the_plan_of_one_platform_of_two(tmp_path: Path) -> None:
    """A plan warns of the image that was not saved."""
    files = docker_25([], [entry(BOTH, INDEX)], BOTH, ARM.manifest, *ARM.blobs)
    planned = plan(ImageSource.from_path(write(tmp_path, files)), {})
    [warning] = planned.warnings
    assert warning.startswith(
        "linux/s390x was not saved: the push leaves out the index that names it"
    )


def test_a_platform_of_which_the_manifest_alone_was_saved(lay_out: LayOut) -> None:
    """An image of which only the manifest was saved is missing, even if a row lists it.

    Docker saves such a manifest if it does not have the blobs of a platform.
    """
    blobs = (BOTH, ARM.manifest, S390X.manifest, *ARM.blobs)
    source = ImageSource.from_path(lay_out(docker_25([row(S390X)], [entry(BOTH, INDEX)], *blobs)))
    assert (raws(source), len(source.missing)) == ([ARM.manifest], 1)


def test_a_platform_that_lost_a_layer(tmp_path: Path) -> None:
    """An image whose config exists but whose layer is missing is broken, not left out."""
    blobs = (BOTH, ARM.manifest, S390X.manifest, *S390X.blobs, ARM.config)
    path = write(tmp_path, layout_files([entry(BOTH, INDEX)], blobs))
    with pytest.raises(InvalidInputError, match=MISSING):
        ImageSource.from_path(path)


def test_an_index_of_an_index_that_is_left_out(tmp_path: Path) -> None:
    """An index that names a left-out index is left out, too.

    The existing images under it count once, under its tag, and the missing one is named once.
    """
    outer = packed(mediaType=INDEX, manifests=[entry(BOTH, INDEX), entry(ARM.manifest, IMAGE)])
    entries = [entry(outer, INDEX, annotations={REF: "v1"}), entry(BOTH, INDEX)]
    files = docker_25([], entries, outer, BOTH, ARM.manifest, *ARM.blobs)
    source = ImageSource.from_path(write(tmp_path, files))
    assert (raws(source), source.tags) == ([ARM.manifest], {sha256(ARM.manifest): ("v1",)})
    assert [child.digest for child in source.missing] == [sha256(S390X.manifest)]


def test_nothing_that_is_named_was_saved(tmp_path: Path) -> None:
    """An index of which no image exists is not an image, and the message names its platforms."""
    path = write(tmp_path, docker_25([], [entry(BOTH, INDEX)], BOTH))
    why = "of its indexes, these were not saved: 'linux/arm64, linux/s390x'"
    with pytest.raises(InvalidInputError, match=why):
        ImageSource.from_path(path)


@pytest.mark.parametrize("rows", [[], [row(A, "team/a:1")]], ids=["no row", "row"])
def test_two_platforms_of_three(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """If several images of an index were saved, only the one that a row lists has the tag."""
    three = {"linux/amd64": A.manifest, "linux/arm64": B.manifest, "linux/s390x": C.manifest}
    name = entry(index(three), INDEX, annotations={REF: "1"})
    blobs = (index(three), A.manifest, B.manifest, *A.blobs, *B.blobs)
    source = ImageSource.from_path(write(tmp_path, docker_25(rows, [name], *blobs)))
    assert raws(source) == [A.manifest, B.manifest]
    assert source.tags == ({sha256(A.manifest): ("1",)} if rows else {})


def test_a_size_that_another_index_gives(tmp_path: Path) -> None:
    """Each descriptor of a manifest must have its size, also after another one that has it."""
    wrong = {**entry(A.manifest, IMAGE), "size": 1}
    outer = packed(manifests=[entry(B.manifest, IMAGE), wrong])
    blobs = (outer, A.manifest, B.manifest, *A.blobs, *B.blobs)
    entries = [entry(A.manifest, IMAGE), entry(outer, INDEX)]
    path = write(tmp_path, layout_files(entries, blobs))
    with pytest.raises(InvalidInputError, match=f"{sha256(A.manifest)} has .* descriptor says 1"):
        ImageSource.from_path(path)


def test_an_index_that_names_an_image_by_sha512(tmp_path: Path) -> None:
    """An index may name an image by another algorithm, and is complete all the same."""
    digest = f"sha512:{hashlib.sha512(A.manifest).hexdigest()}"
    outer = packed(mediaType=INDEX, manifests=[{**entry(A.manifest, IMAGE), "digest": digest}])
    files = layout_files([entry(outer, INDEX)], (outer, *A.blobs))
    files[f"blobs/{digest.replace(':', '/')}"] = A.manifest
    source = ImageSource.from_path(write(tmp_path, files))
    assert (raws(source), source.missing) == ([A.manifest, outer], ())


def test_an_absent_root(tmp_path: Path) -> None:
    """A manifest that `index.json` itself names must exist, also after an index that lacks it."""
    blobs = (BOTH, ARM.manifest, *ARM.blobs)
    entries = [entry(BOTH, INDEX), entry(S390X.manifest, IMAGE)]
    path = write(tmp_path, layout_files(entries, blobs))
    with pytest.raises(
        InvalidInputError,
        match=f"{sha256(S390X.manifest)} is missing, but a manifest lists it",
    ):
        ImageSource.from_path(path)


@pytest.mark.parametrize("name", ["index.json", "oci-layout", "manifest.json", "config"])
def test_a_member_given_twice(lay_out: LayOut, name: str) -> None:
    """A member that occurs twice is refused in each document, with the name of the file."""
    rows = [{**row(A), "Config": "config"}]
    files = docker_25(rows, FOUND[:1], A.manifest, *A.blobs) | {"config": A.config}
    if name == "config":
        del files["index.json"]
    end = b"}]" if name == "manifest.json" else b"}"
    files[name] = files[name].removesuffix(end) + b', "x": 1, "x": 2' + end
    with pytest.raises(InvalidInputError, match=f"{name}.* has the key 'x' twice"):
        ImageSource.from_path(lay_out(files))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"oci-layout": None}, "there is no 'oci-layout' in this .*: add it with the content"),
        ({"index.json": None}, "there is no 'index.json' in this .*: save the layout again"),
        (
            {"index.json": None, "oci-layout": None},
            r"there is neither an OCI layout .* nor an archive of docker save \(manifest\.json\)",
        ),
        (
            {"index.json": None, "oci-layout": None, "manifest.json": A.manifest},
            "manifest.json is not the list of docker save.* as in skopeo's dir:, copy the image",
        ),
        ({"index.json": b"{"}, r"index\.json: not a valid manifest"),
        (
            {"index.json": A.manifest},
            f"index.json is not an image index, but '{IMAGE}'".replace("+", r"\+"),
        ),
        ({"index.json": packed(manifests=[])}, "names no image that exists$"),
        (
            {"index.json": packed(manifests=[entry(b"<xml/>", "application/xml")])},
            "names no image that exists: it names only 'application/xml'",
        ),
        ({"oci-layout": b"{}"}, "oci-layout is not a valid layout file: imageLayoutVersion"),
        (
            {"oci-layout": b'{"imageLayoutVersion": "1.x"}'},
            "oci-layout has imageLayoutVersion '1.x': only layouts of version 1",
        ),
        ({"oci-layout": b" " * 5_000_000}, "'oci-layout' has 5000000 bytes: at most 4194304"),
        (
            {"manifest.json": b"[1]"},
            "manifest.json does not have the format of 'docker save': 0: Input should",
        ),
    ],
    ids=range(12),
)
def test_what_is_no_image(lay_out: LayOut, change: dict[str, bytes | None], why: str) -> None:
    """Files that are not images are refused with their path, what is wrong, and what to do."""
    files = layout_files(FOUND[:1], [A.manifest, *A.blobs]) | change
    path = lay_out({name: data for name, data in files.items() if data is not None})
    with pytest.raises(InvalidInputError, match=why) as raised:
        ImageSource.from_path(path)
    assert str(raised.value).startswith(f"{path}")


def test_an_image_inside_a_folder(lay_out: LayOut) -> None:
    """An image that lies in a folder of an archive or directory is refused; the folder is named."""
    files = layout_files(FOUND[:1], [A.manifest, *A.blobs])
    path = lay_out({f"export/{name}": data for name, data in files.items()} | {"readme": b""})
    with pytest.raises(InvalidInputError, match="the image is inside the folder 'export'"):
        ImageSource.from_path(path)


def test_an_older_archive_is_no_layout(lay_out: LayOut) -> None:
    """An archive without a layout, also unpacked, is read as an archive, and not as a layout."""
    path = lay_out(docker_files(A.config, {"1.tar": A.layers[0], "2.tar": A.layers[1]}))
    assert layers_of(ImageSource.from_path(path)) == [digests(A)]
    with pytest.raises(InvalidInputError, match="not an OCI layout: use from_docker_archive"):
        ImageSource.from_oci_layout(path)


def test_a_layout_beside_another_manifest_json(lay_out: LayOut) -> None:
    """A `manifest.json` that is not a list does not matter beside a layout."""
    files = layout_files(FOUND[:1], [A.manifest, *A.blobs]) | {"manifest.json": A.manifest}
    assert raws(ImageSource.from_path(lay_out(files))) == [A.manifest]


def test_names_from_the_root(tmp_path: Path) -> None:
    """Names and links of an archive that begin with "/" count from its top, as when extracted."""
    rows = [{**row(A), "Config": "/config"}]
    files: dict[str, Any] = docker_25(rows, FOUND[:1], A.manifest, *A.blobs)
    files |= {
        "config": A.config,
        blob_name(A.layers[0]): linked("", "/first"),
        "first": A.layers[0],
    }
    files[blob_name(A.layers[0])].name = f"/{blob_name(A.layers[0])}"
    path = tar(tmp_path / "a.tar", {f"/{name}": data for name, data in files.items()})
    assert raws(ImageSource.from_path(path)) == [A.manifest]


@pytest.mark.parametrize("is_layout", [True, False], ids=["layout", "older"])
@pytest.mark.parametrize("is_archive", [True, False], ids=["archive", "directory"])
def test_a_link_to_nothing(tmp_path: Path, is_archive: bool, is_layout: bool) -> None:
    """A layer that is a link to a file that does not exist is refused, and both are named."""
    name = blob_name(A.layers[0]) if is_layout else "1.tar"
    files: dict[str, Any] = docker_files(A.config, {"1.tar": A.layers[0], "2.tar": A.layers[1]})
    if is_layout:
        files = layout_files(FOUND[:1], [A.manifest, *A.blobs])
    if is_archive:
        path = tar(tmp_path / "a.tar", files | {name: linked(name, "/elsewhere/layer.tar")})
    else:
        path = write(tmp_path, files)
        (path / name).unlink()
        (path / name).symlink_to("/elsewhere/layer.tar")
    with pytest.raises(
        InvalidInputError, match=f"'{name}' is a link to '/elsewhere/layer.tar', which"
    ):
        ImageSource.from_path(path)


def test_a_directory_leads_out_by_no_name(tmp_path: Path) -> None:
    """A name in `manifest.json` that leads out of an unpacked archive leads to no file."""
    (tmp_path / "config.json").write_bytes(A.config)
    rows: list[Any] = [{"Config": "../config.json", "Layers": []}]
    path = write(tmp_path / "in", {"manifest.json": json.dumps(rows).encode()})
    with pytest.raises(InvalidInputError, match=r"'\.\./config\.json' leads out of this directory"):
        ImageSource.from_path(path)


def test_a_name_with_a_null_character(tmp_path: Path) -> None:
    """A name that no file can have leads to no file."""
    path = write(tmp_path, {"manifest.json": b'[{"Config": "\\u0000", "Layers": []}]'})
    with pytest.raises(InvalidInputError, match="there is no"):
        ImageSource.from_path(path)


def test_a_composed_config_of_layout_files(tmp_path: Path) -> None:
    """A config of a layout is described by its name, and composed by its bytes."""
    other = saved("other", "base", "a")
    files = docker_25([row(A)], None, *A.blobs) | {blob_name(A.config): other.config}
    [one] = ImageSource.from_path(write(tmp_path, files)).images
    assert one.config is not None
    assert one.config.digest == sha256(other.config)


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    """A name that the file system refuses is one error with its reason."""
    rows: list[Any] = [{"Config": "a" * 300, "Layers": []}]
    path = write(tmp_path, {"manifest.json": json.dumps(rows).encode()})
    with pytest.raises(InvalidInputError, match=r"'aaa.* can't be read: File name too long"):
        ImageSource.from_path(path)


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that can't be read again is one error with its name and the reason."""

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Tar, "open", fail)
    path = tar(tmp_path / "a.tar", layout_files(FOUND[:1], [A.manifest, *A.blobs]))
    with pytest.raises(InvalidInputError, match="'oci-layout' can't be read: Input/output error"):
        ImageSource.from_path(path)
