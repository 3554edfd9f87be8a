"""The HTTP face: the service on a socket of this machine, with keep-alive and an end that waits for nobody."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from . import _protocol as protocol
from ._protocol import Reply, Request
from ._registry.errors import AwsError

if TYPE_CHECKING:
    from ._service import Service

SHUTDOWN_TIMEOUT = 0.1  # seconds that requests under way may still take; then they are cancelled
# What to listen at -> what to call.
EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
# Longer than aiobotocore's 12 s and boto3's habits, so that the client is the one to hang up.
KEEPALIVE_TIMEOUT = 75.0


def _is_ours(record: logging.LogRecord) -> bool:
    """Say whether a record tells of anything but bytes that were no HTTP: those got their 400, and are nobody's failure here."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


logger = logging.getLogger("ecr_layer_client.local.http")
logger.addFilter(_is_ours)


class HTTPFace:
    """A `Service` at the address `host`, port `port` (0: a free one)."""

    def __init__(self, service: Service, *, host: str, port: int) -> None:
        """Do nothing yet: `open()` binds."""
        self.in_flight = 0
        self._host = host
        self._port = port
        self._service = service
        self._runner: web.ServerRunner | None = None
        self._server: web.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()  # one a connection that ever asked something

    async def open(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        self._server = web.Server(
            self._serve,
            access_log=None,
            auto_decompress=False,  # ECR's clients compress nothing, and a bad gzip would be a 500
            # A caller that gave up is "abandoned" here too, as in memory.
            handler_cancellation=True,
            keepalive_timeout=KEEPALIVE_TIMEOUT,
            logger=logger,
        )
        self._runner = web.ServerRunner(self._server, shutdown_timeout=SHUTDOWN_TIMEOUT)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def aclose(self) -> None:
        """Stop listening, cancel what is under way and close every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            for task in self._tasks:
                task.cancel()
            if self._tasks:  # aiohttp does not wait for what it cancels
                await asyncio.wait(self._tasks)
        self._runner = self._server = None

    @property
    def url(self) -> str:
        """The base URL, once open."""
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
        try:
            body = await _read(request)
        except web.RequestPayloadError:
            code = "SerializationException"
            return self._service.stamped(
                protocol.refused(
                    AwsError(code, "The body of the request breaks off or is not HTTP")
                )
            )
        if len(body) > protocol.MAX_BODY:
            code = "RequestEntityTooLargeException"
            refusal = AwsError(code, f"A request body holds at most {protocol.MAX_BODY} bytes", 413)
            return self._service.stamped(protocol.refused(refusal))
        headers: dict[str, str] = {}
        for (
            name,
            value,
        ) in request.headers.items():  # a repeated header is one, its values in a list
            headers[name.lower()] = (
                f"{headers[name.lower()]},{value}" if name.lower() in headers else value
            )
        return await self._service.answer(Request(request.method, request.raw_path, headers, body))

    async def _send(self, request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
        if reply.stream is None:
            return web.Response(status=reply.status, headers=reply.headers, body=reply.body[:])
        response = web.StreamResponse(status=reply.status, headers=reply.headers)
        response.content_length = len(reply.body)
        await response.prepare(request)
        sent = 0
        async for chunk in reply.stream(reply.body):
            await response.write(chunk)
            sent += len(chunk)
        if sent < len(reply.body) and request.transport is not None:
            request.transport.close()  # after what was written has gone out
        return response


async def _read(request: web.BaseRequest) -> bytes | bytearray:
    if (
        request.headers.get("expect", "").lower() == "100-continue"
        and request.transport is not None
    ):
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > protocol.MAX_BODY:
            break
    return body  # not copied: a layer part is large


def _reset(request: web.BaseRequest) -> None:
    if request.transport is None:
        return
    sock = request.transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(
            socket.SOL_SOCKET,
            socket.SO_LINGER,
            struct.pack("hh" if os.name == "nt" else "ii", 1, 0),
        )  # close() sends RST, not FIN
    request.transport.abort()
