"""Servers that count their connections.

- A server that runs a script for each connection.
- A TCP relay, which is such a script.
- A local ECR behind a relay, in another thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine

    Play = Callable[["Served", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

T = TypeVar("T")

HEAD_ENDS = b"\r\n\r\n"


@dataclass(eq=False)
class Served:
    """The counts of a server.

    Attributes:
        url: The URL of the server.
        accepted: Connections so far.
        open_now: Connections that are open.
        most: The most connections that were open at once.
        heads: The heads of the requests, if the script reads them.
        sent: Bytes handed to the network, if the script counts them.
    """

    url: str = ""
    accepted: int = 0
    open_now: int = 0
    most: int = 0
    heads: list[str] = field(default_factory=list[str])
    sent: int = 0
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    async def idle(self) -> None:
        """Wait until no connection is open."""
        await self._idle.wait()

    def opened(self) -> None:
        """Count an accepted connection."""
        self.accepted += 1
        self.open_now += 1
        self.most = max(self.most, self.open_now)
        self._idle.clear()

    def closed(self) -> None:
        """Count a closed connection."""
        self.open_now -= 1
        if self.open_now == 0:
            self._idle.set()


async def until(reached: Callable[[], bool]) -> None:
    """Let the loop run until another thread or the network makes a condition true."""
    while not reached():  # noqa: ASYNC110 (no event announces it)
        await asyncio.sleep(0)


@asynccontextmanager
async def serving(play: Play) -> AsyncGenerator[Served]:
    """Serve on a free port: run `play` for each connection, then close the connection."""
    served = Served()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.opened()
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await play(served, reader, writer)
        finally:
            writer.close()
            served.closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield served
    finally:
        server.close()


async def read_head(served: Served, reader: asyncio.StreamReader) -> None:
    """Read the head of a request and store it."""
    served.heads.append((await reader.readuntil(HEAD_ENDS)).decode())


def relay_to(endpoint_url: str) -> Play:
    """Return a script that relays all bytes to another server, and back."""
    host, port = endpoint_url.removeprefix("http://").split(":")

    async def play(_: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        responses, requests = await asyncio.open_connection(host, int(port))
        back = asyncio.create_task(_pass_on(responses, writer))
        try:
            await _pass_on(reader, requests)
        finally:
            requests.close()
            back.cancel()
            await asyncio.wait([back])

    return play


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65_536):
        writer.write(chunk)
        await writer.drain()


class FarECR:
    """A `LocalECR` behind a counting relay, both on an event loop in another thread.

    The event loop of the test runs only the client.
    """

    def __init__(self, **options: Any) -> None:
        self.ecr = LocalECR(**options)
        self.served = Served()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._thread.start()
        await self.far(self._open())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.far(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    async def far(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _open(self) -> None:
        await self._stack.enter_async_context(self.ecr)
        self.served = await self._stack.enter_async_context(
            serving(relay_to(self.ecr.endpoint_url))
        )
