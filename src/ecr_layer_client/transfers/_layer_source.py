"""`LayerSource`: the layers of a repository, by ranges."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Self

import aiohttp

from ecr_layer_client._models.call_errors import CallError
from ecr_layer_client._models.quotas import PART_BYTES
from ecr_layer_client._models.repository import service_of
from ecr_layer_client.images._reader import together

from ._download import DownloadTransport, DownloadUrl, RangeDownload
from ._parts import Base64Texts, Span

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
    )

    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.images._descriptor import Descriptor

    from ._tools import Calls, TransferTools

_CA_BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")  # as botocore reads them, the first one first
_CONNECTIONS = 64


class Origin(NamedTuple):
    """A repository, and where its requests are sent."""

    service: str
    endpoint_url: str
    region_name: str
    registry_id: str | None
    name: str

    @classmethod
    def of(cls, tools: TransferTools, registry_id: str | None) -> Self:
        """Return the repository of a transfer, with the registry that ECR named."""
        service, name = service_of(tools.repository).name, tools.repository.name
        return cls(service, tools.endpoint_url, tools.region_name, registry_id, name)


class LayerSource:
    """Downloads layers of one repository.

    Args:
        tools: Given by the client.
        calls: Makes the calls, and counts them.
        transport: Sends the requests of downloads.
        registry_id: The registry of the repository, if it is known.
        allow_insecure: Whether a URL may be plain http on another machine.
    """

    def __init__(
        self,
        tools: TransferTools,
        calls: Calls,
        transport: DownloadTransport,
        registry_id: str | None,
        *,
        allow_insecure: bool,
    ) -> None:
        self.repository: Repository = tools.repository
        self.region_name: str = tools.region_name
        self.origin: Origin = Origin.of(tools, registry_id)
        self.calls: Calls = calls
        self._tools = tools
        self._download = tools.downloads_through(transport)
        self._allow_insecure = allow_insecure
        self._urls: dict[str, DownloadUrl] = {}

    async def prepare(self, layers: Iterable[Descriptor]) -> None:
        """Ask for the URLs of some layers, so that one that can't be downloaded is found first."""
        await together([self._url(layer).get() for layer in layers])

    async def download(
        self, layer: Descriptor, span: Span, take: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Download a range of a layer.

        Raises:
            CallError: It can't be downloaded.
        """
        bandwidth, patience = self._tools.bounds.bandwidth, self._tools.patience
        url = self._url(layer)
        await url.get()
        download = RangeDownload(self.repository, layer, span, url, take, bandwidth, patience)
        while True:
            left = download.left
            try:
                return await self.calls.through(self._download, download, download.deadline.use)
            except CallError as error:
                # As long as bytes come, a download may take longer than `max_elapsed`.
                if not error.retryable or error.attempts == 1 or download.left == left:
                    raise

    def __call__(self, blob: Descriptor) -> RangeContent:
        """Return the content of a blob, as `ImageSource.from_manifest(blobs=...)` asks for it."""
        return RangeContent(self, blob)

    def _url(self, layer: Descriptor) -> DownloadUrl:
        url = self._urls.get(layer.digest)
        if url is None:
            url = self._urls[layer.digest] = DownloadUrl(
                self.calls, self.repository, layer.digest, allow_insecure=self._allow_insecure
            )
        return url


class RangeContent:
    """A blob of a repository, by ranges.

    Args:
        layers: The layers of the repository.
        blob: The blob.
    """

    def __init__(self, layers: LayerSource, blob: Descriptor) -> None:
        self.name: str = str(layers.repository)
        self._layers = layers
        self._blob = blob

    async def read(self, span: Span) -> Iterable[bytes]:
        """Return the base64 texts of a part, from one request.

        Each chunk is encoded when it comes, so that its memory can be used for the next one. Memory
        for a whole part would cost a page fault for each 4 KiB. Another thread would not help:
        Python's base64 lets no other thread run meanwhile.
        """
        texts = Base64Texts()

        async def take(chunk: bytes) -> None:
            texts.add(chunk)

        await self._layers.download(self._blob, span, take)
        return texts.end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the blob from its start, for a pusher that can't position it."""
        size = self._blob.size or 0
        for start in range(0, size, PART_BYTES):
            for chunk in await self._chunks(Span(start, min(start + PART_BYTES, size))):
                yield chunk

    async def _chunks(self, span: Span) -> list[bytes]:
        chunks: list[bytes] = []

        async def take(chunk: bytes) -> None:
            chunks.append(chunk)

        await self._layers.download(self._blob, span, take)
        return chunks

    async def aclose(self) -> None:
        """Do nothing."""


@asynccontextmanager
async def download_transport(connect_timeout: float) -> AsyncGenerator[DownloadTransport, None]:
    """Open a transport for downloads. It sends no credentials.

    Proxies and certificates are those of the environment, as botocore reads them.
    """
    bundle = next(filter(None, map(os.environ.get, _CA_BUNDLES)), None)
    context = await asyncio.to_thread(ssl.create_default_context, cafile=bundle)
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=context)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
    session = aiohttp.ClientSession(
        connector=connector, timeout=timeout, trust_env=True, auto_decompress=False
    )
    transport = DownloadTransport(session)
    try:
        yield transport
    finally:
        await transport.aclose()
