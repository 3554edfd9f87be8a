"""`parse_manifest` reads every format, and refuses what is not a valid manifest."""

from __future__ import annotations

import csv
import json
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from ecr_layer_client import InvalidInputError
from ecr_layer_client.images import Descriptor, ImageIndex, ImageManifest, Platform, parse_manifest
from images.making import (
    CONFIG,
    DOCKER,
    FOREIGN,
    IMAGE,
    INDEX,
    LAYER,
    entry,
    image,
    index,
    packed,
    sha256,
)

SAMPLES = Path(__file__).parent / "samples"
ROWS = list(csv.DictReader((SAMPLES / "INDEX.csv").read_text().splitlines()))
IMAGES = [row for row in ROWS if row["layers"]]
[LISTED] = [row for row in ROWS if row["kind"] == "index"]
[SCHEMA_1] = [row for row in ROWS if row["kind"] == "schema1"]

APP = image("app", "base", "code")
D = "sha256:" + "d" * 64
SIGNED = f"{DOCKER}.v1+prettyjws"
ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"


def sample(row: dict[str, str]) -> bytes:
    """Return the bytes of a sample."""
    return (SAMPLES / row["file"]).read_bytes()


def parsed_image(data: bytes, media_type: str | None = None) -> ImageManifest:
    """Parse an image."""
    manifest = parse_manifest(data, media_type)
    assert isinstance(manifest, ImageManifest)
    return manifest


def parsed_index(data: bytes, media_type: str | None = None) -> ImageIndex:
    """Parse an index."""
    manifest = parse_manifest(data, media_type)
    assert isinstance(manifest, ImageIndex)
    return manifest


def changed(**members: Any) -> bytes:
    """Return the manifest of an image with changed members. None removes a member."""
    merged = json.loads(APP.manifest) | members
    return json.dumps({name: value for name, value in merged.items() if value is not None}).encode()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_real_manifest_keeps_its_bytes(row: dict[str, str]) -> None:
    """A real manifest is kept byte for byte, and its digest is that of its bytes."""
    data = sample(row)
    manifest = parse_manifest(data)
    assert (manifest.raw, manifest.digest) == (data, row["digest"])


@pytest.mark.parametrize("row", IMAGES, ids=lambda row: row["file"])
def test_real_image(row: dict[str, str]) -> None:
    """A real image has the expected media type, bytes, and numbers of layers and foreign layers."""
    manifest = parsed_image(sample(row))
    counts = (
        len(manifest.layers),
        len({layer.digest for layer in manifest.layers}),
        len(manifest.foreign),
    )

    assert (*counts, sum(layer.size or 0 for layer in manifest.layers), manifest.media_type) == (
        *(int(row[column]) for column in ("layers", "distinct", "foreign", "bytes")),
        row["media_type"],
    )


def test_real_index() -> None:
    """A real index names its children in order, each with its platform."""
    manifest = parsed_index(sample(LISTED))
    children = [row["digest"] for row in ROWS if row["kind"] == "index-child"]

    assert [child.digest for child in manifest.manifests] == children
    assert [str(child.platform) for child in manifest.manifests] == [
        "linux/amd64",
        "linux/arm/v7",
        "linux/arm64/v8",
        "windows/amd64:10.0.17134.1130",
        "windows/amd64:10.0.17763.864",
        "windows/arm:10.0.17763.864",
        "windows/amd64:10.0.18362.476",
        "windows/amd64:10.0.18363.476",
    ]


def test_real_schema_1() -> None:
    """A signed schema 1 manifest has layers in its own order, with repeats.

    It has no config and no sizes.
    """
    manifest = parsed_image(sample(SCHEMA_1))
    digests = [layer["blobSum"] for layer in json.loads(sample(SCHEMA_1))["fsLayers"]]
    assert [(layer.digest, layer.size, layer.media_type) for layer in manifest.layers] == [
        (digest, None, None) for digest in digests
    ]
    assert (manifest.config, manifest.media_type) == (None, f"{DOCKER}.v1+prettyjws")


