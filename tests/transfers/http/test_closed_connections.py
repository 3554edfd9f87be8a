"""A server may close each connection after one response, without saying so."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import pytest

from ecr_layer_client import ECRLayerClient
from transfers.making import BLOBS

if TYPE_CHECKING:
    from ecr_layer_client.images import ImageSource
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)


class ClosingLine:
    """A line to a server, which is closed behind each response."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname, parts.port
        self.url = ""
        self.closed = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        sending = asyncio.create_task(self._pipe(reader, far_writer))
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await far_reader.readuntil(b"\r\n\r\n")
            found = _LENGTH.search(head)
            assert found is not None
            writer.write(head + await far_reader.readexactly(int(found[1])))
            await writer.drain()
            self.closed += 1
        sending.cancel()
        writer.close()
        far_writer.close()

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(64 * 1024):
                writer.write(data)
                await writer.drain()


async def test_a_push(ecr: LocalECR, source: ImageSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """A push over connections that are closed between its parts is complete."""
    ecr.create_repository("other")
    for name, value in ecr.environment.items():
        monkeypatch.setenv(name, value)
    async with ClosingLine(ecr.endpoint_url) as line:
        async with ECRLayerClient(endpoint_url=line.url) as client:
            result = await client.push("other", source)
        closed = line.closed

    assert len(result.moved) == BLOBS
    assert closed >= sum(result.calls.values())
