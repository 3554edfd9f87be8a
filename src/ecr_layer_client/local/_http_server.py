"""The HTTP server: the service on a socket of this machine, with kept-alive connections.

Closing the server does not wait for clients.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

import ecr_layer_client.local._protocol as protocol

from ._protocol import Reply, Request
from ._registry.errors import AwsError
from ._registry_api.route import is_registry_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ._service import Service

# Running requests may still take this time when the server closes. Then they are cancelled.
SHUTDOWN_TIMEOUT = 0.1  # seconds
# The address to listen at -> the address that clients use.
EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
# Longer than aiobotocore keeps a connection (12 s), so that the client is the one to close it.
KEEPALIVE_TIMEOUT = 75.0  # seconds
# So large that the next bytes of a part arrive while the last ones are hashed.
READ_BUFFER_SIZE = 1024 * 1024  # bytes
# So small that the sender notices a slow intake.
SLOW_BUFFER_SIZE = 64 * 1024  # bytes


def _is_server_problem(record: logging.LogRecord) -> bool:
    """Return whether a record is about anything but bytes that are not HTTP.

    Bytes that are not HTTP got status 400, and are not a failure of this server.
    """
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


logger = logging.getLogger("ecr_layer_client.local.http")
logger.addFilter(_is_server_problem)


class HTTPServer:
    """A `Service` at an address and a port. Port 0 means a free port."""

    def __init__(self, service: Service, *, host: str, port: int) -> None:
        """Keep the arguments. `open()` binds the socket."""
        self.in_flight = 0
        self._host = host
        self._port = port
        self._service = service
        self._runner: web.ServerRunner | None = None
        self._server: web.Server | None = None
        # One task for each connection that sent a request.
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen. Raises OSError when the port is in use."""
        self._server = web.Server(
            self._serve,
            access_log=None,
            # ECR's clients compress nothing, and malformed gzip would become status 500.
            auto_decompress=False,
            # A request that its caller gave up is cancelled and counts as "abandoned", as in
            # memory.
            handler_cancellation=True,
            keepalive_timeout=KEEPALIVE_TIMEOUT,
            read_bufsize=READ_BUFFER_SIZE if self._service.intake is None else SLOW_BUFFER_SIZE,
            logger=logger,
        )
        self._runner = web.ServerRunner(self._server, shutdown_timeout=SHUTDOWN_TIMEOUT)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self._service.operations.start_threads()

    async def aclose(self) -> None:
        """Stop listening, cancel running requests and close every connection."""
        if self._runner is not None:
            await self._runner.cleanup()

            # aiohttp does not wait for the tasks that it cancels.
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

        await self._service.operations.end_threads()
        self._runner = self._server = None

    @property
    def url(self) -> str:
        """The base URL. It has the real port once the server is open."""
        addresses = self._runner.addresses if self._runner is not None else []
        host, port, *_ = addresses[0] if addresses else (self._host, self._port)
        host = EVERY_ADDRESS.get(host, host)
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def connections(self) -> int:
        """How many connections are open, idle ones included."""
        return len(self._server.connections) if self._server is not None else 0

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.in_flight += 1
        self._tasks.add(request.task)
        request.task.add_done_callback(self._tasks.discard)
        try:
            return await self._send(request, await self._reply(request))
        except ConnectionResetError:
            _reset(request)
            return web.Response()
        finally:
            self.in_flight -= 1

    async def _reply(self, request: web.BaseRequest) -> Reply:
        headers = _headers(request)
        if is_registry_path(request.raw_path):
            return await self._service.answer(
                Request(
                    request.method, request.raw_path, headers, b"", chunks=self._chunks(request)
                )
            )

        try:
            body, sha256 = await self._read(request)
        except AwsError as error:
            return self._error_reply(error)
        if len(body) > protocol.MAX_BODY:
            code = "RequestEntityTooLargeException"
            message = f"A request body may have at most {protocol.MAX_BODY} bytes"
            return self._error_reply(AwsError(code, message, 413))

        return await self._service.answer(
            Request(request.method, request.raw_path, headers, body, sha256)
        )

    async def _read(self, request: web.BaseRequest) -> tuple[bytearray, str]:
        """Return the body and its SHA-256 digest, which takes less time while the body arrives."""
        body, sha256 = bytearray(), hashlib.sha256()
        async for chunk in self._chunks(request):
            body += chunk
            sha256.update(chunk)
            if len(body) > protocol.MAX_BODY:
                break

        # Not copied to bytes, because a layer part is large.
        return body, sha256.hexdigest()

    async def _chunks(self, request: web.BaseRequest) -> AsyncIterator[bytes]:
        """Yield the body as it arrives. Raises AwsError for one that is incomplete."""
        if self._service.intake is not None and request.transport is not None:
            sock = request.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SLOW_BUFFER_SIZE)
        expects = request.headers.get("expect", "").lower()
        if expects == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

        try:
            async for chunk in request.content.iter_any():
                await self._service.take_in(len(chunk))
                yield chunk
        except web.RequestPayloadError:
            code = "SerializationException"
            message = "The body of the request is incomplete or is not valid HTTP"
            raise AwsError(code, message) from None

    def _error_reply(self, error: AwsError) -> Reply:
        return self._service.stamped(protocol.error_reply(error))

    async def _send(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        if reply.stream is None and request.method != "HEAD":
            return web.Response(status=reply.status, headers=reply.headers, body=reply.body[:])

        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        # A HEAD response may give the length of a body that it does not have.
        response.content_length = response.content_length or len(reply.body)
        await response.prepare(request)
        if reply.stream is None or request.method == "HEAD":
            return response

        sent = 0
        async for chunk in reply.stream(reply.body):
            await response.write(chunk)
            sent += len(chunk)

        # `close` first sends what was written.
        if sent < len(reply.body) and request.transport is not None:
            request.transport.close()
        return response


def _headers(request: web.BaseRequest) -> dict[str, str]:
    """Return the headers. A repeated header becomes one header with a list of values."""
    headers: dict[str, str] = {}
    for original_name, value in request.headers.items():
        name = original_name.lower()
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _reset(request: web.BaseRequest) -> None:
    if request.transport is None:
        return

    sock = request.transport.get_extra_info("socket")
    if sock is not None:
        # With a linger time of 0, closing sends RST instead of FIN.
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    request.transport.abort()
