"""The parts of a layer: what is read of it, and the request that carries it."""

from __future__ import annotations

import asyncio
from binascii import b2a_base64
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from pydantic_core import to_json

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


def base64_texts(data: Buffer) -> Iterator[bytes]:
    """Yield the base64 text of each piece of a part."""
    view = memoryview(data)
    for begin in range(0, len(view), PIECE_BYTES):
        yield b2a_base64(view[begin : begin + PIECE_BYTES], newline=False)


class Base64Texts:
    """The base64 texts of a part that comes in chunks of any size."""

    def __init__(self) -> None:
        self._texts: list[bytes] = []
        self._rest = bytearray()

    def add(self, chunk: bytes) -> None:
        """Add a chunk."""
        view = memoryview(chunk)
        if self._rest:
            missing = PIECE_BYTES - len(self._rest)
            self._rest += view[:missing]
            view = view[missing:]
            if len(self._rest) == PIECE_BYTES:
                self._texts += base64_texts(self._rest)
                self._rest = bytearray()

        whole = len(view) - len(view) % PIECE_BYTES
        self._texts += base64_texts(view[:whole])
        self._rest += view[whole:]

    def end(self) -> list[bytes]:
        """Return the texts of all chunks."""
        return [*self._texts, *base64_texts(self._rest)]


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
    repository: Repository, upload_id: str, span: Span, texts: Iterable[bytes]
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
    head = to_json(members)[:-1] + b',"layerPartBlob":"'
    pieces: list[bytes] = []
    digest, length = sha256(), 0
    for piece in chain((head,), texts, (b'"}',)):
        digest.update(piece)
        length += len(piece)
        pieces.append(piece)
    return EncodedPart(pieces, length, digest.hexdigest())


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
