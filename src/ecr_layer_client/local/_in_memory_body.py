"""The body of an in-memory response: the part of `aiohttp.ClientResponse` that a reader of bodies uses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from ._protocol import Reply


class MemoryBody:
    """A reply being read: whole (`read()`), or chunk by chunk (`content.iter_any()`, `content.iter_chunked(n)`).

    Its slot of the pool is given back at the end of the body, or at `close()`. Raises what aiohttp
    raises: ClientPayloadError for a body that ends early, ServerTimeoutError when a chunk takes
    longer than the session's read timeout.
    """

    def __init__(
        self, url: str, reply: Reply, read_timeout: float | None, release: Callable[[], None]
    ) -> None:
        """Read nothing yet."""
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
        """Yield the rest of the body as it comes."""
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
        """Give the slot back; what is unread is dropped. Twice is fine."""
        if self._release is not None:
            self._release()
        self._release = None

    def release(self) -> None:
        """Give the slot back, as `close()` does."""
        self.close()

    async def __aenter__(self) -> Self:
        """Read inside `async with` to give the slot back for certain."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Give the slot back."""
        self.close()

    async def _next(self) -> bytes | None:
        if self._chunks is None:  # the usual case costs no generator and no timer
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
