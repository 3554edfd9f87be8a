"""The server's memory stays small while 2 GiB go through `/v2/`."""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client.local._registry.manifest import OCI_MANIFEST
from local.docker_client import MIB, basic

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOB_SIZE = 2048 * MIB
MAX_GROWTH = 64 * MIB

SERVER = """
import asyncio, json, sys
from pathlib import Path
from ecr_layer_client.local import LocalECR

async def main():
    async with LocalECR(data=sys.argv[1]) as ecr:
        ecr.create_repository("app")
        print(json.dumps([ecr.endpoint_url, ecr.login_password()]), flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""


def pieces(first: int, size: int) -> Iterator[bytes]:
    """Yield a part of the blob, in MiB that are all different."""
    for number in range(first // MIB, (first + size) // MIB):
        yield hashlib.sha256(str(number).encode()).digest() * (MIB // 32)


def memory(process: int, name: str) -> int:
    """Return the memory of a process in bytes: `VmRSS`, or `VmHWM` for its peak."""
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(status.partition(f"{name}:")[2].split()[0])


class Client:
    """A client that streams."""

    def __init__(self, url: str, password: str) -> None:
        """Connect."""
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"))
        self._authorization = basic(password)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def send(
        self, method: str, path: str, body: Iterator[bytes] | bytes = b"", **headers: str
    ) -> http.client.HTTPResponse:
        """Send a request and return the response. Its body is not read."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Authorization"] = self._authorization
        self._connection.request(method, path, body, sent)
        return self._connection.getresponse()

    def upload(self, chunk_size: int) -> str:
        """Upload the blob in chunks, and return its digest."""
        started = self.send("POST", "/v2/app/blobs/uploads/")
        started.read()
        path = "/" + started.headers["location"].split("/", 3)[3]
        sha256 = hashlib.sha256()

        for first in range(0, BLOB_SIZE, chunk_size):
            self.send(
                "PATCH",
                path,
                self._hashed(pieces(first, chunk_size), sha256),
                Content_Range=f"{first}-{first + chunk_size - 1}",
                Content_Length=str(chunk_size),
            ).read()
        digest = f"sha256:{sha256.hexdigest()}"
        finished = self.send("PUT", f"{path}?digest={digest}")
        finished.read()
        assert finished.status == 201
        return digest

    def download(self, digest: str) -> str:
        """Download the blob, and return the digest of what came."""
        response = self.send("GET", f"/v2/app/blobs/{digest}")
        sha256 = hashlib.sha256()
        while piece := response.read(MIB):
            sha256.update(piece)
        return f"sha256:{sha256.hexdigest()}"

    def put_image(self, digest: str) -> None:
        """Put an image of the blob, so that the blob can be downloaded."""
        manifest: dict[str, Any] = {
            "mediaType": OCI_MANIFEST,
            "config": {"digest": digest},
            "layers": [],
        }
        body = json.dumps(manifest).encode()
        self.send("PUT", "/v2/app/manifests/1.0", body, Content_Type=OCI_MANIFEST).read()

    def _hashed(self, parts: Iterator[bytes], sha256: hashlib._Hash) -> Iterator[bytes]:
        for part in parts:
            sha256.update(part)
            yield part


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("chunk_size", [BLOB_SIZE, 256 * MIB], ids=["one-chunk", "eight-chunks"])
def test_two_gigabytes_leave_the_server_small(chunk_size: int, tmp_path: Path) -> None:
    """A blob of 2 GiB returns byte for byte, and the server's memory grows by less than 64 MiB."""
    command = [sys.executable, "-c", SERVER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        with closing(Client(*json.loads(server.stdout.readline()))) as client:
            before = memory(server.pid, "VmRSS")
            digest = client.upload(chunk_size)
            client.put_image(digest)
            downloaded = client.download(digest)
        grown = memory(server.pid, "VmHWM") - before
        server.communicate()

    # pytest shows this figure with -s.
    print(f"grown by {grown / MIB:.0f} MiB")  # noqa: T201
    assert downloaded == digest
    assert grown < MAX_GROWTH, f"{grown / MIB:.0f} MiB"
