"""HTTP sessions for aiobotocore: of its own class, with guards that it has no options for.

`AIOHTTPSession._get_session` is the only private name of aiobotocore that this library uses.
`tests/wire/test_http.py` and `tests/transport/test_idle_connections.py` fail if it changes.
"""

from __future__ import annotations

import re
import socket
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

from aiobotocore.httpsession import AIOHTTPSession

from ecr_layer_client._models.call_errors import ResponseError
from ecr_layer_client._text.redaction import leave_out_secrets_of

from .sigv4 import texts_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    import aiohttp

_CHUNK_BYTES = 64 * 1024
_MAX_UNSENT_BYTES = 128 * 1024
_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, getattr(socket, name), _MAX_UNSENT_BYTES)
    for name in ("TCP_NOTSENT_LOWAT",)
    if hasattr(socket, name)
]
_MAX_UNCHUNKED_BYTES = 1024 * 1024  # aiohttp.payload.TOO_LARGE_BYTES_BODY


def unbuffered_socket(address: Any) -> socket.socket:
    """Return a socket that takes little more than the line carries.

    The system's buffer takes megabytes, so that on a slow line a request would seem to be sent long
    before it is, and its deadline would expire. Bytes that are on their way do not count, so this
    does not slow a fast line down. Not every system can do it.
    """
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    for option in _SOCKET_OPTIONS:
        made.setsockopt(*option)
    return made


def guarded_session(max_response_bytes: int) -> type[AIOHTTPSession]:
    """Return an HTTP session class that follows no redirect and bounds the size of a body."""
    attributes = {"max_response_bytes": max_response_bytes}
    return type("GuardedHTTPSession", (_GuardedHTTPSession,), attributes)


def watched_session(http_session_cls: type[Any], made: list[Any]) -> type[Any]:
    """Return a subclass whose instances add themselves to `made`, and call `on_send`."""

    class WatchedSession(http_session_cls):  # type: ignore[misc]
        on_send: Callable[[Any], None] | None = None

        def __init__(self, *args: Any, **options: Any) -> None:
            base: Any = super()
            base.__init__(*args, **options)
            self._sent: Any = {}
            leave_out_secrets_of(self)
            made.append(self)

        def secrets(self) -> Iterator[str]:
            """Yield the session token, the access key id and the signature of the last request."""
            headers = texts_of(self._sent)
            yield headers.get("x-amz-security-token", "")
            yield from re.findall(
                r"(?:Credential|Signature)=([^/,\s]+)", headers.get("authorization", "")
            )

        async def send(self, request: Any) -> Any:
            self._sent = request.headers
            if self.on_send is not None:
                self.on_send(request)
            base: Any = super()
            return await base.send(request)

    return WatchedSession


class _GuardedHTTPSession(AIOHTTPSession):
    max_response_bytes: int

    def __init__(self, *, timeout: tuple[float, float], **options: Any) -> None:
        connect_timeout, _ = timeout
        base: Any = super()
        # An attempt has a deadline. Another timer for each read would cost time.
        base.__init__(timeout=(connect_timeout, None), **options)

    async def _get_session(self, proxy_url: str | None) -> Any:
        # The private name: it is in no stub.
        base: Any = super()
        session = await base._get_session(proxy_url)  # noqa: SLF001
        if "connect" not in vars(session.connector):
            session.connector.connect = partial(_connect_afresh, session.connector.connect)
        return _Guard(session, self.max_response_bytes)


async def _connect_afresh(
    connect: Callable[..., Awaitable[Any]], *args: Any, **options: Any
) -> Any:
    """Get a connection that has received nothing since its last response.

    aiohttp keeps what an idle connection receives, and takes it for the next response.
    """
    while (connection := await connect(*args, **options)).protocol.should_close:
        connection.close()
    return connection


class _Guard:
    """An `aiohttp.ClientSession`, with only what aiobotocore uses."""

    __slots__ = ("_limit", "_session")

    def __init__(self, session: aiohttp.ClientSession, limit: int) -> None:
        self._session = session
        self._limit = limit

    async def request(self, method: str, **options: Any) -> _ReadResponse:
        options["data"] = _in_chunks(options.get("data"))
        response = await self._session.request(method, **options, allow_redirects=False)
        try:
            return _ReadResponse(response, await _read(response, self._limit))
        except BaseException:
            response.close()
            raise


class _ReadResponse:
    """An `aiohttp.ClientResponse` whose body was read, with only what aiobotocore uses."""

    __slots__ = ("_body", "raw_headers", "status", "url")

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.raw_headers = response.raw_headers
        self.status = response.status
        self.url = response.url
        self._body = body

    async def read(self) -> bytes:
        return self._body


def _in_chunks(data: Any) -> Any:
    """Return a large body as a file, which aiohttp writes in chunks, without a warning."""
    is_large = isinstance(data, bytes) and len(data) > _MAX_UNCHUNKED_BYTES
    return BytesIO(data) if is_large else data


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    length = response.content_length
    if length is not None and length <= limit:
        return await response.read()
    if length is not None:
        raise too_large(limit)

    body = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)


def too_large(limit: int) -> ResponseError:
    """Return the error for a body beyond the limit."""
    error = ResponseError(
        f"the response is larger than max_response_bytes={limit}: "
        "check endpoint_url and proxies, or raise the limit if the response is from ECR",
        retryable=False,
    )
    error.too_large = True
    return error
