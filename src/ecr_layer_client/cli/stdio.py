"""Standard input and output that never block the event loop.

A pipe may block for as long as the program at its other end likes. Requests must go on meanwhile,
and Ctrl-C must end the command. So threads read and write:

- They are daemon threads, because nothing can wake a blocked one.
- They use the raw streams. A blocked thread that holds the lock of a buffered stream would break
  the exit of the interpreter.
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

_CHUNK_BYTES = 64 * 1024

# A digest has at most 1,000 characters. A longer line is malformed, and is truncated.
_MAX_LINE_BYTES = 4096

_MAX_WAITING_LINES = 10_000
_BLANKS = "\ufeff \t\r\v\f"

# The byte order marks of UTF-16, which PowerShell's `>` writes.
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")

# A part of the input ends after this pause. When the part is old, a short pause is enough, so that
# lines which arrive steadily but slowly are not held up for long.
_PAUSE_SECONDS = 0.1
_OLD_PART_SECONDS = 0.5
_SHORT_PAUSE_SECONDS = 0.01


class StandardInput:
    """The lines of standard input, in parts that end where the input pauses.

    Lines are stripped, and blank lines are left out. Bytes that are not UTF-8 are escaped. A line
    longer than 4,096 bytes is truncated. Memory does not grow with the number of lines or their
    length.

    Attributes:
        has_ended: Whether the input has ended.
    """

    def __init__(self) -> None:
        source = sys.stdin
        self.has_ended: bool = source is None
        self._read: Callable[[], bytes] = partial(
            _read, None if source is None else getattr(source.buffer, "raw", source.buffer)
        )
        self._reading: asyncio.Future[bytes] | None = None
        self._is_at_start = True
        self._incomplete_line = b""

    async def part(self) -> AsyncGenerator[str]:
        """Yield the lines up to the next pause, or to the end.

        The first line may take any time.

        Raises:
            OSError: Standard input can't be read.
            InvalidInputError: Standard input is UTF-16.
        """
        now = asyncio.get_running_loop().time
        began: float | None = None
        while not self.has_ended:
            if self._reading is None:
                self._reading = in_thread(self._read)
            if began is not None:
                is_new = now() - began < _OLD_PART_SECONDS
                pause = _PAUSE_SECONDS if is_new else _SHORT_PAUSE_SECONDS
                if not (await asyncio.wait({self._reading}, timeout=pause))[0]:
                    return

            # Cancelling this wait does not cancel the read. The next part gets its bytes.
            await asyncio.wait({self._reading})
            chunk = self._reading.result()
            self._reading = None

            for line in self._lines(chunk):
                began = began or now()
                yield line

    def _lines(self, chunk: bytes) -> Iterator[str]:
        self.has_ended = not chunk
        text = self._incomplete_line + chunk
        if self._is_at_start and text.startswith(_UTF_16_MARKS):
            from ecr_layer_client._models.errors import InvalidInputError

            message = (
                "standard input is UTF-16, which PowerShell's `>` writes: convert it to UTF-8, "
                "for example with `Out-File -Encoding utf8`"
            )
            raise InvalidInputError(message)

        self._is_at_start = self._is_at_start and len(text) < len(_UTF_16_MARKS[0])
        *lines, rest = text.split(b"\n")
        self._incomplete_line = rest[:_MAX_LINE_BYTES]
        if self.has_ended:
            lines.append(self._incomplete_line)

        for line in lines:
            if stripped := line[:_MAX_LINE_BYTES].decode(errors="backslashreplace").strip(_BLANKS):
                yield stripped


class Output:
    """Standard output, written in lines and in order, whenever the event loop is free.

    When 10,000 lines wait for a slow reader, `write` waits too. Requests never wait for the reader.

    Args:
        quiet: Whether to write nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._lines: list[str] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, line: str) -> None:
        """Write a line, now or after the lines before it.

        Raises:
            OSError: Standard output, or the pipe behind it, is closed or full.
        """
        self.put(line)
        if len(self._lines) >= _MAX_WAITING_LINES:
            await self.drain()

    def put(self, line: str) -> None:
        """Write a line as `write` does, without a wait, for a source of few lines.

        Raises:
            OSError: As of `write`.
        """
        if self._quiet:
            return
        if self._writing is not None and self._writing.done():
            self._writing.result()
            self._writing = None

        self._lines.append(line)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def drain(self) -> None:
        """Wait until all lines are written.

        Raises:
            OSError: Standard output, or the pipe behind it, is closed or full.
        """
        if self._writing is not None:
            # Cancelling this wait does not cancel the write.
            await asyncio.wait({self._writing})
            self._writing.result()

    async def _write(self) -> None:
        while self._lines:
            text = "".join(f"{line}\n" for line in self._lines)
            self._lines = []
            await in_thread(partial(_write, text))


def in_thread(work: Callable[[], _T]) -> asyncio.Future[_T]:
    """Run a function in a daemon thread of its own, which the end of the process does not await."""
    future = Future[_T]()
    future.set_running_or_notify_cancel()
    Thread(target=_settle, args=(future, work), daemon=True).start()
    return asyncio.wrap_future(future)


def _settle(future: Future[_T], work: Callable[[], _T]) -> None:
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 (raised where the future is awaited)
        future.set_exception(error)


def _read(source: Any) -> bytes:
    # None means that another process, which shares the stream, has set it to non-blocking.
    while (chunk := source.read(_CHUNK_BYTES)) is None:
        select.select([source], [], [])
    return bytes(chunk)


def _write(text: str) -> None:
    stdout = sys.stdout
    if stdout is None:
        raise BrokenPipeError

    try:
        stdout.flush()
        sink: Any = getattr(stdout.buffer, "raw", stdout.buffer)
        unwritten = memoryview(text.encode(stdout.encoding, errors="backslashreplace"))
        while unwritten:
            written = sink.write(unwritten)
            # None means the same as in `_read`.
            if written is None:
                select.select([], [sink], [])
            unwritten = unwritten[written or 0 :]
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"can't write to standard output: {error.strerror or error}"
        raise OSError(error.errno, message) from error
