"""The store returns the bytes that it was given, from memory and from files."""

from __future__ import annotations

import gc
import hashlib
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_layer_client.local._registry.blob_store import IN_MEMORY, FileBytes, Store, part_of
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
    draft = Store(tmp_path_factory.mktemp("store") if in_files else None).draft()
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
    data = Path(__file__).read_bytes()
    start, stop = min(start, stop), max(start, stop)
    part = part_of(FileBytes(Path(__file__), 0, len(data)), start, stop)
    assert (part[first:last], len(part)) == (data[start:stop][first:last], stop - start)


def test_small_blobs_are_in_memory_and_large_ones_in_files() -> None:
    """Blobs up to 64 KiB need no file, and the files of the others are deleted with the store."""
    store = Store()
    store.put(LARGE[1:])
    homes = [store._directory]
    store.put(LARGE)
    homes.append(store._directory)
    home = homes[1]
    assert (homes[0], home is not None) == (None, True)
    assert home is not None
    assert [path.stat().st_size for path in home.rglob("*") if path.is_file()] == [len(LARGE)]
    del store
    gc.collect()

    assert not home.exists()


@pytest.mark.parametrize("digest", HOSTILE, ids=ascii)
def test_only_a_digest_finds_anything(digest: str, tmp_path: Path) -> None:
    """A text that is not a lower-case sha256 digest names no file, and dropping it does nothing."""
    (tmp_path / "secret").write_text("secret")
    store = Store(tmp_path / "data")
    store.put(b"a layer")
    store.drop({digest})
    assert (store.get(digest), (tmp_path / "secret").exists()) == (None, True)


def test_a_partial_file_is_never_read(tmp_path: Path) -> None:
    """Nobody finds a draft before it is kept, and tidying deletes the files of abandoned drafts."""
    draft = Store(tmp_path).draft()
    draft.write(LARGE)
    again = Store(tmp_path)
    again.tidy()
    assert again.get(draft.digest) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("data", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("in_files", [False, True])
def test_dropped_bytes_are_deleted(data: bytes, tmp_path: Path, *, in_files: bool) -> None:
    """A dropped blob is not found any more, and a discarded draft leaves no file."""
    store = Store(tmp_path if in_files else None)
    digest = store.put(data)
    store.drop({digest})
    draft = store.draft()
    draft.write(data)
    draft.discard()
    left = [path for path in (store._directory or tmp_path).rglob("*") if path.is_file()]
    assert (store.get(digest), left) == (None, [])


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
    store = Store(tmp_path)
    assert store.put(LARGE) == store.put(LARGE)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of processes there")
@pytest.mark.parametrize("first", [b"", b"small", LARGE], ids=["nothing", "small", "large"])
@pytest.mark.parametrize("in_files", [False, True])
def test_a_failed_write_appends_nothing(first: bytes, tmp_path: Path, *, in_files: bool) -> None:
    """A write that fails midway changes neither size nor digest, and the next write follows on."""
    store = Store(tmp_path if in_files else None)
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
