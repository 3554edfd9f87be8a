"""Archives of `docker save` are complete and correct, or one error says what is wrong."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError
from ecr_layer_client.images import ImageSource
from ecr_layer_client.images._tar import Tar
from images.making import (
    IMAGE,
    INDEX,
    docker_files,
    entry,
    image,
    index,
    layout_files,
    linked,
    packed,
    sha256,
    tar,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import BinaryIO

BASE = b"plain base" * 100
ZIPPED = gzip.compress(BASE, mtime=0)
REF = "org.opencontainers.image.ref.name"
OUTER = pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])


def config_of(*diff_ids: str) -> bytes:
    """Return the config of an image whose layers have these diff_ids."""
    return json.dumps({"rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()


def saved(path: Path, layers: Mapping[str, bytes], *diff_ids: str, gzipped: bool = False) -> Path:
    """Save an image as `docker save` did before version 25, with a config of these diff_ids."""
    return tar(path, docker_files(config_of(*diff_ids), layers), gzipped=gzipped)


@pytest.mark.parametrize(
    "root",
    [{"type": "layers"}, {"type": "layers", "diff_ids": None}, {"type": "layers", "diff_ids": []}],
    ids=str,
)
@pytest.mark.parametrize("layers", [None, []])
def test_an_image_without_layers(
    tmp_path: Path, root: dict[str, Any], layers: list[str] | None
) -> None:
    """An image without layers is read, whether its lists are empty, null or missing."""
    config = json.dumps({"rootfs": root}).encode()
    files = {
        "c.json": config,
        "manifest.json": json.dumps(
            [{"Config": "c.json", "RepoTags": None, "Layers": layers}]
        ).encode(),
    }
    source = ImageSource.from_docker_archive(tar(tmp_path / "a.tar", files))

    assert [blob.digest for blob in source.blobs] == [sha256(config)]


@OUTER
@pytest.mark.parametrize(
    ("layer", "found"),
    [
        (BASE[:-1], sha256(BASE[:-1])),
        (b"", sha256(b"")),
        (gzip.compress(b"other"), sha256(b"other")),
        (b"other", sha256(b"other")),
    ],
    ids=["truncated", "empty", "gzipped", "plain"],
)
def test_a_layer_that_is_another(tmp_path: Path, layer: bytes, found: str, gzipped: bool) -> None:
    """A truncated or changed layer is refused with its file, its diff_id and its actual digest."""
    path = saved(tmp_path / "a.tar", {"a/layer.tar": layer}, sha256(BASE), gzipped=gzipped)

    with pytest.raises(InvalidInputError) as raised:
        ImageSource.from_docker_archive(path)
    assert str(raised.value) == (
        f"{path}: 'a/layer.tar' should have the digest {sha256(BASE)}, but has {found}: "
        "it was changed or truncated"
    )


@OUTER
@pytest.mark.parametrize(
    "layer",
    [ZIPPED[:-1], ZIPPED[:30], ZIPPED + b"x", ZIPPED[:20] + b"x" * 20],
    ids=["end", "truncated", "more", "changed"],
)
def test_a_gzipped_layer_that_cannot_be_unpacked(
    tmp_path: Path, layer: bytes, gzipped: bool
) -> None:
    """A truncated or broken gzipped layer is refused with its file and its diff_id."""
    path = saved(tmp_path / "a.tar", {"a.tar.gz": layer}, sha256(BASE), gzipped=gzipped)
    with pytest.raises(
        InvalidInputError,
        match=rf"a\.tar: 'a\.tar\.gz', which should be {sha256(BASE)}, can't be read: .+",
    ):
        ImageSource.from_docker_archive(path)


@OUTER
@pytest.mark.parametrize(
    "layer",
    [ZIPPED, ZIPPED + bytes(100), gzip.compress(BASE[:500]) + gzip.compress(BASE[500:])],
    ids=["one", "padded", "two"],
)
def test_a_gzipped_layer(tmp_path: Path, layer: bytes, gzipped: bool) -> None:
    """The digest of a gzipped layer is the digest of its compressed bytes.

    This includes padding and several parts. The unpacked bytes are verified first.
    """
    source = ImageSource.from_docker_archive(
        saved(tmp_path / "a.tar", {"a.tar.gz": layer}, sha256(BASE), gzipped=gzipped)
    )
    [blob] = source.images[0].layers
    with source.open(blob) as file:
        assert (file.read(), blob.digest, blob.size) == (layer, sha256(layer), len(layer))


def test_a_layer_of_another_compression(tmp_path: Path) -> None:
    """A layer compressed with zstd can't be verified, so it is refused with its diff_id."""
    path = saved(tmp_path / "a.tar", {"a.tar.zst": b"\x28\xb5\x2f\xfd" + BASE}, sha256(BASE))
    with pytest.raises(
        InvalidInputError,
        match=f"'a.tar.zst', which should be {sha256(BASE)}, is compressed with zstd",
    ):
        ImageSource.from_docker_archive(path)


