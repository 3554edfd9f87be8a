"""Unusual archives are read. Hostile archives are refused with one error that names the file."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from ecr_layer_client import InvalidInputError
from ecr_layer_client.images import ImageSource
from images.making import (
    CONFIG,
    IMAGE,
    LAYER,
    LAYOUT,
    Image,
    entry,
    image,
    layout_files,
    linked,
    packed,
    sha256,
    tar,
)

if TYPE_CHECKING:
    from pathlib import Path

APP = image("app", "base", "code")
FILES = layout_files([entry(APP.manifest, IMAGE)], [APP.manifest, *APP.blobs])
BASE = f"blobs/{sha256(b'layer base').replace(':', '/')}"
BOTH = pytest.mark.parametrize("gzipped", [False, True], ids=["plain", "gzipped"])


def header(name: str, kind: bytes, size: int) -> bytes:
    """Return the header of a member. A negative size is in base 256, which GNU tar reads."""
    member = tarfile.TarInfo(name)
    member.type = kind
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = size.to_bytes(12, "big", signed=True) if size < 0 else b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)

    return bytes(block)


def file_of(name: str, data: bytes) -> bytes:
    """Return a member: its header and its bytes."""
    return header(name, tarfile.REGTYPE, len(data)) + data.ljust(-(-len(data) // 512) * 512, b"\0")


END = bytes(10_240)
FIRST = file_of("a", b"")
NEXT_IS_NEGATIVE = b"16 size=-100000\n"


def refused(path: Path, data: bytes) -> str:
    """Return the error message for an archive that is refused."""
    path.write_bytes(data)
    with pytest.raises(InvalidInputError) as raised:
        ImageSource.from_path(path)
    return str(raised.value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (header("b", tarfile.REGTYPE, -1024), "a header points backwards"),
        (FIRST + header("b", tarfile.REGTYPE, -1024), "a header points backwards"),
        (
            FIRST + header("b", tarfile.XHDTYPE, 16) + NEXT_IS_NEGATIVE.ljust(512, b"\0") + FIRST,
            "a header points backwards",
        ),
        (
            FIRST + FIRST + header("b", tarfile.GNUTYPE_SPARSE, -1024),
            "a header points backwards",
        ),
        (
            header("b", tarfile.GNUTYPE_SPARSE, -4096),
            "a header points before the beginning of the archive",
        ),
        (header("b", tarfile.GNUTYPE_LONGNAME, -1024), "a header claims -1024 bytes"),
        (header("b", tarfile.GNUTYPE_LONGNAME, 2**33 - 1), "a header claims 8589934592 bytes"),
        (
            (header("b", tarfile.GNUTYPE_LONGNAME, 1) + b"x".ljust(512, b"\0")) * 2000,
            "maximum recursion depth exceeded",
        ),
    ],
    ids=["size", "second", "pax", "sparse", "beginning", "name", "long", "nested"],
)
def test_hostile_headers(tmp_path: Path, data: bytes, why: str) -> None:
    """Headers that point backwards, claim too many bytes or nest without end are refused."""
    said = refused(tmp_path / "a.tar", data + END)
    assert (str(tmp_path / "a.tar") in said, why in said) == (True, True)


def test_headers_that_hold_for_all_are_bounded(tmp_path: Path) -> None:
    """Headers that apply to all later members have at most four mebibytes.

    tarfile keeps their content in memory.
    """
    many = b"".join(_global(number) + file_of(f"f{number}", b"") for number in range(8))
    assert "a header claims" in refused(tmp_path / "a.tar", many + END)


def _global(number: int) -> bytes:
    """Return a pax header of nearly one mebibyte that applies to all later members."""
    text = f" k{number}={'x' * 1_000_000}\n"
    record = f"{len(text) + 7}{text}".encode()
    return header("g", tarfile.XGLTYPE, len(record)) + record.ljust(
        -(-len(record) // 512) * 512, b"\0"
    )


@pytest.mark.parametrize(
    ("beginning", "compression"),
    [(b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\x00", "xz"), (b"BZh91AY", "bzip2")],
    ids=["zstd", "xz", "bzip2"],
)
def test_other_compressions(tmp_path: Path, beginning: bytes, compression: str) -> None:
    """Compressions other than gzip are refused, and the error says to decompress the file."""
    assert f"is compressed with {compression}: decompress it first" in refused(
        tmp_path / "a.tar", beginning + bytes(1000)
    )


@BOTH
def test_of_a_name_given_twice_the_last_counts(tmp_path: Path, gzipped: bool) -> None:
    """If two members have one name, the last counts, as when an archive is extracted.

    It may be small or large, a file or a link.
    """
    large = Image(b"{}", (bytes(range(256)) * 5000,))
    files = layout_files([entry(large.manifest, IMAGE)], [large.manifest, *large.blobs])
    name = f"blobs/{sha256(large.layers[0]).replace(':', '/')}"
    data = (
        b"".join(
            file_of(*member)
            for member in ((name, b"small"), ("oci-layout", b"none"), *files.items())
        )
        + END
    )
    path = tmp_path / "a.tar"
    path.write_bytes(gzip.compress(data, 1) if gzipped else data)
    source = ImageSource.from_path(path)

    with source.open(source.blobs[1]) as file:
        assert file.read() == large.layers[0]


def test_a_link_in_the_place_of_a_file(tmp_path: Path) -> None:
    """A link after a file of the same name counts, and so does a file after a link."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as packed:
        for name, data in (
            ("oci-layout", b"none"),
            ("other", LAYOUT),
            *((name, data) for name, data in FILES.items() if name != "oci-layout"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            packed.addfile(linked(name, "other"))
            packed.addfile(member, io.BytesIO(data))
        packed.addfile(linked("oci-layout", "other"))

    assert len(ImageSource.from_path(path).blobs) == 3


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
@BOTH
def test_long_names(tmp_path: Path, form: int, gzipped: bool) -> None:
    """Names that are longer than a header allows are read, in GNU's and in POSIX's form.

    Names above 4096 characters are ignored.
    """
    digest = f"sha512:{hashlib.sha512(b'layer').hexdigest()}"
    manifest = packed(
        mediaType=IMAGE,
        config=entry(b"{}", CONFIG),
        layers=[{**entry(b"layer", LAYER), "digest": digest}],
    )
    files = layout_files([entry(manifest, IMAGE)], [manifest, b"{}"]) | {
        f"blobs/{digest.replace(':', '/')}": b"layer",
        "x" * 5000: b"x",
    }
    packing = io.BytesIO()
    with tarfile.open(fileobj=packing, mode="w", format=form) as opened:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    path = tmp_path / "a.tar"
    path.write_bytes(gzip.compress(packing.getvalue()) if gzipped else packing.getvalue())
    source = ImageSource.from_path(path)

    with source.open(source.blobs[1]) as file:
        assert (source.blobs[1].digest, file.read()) == (digest, b"layer")


def test_a_sparse_file_is_no_blob(tmp_path: Path) -> None:
    """A sparse file is ignored, because its bytes are not stored as they are."""
    data = b"".join(file_of(*member) for member in FILES.items() if member[0] != BASE)
    said = refused(tmp_path / "a.tar", data + header(BASE, tarfile.GNUTYPE_SPARSE, 0) + END)
    assert f"{sha256(b'layer base')} is missing, but a manifest lists it" in said


@BOTH
def test_what_follows_an_archive(tmp_path: Path, gzipped: bool) -> None:
    """Bytes after the end of an archive are ignored."""
    path = tar(tmp_path / "a.tar", FILES, gzipped=gzipped)
    path.write_bytes(path.read_bytes() + b"garbage" * 1000)
    assert len(ImageSource.from_path(path).blobs) == 3


@BOTH
def test_an_archive_whose_first_file_looks_like_json(tmp_path: Path, gzipped: bool) -> None:
    """An archive is recognised even if the name of its first file begins like JSON."""
    path = tar(tmp_path / "a.tar", {"{": b"", **FILES}, gzipped=gzipped)
    assert len(ImageSource.from_path(path).blobs) == 3


@pytest.mark.parametrize("part", [0.1, 0.9], ids=["before", "within"])
def test_a_gzipped_archive_that_was_cut_meanwhile(tmp_path: Path, part: float) -> None:
    """A gzipped archive that is truncated after it was read is one error.

    The error names the archive and the digest, and the cut is before or within the blob.
    """
    layers = [
        b"".join(sha256(b"%d %d" % (layer, number)).encode() for number in range(30_000))
        for layer in range(2)
    ]
    large = Image(b"{}", tuple(layers))
    path = tar(
        tmp_path / "a.tar.gz",
        layout_files([entry(large.manifest, IMAGE)], [large.manifest, *large.blobs]),
        gzipped=True,
    )
    source = ImageSource.from_path(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    how = "opened" if part < 0.5 else "read"

    with pytest.raises(
        InvalidInputError,
        match=rf"a\.tar\.gz: {sha256(layers[1])} can't be {how}: 'Compressed file ended",
    ):
        source.open(source.blobs[2]).read()


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed read is one error with the file, the digest and the reason."""

    class Failing(io.BytesIO):
        def read(self, _: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    def failing(*_: Any) -> BinaryIO:
        return Failing()

    source = ImageSource.from_path(tar(tmp_path / "a.tar", FILES))
    monkeypatch.setattr("pathlib.Path.open", failing)
    said = r"a\.tar: sha256:\w+ can't be read: Input/output error"
    with source.open(source.blobs[1]) as file, pytest.raises(InvalidInputError, match=said):
        file.read()


@pytest.mark.parametrize("left_out", range(1, 9))
def test_an_archive_without_its_checksum(tmp_path: Path, left_out: int) -> None:
    """A gzipped archive is truncated if its checksum or its length is missing at its end."""
    path = tar(tmp_path / "a.tar.gz", FILES, gzipped=True)
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
    path = tar(tmp_path / "a.tar.gz", FILES, gzipped=True)
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
    path = tar(tmp_path / "in" / "a.tar", {**FILES, **others})

    with pytest.raises(
        InvalidInputError,
        match=f"{sha256(layer)} is missing, but a manifest lists it",
    ):
        ImageSource.from_oci_layout(path)
    assert sorted(found.name for found in tmp_path.rglob("*")) == ["a.tar", "in", "outside"]


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive with too many members is refused, and not read to its end."""
    monkeypatch.setattr("ecr_layer_client.images._tar._MAX_MEMBERS", 3)
    with pytest.raises(InvalidInputError, match="more than 3 files, so it is not an image"):
        ImageSource.from_oci_layout(tar(tmp_path / "a.tar", FILES))
