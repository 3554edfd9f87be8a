"""The parts of a layer: what is read of it, and the request that carries it."""

from __future__ import annotations

import asyncio
from binascii import b2a_base64
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from pydantic_core import to_json

from ecr_layer_client._models.quotas import PART_BYTES
from ecr_layer_client.images._operations import members_of

from ._deadline import MovingDeadline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from typing_extensions import Buffer

    from ecr_layer_client._calls.bounds import Bandwidth
    from ecr_layer_client._models.repository import Repository


# Of a layer, in one piece of a request. A multiple of 3, so that the base64 texts of two pieces can
# follow each other; small, because each piece must be sent within `attempt_timeout`.
PIECE_BYTES = 3 * 32 * 1024


class Span(NamedTuple):
    """The place of a part in its layer: the first byte, and the byte after the last one."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.stop - self.start


class PartBuffers:
    """Memory for the parts that are downloaded, which is used again.

    New memory costs a page fault for each 4 KiB, together a tenth of the CPU time of a copy.
    """

    def __init__(self) -> None:
        self._free: list[memoryview] = []

    def take(self, size: int) -> memoryview:
        """Return a buffer for a part. Only parts of the usual size share memory."""
        if size == PART_BYTES and self._free:
            return self._free.pop()
        return memoryview(bytearray(size))

    def lend(self, buffer: memoryview) -> Iterator[memoryview]:
        """Yield a buffer once, and take it back."""
        yield buffer
        if len(buffer) == PART_BYTES:
            self._free.append(buffer)


class EncodedPart(NamedTuple):
    """The body of a request with a part, in pieces that are sent one after another.

    Attributes:
        pieces: The pieces.
        length: The number of bytes of all of them.
        sha256: Their digest, in hexadecimal.
    """

    pieces: list[bytes]
    length: int
    sha256: str


def encode(
    repository: Repository, upload_id: str, span: Span, chunks: Iterable[Buffer]
) -> EncodedPart:
    """Return the body of a request with a part; for a thread.

    It is the JSON text of the request, written around the base64 text of the part. A JSON encoder
    would look for characters to escape in megabytes that have none.
    """
    members = {
        **members_of(repository),
        "uploadId": upload_id,
        "partFirstByte": span.start,
        "partLastByte": span.stop - 1,
    }
    pieces: list[bytes] = []
    digest, length = sha256(), 0
    for piece in _pieces(to_json(members)[:-1], chunks):
        digest.update(piece)
        length += len(piece)
        pieces.append(piece)
    return EncodedPart(pieces, length, digest.hexdigest())


def _pieces(head: bytes, chunks: Iterable[Buffer]) -> Iterator[bytes]:
    yield head + b',"layerPartBlob":"'
    for chunk in chunks:
        view = memoryview(chunk)
        for begin in range(0, len(view), PIECE_BYTES):
            yield b2a_base64(view[begin : begin + PIECE_BYTES], newline=False)
    yield b'"}'


@dataclass(slots=True, eq=False)
class PartBody:
    """The streamed body of a request with a part.

    An attempt may take as long as it makes progress: each piece that the socket takes starts the
    deadline again. After the last piece the response may take as long again as the sending did,
    because the socket's buffer hides what a slow line has not carried yet.

    Attributes:
        part: The encoded part.
        bandwidth: Says when the next piece may be sent.
        patience: Seconds that a piece, or the response, may take.
        on_sent: Called with the number of bytes, of the body, that the socket has taken in this
            attempt.
        deadline: The deadline of the attempt.
    """

    part: EncodedPart
    bandwidth: Bandwidth
    patience: float
    on_sent: Callable[[int], None]
    length: int = field(init=False)
    sha256: str = field(init=False)
    deadline: MovingDeadline = field(default_factory=MovingDeadline, init=False)

    def __post_init__(self) -> None:
        self.length = self.part.length
        self.sha256 = self.part.sha256

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces from the first one."""
        loop, sent = asyncio.get_running_loop(), 0
        self.on_sent(0)
        began = loop.time()
        for piece in self.part.pieces:
            # The time that the bandwidth takes is not ECR's.
            self.deadline.allow(None)
            await self.bandwidth.take(len(piece))
            self.deadline.allow(self.patience)
            yield piece
            sent += len(piece)
            self.on_sent(sent)
        self.deadline.allow(self.patience + loop.time() - began)
