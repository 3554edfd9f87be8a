"""Downloads of layers: presigned URLs, ranges, and what their errors mean."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from ecr_layer_client._models.call_errors import (
    CallError,
    ResponseError,
    ServerError,
    ServiceError,
    TransportError,
)
from ecr_layer_client._text.quoting import escaped
from ecr_layer_client._transport.options import is_loopback

from ._deadline import MovingDeadline
from ._operations import GetDownloadUrlForLayer
from ._parts import Span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ecr_layer_client._calls.bounds import Bandwidth
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.images._descriptor import Descriptor

    from ._tools import Calls

_OK, _PARTIAL, _FORBIDDEN, _FIRST_SERVER_ERROR = 200, 206, 403, 500
_TRANSIENT = frozenset({408, 429})
_MAX_ERROR_BYTES = 64 * 1024
_CODE = re.compile(rb"<Code>([A-Za-z]{1,100})</Code>")


class DownloadUrl:
    """The URL of one layer, which all its readers share. Its query is a secret.

    Args:
        calls: Makes the calls.
        repository: The repository of the layer.
        digest: The digest of the layer.
        allow_insecure: Whether the URL may be plain http on another machine.
    """

    def __init__(
        self, calls: Calls, repository: Repository, digest: str, *, allow_insecure: bool
    ) -> None:
        self._calls = calls
        self._operation = GetDownloadUrlForLayer(repository, digest)
        self._allow_insecure = allow_insecure
        self._url: str | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> str:
        """Return the URL; ask ECR for it if there is none.

        Raises:
            CallError: ECR gives none, or one that is not safe.
        """
        async with self._lock:
            if self._url is None:
                url = await self._calls.call(self._operation)
                self._check(url)
                self._url = url
            return self._url

    def expire(self, url: str) -> None:
        """Forget a URL that was refused, unless it was renewed already."""
        if self._url == url:
            self._url = None

    def _check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            scheme, host, _ = parts.scheme, parts.hostname, parts.port
        except ValueError:
            scheme, host = "", None
        is_safe = scheme == "https" or (
            scheme == "http" and (self._allow_insecure or is_loopback(host or ""))
        )
        if not (is_safe and host):
            msg = (
                f"ECR's download URL of {self._operation.digest} is not a URL with a host, or has "
                f"the scheme {escaped(scheme)!r}: only https is used"
            )
            raise ResponseError(
                msg,
                operation=self._operation.name,
                repository=self._operation.repository,
                retryable=False,
            )


@dataclass(slots=True, eq=False)
class RangeDownload:
    """The download of a range of a layer. A retry goes on behind what was taken.

    Attributes:
        repository: The repository of the layer.
        layer: The layer.
        span: The range.
        url: The URL of the layer.
        take: Given each chunk.
        bandwidth: Says when the next chunk may be taken.
        patience: Seconds that a chunk may take.
        has_renewed: Whether the URL was renewed since bytes came.
        deadline: The deadline of the attempt.
    """

    name: ClassVar[str] = "GetLayer"
    repository: Repository
    layer: Descriptor
    span: Span
    url: DownloadUrl
    take: Callable[[bytes], Awaitable[None]]
    bandwidth: Bandwidth
    patience: float
    has_renewed: bool = False
    _position: int = field(init=False)
    deadline: MovingDeadline = field(default_factory=MovingDeadline, init=False)

    def __post_init__(self) -> None:
        self._position = self.span.start

    @property
    def count(self) -> int:
        """The number of layers."""
        return 1

    @property
    def left(self) -> Span:
        """The part of the range that was not taken yet."""
        return Span(self._position, self.span.stop)

    async def add(self, chunk: bytes) -> None:
        """Take a chunk.

        Raises:
            ResponseError: There are more bytes than the range has.
        """
        if len(chunk) > self.left.size:
            msg = f"the response for {self.layer.digest} has more bytes than the requested range"
            raise ResponseError(msg, retryable=False)
        # The time that the bandwidth or a disk takes is not ECR's.
        self.deadline.allow(None)
        await self.bandwidth.take(len(chunk))
        self._position += len(chunk)
        self.has_renewed = False
        await self.take(chunk)
        self.deadline.allow(self.patience)

    def request(self) -> bytes:
        """Return no body."""
        return b""

    def parse(self, body: bytes) -> None:
        """Do nothing: the chunks were taken."""


class DownloadTransport:
    """Sends the requests of downloads, without credentials and without redirects.

    Args:
        session: The HTTP session.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, operation: Any) -> Any:
        """Download what is left of a range."""
        download = cast("RangeDownload", operation)
        url, left = await download.url.get(), download.left
        headers = {"Range": f"bytes={left.start}-{left.stop - 1}", "Accept-Encoding": "identity"}
        try:
            async with self._session.get(
                URL(url, encoded=True), headers=headers, allow_redirects=False
            ) as response:
                if response.status != _PARTIAL:
                    raise await _refused(download, response, url)
                async for chunk in response.content.iter_any():
                    await download.add(chunk)
        except (aiohttp.ClientError, ConnectionError) as error:
            # The text of the error may have the URL, which is a secret.
            msg = f"{_what(download)}: no complete response: {type(error).__name__}"
            raise _located(TransportError(msg), download) from None

        if download.left.size:
            msg = f"{_what(download)}: the response ended {download.left.size} bytes early"
            raise _located(TransportError(msg), download)

    async def aclose(self) -> None:
        """Close the HTTP session."""
        await self._session.close()


async def _refused(
    download: RangeDownload, response: aiohttp.ClientResponse, url: str
) -> CallError:
    """Return the error for a response that is not the range."""
    status = response.status
    body = b"" if status == _OK else await response.content.read(_MAX_ERROR_BYTES)
    found = _CODE.search(body)
    code = found[1].decode() if found else "Unknown"

    if status == _FORBIDDEN and not download.has_renewed:
        download.has_renewed = True
        download.url.expire(url)
        msg = f"{_what(download)}: the download URL has expired ({code})"
        return _located(TransportError(msg), download)
    if status == _OK:
        problem = "the response has the whole layer instead of the requested range: check proxies"
        msg = f"{_what(download)}: {problem}"
        return _located(ResponseError(msg, retryable=False), download)

    is_transient = status >= _FIRST_SERVER_ERROR or status in _TRANSIENT
    cls = ServerError if is_transient else ServiceError
    msg = f"{_what(download)}: the download was refused with {code} (HTTP {status})"
    return _located(cls(msg, code=code, status=status, retryable=is_transient), download)


def _what(download: RangeDownload) -> str:
    return f"{download.name}: {download.layer.digest} of repository {download.repository.name!r}"


def _located(error: CallError, download: RangeDownload) -> CallError:
    error.operation, error.repository = download.name, download.repository
    return error
