"""The in-memory face: an HTTP session class for aiobotocore, bytes in and bytes out, without a socket or a thread.

It waits only by `asyncio.sleep` and on its pool's slots, so it runs under a loop whose time is
virtual. What a wire would do it does too: a pool of `max_pool_connections`, read timeouts per
chunk, bodies cut short, connections reset.
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

MEMORY_URL = (
    "http://127.0.0.1:1"  # loopback, and a port where nothing listens: nothing ever goes there
)
DEFAULT_POOL = 10  # botocore: MAX_POOL_CONNECTIONS


class MemoryFace:
    """A `Service` that aiobotocore clients reach through `session_class()`."""

    url = MEMORY_URL

    def __init__(self, service: Service) -> None:
        """Do nothing yet: until `open()`, a request finds nobody listening."""
        self.connections = 0
        self.in_flight = 0
        self.is_open = False
        self.service = service

    async def open(self) -> None:
        """Begin to answer."""
        self.is_open = True

    async def aclose(self) -> None:
        """Answer no more."""
        self.is_open = False

    def session_class(self) -> type[MemorySession]:
        """Return the class to give as `AioConfig(http_session_cls=...)`: a session of it reaches this face alone."""
        return type("BoundMemorySession", (MemorySession,), {"face": self})


class MemorySession:
    """What aiobotocore expects of `aiobotocore.httpsession.AIOHTTPSession`, over a `MemoryFace`."""

    face: MemoryFace

    def __init__(
        self, *, timeout: Any = None, max_pool_connections: int | None = None, **_ignored: Any
    ) -> None:
        """Take what aiobotocore's endpoint passes.

        Proxies, TLS and socket options mean nothing here.
        """
        self._read_timeout: float | None = (
            timeout[1] if isinstance(timeout, (list, tuple)) else timeout
        )
        self._pool = asyncio.Semaphore(max_pool_connections or DEFAULT_POOL)
        self._is_open = False

    async def __aenter__(self) -> Self:
        """Open the session."""
        self._is_open = True
        self.face.connections += 1
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the session; twice is fine."""
        self.face.connections -= self._is_open
        self._is_open = False

    async def close(self) -> None:
        """Close the session; twice is fine."""
        await self.__aexit__(None, None, None)

    async def send(self, request: Any) -> Any:
        """Send a prepared request and return its response.

        Its body is read unless the request asks to stream it.

        Raises the exceptions of botocore that aiobotocore's own session raises.
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
        except aiohttp.ClientConnectionError as error:  # as AIOHTTPSession has it, for a reset too
            raise EndpointConnectionError(endpoint_url=request.url, error=error) from error
        return response

    async def _open(self, request: Any) -> MemoryBody:
        if not self._is_open:
            raise HTTPClientError(error=RuntimeError("Session is closed"))
        await self._pool.acquire()
        self.face.in_flight += 1
        try:
            reply = await self._reply(request)
        except BaseException:
            self._release()
            raise
        return MemoryBody(request.url, reply, self._read_timeout, self._release)

    async def _reply(self, request: Any) -> Reply:
        await asyncio.sleep(0)  # a wire always lets others run
        if not self.face.is_open:
            raise EndpointConnectionError(
                endpoint_url=request.url, error=ConnectionRefusedError("the local ECR is closed")
            )
        try:
            async with asyncio.timeout(self._read_timeout):
                return await self.face.service.answer(_request(request))
        except ConnectionResetError as error:
            raise aiohttp.ClientOSError(errno.ECONNRESET, "Connection reset by peer") from error
        except TimeoutError as error:
            raise aiohttp.ServerTimeoutError from error

    def _release(self) -> None:
        self.face.in_flight -= 1
        self._pool.release()


def _request(request: Any) -> Request:
    parts = urlsplit(str(request.url))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"host": parts.netloc.rpartition("@")[2], **_headers(request.headers)}
    return Request(request.method, path, headers, _body(request.body))


def _headers(headers: Mapping[str, Any]) -> dict[str, str]:
    return {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in headers.items()
    }


def _body(body: Any) -> bytes:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    return bytes(body.read())
