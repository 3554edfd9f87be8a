"""The bytes of a blob, from wherever they come, in ranges that follow each other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from typing_extensions import Buffer

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client.images._files import CANNOT_BE_READ, why

from ._parts import PIECE_BYTES, Span, base64_texts
from ._threads import finish_in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ecr_layer_client.images._descriptor import Descriptor


_CHUNK_BYTES = 1024 * 1024


class Content(Protocol):
    """The bytes of one blob.

    Attributes:
        name: The place that has the blob, for messages.
    """

    name: str

    async def read(self, span: Span) -> Iterable[bytes]:
        """Return the base64 texts of a part, to iterate over once, in a thread.

        Raises:
            InvalidInputError: They can't be read, or there are fewer bytes. The iteration may raise
                it, too.
        """
        ...

    async def aclose(self) -> None:
        """Close what was opened."""
        ...


class FileContent:
    """A blob in a file that can be positioned.

    Args:
        name: The place that has the blob, for messages.
        blob: The blob.
        open_file: Opens the file at the blob's first byte.
    """

    def __init__(self, name: str, blob: Descriptor, open_file: Callable[[], BinaryIO]) -> None:
        self.name = name
        self._blob = blob
        self._open = open_file
        self._file: BinaryIO | None = None
        self._base = 0
        # A cancelled reader leaves its thread behind, which may still read.
        self._lock = threading.Lock()
        self._is_closed = False

    async def read(self, span: Span) -> Iterable[bytes]:
        """Return the base64 texts of a part."""
        return self._texts(span)

    def _texts(self, span: Span) -> Iterator[bytes]:
        with self._lock:
            try:
                file = self._positioned(span.start)
                for start in range(span.start, span.stop, PIECE_BYTES):
                    size = min(PIECE_BYTES, span.stop - start)
                    data = file.read(size)
                    if len(data) < size:
                        raise _truncated(self.name, self._blob, start + len(data))
                    yield from base64_texts(data)
            except CANNOT_BE_READ as error:
                msg = f"{self.name}: {self._blob.digest} can't be read: {why(error)}"
                raise InvalidInputError(msg) from error

    def _positioned(self, start: int) -> BinaryIO:
        if self._is_closed:
            msg = "the file is closed"
            raise OSError(msg)
        if self._file is None:
            self._file = self._open()
            self._base = self._file.tell()
        self._file.seek(self._base + start)
        return self._file

    async def aclose(self) -> None:
        """Close the file."""
        await finish_in_thread(self._close)

    def _close(self) -> None:
        with self._lock:
            self._is_closed = True
            if self._file is not None:
                self._file.close()


class MadeContent:
    """A blob that its owner makes on demand, always from its first byte.

    Args:
        name: The place that has the blob, for messages.
        blob: The blob.
        make: Makes the blob: an open file, or its chunks.
    """

    def __init__(self, name: str, blob: Descriptor, make: Callable[[Descriptor], object]) -> None:
        self.name = name
        self._blob = blob
        self._make = make
        self._chunks: AsyncGenerator[bytes, None] | None = None
        self._left = b""
        self._position = 0

    async def read(self, span: Span) -> Iterable[bytes]:
        """Return the base64 texts of a part, and skip what comes before it."""
        if self._chunks is None or span.start < self._position:
            await self.aclose()
            made = await asyncio.to_thread(self._make, self._blob)
            self._chunks = _chunks_of(self.name, made)
        while self._position < span.start:
            await self._take(self._chunks, min(span.start - self._position, _CHUNK_BYTES))
        return base64_texts(await self._take(self._chunks, span.size))

    async def _take(self, chunks: AsyncGenerator[bytes, None], size: int) -> bytes:
        pieces, held = [self._left], len(self._left)
        while held < size:
            piece = await anext(chunks, None)
            if piece is None:
                raise _truncated(self.name, self._blob, self._position + held)
            pieces.append(piece)
            held += len(piece)

        data = b"".join(pieces)
        self._left, self._position = data[size:], self._position + size
        return data[:size]

    async def aclose(self) -> None:
        """Close what was made."""
        chunks, self._chunks, self._left, self._position = self._chunks, None, b"", 0
        if chunks is not None:
            await chunks.aclose()


async def _chunks_of(name: str, made: object) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a blob that was made. A blocking source is read in a thread."""
    if isinstance(made, AsyncIterable):
        chunks = cast("AsyncIterable[object]", made)
        aclose: Callable[[], Awaitable[object]] | None = getattr(chunks, "aclose", None)
        async with AsyncExitStack() as opened:
            if aclose is not None:
                opened.push_async_callback(aclose)
            async for chunk in chunks:
                yield _bytes(name, chunk)
        return

    # A cancelled reader leaves its thread behind, and a generator that runs can't be closed.
    lock = threading.Lock()
    close = getattr(made, "close", None)
    try:
        pull = partial(_locked, lock, _pull(name, made))
        while chunk := await asyncio.to_thread(pull):
            yield _bytes(name, chunk)
    finally:
        if close is not None:
            await finish_in_thread(partial(_locked, lock, close))


def _locked(lock: threading.Lock, work: Callable[[], object]) -> object:
    with lock:
        return work()


def _pull(name: str, made: object) -> Callable[[], object]:
    """Return a function that returns the next chunk of a blocking source; nothing at its end."""
    read = getattr(made, "read", None)
    if read is not None:
        return partial(read, _CHUNK_BYTES)
    if isinstance(made, Iterable) and not isinstance(made, bytes | str):
        chunks = cast("Iterable[object]", made)
        # An empty chunk is not the end.
        return partial(next, (chunk for chunk in chunks if chunk), None)
    raise _not_bytes(name, made)


def _bytes(name: str, chunk: object) -> bytes:
    if isinstance(chunk, bytes):
        return chunk
    if not isinstance(chunk, Buffer):
        raise _not_bytes(name, chunk)
    return bytes(chunk)


def _not_bytes(name: str, made: object) -> InvalidInputError:
    kind = type(made).__name__
    return InvalidInputError(
        f"{name}: blobs= must return an open binary file, or an iterable of bytes, not <{kind}>"
    )


def _truncated(name: str, blob: Descriptor, found: int) -> InvalidInputError:
    return InvalidInputError(
        f"{name}: {blob.digest} is truncated: it ends after {found} of {blob.size} bytes"
    )