@OUTER
def test_another_algorithm(tmp_path: Path, gzipped: bool) -> None:
    """A config with sha512 diff_ids is verified, too.

    The manifest uses sha256, as registries do.
    """
    diff_id = f"sha512:{hashlib.sha512(BASE).hexdigest()}"
    source = ImageSource.from_docker_archive(
        saved(tmp_path / "a.tar", {"a": BASE}, diff_id, gzipped=gzipped)
    )

    assert [layer.digest for layer in source.images[0].layers] == [sha256(BASE)]
    with pytest.raises(InvalidInputError, match=r"b\.tar: 'blake3:ab' can't be verified"):
        ImageSource.from_docker_archive(saved(tmp_path / "b.tar", {"a": BASE}, "blake3:ab"))


@pytest.mark.parametrize("has_its_bytes", [True, False], ids=["there", "elsewhere"])
def test_foreign_layers(tmp_path: Path, has_its_bytes: bool) -> None:
    """A layer is foreign if the archive says that it is stored elsewhere.

    Windows base layers are an example. Its bytes may also be in the archive.
    """
    diff_ids = [sha256(b"windows"), sha256(BASE)]
    files = docker_files(config_of(*diff_ids), {"w": b"windows", "a": BASE})
    [listed] = json.loads(files["manifest.json"])
    far = entry(
        b"gzipped",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        urls=["https://example.com/layer"],
    )
    files["manifest.json"] = json.dumps(
        [{**listed, "LayerSources": {diff_ids[0]: far, diff_ids[1]: entry(BASE, "a/b")}}]
    ).encode()
    if not has_its_bytes:
        del files["w"]
    source = ImageSource.from_docker_archive(tar(tmp_path / "a.tar", files))

    assert [(layer.digest, layer.urls) for layer in source.images[0].layers] == [
        (far["digest"], ("https://example.com/layer",)),
        (sha256(BASE), ()),
    ]
    assert ([blob.digest for blob in source.foreign], len(source.blobs)) == ([far["digest"]], 2)


