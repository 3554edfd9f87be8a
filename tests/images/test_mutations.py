"""Archives and manifests with some bytes changed.

Whatever is read is complete. Anything else is one error that names the file.
"""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecr_layer_client import InvalidInputError
from ecr_layer_client.images import ImageSource, parse_manifest
from images.making import (
    IMAGE,
    INDEX,
    docker_25,
    docker_files,
    entry,
    image,
    index,
    layout_files,
    row,
    saved,
    sha256,
    tar,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

APP, ARM = image("app", "base", "code"), image("arm", "base", "arm code", foreign=["windows"])
BOTH = index({"linux/amd64": APP.manifest, "linux/arm64": ARM.manifest})
CONFIG = json.dumps({"rootfs": {"diff_ids": [sha256(b"plain"), sha256(b"gzipped")]}}).encode()
SAVED, SHORT = saved("saved", "base", "more"), saved("short", "base")
ARCHIVES = (
    docker_25(
        [row(SAVED), row(SHORT)],
        [entry(SAVED.manifest, IMAGE)],
        *(SAVED.manifest, *SAVED.blobs, *SHORT.blobs),
    ),
    docker_files(CONFIG, {"a/layer.tar": b"plain", "b.tar.gz": gzip.compress(b"gzipped", mtime=0)}),
    layout_files([entry(BOTH, INDEX)], [BOTH, APP.manifest, ARM.manifest, *APP.blobs, *ARM.blobs]),
    layout_files([entry(APP.manifest, IMAGE)], [APP.manifest, *APP.blobs]),
)
SOURCES: tuple[Callable[[Path], ImageSource], ...] = (
    ImageSource.from_path,
    ImageSource.from_docker_archive,
    ImageSource.from_oci_layout,
)

pytestmark = pytest.mark.full

# The fields of a header: the offset of each, and its number of bytes.
FIELDS = {100: 8, 124: 12, 136: 12, 156: 1, 157: 100, 257: 8, 345: 100}
SIZES = [
    b"\xff" * 10 + b"\xfe\x00",
    b"\x80" + b"\xff" * 11,
    b"77777777777\0",
    b"-0000000777\0",
    b"00000000000\0",
]
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        2**63,
        1.5,
        "",
        "x" * 300,
        "\n\x1b[31m",
        [],
        {},
        [[]],
        {"a": 1},
        f"sha256:{'a' * 64}",
        "SHA256:",
    ]
)


@st.composite
def changed(draw: st.DrawFn, data: bytes) -> bytes:
    """Change, truncate, repeat or remove some bytes, or change a field of a header.

    The checksum of a changed header is correct.
    """
    changing = bytearray(data)

    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(changing) - 1))
        kind = draw(st.sampled_from(["byte", "field", "size", "cut", "repeat", "leave out"]))
        if kind == "byte":
            changing[place] = draw(st.integers(0, 255))
        elif kind in {"field", "size"}:
            begin = place // 512 * 512
            field = 124 if kind == "size" else draw(st.sampled_from(sorted(FIELDS)))
            value = (
                draw(st.sampled_from(SIZES))
                if kind == "size"
                else draw(st.binary(min_size=1, max_size=FIELDS[field]))
            )
            changing[begin + field : begin + field + len(value)] = value
            changing[begin + 148 : begin + 156] = b" " * 8
            changing[begin + 148 : begin + 156] = b"%06o\0 " % sum(changing[begin : begin + 512])
        elif kind == "cut":
            del changing[place + 1 :]
        elif kind == "repeat":
            changing[place:place] = changing[place : place + draw(st.integers(1, 2048))]
        else:
            del changing[place : place + draw(st.integers(1, 1024))]
            changing += b"" if changing else b"\0"

    return bytes(changing)


@pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("files", ARCHIVES, ids=["docker 25", "docker", "index", "image"])
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_archives(
    tmp_path: Path,
    data: st.DataObject,
    files: dict[str, bytes],
    gzipped: bool,
) -> None:
    """A changed archive gives verified bytes, or one error line of bounded length that names it."""
    path = tar(tmp_path / "a.tar", files)
    packed = data.draw(changed(path.read_bytes()))
    path.write_bytes(
        data.draw(changed(gzip.compress(packed, 1)))
        if gzipped and data.draw(st.booleans())
        else gzip.compress(packed, 1)
        if gzipped
        else packed
    )

    for read in SOURCES:
        try:
            source = read(path)
            for blob in source.blobs:
                with source.open(blob) as file:
                    assert sha256(file.read()) == blob.digest
        except InvalidInputError as error:
            said = str(error)
            assert (str(path) in said, "\n" in said, len(said) < 1000) == (True, False, True)


KEYS: dict[type, Callable[[Any], Iterable[Any]]] = {
    dict: tuple,
    list: lambda each: range(len(each)),
}


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every place in a JSON value: its container and its key."""
    keys = [*KEYS[type(value)](value)] if type(value) in KEYS else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@pytest.mark.parametrize(
    "manifest", [APP.manifest, ARM.manifest, BOTH], ids=["image", "foreign", "index"]
)
@given(data=st.data())
def test_manifests(data: st.DataObject, manifest: bytes) -> None:
    """A changed manifest keeps its bytes, or gives one error line of bounded length."""
    if data.draw(st.booleans()):
        members = json.loads(manifest)
        for _ in range(data.draw(st.integers(1, 3))):
            holder, key = data.draw(st.sampled_from(places(members)))
            holder[key] = json.loads(json.dumps(data.draw(VALUES)))
            if not places(members):
                break
        raw = json.dumps(members).encode()
    else:
        raw = data.draw(changed(manifest + bytes(1024)))

    try:
        parsed = parse_manifest(raw)
        assert (parsed.raw, parsed.digest, len(repr(parsed)) < 1000) == (raw, sha256(raw), True)
    except InvalidInputError as error:
        said = str(error)
        assert (sha256(raw) in said, "\n" in said, len(said) < 1000) == (True, False, True)