def test_blobs_are_config_and_layers_once() -> None:
    """`blobs` are the config and each layer once, in order, without foreign layers.

    `layers` has all layers.
    """
    manifest = parsed_image(image("app", "base", "code", "base", foreign=["windows"]).manifest)

    assert [layer.media_type for layer in manifest.layers] == [LAYER, LAYER, LAYER, FOREIGN]
    assert manifest.config is not None
    assert [blob.digest for blob in manifest.blobs] == [
        manifest.config.digest,
        *(layer.digest for layer in manifest.layers[:2]),
    ]
    assert manifest.foreign == (manifest.layers[3],)


@pytest.mark.parametrize(
    ("more", "is_foreign"),
    [
        ({"mediaType": LAYER}, False),
        ({"mediaType": LAYER, "urls": []}, False),
        ({"mediaType": LAYER, "urls": None}, False),
        ({"mediaType": LAYER, "urls": ["https://example.com/a"]}, True),
        ({"mediaType": FOREIGN}, True),
        ({"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}, True),
        ({"mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"}, True),
        ({"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd"}, False),
        ({"mediaType": "application/vnd.foreign-office.layer"}, False),
    ],
    ids=[
        "ordinary",
        "no-urls",
        "null-urls",
        "urls",
        "nondistributable",
        "foreign",
        "foreign-zstd",
        "zstd",
        "foreign-by-name",
    ],
)
def test_foreign(more: dict[str, Any], is_foreign: bool) -> None:
    """A layer is foreign because of its media type or its URLs."""
    layer = entry(b"x", "") | more
    assert parsed_image(changed(layers=[layer])).layers[0].is_foreign == is_foreign


def test_a_config_is_never_foreign() -> None:
    """A config is stored, even if it has URLs."""
    config = entry(b"{}", CONFIG, urls=["https://example.com/config"])
    manifest = parsed_image(packed(config=config, layers=[entry(b"x", FOREIGN)]))
    assert [blob.digest for blob in manifest.blobs] == [sha256(b"{}")]


def test_a_layer_that_is_also_elsewhere() -> None:
    """A layer that is named twice, once with URLs, is stored."""
    layers = [entry(b"x", LAYER, urls=["https://example.com/x"]), entry(b"x", LAYER)]
    manifest = parsed_image(packed(config=entry(b"{}", CONFIG), layers=layers))
    assert ([blob.digest for blob in manifest.blobs][1:], manifest.foreign) == ([sha256(b"x")], ())


def test_unsigned_schema_1() -> None:
    """An unsigned schema 1 manifest has another media type than a signed one."""
    data = packed(schemaVersion=1, fsLayers=[{"blobSum": D}], history=[])
    assert parsed_image(data).media_type == f"{DOCKER}.v1+json"


def test_artifact() -> None:
    """An artifact is an image with another config: its type, subject and annotations are kept."""
    subject = entry(APP.manifest, IMAGE)
    empty = entry(b"{}", "application/vnd.oci.empty.v1+json", urls=None)
    data = packed(
        artifactType="application/vnd.example.sbom",
        config=empty,
        layers=[empty],
        subject=subject,
        annotations={"a": "b"},
    )
    manifest = parsed_image(data)

    assert manifest.subject == Descriptor(
        digest=sha256(APP.manifest), size=len(APP.manifest), media_type=IMAGE
    )
    assert (manifest.artifact_type, manifest.annotations, len(manifest.blobs)) == (
        "application/vnd.example.sbom",
        {"a": "b"},
        1,
    )


@pytest.mark.parametrize(
    "blobs", [{"blobs": [entry(b"sbom", "application/json")]}, {}], ids=["blobs", "none"]
)
def test_artifact_manifest_of_the_draft(blobs: dict[str, Any]) -> None:
    """The artifact manifest of OCI's draft, which has blobs and no config, is read."""
    media_type = "application/vnd.oci.artifact.manifest.v1+json"
    manifest = parsed_image(
        json.dumps({"mediaType": media_type, "artifactType": "a/b", **blobs}).encode()
    )

    assert (manifest.media_type, manifest.config, len(manifest.layers)) == (
        media_type,
        None,
        len(blobs),
    )


def test_platform_in_full() -> None:
    """All members of a platform are read, including those with a dot in their name."""
    platform = {
        "os": "windows",
        "architecture": "amd64",
        "os.version": "10.0.1",
        "os.features": ["win32k"],
        "features": ["sse4"],
    }
    [child] = parsed_index(
        packed(manifests=[entry(APP.manifest, IMAGE, platform=platform)])
    ).manifests

    assert child.platform == Platform(
        os="windows", architecture="amd64", os_version="10.0.1", os_features=("win32k",)
    )


EMPTY = {
    "mediaType": "application/vnd.oci.empty.v1+json",
    "digest": sha256(b"{}"),
    "size": 2,
    "data": "e30=",
}
BYTES = {"mediaType": LAYER, "digest": D, "size": 32_654}


@pytest.mark.parametrize(
    ("members", "media_type", "blobs"),
    [
        ({"config": EMPTY, "layers": [EMPTY]}, IMAGE, 1),
        ({"mediaType": IMAGE, "config": EMPTY, "layers": []}, IMAGE, 1),
        ({"config": {**BYTES, "digest": "multihash+base58:QmRZxt"}, "layers": [BYTES]}, IMAGE, 2),
        ({"config": EMPTY, "layers": [{**BYTES, "size": 0}]}, IMAGE, 2),
        ({"config": EMPTY, "layers": [{**BYTES, "size": 2**63 - 1}]}, IMAGE, 2),
        ({"manifests": []}, INDEX, 0),
        ({"manifests": [{**BYTES, "mediaType": "application/xml"}]}, INDEX, 1),
    ],
    ids=["empty", "no-layers", "algorithm", "no-bytes", "size", "no-manifests", "unknown"],
)
def test_what_oci_allows(members: dict[str, Any], media_type: str, blobs: int) -> None:
    """Each form in OCI's specification is read: embedded data, other digests, unknown types."""
    manifest = parse_manifest(packed(**members))
    assert (manifest.media_type, len(manifest.blobs)) == (media_type, blobs)


@pytest.mark.parametrize(
    "member",
    [
        *({"size": None}, {"size": "32654"}, {"digest": None}, {"digest": f":{D[7:]}"}),
        *({"urls": "https://example.com/layer"}, {"mediaType": None}, {"annotations": {"a": 1}}),
    ],
    ids=str,
)
@pytest.mark.parametrize("place", ["config", "layers", "manifests"])
def test_what_oci_does_not_allow(member: dict[str, Any], place: str) -> None:
    """A descriptor with a missing or malformed member is refused, wherever it is."""
    descriptor = BYTES | member
    members: dict[str, dict[str, Any]] = {
        "config": {"config": descriptor, "layers": []},
        "layers": {"config": EMPTY, "layers": [descriptor]},
        "manifests": {"manifests": [descriptor]},
    }
    with pytest.raises(InvalidInputError, match="not a valid manifest"):
        parse_manifest(packed(**members[place]))


def test_index_of_other_things() -> None:
    """The entries of an index that are not manifests, as in a build cache, are its blobs."""
    data = packed(
        mediaType=INDEX,
        manifests=[entry(APP.manifest, IMAGE), entry(b"layer", LAYER), entry(b"far", FOREIGN)],
    )
    manifest = parsed_index(data)

    assert [
        len(part)
        for part in (manifest.manifests, manifest.children, manifest.blobs, manifest.foreign)
    ] == [3, 1, 1, 1]


@pytest.mark.parametrize(
    ("given", "own", "expected"),
    [
        (None, None, IMAGE),
        (None, f"{DOCKER}.v2+json", f"{DOCKER}.v2+json"),
        (f"{DOCKER}.v2+json", None, f"{DOCKER}.v2+json"),
        (f"{DOCKER}.v2+json", IMAGE, f"{DOCKER}.v2+json"),
        ("application/vnd.unknown+json", IMAGE, "application/vnd.unknown+json"),
        (None, "application/vnd.unknown+json", "application/vnd.unknown+json"),
    ],
)
def test_media_type(given: str | None, own: str | None, expected: str) -> None:
    """The media type is the given one, or the manifest's own, or the one its members show.

    An unknown media type is kept.
    """
    assert parsed_image(changed(mediaType=own), given).media_type == expected


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind(kind: type[Any]) -> None:
    """Bytes, bytearrays and memoryviews are kept as bytes."""
    assert parse_manifest(kind(APP.manifest)).raw == APP.manifest


def test_null_is_none() -> None:
    """Null in place of a list or of annotations, as some programs write it, is empty."""
    assert parsed_image(changed(layers=[]).replace(b"[]", b"null")).layers == ()
    assert parsed_index(packed(manifests=None, annotations=None)).manifests == ()


def test_unknown_members_are_left_alone() -> None:
    """Members that the formats don't define are ignored, and stay in the bytes."""
    data = changed(unknown={"a": [1, 2, None]})
    assert parse_manifest(data).raw == data


def twice(document: bytes, member: str) -> bytes:
    """Return a document whose last member is followed by another one."""
    return document.rstrip(b"}\n ") + b", " + member.encode() + b"}"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (twice(APP.manifest, '"layers": []'), "layers"),
        (twice(APP.manifest, '"l\\u0061yers": []'), "layers"),
        (twice(index({"linux/amd64": APP.manifest}), '"manifests": []'), "manifests"),
        (APP.manifest.replace(b'"size": 1', b'"size": 7, "size": 1', 1), "size"),
        (twice(APP.manifest, '"annotations": {"a": "1", "b": "", "a": "2"}'), "a"),
        (twice(APP.manifest, f'"other": [{{"n": {"9" * 4000}, "n": 1}}]'), "n"),
    ],
    ids=["layers", "escaped", "manifests", "nested", "annotations", "unknown"],
)
def test_a_member_given_twice(data: bytes, name: str) -> None:
    """A member that occurs twice in one object is refused and named, wherever it is.

    Programs disagree on which one counts.
    """
    with pytest.raises(InvalidInputError, match=f"one of its objects has the key '{name}' twice"):
        parse_manifest(data)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_a_constant_that_is_not_json(constant: str) -> None:
    """A constant that only some parsers accept is refused, in any member."""
    data = twice(APP.manifest, f'"other": {constant}')
    with pytest.raises(InvalidInputError, match=f"it has {constant}, which is not JSON"):
        parse_manifest(data)