def test_a_foreign_layer_that_says_too_little(tmp_path: Path) -> None:
    """A foreign layer without a size is refused with the file and the digests."""
    config = config_of(sha256(BASE))
    files = docker_files(config, {"a": BASE})
    [listed] = json.loads(files["manifest.json"])
    far = {"mediaType": "a/b", "digest": sha256(BASE), "urls": ["https://example.com/layer"]}
    files["manifest.json"] = json.dumps([{**listed, "LayerSources": {sha256(BASE): far}}]).encode()
    path = tar(tmp_path / "a.tar", files)

    wrong = rf"layers\.0: the descriptor of {sha256(BASE)} has no 'size'"
    said = rf"{path}: the manifest made from the config {sha256(config)} is not valid: .*{wrong}"
    with pytest.raises(InvalidInputError, match=said):
        ImageSource.from_docker_archive(path)


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows with each file of an archive that is opened again.

    The first pass through the archive does not count.
    """
    names: list[str] = []
    open_as_ever = Tar.open

    def open_and_note(archive: Tar, name: str) -> BinaryIO:
        names.append(name)
        return open_as_ever(archive, name)

    monkeypatch.setattr(Tar, "open", open_and_note)
    return names


@pytest.mark.parametrize(
    ("gzipped", "layer", "again"),
    [(False, BASE, ["a"]), (False, ZIPPED, ["a"]), (True, BASE, []), (True, ZIPPED, ["a"])],
    ids=["plain", "plain-of-gzipped", "gzipped", "gzipped-of-gzipped"],
)
def test_layers_are_read_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gzipped: bool,
    layer: bytes,
    again: list[str],
) -> None:
    """Each layer is hashed once, however many images name it.

    Plain layers of a gzipped archive are hashed in the first pass.
    """
    config = config_of(sha256(BASE), sha256(BASE))
    files = docker_files(config, {"a": layer})
    name = f"{sha256(config)[7:]}.json"
    files["manifest.json"] = json.dumps(
        [{"Config": name, "RepoTags": [f"app:{tag}"], "Layers": ["a", "a"]} for tag in range(3)]
    ).encode()
    names = opened(monkeypatch)
    source = ImageSource.from_docker_archive(tar(tmp_path / "a.tar", files, gzipped=gzipped))

    assert names == ["manifest.json", name, *again]
    assert (source.tags, len(source.blobs)) == ({source.roots[0].digest: ("0", "1", "2")}, 2)


DIFFS = (b"plain base", b"plain code")
DOCKER_CONFIG = json.dumps(
    {"rootfs": {"type": "layers", "diff_ids": [sha256(diff) for diff in DIFFS]}}
).encode()
DOCKER_LAYERS = {"a/layer.tar": DIFFS[0], "b/layer.tar": DIFFS[1]}
SAVED = docker_files(
    DOCKER_CONFIG, DOCKER_LAYERS, ["team/app:1", "other/app:1", "localhost:5000/app:2"]
)


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


# Archives with a layout

APP, ARM = image("app", "base", "code"), image("arm", "base", "arm code")
BOTH = index({"linux/amd64": APP.manifest, "linux/arm64": ARM.manifest})


def of_layout(path: Path, roots: list[dict[str, Any]], *blobs: bytes) -> ImageSource:
    """Save a layout as docker does since version 25."""
    return ImageSource.from_docker_archive(
        tar(path, {**layout_files(roots, blobs), "manifest.json": b"[]"})
    )


def test_indexes_that_name_each_other_many_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nested indexes that are left out are read once each, however many paths lead to them."""
    level = [BOTH, packed(mediaType=INDEX, manifests=[entry(BOTH, INDEX)])]
    blobs = [*level, APP.manifest, *APP.blobs]
    for depth in range(6):
        names = [entry(each, INDEX) for each in level]
        level = [
            packed(mediaType=INDEX, manifests=names, annotations={"n": f"{depth}.{number}"})
            for number in range(12)
        ]
        blobs += level
    finds = opened(monkeypatch)
    source = of_layout(tmp_path / "a.tar", [entry(each, INDEX) for each in level], *blobs)

    assert [manifest.raw for manifest in source.manifests] == [APP.manifest]
    assert max(finds.count(name) for name in set(finds)) == 1


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("1.0", ("1.0",)),
        ("docker.io/team/app:1.0", ("1.0",)),
        ("localhost:5000/app:1.0", ("1.0",)),
        ("localhost:5000/app", ()),
        ("team/app", ()),
        (f"app:1.0@{sha256(b'')}", ("1.0",)),
        (f"app@{sha256(b'')}", ()),
        ("app:1 0", ()),
        ("app:" + "x" * 129, ()),
        ("", ()),
    ],
    ids=range(10),
)
def test_tags(tmp_path: Path, name: str, tags: tuple[str, ...]) -> None:
    """The tag of an image is the part of its name that registries accept as a tag.

    A name without such a part gives no tag.
    """
    source = of_layout(
        tmp_path / "a.tar",
        [entry(APP.manifest, IMAGE, annotations={REF: name})],
        APP.manifest,
        *APP.blobs,
    )

    assert source.tags.get(sha256(APP.manifest), ()) == tags
