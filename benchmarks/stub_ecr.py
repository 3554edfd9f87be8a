"""A stub ECR in a process of its own, cheap enough not to be measured: one raw asyncio protocol, answers pasted together from bytes.

It knows one operation and verifies nothing: it is there to be faster than every client. `python
benchmarks/stub_ecr.py` prints its URL and ends when its standard input closes; GET /stats tells the
requests it answered and the CPU seconds it took.
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
# Seconds; an event loop's timers are rounded up to the next millisecond, by half of one on average.
_ROUNDING = 0.0005
_UNAVAILABLE = b"01"  # what the hex of an eighth of all digests begins with


def _row(first: int, second: int) -> bytes:
    """Return the row of the digests that begin with two hex characters, with a place for the digest."""
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
    """Return the answer to a check: a row for each digest in the request's one list."""
    start = body.index(b"[")
    digests = body[start : body.index(b"]", start)].split(b'"')[1::2]
    return (
        b'{"layers":['
        + b",".join([_ROWS[digest[7:9]] % digest for digest in digests])
        + b'],"failures":[]}'
    )


class Stub:
    """What the connections share: the options and the counts.

    Args:
        latency: Seconds between a request and its answer.
        quota: Requests a second above which checks are throttled; None for no quota.
        burst: Requests the quota saves up.
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
        """Return a whole response."""
        if head.startswith(b"GET /stats "):
            return _response(
                b"200 OK",
                json.dumps({"requests": self.requests, "cpu": time.process_time()}).encode(),
            )
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
        b"HTTP/1.1 %b\r\nx-amzn-RequestId: 00000000-0000-4000-8000-000000000000\r\nContent-Type: application/x-amz-json-1.1\r\n"
        b"Content-Length: %d\r\nConnection: keep-alive\r\n\r\n%b"
    ) % (status, len(body), body)


class Connection(asyncio.Protocol):
    """One client's connection, kept alive."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (TCP's is one)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole."""
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
                self._stub.latency - _ROUNDING, self._send, response
            )
        else:
            self._send(response)

    def _send(self, response: bytes) -> None:
        if self._transport is not None:
            self._transport.write(response)


async def serve(stub: Stub, port: int) -> None:
    """Serve on this machine alone until standard input closes."""
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
        help="seconds between a request and its answer (default 0)",
    )
    parser.add_argument(
        "--quota",
        type=float,
        help="checks a second above which ThrottlingException is answered (default: none)",
    )
    parser.add_argument(
        "--burst", type=float, default=1.0, help="checks that the quota saves up (default 1)"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="where to listen on 127.0.0.1 (default: any free port)"
    )
    options = parser.parse_args()
    asyncio.run(
        serve(Stub(latency=options.latency, quota=options.quota, burst=options.burst), options.port)
    )


if __name__ == "__main__":
    main()
