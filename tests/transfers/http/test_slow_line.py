"""A slow line ends no transfer: an attempt may take as long as it makes progress."""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

import pytest

from ecr_layer_client import ClientConfig, ECRLayerClient
from ecr_layer_client.images import ImageSource
from ecr_layer_client.local import LocalECR
from images.making import Image, sha256

pytestmark = [pytest.mark.asyncio, pytest.mark.full]

BYTES_PER_SECOND = 128 * 1024
PATIENCE_SECONDS = 3.0
# On the line it takes about ten seconds, and the system's buffer would take all of it at once.
LAYER_BYTES = 1_000_000


@pytest.fixture
def small_parts() -> None:
    """Keep ECR's real sizes."""


class SlowLine:
    """A line to a server, which carries some bytes per second towards it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname, parts.port
        self._socket = socket.socket()
        # The receiver's buffer is a part of the line.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, sock=self._socket, limit=16 * 1024)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(
                self._pipe(reader, far_writer, BYTES_PER_SECOND),
                self._pipe(far_reader, writer, None),
            )

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rate: int | None
    ) -> None:
        try:
            while data := await reader.read(16 * 1024):
                writer.write(data)
                await writer.drain()
                if rate is not None:
                    await asyncio.sleep(len(data) / rate)
        finally:
            writer.close()


@pytest.fixture
def image() -> Image:
    """Return an image with one layer."""
    return Image(b"{}", (random.Random(2).randbytes(LAYER_BYTES),))  # noqa: S311


async def test_a_part_takes_longer_than_attempt_timeout(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that takes longer than `attempt_timeout` is sent once."""
    blobs = {sha256(blob): blob for blob in image.blobs}
    source = ImageSource.from_manifest(image.manifest, blobs=lambda blob: [blobs[blob.digest]])
    async with LocalECR(auth=False) as ecr, SlowLine(ecr.endpoint_url) as line:
        ecr.create_repository("app")
        for name, value in ecr.environment.items():
            monkeypatch.setenv(name, value)
        config = ClientConfig(attempt_timeout=PATIENCE_SECONDS)
        async with ECRLayerClient(endpoint_url=line.url, config=config) as client:
            result = await client.push("app", source)

    assert result.bytes_repeated == 0
    assert len(result.moved) == 2
