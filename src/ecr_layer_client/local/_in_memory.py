"""The in-memory server: an HTTP session class for aiobotocore, without a socket or a thread.

A request waits only in `asyncio.sleep` and for a slot of the pool, so that everything also runs on
a loop with virtual time. The in-memory server behaves as a network does: it has a pool of
`max_pool_connections`, a read timeout for each chunk, truncated bodies and connection resets.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import aiohttp
from aiobotocore.awsrequest import AioAWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)

from ._in_memory_body import MemoryBody
from ._protocol import Reply, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._service import Service

# A loopback address with a port where nothing listens. No request is ever sent to it.
MEMORY_URL = "http://127.0.0.1:1"
DEFAULT_POOL_SIZE = 10  # botocore: MAX_POOL_CONNECTIONS


class MemoryServer:
    """A `Service` that aiobotocore clients reach through `session_class()`."""

    url = MEMORY_URL

    def __init__(self, service: Service) -> None:
        """Keep the service. Before `open()`, every request fails to connect."""
        self.connections = 0
        self.in_flight = 0
        self.is_open = False
        self.service = service

    async def open(self) -> None:
        """Start to serve."""
        self.is_open = True

    async def aclose(self) -> None:
        """Stop serving."""
        self.is_open = False

    def session_class(self) -> type[MemorySession]:
        """Return a class for `AioConfig(http_session_cls=...)` that reaches only this server."""
        return type("BoundMemorySession", (MemorySession,), {"server": self})


class MemorySession:
    """The interface of `aiobotocore.httpsession.AIOHTTPSession`, over a `MemoryServer`."""

    server: MemoryServer

    def __init__(
        self, *, timeout: Any = None, max_pool_connections: int | None = None, **_ignored: Any
    ) -> None:
        """Take the arguments of aiobotocore's endpoint.

        Proxies, TLS and socket options have no meaning here and are ignored.
        """
        self._read_timeout: float | None = (
            timeout[1] if isinstance(timeout, (list, tuple)) else timeout
        )
        self._pool = asyncio.Semaphore(max_pool_connections or DEFAULT_POOL_SIZE)
        self._is_open = False

    async def __aenter__(self) -> Self:
        """Open the session."""
        self._is_open = True
        self.server.connections += 1
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the session. Safe to call twice."""
        self.server.connections -= self._is_open
        self._is_open = False

    async def close(self) -> None:
        """Close the session. Safe to call twice."""
        await self.__aexit__(None, None, None)

    async def send(self, request: Any) -> Any:
        """Send a prepared request and return its response.

        The method reads the body, unless the request asks for a streamed response.

        Raises the botocore exceptions that aiobotocore's own session raises.
        """
        try:
            body = await self._open(request)
            headers: Any = dict(body.headers)
            response: Any = AioAWSResponse(request.url, body.status, headers, body)
            if not request.stream_output:
                await response.content
        except aiohttp.ClientPayloadError as error:
            raise ConnectionClosedError(
                error=error, request=request, endpoint_url=request.url
            ) from error
        except aiohttp.ServerTimeoutError as error:
            raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
        except aiohttp.ClientConnectionError as error:
            # AIOHTTPSession raises this exception for a connection reset, too.
            raise EndpointConnectionError(endpoint_url=request.url, error=error) from error
        return response

    async def _open(self, request: Any) -> MemoryBody:
        if not self._is_open:
            raise HTTPClientError(error=RuntimeError("Session is closed"))

        await self._pool.acquire()
        self.server.in_flight += 1
        try:
            reply = await self._reply(request)
        except BaseException:
            self._release()
            raise
        return MemoryBody(request.url, reply, self._read_timeout, self._release)

    async def _reply(self, request: Any) -> Reply:
        # A network always lets other tasks run.
        await asyncio.sleep(0)

        if not self.server.is_open:
            raise EndpointConnectionError(
                endpoint_url=request.url, error=ConnectionRefusedError("the local ECR is closed")
            )

        body = await self._read(request.body)
        try:
            async with asyncio.timeout(self._read_timeout):
                return await self.server.service.answer(_request(request, body))
        except ConnectionResetError as error:
            raise aiohttp.ClientOSError(errno.ECONNRESET, "Connection reset by peer") from error
        except TimeoutError as error:
            raise aiohttp.ServerTimeoutError from error

    async def _read(self, body: Any) -> bytes:
        if hasattr(body, "__aiter__"):
            read = bytearray()
            async for chunk in body:
                await self.server.service.take_in(len(chunk))
                read += chunk
            return bytes(read)

        if isinstance(body, str):
            body = body.encode()
        elif body is not None and not isinstance(body, (bytes, bytearray)):
            body = body.read()
        await self.server.service.take_in(len(body or b""))
        return bytes(body or b"")

    def _release(self) -> None:
        self.server.in_flight -= 1
        self._pool.release()


def _request(request: Any, body: bytes) -> Request:
    parts = urlsplit(str(request.url))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"host": parts.netloc.rpartition("@")[2], **_headers(request.headers)}
    return Request(request.method, path, headers, body)


def _headers(headers: Mapping[str, Any]) -> dict[str, str]:
    return {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in headers.items()
    }
