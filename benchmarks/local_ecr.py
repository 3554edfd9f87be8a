"""Compare the CPU time that a check of 100 digests takes in the local ECR and in moto.

Run it with `make bench-local`. Each server is a new process, which reports the CPU time that it has
used. The same boto3 client sends requests to both in turns. The local ECR verifies each signature,
and moto verifies none.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from subprocess import PIPE
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Generator

SERVERS = ("LocalECR", "moto")
ROUNDS, REQUESTS = 7, 100
# Requests to each server, including those that upload the layers.
TOTAL_REQUESTS = 1 + 3 * 50 + (ROUNDS + 1) * REQUESTS
HELD = [f"layer {number}".encode() for number in range(50)]
# The servers hold the first half.
DIGESTS = [
    f"sha256:{hashlib.sha256(f'layer {number}'.encode()).hexdigest()}" for number in range(100)
]


class Server:
    """A server in another process, and boto3's client of it."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self.connections = 0
        self.cpu: list[float] = []
        self._process = process
        self._client: Any = importlib.import_module("boto3").client(
            "ecr",
            endpoint_url=self._next_line(),
            region_name="us-east-1",
            aws_access_key_id="local-ecr-access-key",
            # The key works only for a registry on this machine.
            aws_secret_access_key="local-ecr-secret-key",  # noqa: S106
            config=Config(retries={"total_max_attempts": 1}),
        )

    def fill(self) -> None:
        """Upload the layers, and warm up: the cost of the first requests does not count."""
        made = _made.count
        self._client.create_repository(repositoryName="app")

        for layer in HELD:
            upload = self._client.initiate_layer_upload(repositoryName="app")["uploadId"]
            place = {"repositoryName": "app", "uploadId": upload}
            self._client.upload_layer_part(
                **place, partFirstByte=0, partLastByte=len(layer) - 1, layerPartBlob=layer
            )
            self._client.complete_layer_upload(
                **place, layerDigests=[f"sha256:{hashlib.sha256(layer).hexdigest()}"]
            )

        self.connections = _made.count - made
        self.measure()
        self.cpu.clear()

    def measure(self) -> None:
        """Check the digests `REQUESTS` times, and record the CPU seconds of one request."""
        before, made = self._cpu(), _made.count

        for _ in range(REQUESTS):
            response = self._client.batch_check_layer_availability(
                repositoryName="app", layerDigests=DIGESTS
            )
            available = sum(
                layer["layerAvailability"] == "AVAILABLE" for layer in response["layers"]
            )
            if available != len(HELD):
                msg = f"{self.name} holds {available} of the {len(HELD)} uploaded layers"
                raise RuntimeError(msg)

        self.cpu.append((self._cpu() - before) / REQUESTS)
        self.connections += _made.count - made

    def _cpu(self) -> float:
        if self._process.stdin is not None:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        return float(self._next_line())

    def _next_line(self) -> str:
        return self._process.stdout.readline().strip() if self._process.stdout is not None else ""


class _Made(logging.Handler):
    """A logging handler that counts the connections that boto3's HTTP library opens."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.msg.startswith(("Starting new HTTP", "Resetting dropped"))


_made = _Made()


@contextmanager
def started(name: str) -> Generator[Server]:
    """Run a server until the end of the block."""
    with subprocess.Popen(  # noqa: S603 (this file)
        [sys.executable, __file__, name], stdin=PIPE, stdout=PIPE, text=True
    ) as process:
        try:
            yield Server(name, process)
        finally:
            process.kill()


def serve(name: str) -> None:
    """Run a server, and print its URL, then the CPU seconds used so far for each input line."""
    if name == "moto":
        # A log line for each request would add to the measured time.
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server: Any = importlib.import_module("moto.server").ThreadedMotoServer(
            "127.0.0.1", 0, verbose=False
        )
        server.start()
        host, port = server.get_host_and_port()
        _report(f"http://{host}:{port}")
        return

    with LocalECR() as ecr:
        _report(ecr.endpoint_url)


def _report(url: str) -> None:
    print(url, flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)


def main() -> None:
    """Measure both servers in turns, and print the CPU time of one request."""
    logger = logging.getLogger("urllib3.connectionpool")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(_made)
    logger.propagate = False

    with ExitStack() as stack:
        servers = [stack.enter_context(started(name)) for name in SERVERS]
        for server in servers:
            server.fill()
        for _ in range(ROUNDS):
            for server in servers:
                server.measure()

    print(
        f"CPU of the server for a check of {len(DIGESTS)} digests: "
        f"median of {ROUNDS} interleaved rounds of {REQUESTS} requests"
    )
    for server in servers:
        cost = statistics.median(server.cpu) * 1000
        print(
            f"{server.name:<10} {cost:6.2f} ms per request   "
            f"{server.connections:5d} connections for {TOTAL_REQUESTS} requests"
        )

    ratio = statistics.median(
        ours / theirs for ours, theirs in zip(*(server.cpu for server in servers), strict=True)
    )
    print(f"LocalECR / moto: {ratio:.3f}")


if __name__ == "__main__":
    serve(sys.argv[1]) if sys.argv[1:] else main()
