"""The bytes of blobs, from files and from what a caller makes."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sys
import threading
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError, Repository, ServiceError
from ecr_layer_client._calls.bounds import Bandwidth
from ecr_layer_client.images import Descriptor
from ecr_layer_client.transfers._contents import FileContent, MadeContent
from ecr_layer_client.transfers._journal import Target, Upload, UploadJournal
from ecr_layer_client.transfers._layer_upload import _received
from ecr_layer_client.transfers._parts import PartBody, Span, base64_texts, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.asyncio

DATA = bytes(range(100))
BLOB = Descriptor(digest="sha256:" + "a" * 64, size=len(DATA))
TARGET = Target("ecr", "https://ecr", "eu-west-1", None, "app", BLOB.digest, 100)


async def read(content: Any, *spans: tuple[int, int]) -> list[bytes]:
    """Return the bytes of some parts, and close the content."""
    try:
        return [base64.b64decode(b"".join(await content.read(Span(*span)))) for span in spans]
    finally:
        await content.aclose()


async def test_a_file_in_a_file() -> None:
    """Positions count from where the file was opened, as in an archive."""

    def opened() -> Any:
        file = io.BytesIO(b"head" + DATA)
        file.seek(4)
        return file

    found = await read(FileContent("a.tar", BLOB, opened), (50, 60), (0, 10))

    assert found == [DATA[50:60], DATA[:10]]


async def test_a_file_that_cannot_be_read() -> None:
    """The error names the place, the blob and the system's reason."""

    def opened() -> Any:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(InvalidInputError, match=r"layout: sha256:a+ can't be read: Permission"):
        await read(FileContent("layout", BLOB, opened), (0, 10))


async def test_made_again_for_an_earlier_part() -> None:
    """A blob that is made on demand is made again to go back, and read on to go forward."""
    made = list[str]()

    def make(_: Descriptor) -> list[bytes]:
        made.append("made")
        return [DATA[:30], DATA[30:]]

    found = await read(MadeContent("here", BLOB, make), (20, 40), (60, 70), (0, 5))

    assert (found, len(made)) == ([DATA[20:40], DATA[60:70], DATA[:5]], 2)


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        ([DATA[:50]], "is truncated: it ends after 50 of 100 bytes"),
        (["text"], "must return an open binary file, or an iterable of bytes, not <str>"),
        (b"bytes", "not <bytes>"),
        (7, "not <int>"),
    ],
    ids=["too short", "chunks of text", "bytes", "a number"],
)
async def test_made_wrongly(made: object, problem: str) -> None:
    """Anything but the blob's bytes is an error that says what is expected."""
    with pytest.raises(InvalidInputError, match=problem):
        await read(MadeContent("here", BLOB, lambda _: made), (0, 100))


async def test_async_chunks_that_end_too_early() -> None:
    """An async source that ends too early is truncated, like any other."""

    async def make() -> AsyncIterator[bytes]:
        yield DATA[:50]

    with pytest.raises(InvalidInputError, match="is truncated: it ends after 50 of 100 bytes"):
        await read(MadeContent("here", BLOB, lambda _: make()), (0, 100))


async def test_a_generator_that_is_cancelled() -> None:
    """A generator whose reader is cancelled is closed when its thread has ended."""
    has_begun, may_end, seen = threading.Event(), threading.Event(), list[str]()

    def chunks() -> Iterator[bytes]:
        try:
            has_begun.set()
            may_end.wait()
            yield DATA
        finally:
            seen.append("closed")

    reading = asyncio.create_task(read(MadeContent("here", BLOB, lambda _: chunks()), (0, 100)))
    await asyncio.to_thread(has_begun.wait)
    reading.cancel()
    # Behind what the cancelled reader gives to the threads.
    for _ in range(3):
        await asyncio.to_thread(str)
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert seen == ["closed"]


