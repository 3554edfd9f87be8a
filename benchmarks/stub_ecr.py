"""A stub ECR that is faster than every client, so that a benchmark measures only the clients.

It is a raw asyncio protocol that joins its responses from bytes. It knows one operation and
verifies nothing.

`python benchmarks/stub_ecr.py` prints the stub's URL. The stub ends when its standard input closes.
GET /stats returns the number of requests it answered and the CPU seconds it used.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import threading
import time

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END_OF_HEAD = b"\r\n\r\n"
_THROTTLED = b'{"__type":"ThrottlingException","message":"Rate exceeded"}'
_MEDIA_TYPES = (
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.oci.image.layer.v1.tar+gzip",
)
# An event loop rounds its timers up to the next millisecond: by half a millisecond on average.
_ROUNDING_SECONDS = 0.0005
# The digests whose hex begins with one of these are unavailable: one in eight.
_UNAVAILABLE = b"01"


def _row(first: int, second: int) -> bytes:
    """Return the row of the digests whose hex begins with two characters, as a template."""
    if first in _UNAVAILABLE:
        return b'{"layerDigest":"%b","layerAvailability":"UNAVAILABLE"}'
    size = 1_000_000 + 7_919 * (first * 256 + second)
    media_type = _MEDIA_TYPES[second % 2]
    return (
        b'{"layerDigest":"%%b","layerAvailability":"AVAILABLE","layerSize":%d,"mediaType":"%b"}'
        % (size, media_type.encode())
    )


_ROWS = {
    bytes((first, second)): _row(first, second)
    for first in b"0123456789abcdef"
    for second in b"0123456789abcdef"
}


def answer(body: bytes) -> bytes:
    """Return the body of a check's response: a row for each digest in the request's only list."""
    start = body.index(b"[")
    digests = body[start : body.index(b"]", start)].split(b'"')[1::2]
    rows = b",".join([_ROWS[digest[7:9]] % digest for digest in digests])
    return b'{"layers":[' + rows + b'],"failures":[]}'


class Stub:
    """The options and the counts that all connections share.

    Args:
        latency: Seconds between a request and its response.
        quota: Requests a second above which the stub throttles checks. None means no quota.
        burst: Requests that the quota saves up.
    """

    def __init__(
        self, *, latency: float = 0.0, quota: float | None = None, burst: float = 1.0
    ) -> None:
        self.latency = latency
        self.requests = 0
        self._quota = quota
        self._burst = self._tokens = burst
        self._at = time.monotonic()

    def answer(self, head: bytes, body: bytes) -> bytes:
        """Return a complete response."""
        if head.startswith(b"GET /stats "):
            stats = {"requests": self.requests, "cpu": time.process_time()}
            return _response(b"200 OK", json.dumps(stats).encode())

        self.requests += 1
        if self._quota is not None and not self._take(self._quota):
            return _response(b"400 Bad Request", _THROTTLED)
        return _response(b"200 OK", answer(body))

    def _take(self, quota: float) -> bool:
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + quota * (now - self._at))
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _response(status: bytes, body: bytes) -> bytes:
    return (
        b"HTTP/1.1 %b\r\n"
        b"x-amzn-RequestId: 00000000-0000-4000-8000-000000000000\r\n"
        b"Content-Type: application/x-amz-json-1.1\r\n"
        b"Content-Length: %d\r\n"
        b"Connection: keep-alive\r\n"
        b"\r\n%b"
    ) % (status, len(body), body)


class Connection(asyncio.Protocol):
    """A connection of a client, which stays open."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for the responses."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (TCP has this class)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the transport."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer each complete request, and keep the rest."""
        received = self._received + data if self._received else data

        while (end := received.find(_END_OF_HEAD)) >= 0:
            length = _LENGTH.search(received, 0, end)
            start = end + len(_END_OF_HEAD)
            stop = start + (int(length[1]) if length else 0)
            if len(received) < stop:
                break
            self._answer(self._stub.answer(received[:end], received[start:stop]))
            received = received[stop:]

        self._received = received

    def _answer(self, response: bytes) -> None:
        if self._stub.latency:
            asyncio.get_running_loop().call_later(
                self._stub.latency - _ROUNDING_SECONDS, self._send, response
            )
        else:
            self._send(response)

    def _send(self, response: bytes) -> None:
        if self._transport is not None:
            self._transport.write(response)


async def serve(stub: Stub, port: int) -> None:
    """Serve on the loopback address until standard input closes."""
    loop = asyncio.get_running_loop()
    closed = asyncio.Event()

    def wait_for_end() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(closed.set)

    server = await loop.create_server(lambda: Connection(stub), "127.0.0.1", port)

    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    threading.Thread(target=wait_for_end, daemon=True).start()
    await closed.wait()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--latency",
        type=float,
        default=0.0,
        help="seconds between a request and its response (default 0)",
    )
    parser.add_argument(
        "--quota",
        type=float,
        help="checks a second above which the stub throttles (default: no quota)",
    )
    parser.add_argument(
        "--burst", type=float, default=1.0, help="checks that the quota saves up (default 1)"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port on 127.0.0.1 (default: any free port)"
    )
    options = parser.parse_args()

    stub = Stub(latency=options.latency, quota=options.quota, burst=options.burst)
    asyncio.run(serve(stub, options.port))


if __name__ == "__main__":
    main()
