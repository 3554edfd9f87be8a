"""Standard input and output, read and written without standing in the event loop's way.

A pipe may block for as long as the program at its other end likes. Meanwhile requests must go on, and Ctrl-C must end it all. So
threads do the waiting: daemons, for nothing can wake them, and on the raw streams, for a lock of the buffered ones that such a thread
holds would break the interpreter's own end.
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
    from collections.abc import AsyncIterator, Callable

_T = TypeVar("_T")
_CHUNK = 64 * 1024  # bytes
_LONGEST_LINE = 4096  # bytes; a digest has 1,000 characters at most, and a longer line is shown cut
_HELD_LINES = 10_000  # written lines that may wait for a slow reader before the writer waits too


async def stdin_lines() -> AsyncIterator[str]:
    """Yield the lines of standard input, stripped, without the blank ones; memory does not grow with their number or length.

    Bytes that are not UTF-8 are escaped. A line longer than 4,096 bytes is cut there.

    Raises:
        OSError: It can't be read.
    """
    source = sys.stdin
    if source is None:
        return
    read = partial(_read, getattr(source.buffer, "raw", source.buffer))
    rest = b""
    while chunk := await _in_thread(read):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if text := _text(line):
                yield text
        rest = rest[:_LONGEST_LINE]
    if text := _text(rest):
        yield text


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


def _text(line: bytes) -> str:
    return line[:_LONGEST_LINE].decode(errors="backslashreplace").strip("\ufeff \t\r\v\f")


def _read(source: Any) -> bytes:
    # None: the stream is set not to block, by whom we share it with.
    while (chunk := source.read(_CHUNK)) is None:
        select.select([source], [], [])
    return bytes(chunk)


def _write(text: str) -> None:
    target = sys.stdout
    if target is None:
        raise BrokenPipeError
    target.flush()
    sink: Any = getattr(target.buffer, "raw", target.buffer)
    left = memoryview(text.encode(target.encoding, errors="backslashreplace"))
    while left:
        written = sink.write(left)
        if written is None:
            select.select([], [sink], [])
        left = left[written or 0 :]


async def _in_thread(work: Callable[[], _T]) -> _T:
    future = Future[_T]()
    future.set_running_or_notify_cancel()
    Thread(target=_settle, args=(future, work), daemon=True).start()
    return await asyncio.wrap_future(future)


def _settle(future: Future[_T], work: Callable[[], _T]) -> None:
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 (it is raised where the future is awaited)
        future.set_exception(error)
