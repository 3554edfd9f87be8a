"""The body of an in-memory response: the methods of `aiohttp.ClientResponse` that read a body."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from ._protocol import Reply


class MemoryBody:
    """A reply that a client reads, at once (`read()`) or in chunks (`content.iter_any()`).

    The body gives its slot of the pool back at its end, or at `close()`. The body raises what
    aiohttp raises: ClientPayloadError when the body ends early, ServerTimeoutError when a chunk
    takes longer than the session's read timeout.
    """

    def __init__(
        self, url: str, reply: Reply, read_timeout: float | None, release: Callable[[], None]
    ) -> None:
        """Keep the reply. Nothing is read yet."""
        self.url: Final = url
        self.status: Final = reply.status
        self.headers: Final[Mapping[str, str]] = {
            **reply.headers,
            "content-length": str(len(reply.body)),
        }
        self.content: Final = self
        self.content_length: Final = len(reply.body)

        self._chunks = reply.stream(reply.body) if reply.stream is not None else None
        self._whole: bytes | None = reply.body[:] if reply.stream is None else None
        self._left = len(reply.body)
        self._read_timeout = read_timeout
        self._release: Callable[[], None] | None = release

    async def read(self) -> bytes:
        """Return the rest of the body."""
        return b"".join([chunk async for chunk in self.iter_any()])

    async def iter_any(self) -> AsyncIterator[bytes]:
        """Yield the rest of the body in the chunks in which it arrives."""
        try:
            while (chunk := await self._next()) is not None:
                yield chunk
        finally:
            self.close()

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Yield the rest of the body in chunks of at most `size` bytes."""
        async for chunk in self.iter_any():
            for start in range(0, len(chunk), size):
                yield chunk[start : start + size]

    def close(self) -> None:
        """Give the slot back and drop what is unread. Safe to call twice."""
        if self._release is not None:
            self._release()
        self._release = None

    def release(self) -> None:
        """Give the slot back, as `close()` does."""
        self.close()

    async def __aenter__(self) -> Self:
        """Return the body. The end of the `async with` block gives the slot back."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Give the slot back."""
        self.close()

    async def _next(self) -> bytes | None:
        # The usual case costs no generator and no timer.
        if self._chunks is None:
            whole, self._whole = self._whole, None
            return whole or None

        try:
            async with asyncio.timeout(self._read_timeout):
                chunk = await anext(self._chunks, None)
        except TimeoutError as error:
            raise aiohttp.ServerTimeoutError from error
        except ConnectionResetError as error:
            message = "the connection was reset"
            raise aiohttp.ClientPayloadError(message) from error

        self._left -= len(chunk or b"")
        if chunk is None and self._left > 0:
            message = f"the connection was closed {self._left} bytes before the end"
            raise aiohttp.ClientPayloadError(message)
        return chunk
