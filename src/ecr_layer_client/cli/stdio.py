"""Standard input and output, read and written without standing in the event loop's way.

A pipe may block for as long as the program at its other end likes. Meanwhile requests must go on,
and Ctrl-C must end it all. So threads do the waiting: daemons, for nothing can wake them, and on
the raw streams, for a lock of the buffered ones that such a thread holds would break the
interpreter's own end.
"""

from __future__ import annotations

import asyncio
import select
import sys
from concurrent.futures import Future
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

_T = TypeVar("_T")
_CHUNK = 64 * 1024  # bytes
_LONGEST_LINE = 4096  # bytes; a digest has 1,000 characters at most, and a longer line is shown cut
_HELD_LINES = 10_000  # written lines that may wait for a slow reader before the writer waits too
_BLANKS = "\ufeff \t\r\v\f"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # what a text begins with that PowerShell's `>` wrote

_REST = 0.1  # seconds without a line after which a part ends
_LONGEST_PART = 0.5  # seconds, after which
_SHORT_REST = (
    0.01  # seconds are rest enough: lines that drip without a rest are not held up for long
)


class StandardInput:
    """The lines of standard input, in parts that end where it rests.

    Memory does not grow with their number or length.

    Lines are stripped, and blank ones left out. Bytes that are not UTF-8 are escaped. A line longer
    than 4,096 bytes is cut there.

    Attributes:
        has_ended: Whether there is no more of it.
    """

    def __init__(self) -> None:
        source = sys.stdin
        self.has_ended: bool = source is None
        self._read: Callable[[], bytes] = partial(
            _read, None if source is None else getattr(source.buffer, "raw", source.buffer)
        )
        self._reading: asyncio.Future[bytes] | None = None
        self._is_at_start = True
        self._rest = b""

    async def part(self) -> AsyncGenerator[str]:
        """Yield the lines up to the next rest, or to the end.

        Wait for the first as long as need be.

        Raises:
            OSError: It can't be read.
            InvalidInputError: It is UTF-16.
        """
        now = asyncio.get_running_loop().time
        began: float | None = None
        while not self.has_ended:
            if self._reading is None:
                self._reading = _in_thread(self._read)
            if began is not None:
                patience = _REST if now() - began < _LONGEST_PART else _SHORT_REST
                if not (await asyncio.wait({self._reading}, timeout=patience))[0]:
                    return
            await asyncio.wait(
                {self._reading}
            )  # who is cancelled here leaves the reading, and what it brings, to the next part
            chunk = self._reading.result()
            self._reading = None
            for line in self._lines(chunk):
                began = began or now()
                yield line

    def _lines(self, chunk: bytes) -> Iterator[str]:
        self.has_ended = not chunk
        text = self._rest + chunk
        if self._is_at_start and text.startswith(_UTF_16):
            from ecr_layer_client._models.errors import InvalidInputError

            message = "standard input is UTF-16, as PowerShell's `>` writes it: make it UTF-8, as by `Out-File -Encoding utf8`"
            raise InvalidInputError(message)
        self._is_at_start = self._is_at_start and len(text) < len(_UTF_16[0])
        *lines, rest = text.split(b"\n")
        self._rest = rest[:_LONGEST_LINE]
        if self.has_ended:
            lines.append(self._rest)
        for line in lines:
            if stripped := line[:_LONGEST_LINE].decode(errors="backslashreplace").strip(_BLANKS):
                yield stripped


class Output:
    """Standard output, by lines: they are written as soon as the event loop waits for something, in order.

    A reader that is slow holds back `write` once 10,000 lines wait for it, and never a request.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, line: str) -> None:
        """Write a line, or have it wait its turn.

        Raises:
            OSError: Standard output, or what it is piped to, is closed or full.
        """
        if self._writing is not None and self._writing.done():
            self._writing.result()
            self._writing = None
        self._lines.append(line)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        if len(self._lines) >= _HELD_LINES:
            await self.drain()

    async def drain(self) -> None:
        """Wait until all lines are written.

        Raises:
            OSError: As of `write`.
        """
        if self._writing is not None:
            await asyncio.wait({self._writing})  # a wait that is cancelled leaves the writing alone
            self._writing.result()

    async def _write(self) -> None:
        while self._lines:
            text = "".join(f"{line}\n" for line in self._lines)
            self._lines = []
            await _in_thread(partial(_write, text))


def _read(source: Any) -> bytes:
    # None: the stream is set not to block, by whom we share it with.
    while (chunk := source.read(_CHUNK)) is None:
        select.select([source], [], [])
    return bytes(chunk)


def _write(text: str) -> None:
    target = sys.stdout
    if target is None:
        raise BrokenPipeError
    try:
        target.flush()
        sink: Any = getattr(target.buffer, "raw", target.buffer)
        left = memoryview(text.encode(target.encoding, errors="backslashreplace"))
        while left:
            written = sink.write(left)
            if written is None:
                select.select([], [sink], [])
            left = left[written or 0 :]
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"can't write to standard output: {error.strerror or error}"
        raise OSError(error.errno, message) from error


def _in_thread(work: Callable[[], _T]) -> asyncio.Future[_T]:
    future = Future[_T]()
    future.set_running_or_notify_cancel()
    Thread(target=_settle, args=(future, work), daemon=True).start()
    return asyncio.wrap_future(future)


def _settle(future: Future[_T], work: Callable[[], _T]) -> None:
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 (it is raised where the future is awaited)
        future.set_exception(error)
