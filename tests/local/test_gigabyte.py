"""The server's memory stays small during the upload and download of a gigabyte."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
import urllib.request
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client.local._registry.manifest import OCI_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024 * 1024
GIB = 1024 * MIB
MAX_PEAK = 200 * MIB

SERVER = """
import asyncio, json, sys
from pathlib import Path
from ecr_layer_client.local import LocalECR

async def main():
    async with LocalECR(data=sys.argv[1] or None) as ecr:
        print(json.dumps(ecr.client_kwargs), flush=True)
        await asyncio.to_thread(sys.stdin.read)
    # KiB. ru_maxrss would count the parent process, too.
    print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

asyncio.run(main())
"""


def parts() -> Iterator[bytes]:
    """Yield a gigabyte in parts of 10 to 20 MiB, all different."""
    left = GIB
    for number, size in enumerate(cycle([10 * MIB, 20 * MIB, 13 * MIB])):
        if not left:
            return
        size = min(size, left)  # noqa: PLW2901  (the last part is what is left)
        yield hashlib.sha256(bytes([number])).digest() * (size // 32)
        left -= size


def upload(client: Any) -> str:
    """Upload the layer and put an image of it. Return the layer's digest."""
    sha256, first = hashlib.sha256(), 0
    client.create_repository(repositoryName="app")
    upload_id = client.initiate_layer_upload(repositoryName="app")["uploadId"]

    for part in parts():
        sha256.update(part)
        where = {"partFirstByte": first, "partLastByte": first + len(part) - 1}
        first = (
            client.upload_layer_part(
                repositoryName="app", uploadId=upload_id, layerPartBlob=part, **where
            )["lastByteReceived"]
            + 1
        )

    digest = f"sha256:{sha256.hexdigest()}"
    client.complete_layer_upload(repositoryName="app", uploadId=upload_id, layerDigests=[digest])
    manifest: dict[str, Any] = {
        "mediaType": OCI_MANIFEST,
        "config": {"digest": digest},
        "layers": [],
    }
    client.put_image(repositoryName="app", imageManifest=json.dumps(manifest))

    return digest


def download(url: str) -> str:
    """Download the layer in ranges of 256 MiB, and return the digest of the bytes."""
    sha256 = hashlib.sha256()
    for first in range(0, GIB, GIB // 4):
        request = urllib.request.Request(  # noqa: S310  (our own URL)
            url, headers={"Range": f"bytes={first}-{first + GIB // 4 - 1}"}
        )
        with urllib.request.urlopen(request) as response:  # noqa: S310
            while chunk := response.read(MIB):
                sha256.update(chunk)

    return f"sha256:{sha256.hexdigest()}"


@pytest.mark.full
@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("store", ["temporary", "directory"])
def test_a_gigabyte_leaves_the_server_small(store: str, tmp_path: Path) -> None:
    """A layer of 1 GiB returns byte for byte, and the server's peak memory is below 200 MiB."""
    # boto3 has no types.
    boto3: Any = importlib.import_module("boto3")
    command = [sys.executable, "-c", SERVER, str(tmp_path) if store == "directory" else ""]
    # The temporary store also uses TMPDIR.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}

    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        client = boto3.client("ecr", **json.loads(server.stdout.readline()))
        digest = upload(client)
        downloaded = download(
            client.get_download_url_for_layer(repositoryName="app", layerDigest=digest)[
                "downloadUrl"
            ]
        )
        peak = 1024 * int(server.communicate()[0])

    assert downloaded == digest
    assert peak < MAX_PEAK, f"{peak / MIB:.0f} MiB"
    # pytest shows this figure with -s.
    print(f"{store}: peak {peak / MIB:.0f} MiB")  # noqa: T201