async def test_an_async_iterable_without_an_end() -> None:
    """An async iterable need not have a method that closes it."""

    class Chunks:
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield DATA

    assert await read(MadeContent("here", BLOB, lambda _: Chunks()), (0, 100)) == [DATA]


async def test_an_async_generator_is_closed() -> None:
    """An async generator ends when its bytes were read, with the content."""
    seen: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield DATA
            yield b"more"
        finally:
            seen.append("closed")

    await read(MadeContent("here", BLOB, lambda _: chunks()), (0, 100))

    assert seen == ["closed"]


async def test_a_file_that_was_closed() -> None:
    """A thread that starts to read after the file was closed opens it no more."""
    content = FileContent("layout", BLOB, lambda: io.BytesIO(DATA))
    texts = await content.read(Span(0, 10))
    await content.aclose()
    with pytest.raises(InvalidInputError, match="can't be read: 'the file is closed'"):
        list(texts)


async def test_pieces_without_a_deadline() -> None:
    """The body of a part can be read without an attempt, and again."""
    part = encode(Repository(name="app"), "id", Span(20, 120), base64_texts(DATA))
    body = PartBody(part, Bandwidth(None), 1.0, lambda _: None)
    texts = [b"".join([piece async for piece in body]) for _ in range(2)]
    members = json.loads(texts[0])

    assert texts[0] == texts[1]
    assert base64.b64decode(members["layerPartBlob"]) == DATA
    assert (members["partFirstByte"], members["partLastByte"]) == (20, 119)
    assert (body.length, body.sha256) == (len(texts[0]), sha256(texts[0]).hexdigest())


@pytest.mark.parametrize(
    ("code", "members", "received"),
    [
        ("InvalidLayerPartException", {"lastValidByteReceived": 9}, 10),
        ("InvalidLayerPartException", {}, 0),
        ("InvalidLayerPartException", {"lastValidByteReceived": 100}, None),
        ("InvalidLayerPartException", {"lastValidByteReceived": "9"}, None),
        ("InvalidLayerException", {"lastValidByteReceived": 9}, None),
    ],
)
async def test_received(code: str, members: dict[str, Any], received: int | None) -> None:
    """ECR's last valid byte is where to go on, if it can be right."""
    error = ServiceError("refused", code=code)
    error.members = members

    assert _received(error, 100) == received


async def test_other_buffers() -> None:
    """Chunks may be of any type with bytes, such as bytearray."""
    content = MadeContent("here", BLOB, lambda _: [bytearray(DATA[:50]), memoryview(DATA[50:])])

    assert await read(content, (0, 100)) == [DATA]


async def test_another_process_has_the_entry(tmp_path: Path) -> None:
    """An entry that is in use elsewhere is not read, and not written."""
    first, second = UploadJournal(tmp_path), UploadJournal(tmp_path)
    upload = Upload(upload_id="a", part_size=10)
    async with first.entry(TARGET) as mine, second.entry(TARGET) as other:
        await mine.write(upload)
        seen = await other.read()
        await other.write(Upload(upload_id="b", part_size=10))
        kept = await mine.read()

    assert (seen, kept) == (None, upload)


async def test_an_entry_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk leaves no half-written file behind."""

    def fail(*_: object) -> Any:
        raise OSError(28, "No space left on device")

    async with UploadJournal(tmp_path).entry(TARGET) as entry:
        monkeypatch.setattr("pathlib.Path.replace", fail)
        with pytest.raises(InvalidInputError, match="can't be used: No space left on device: pass"):
            await entry.write(Upload(upload_id="a", part_size=10))

    left = [path.suffix for path in tmp_path.iterdir()]  # noqa: ASYNC240 (a test)
    assert left in ([], [".lock"])


async def test_no_filelock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without filelock a directory is refused, with advice."""
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(InvalidInputError, match=r"pip install 'ecr_layer_client\[transfers\]'"):
        UploadJournal(tmp_path)