@pytest.mark.parametrize(
    ("members", "why"),
    [
        (
            {"layers": [BYTES, {**BYTES, "size": 9}]},
            f"layers.1: {D} has 'size' 9, but 32654 in layers.0",
        ),
        (
            {"layers": [{**BYTES, "mediaType": "a/b"}], "config": BYTES},
            f"layers.0: {D} has 'mediaType' 'a/b', but '{LAYER}' in config",
        ),
        (
            {"manifests": [{**BYTES, "mediaType": IMAGE}, BYTES]},
            f"manifests.1: {D} has 'mediaType' '{LAYER}', but '{IMAGE}' in manifests.0",
        ),
        (
            {"mediaType": ARTIFACT, "blobs": [BYTES, {**BYTES, "size": 9}]},
            f"blobs.1: {D} has 'size' 9, but 32654 in blobs.0",
        ),
    ],
    ids=["size", "config", "index", "artifact"],
)
def test_one_digest_described_in_two_ways(members: dict[str, Any], why: str) -> None:
    """A digest that an image gives two sizes or two media types is refused with its places."""
    config = {"config": EMPTY} if "layers" in members else {}
    with pytest.raises(InvalidInputError) as raised:
        parse_manifest(packed(**{**config, **members}))
    assert why in str(raised.value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "EOF"),
        (b"\xff\xfe", "it begins with a byte order mark"),
        (b"\xef\xbb\xbf" + APP.manifest, "it begins with a byte order mark"),
        (APP.manifest.decode().encode("utf-16-le"), "key must be a string"),
        (APP.manifest.replace(b"config.v1", b"\xff"), "invalid unicode code point"),
        (changed(annotations={"a\n\x1b[31m" + "b" * 500: 1}), "annotations.a\\n\\x1b[31mbbb"),
        (changed(annotations={"a": ["b"]}), "annotations.a: Input should be a valid string"),
        (b"<html>", "expected value"),
        (APP.manifest[:-2], "EOF"),
        (APP.manifest + b"x", "trailing"),
        (b"[]", "Input should be an object"),
        (b"null", "Input should be an object"),
        (b"{}", "it has no 'layers', 'manifests' or 'fsLayers'"),
        (b'{"layers": []}', "it has no 'config'"),
        (b'{"schemaVersion": 3}', "schemaVersion: Input should be less than or equal to 2"),
        (changed(schemaVersion="2"), "schemaVersion: Input should be a valid integer"),
        (changed(manifests=[]), f"it is both {INDEX} and {IMAGE}"),
        (changed(layers={}), "layers: Input should be a valid"),
        (changed(layers=[D]), "layers.0: Input should be an object"),
        (
            changed(layers=[{"digest": D, "mediaType": LAYER}]),
            f"layers.0: the descriptor of {D} has no 'size'",
        ),
        (
            changed(layers=[{"digest": D, "size": 1}]),
            f"layers.0: the descriptor of {D} has no 'mediaType'",
        ),
        (
            changed(layers=[{"digest": D, "mediaType": LAYER, "size": -1}]),
            "layers.0.size: Input should be greater than or equal to 0: -1",
        ),
        (
            changed(layers=[{"digest": D, "mediaType": LAYER, "size": True}]),
            "layers.0.size: Input should be a valid integer",
        ),
        (
            changed(layers=[{"digest": D, "mediaType": LAYER, "size": 2**63}]),
            "layers.0.size: Input should be less than",
        ),
        (b'{"layers": [], "size": ' + b"9" * 100_000 + b"}", "number out of range"),
        (b'{"layers": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "recursion limit exceeded"),
        (
            packed(schemaVersion=1, fsLayers=[{"blobSum": "sha256:1"}]),
            "fsLayers.0.blobSum: not a valid digest",
        ),
        (
            packed(manifests=[entry(b"", IMAGE, platform={"os": "linux"})]),
            "manifests.0.platform.architecture: Field required",
        ),
    ],
    ids=range(28),
)
def test_what_is_no_manifest(data: bytes, why: str) -> None:
    """An invalid manifest is refused in one line with the position, the reason and the digest."""
    with pytest.raises(InvalidInputError) as raised:
        parse_manifest(data)
    said = str(raised.value)

    assert said.startswith(f"not a valid manifest ({len(data)} bytes, {sha256(data)}): ")
    assert why in said
    assert "\n" not in said
    assert len(said) < 500


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("layers", 1),
        ("layers", {}),
        ("manifests", 1),
        ("blobs", 1),
        ("fsLayers", 1),
        ("config", {**entry(b"", CONFIG), "urls": [1] * 20_000}),
    ],
    ids=["layers", "empty", "manifests", "blobs", "schema 1", "urls"],
)
def test_what_is_wrong_very_often(name: str, wrong: object) -> None:
    """Only the first of many errors in a list is reported.

    The others are not collected.
    """
    data = packed(**{name: wrong if name == "config" else [wrong] * 20_000})
    tracemalloc.start()

    try:
        with pytest.raises(InvalidInputError, match=r"not a valid manifest .*\.0"):
            parse_manifest(data)
        assert tracemalloc.get_traced_memory()[1] < 10 * len(data) + 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha256",
        "sha256:",
        f"sha256:{'a' * 63}",
        f"sha256:{'a' * 65}",
        f"sha256:{'A' * 64}",
        f"sha256:{'g' * 64}",
        f"sha512:{'a' * 64}",
        f"SHA256:{'a' * 64}",
        f"sha256:{'a' * 64}\n",
        f"sha256:../{'a' * 61}",
        f"md5:{'a' * 1000}",
    ],
    ids=ascii,
)
def test_malformed_digest(digest: str) -> None:
    """A malformed digest is refused with its position and its value."""
    with pytest.raises(InvalidInputError, match=r"layers\.0\.digest: not a valid digest: .*: '"):
        parse_manifest(changed(layers=[{"digest": digest, "size": 1, "mediaType": LAYER}]))


