"""What a check of 100 digests costs the server: the local ECR beside moto, in one run.

`make bench-local`.

Each server is a fresh process, asked by the same boto3 client in turns; it tells the CPU time that
its process has used. The local ECR verifies each signature, moto asks for none.
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
IN_ALL = (
    1 + 3 * 50 + (ROUNDS + 1) * REQUESTS
)  # to each server, the upload of what it holds included
HELD = [f"layer {number}".encode() for number in range(50)]
DIGESTS = [
    f"sha256:{hashlib.sha256(f'layer {number}'.encode()).hexdigest()}" for number in range(100)
]  # every other half is held


class Server:
    """A server in a process of its own, and a client of it."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self.connections = 0
        self.cpu: list[float] = []
        self._process = process
        self._client: Any = importlib.import_module("boto3").client(
            "ecr",
            endpoint_url=self._told(),
            region_name="us-east-1",
            aws_access_key_id="local-ecr-access-key",
            # It opens nothing but a registry on this machine.
            aws_secret_access_key="local-ecr-secret-key",  # noqa: S106
            config=Config(retries={"total_max_attempts": 1}),
        )

    def fill(self) -> None:
        """Upload the layers that it is to hold, and ask for a while: what the first requests cost is not measured."""
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
        """Check the digests some times, and note what one request cost."""
        before, made = self._cpu(), _made.count
        for _ in range(REQUESTS):
            answer = self._client.batch_check_layer_availability(
                repositoryName="app", layerDigests=DIGESTS
            )
            if sum(row["layerAvailability"] == "AVAILABLE" for row in answer["layers"]) != len(
                HELD
            ):
                msg = f"{self.name} does not hold what it was given"
                raise RuntimeError(msg)
        self.cpu.append((self._cpu() - before) / REQUESTS)
        self.connections += _made.count - made

    def _cpu(self) -> float:
        if self._process.stdin is not None:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        return float(self._told())

    def _told(self) -> str:
        return self._process.stdout.readline().strip() if self._process.stdout is not None else ""


class _Made(logging.Handler):
    """Counts the connections that boto3's HTTP library makes."""

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
    """Be a server: say where, then the CPU time used so far for each line that comes in."""
    if name == "moto":
        logging.getLogger("werkzeug").setLevel(
            logging.ERROR
        )  # a line for each request is no part of what is measured
        server: Any = importlib.import_module("moto.server").ThreadedMotoServer(
            "127.0.0.1", 0, verbose=False
        )
        server.start()
        host, port = server.get_host_and_port()
        _tell(f"http://{host}:{port}")
        return
    with LocalECR() as ecr:
        _tell(ecr.endpoint_url)


def _tell(url: str) -> None:
    print(url, flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)


def main() -> None:
    """Measure both in turns, and print what one request costs each."""
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
        f"A check of {len(DIGESTS)} digests, server's CPU: median of {ROUNDS} rounds of {REQUESTS} requests, taken in turns"
    )
    for server in servers:
        cost = statistics.median(server.cpu) * 1000
        print(
            f"{server.name:<10} {cost:6.2f} ms a request   {server.connections:5d} connections for {IN_ALL} requests"
        )
    ratio = statistics.median(
        ours / theirs for ours, theirs in zip(*(server.cpu for server in servers), strict=True)
    )
    print(f"LocalECR / moto: {ratio:.3f}")


if __name__ == "__main__":
    serve(sys.argv[1]) if sys.argv[1:] else main()
