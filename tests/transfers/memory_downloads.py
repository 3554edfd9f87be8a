"""Downloads from an in-memory local ECR, so that a pull and a copy run in virtual time."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp

from ecr_layer_client.local._in_memory import MemoryServer
from ecr_layer_client.transfers import _transfers
from ecr_layer_client.transfers._download import DownloadTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import pytest

    from ecr_layer_client.local import LocalECR


class _Session:
    """The method of `aiohttp.ClientSession` that downloads use, over a `MemoryServer`."""

    def __init__(self, server: MemoryServer) -> None:
        self._session = server.session_class()()

    async def open(self) -> None:
        """Open the session."""
        await self._session.__aenter__()

    @asynccontextmanager
    async def get(
        self, url: object, *, headers: dict[str, str], allow_redirects: bool
    ) -> AsyncGenerator[Any, None]:
        """Send a request, and give its response."""
        assert not allow_redirects
        request = SimpleNamespace(method="GET", url=str(url), headers=headers, body=None)
        try:
            async with await self._session._open(request) as body:
                yield SimpleNamespace(status=body.status, content=_Content(body))
        except OSError as error:
            # aiohttp raises an error of its own for each failed connection.
            raise aiohttp.ClientOSError(*error.args) from error

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()


class _Content:
    def __init__(self, body: Any) -> None:
        self.iter_any = body.iter_any
        self._body = body

    async def read(self, size: int) -> bytes:
        data: bytes = await self._body.read()
        return data[:size]


def download_from_memory(ecr: LocalECR, patch: pytest.MonkeyPatch) -> None:
    """Let the transfers of clients download from an in-memory local ECR."""
    server = ecr._server
    assert isinstance(server, MemoryServer)

    @asynccontextmanager
    async def transport(_: float) -> AsyncGenerator[DownloadTransport, None]:
        session: Any = _Session(server)
        await session.open()
        opened = DownloadTransport(session)
        try:
            yield opened
        finally:
            await opened.aclose()

    patch.setattr(_transfers, "download_transport", transport)