@pytest.mark.parametrize("digest", [D, f"sha512:{'a' * 128}", "blake3:abc", "sha256+b64u:LCa0_-="])
def test_well_formed_digest(digest: str) -> None:
    """A digest of a registered algorithm has its length in lower-case hexadecimal.

    For other algorithms, only the grammar applies.
    """
    manifest = parsed_image(changed(layers=[{"digest": digest, "size": 1, "mediaType": LAYER}]))
    assert manifest.layers[0].digest == digest


@pytest.mark.parametrize(
    ("data", "media_type", "why"),
    [
        (APP.manifest, INDEX, f"its media type is {INDEX}, but it has the JSON keys of {IMAGE}"),
        (
            index({"linux/amd64": APP.manifest}),
            IMAGE,
            f"its media type is {IMAGE}, but it has the JSON keys of {INDEX}",
        ),
        (APP.manifest, SIGNED, f"its media type is {SIGNED}, but it has the JSON keys of {IMAGE}"),
        (
            packed(schemaVersion=1, fsLayers=[]),
            IMAGE,
            f"its media type is {IMAGE}, but it has the JSON keys of {DOCKER}.v1+json",
        ),
        (
            packed(mediaType=IMAGE, blobs=[]),
            None,
            f"its media type is {IMAGE}, but it has the JSON keys of {ARTIFACT}",
        ),
        (
            changed(mediaType=INDEX),
            None,
            f"its media type is {INDEX}, but it has the JSON keys of {IMAGE}",
        ),
    ],
    ids=[
        "image-as-index",
        "index-as-image",
        "image-as-schema-1",
        "schema-1-as-image",
        "artifact-as-image",
        "own",
    ],
)
def test_a_type_that_its_members_deny(data: bytes, media_type: str | None, why: str) -> None:
    """A manifest with the media type of another format is refused.

    Two clients might read it as two different things.
    """
    with pytest.raises(InvalidInputError, match="not a valid manifest") as raised:
        parse_manifest(data, media_type)
    assert why in str(raised.value)


