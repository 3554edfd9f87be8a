"""The store returns the bytes that it was given, from memory and from files."""

from __future__ import annotations

import base64
import gc
import hashlib
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_layer_client.local._registry.blob_store import (
    CHUNK,
    IN_MEMORY,
    Base64Bytes,
    FileBytes,
    Store,
    part_of,
)
from ecr_layer_client.local._registry.directory import Directory
from local.limits import no_file_above

LARGE = b"x" * (IN_MEMORY + 1)
HOSTILE = [
    "",
    "sha256:",
    "sha256:../../etc/passwd",
    "../secret",
    "/etc/passwd",
    "sha512:" + "0" * 64,
    "sha256:" + "A" * 64,
    "\0",
    "\ud800",
]


def store_in(path: Path | None) -> Store:
    """Return a store that keeps its blobs in a directory, if there is one."""
    store = Store()
    if path is not None:
        store.use(Directory(path))
    return store


def files_in(path: Path) -> list[Path]:
    """Return all files below a directory."""
    return [each for each in path.rglob("*") if each.is_file()]


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@given(sizes=st.lists(st.integers(0, 2 * IN_MEMORY), max_size=5), in_files=st.booleans())
@settings(max_examples=50, derandomize=True, database=None, deadline=None)
def test_a_draft_keeps_its_bytes(
    sizes: list[int], in_files: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The store returns the bytes of a draft with their digest, whatever the number of parts."""
    parts = [bytes([number]) * size for number, size in enumerate(sizes)]
    whole = b"".join(parts)
    draft = store_in(tmp_path_factory.mktemp("store") if in_files else None).draft()
    for part in parts:
        draft.write(part)
    blob = draft._store.get(draft.keep())
    assert (draft.digest, blob is not None and blob[:] == whole) == (digest_of(whole), True)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(-5, 45), st.integers(-5, 45))
@settings(max_examples=200, derandomize=True, database=None, deadline=None)
def test_a_part_of_a_file_is_the_part_of_its_bytes(
    start: int, stop: int, first: int, last: int
) -> None:
    """A part of a file has the same slices as the same part of its bytes."""
    place = Path(__file__)
    data = place.read_bytes()
    start, stop = min(start, stop), max(start, stop)
    whole = FileBytes(Directory(place.parent), place.name, 0, len(data))
    part = part_of(whole, start, stop)
    assert (part[first:last], len(part)) == (data[start:stop][first:last], stop - start)


@given(
    size=st.sampled_from([0, 1, 2, 3, *range(CHUNK // 4 * 3 - 2, CHUNK // 4 * 3 + 3), 2 * CHUNK]),
    in_files=st.booleans(),
)
@settings(max_examples=30, derandomize=True, database=None, deadline=None)
def test_bytes_in_base64_are_decoded(
    size: int, in_files: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A draft decodes base64 of any length, in files and in memory."""
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    draft = store_in(tmp_path_factory.mktemp("store") if in_files else None).draft()
    draft.write(Base64Bytes(base64.b64encode(data)))
    assert (draft.size, draft.digest) == (size, digest_of(data))


@pytest.mark.parametrize("bad", [b"-", b"_", b" ", b"\n", b"=", b'"', b"\\", b"\xff", b"\0"])
@pytest.mark.parametrize("place", [0, CHUNK - 1, CHUNK, CHUNK + 5])
def test_text_that_is_not_base64_appends_nothing(bad: bytes, place: int) -> None:
    """A wrong character anywhere raises ValueError, and the draft stays as it was."""
    text = b"A" * place + bad + b"A" * (2 * CHUNK - place - 1)
    draft = Store().draft()
    draft.write(b"start")
    with pytest.raises(ValueError):  # noqa: PT011  (the caller words it)
        draft.write(Base64Bytes(text))
    draft.write(b"end")
    assert (draft.size, draft.digest) == (8, digest_of(b"startend"))


@pytest.mark.parametrize("text", [b"QUJ", b"QUJDR", b"=", b"QU=J"])
def test_text_of_a_wrong_length_is_not_base64(text: bytes) -> None:
    """A length that is not a multiple of 4, or a padding inside, raises ValueError."""
    with pytest.raises(ValueError):  # noqa: PT011  (the caller words it)
        b"".join(Base64Bytes(text))


def test_small_blobs_are_in_memory_and_large_ones_in_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blobs up to 64 KiB need no file, and the files of the others are deleted with the store."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = Store()
    store.put(LARGE[1:])
    assert list(tmp_path.iterdir()) == []
    store.put(LARGE)
    assert [path.stat().st_size for path in files_in(tmp_path)] == [len(LARGE)]
    del store
    gc.collect()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("digest", HOSTILE, ids=ascii)
def test_only_a_digest_finds_anything(digest: str, tmp_path: Path) -> None:
    """A text that is not a lower-case sha256 digest names no file, and dropping it does nothing."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "data").mkdir()
    store = store_in(tmp_path / "data")
    store.put(b"a layer")
    store.drop({digest})
    assert (store.get(digest), (tmp_path / "secret").exists()) == (None, True)


def test_a_partial_file_is_never_read(tmp_path: Path) -> None:
    """Nobody finds a draft before it is kept, and the next store deletes an abandoned draft."""
    draft = store_in(tmp_path).draft()
    draft.write(LARGE)
    assert store_in(tmp_path).get(draft.digest) is None
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("in_files", [False, True])
def test_dropped_bytes_are_deleted(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, in_files: bool
) -> None:
    """A dropped blob is not found any more, and a discarded draft leaves no file."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = store_in(tmp_path if in_files else None)
    digest = store.put(data)
    store.drop({digest})
    draft = store.draft()
    draft.write(data)
    draft.discard()
    assert (store.get(digest), files_in(tmp_path)) == (None, [])


def test_a_read_of_a_deleted_file_is_cut_off() -> None:
    """Reading a blob that was dropped raises ConnectionResetError."""
    store = Store()
    digest = store.put(LARGE)
    blob = store.get(digest)
    store.drop({digest})
    assert blob is not None
    with pytest.raises(ConnectionResetError, match="deleted"):
        blob[:1]


def test_the_same_bytes_are_stored_once(tmp_path: Path) -> None:
    """Putting the same bytes again changes nothing."""
    store = store_in(tmp_path)
    assert store.put(LARGE) == store.put(LARGE)
    assert len(files_in(tmp_path)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of processes there")
@pytest.mark.parametrize("first", [b"", b"small", LARGE], ids=["nothing", "small", "large"])
@pytest.mark.parametrize("in_files", [False, True])
def test_a_failed_write_appends_nothing(first: bytes, tmp_path: Path, *, in_files: bool) -> None:
    """A write that fails midway changes neither size nor digest, and the next write follows on."""
    store = store_in(tmp_path if in_files else None)
    draft = store.draft()
    draft.write(first)
    before = draft.size, draft.digest
    with no_file_above(IN_MEMORY + 10), pytest.raises(OSError, match="File too large"):
        draft.write(LARGE + LARGE)
    assert (draft.size, draft.digest) == before
    draft.write(b"the end")
    blob = store.get(draft.keep())

    assert blob is not None
    assert blob[:] == first + b"the end"


@pytest.mark.parametrize("size", [3, IN_MEMORY + 1], ids=["small", "large"])
@pytest.mark.parametrize("in_files", [False, True], ids=["temporary", "directory"])
def test_drafts_follow_each_other(size: int, in_files: bool, tmp_path: Path) -> None:
    """A draft takes over the first one written to it, appends the next ones, and leaves no file."""
    store = store_in(tmp_path if in_files else None)
    parts, whole = [bytes([number]) * size for number in range(3)], store.draft()
    for part in parts:
        draft = store.draft()
        draft.write(part)
        whole.write(draft)
        draft.discard()

    data = b"".join(parts)
    assert (b"".join(whole), len(whole), whole.digest) == (data, 3 * size, digest_of(data))
    assert len(files_in(tmp_path)) == in_files
    assert whole.keep() == digest_of(data)