def test_too_long() -> None:
    """A manifest above 4 MiB is refused without parsing, and one of 4 MiB is read."""
    data = APP.manifest.ljust(4 * 1024 * 1024)
    assert len(parse_manifest(data).raw) == 4 * 1024 * 1024
    with pytest.raises(
        InvalidInputError, match=r"at most 4194304 bytes \(4 MiB\), but this one has 4194305"
    ):
        parse_manifest(data + b" ")


@pytest.mark.parametrize(
    "data", [APP.manifest.decode(), json.loads(APP.manifest), None], ids=["str", "dict", "none"]
)
def test_no_bytes(data: Any) -> None:
    """A value other than bytes is refused, because it has lost the digest of the manifest."""
    with pytest.raises(
        InvalidInputError, match="a manifest must be bytes, exactly as the registry holds them, not"
    ):
        parse_manifest(data)


def test_media_type_is_text() -> None:
    """A media type that is not a str is refused."""
    with pytest.raises(InvalidInputError, match="media_type=1 must be a str or None"):
        parse_manifest(APP.manifest, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data", [APP.manifest, index({"linux/amd64": APP.manifest})], ids=["image", "index"]
)
def test_values(data: bytes) -> None:
    """A manifest is a hashable value that is equal by its bytes and survives pickle and JSON."""
    manifest = parse_manifest(data)
    assert {manifest, parse_manifest(data)} == {manifest}
    assert pickle.loads(pickle.dumps(manifest)) == manifest
    assert type(manifest).model_validate_json(manifest.model_dump_json()) == manifest


def test_repr_is_one_bounded_line() -> None:
    """The repr of a manifest is one short line, however many layers the manifest has."""
    many = image("many", *map(str, range(500)))

    assert (
        repr(parse_manifest(many.manifest))
        == f"ImageManifest(digest='{sha256(many.manifest)}', media_type='{IMAGE}', layers=500)"
    )
    listed = index({"linux/amd64": many.manifest})
    assert (
        repr(parse_manifest(listed))
        == f"ImageIndex(digest='{sha256(listed)}', media_type='{INDEX}', manifests=1)"
    )
