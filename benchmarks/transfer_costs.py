"""Compare what a push, a pull and a copy cost with what others do for it.

Run it with `make bench-transfers`. The local ECR runs in its own process, and each contender too.
The CPU time of a contender counts from the open client on; the memory is the growth of its peak.

- `floor`: one blocking connection that reads, hashes, encodes, hashes and sends.
- `boto3`: the loop that people write, one layer after another.
- `aiobotocore`: the same loop, eight layers at a time.
- `pull floor`: one blocking connection that receives, hashes and writes.
- `boto3 copy`: a download by ranges and the boto3 loop.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import http.client
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trial import kib, reset_peak

from ecr_layer_client import ClientConfig, ECRLayerClient
from ecr_layer_client._models.quotas import QUOTAS
from ecr_layer_client.images import ImageSource
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from ecr_layer_client.images import Descriptor

MIB = 1024 * 1024
GIB = 1024 * MIB
PART = 10 * MIB
REGION = "us-east-1"
KEYS = ("local-ecr-access-key", "local-ecr-secret-key")
# 206 blobs: some large layers, many small ones, and a config.
SIZES = [100 * MIB] * 5 + [40 * MIB] * 8 + [5 * MIB] * 20 + [256 * 1024] * 172


def made_layout(path: Path, sizes: list[int]) -> Path:
    """Write an OCI layout with random layers, if it is not there."""
    if (path / "index.json").exists():
        return path
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def kept(data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        media_type = f"application/vnd.oci.image.{kind}"
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    layers = [kept(os.urandom(size), "layer.v1.tar") for size in sizes]
    config = kept(b'{"architecture": "amd64", "os": "linux"}', "config.v1+json")
    media_type = "application/vnd.oci.image.manifest.v1+json"
    members = {"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers}
    manifest = kept(json.dumps(members).encode(), "manifest.v1+json")
    index = {"schemaVersion": 2, "manifests": [manifest]}
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (path / "index.json").write_text(json.dumps(index))
    return path


# What is compared, and the highest ratio that is accepted.
BARS = (
    ("push", "boto3", 0.50),
    ("push", "floor", 1.15),
    ("push", "aiobotocore", 0.60),
    ("pull", "pull floor", 1.15),
    ("pull", "boto3", 0.40),
    ("copy", "boto3 copy", 0.50),
    ("copy", "boto3", 0.55),
)
PUSHED_WITH = (
    "BatchCheckLayerAvailability",
    "BatchGetImage",
    "InitiateLayerUpload",
    "UploadLayerPart",
    "CompleteLayerUpload",
    "PutImage",
)


# -- the contenders, each in a process of its own


def boto3_client(url: str) -> Any:
    """Return boto3's client of the local ECR."""
    config = importlib.import_module("botocore.config").Config(retries={"total_max_attempts": 1})
    return importlib.import_module("boto3").client(
        "ecr",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEYS[0],
        aws_secret_access_key=KEYS[1],
        config=config,
    )


def parts_of(source: ImageSource, blob: Descriptor) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of a blob with their positions."""
    path = Path(source.name) / "blobs" / blob.digest.replace(":", "/")
    with path.open("rb") as file:
        at = 0
        while data := file.read(PART):
            yield at, data
            at += len(data)


def push_with_boto3(url: str, source: ImageSource, repository: str) -> None:
    """Push as scripts do it."""
    client = boto3_client(url)
    where = {"repositoryName": repository}
    for blob in source.blobs:
        upload = where | {"uploadId": client.initiate_layer_upload(**where)["uploadId"]}
        digest = hashlib.sha256()
        for at, data in parts_of(source, blob):
            digest.update(data)
            last = at + len(data) - 1
            client.upload_layer_part(
                **upload, partFirstByte=at, partLastByte=last, layerPartBlob=data
            )
        client.complete_layer_upload(**upload, layerDigests=[f"sha256:{digest.hexdigest()}"])
    client.put_image(**where, imageManifest=source.roots[0].raw.decode(), imageTag="v1")


async def push_with_aiobotocore(url: str, source: ImageSource, repository: str) -> None:
    """Push eight layers at a time."""
    session = importlib.import_module("aiobotocore.session").get_session()
    keys = dict(zip(("aws_access_key_id", "aws_secret_access_key"), KEYS, strict=True))
    where = {"repositoryName": repository}
    places = asyncio.Semaphore(8)
    async with session.create_client("ecr", endpoint_url=url, region_name=REGION, **keys) as client:

        async def upload_one(blob: Descriptor) -> None:
            async with places:
                begun = await client.initiate_layer_upload(**where)
                upload = where | {"uploadId": begun["uploadId"]}
                for at, data in parts_of(source, blob):
                    last = at + len(data) - 1
                    await client.upload_layer_part(
                        **upload, partFirstByte=at, partLastByte=last, layerPartBlob=data
                    )
                await client.complete_layer_upload(**upload, layerDigests=[blob.digest])

        await asyncio.gather(*map(upload_one, source.blobs))
        manifest = source.roots[0].raw.decode()
        await client.put_image(**where, imageManifest=manifest, imageTag="v1")


def client_of(url: str) -> ECRLayerClient:
    """Return our client of the local ECR."""
    os.environ |= {"AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1]}
    config = ClientConfig(max_bytes_in_flight=32 * MIB)
    return ECRLayerClient(region_name=REGION, endpoint_url=url, config=config)


async def push_with_us(url: str, source: ImageSource, repository: str) -> None:
    """Push with this library."""
    async with client_of(url) as client:
        await client.push(repository, source, tags=["v1"])


def push_with_floor(url: str, source: ImageSource, repository: str) -> None:
    """Send what a push must send on one blocking connection."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def call(operation: str, body: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(body).hexdigest()
        headers = {
            "X-Amz-Target": f"AmazonEC2ContainerRegistry_V20150921.{operation}",
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Content-Sha256": digest,
        }
        connection.request("POST", "/", body, headers)
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        return answer

    for blob in source.blobs:
        where = {"repositoryName": repository}
        upload = call("InitiateLayerUpload", json.dumps(where).encode())["uploadId"]
        layer = hashlib.sha256()
        for at, data in parts_of(source, blob):
            layer.update(data)
            members = where | {
                "uploadId": upload,
                "partFirstByte": at,
                "partLastByte": at + len(data) - 1,
            }
            head = json.dumps(members).encode()[:-1] + b', "layerPartBlob": "'
            call("UploadLayerPart", b"".join((head, b64encode(data), b'"}')))
        complete = where | {"uploadId": upload, "layerDigests": [f"sha256:{layer.hexdigest()}"]}
        call("CompleteLayerUpload", json.dumps(complete).encode())


async def pull_with_us(url: str, source: ImageSource, repository: str) -> None:
    """Pull with this library."""
    del source
    with tempfile.TemporaryDirectory() as path:
        async with client_of(url) as client:
            await client.pull(repository, "v1", Path(path) / "layout")


def pull_with_floor(url: str, source: ImageSource, repository: str) -> None:
    """Receive, hash and write on one blocking connection."""
    client = boto3_client(url)
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    with tempfile.TemporaryDirectory() as path:
        for number, blob in enumerate(source.blobs):
            found = client.get_download_url_for_layer(
                repositoryName=repository, layerDigest=blob.digest
            )["downloadUrl"]
            connection.request("GET", found.removeprefix(url))
            response, digest = connection.getresponse(), hashlib.sha256()
            with (Path(path) / str(number)).open("wb") as file:
                while data := response.read(256 * 1024):
                    digest.update(data)
                    file.write(data)


async def copy_with_us(url: str, source: ImageSource, repository: str) -> None:
    """Copy with this library to another repository."""
    del source
    async with client_of(url) as client:
        await client.copy(repository, "v1", to_repository=f"{repository}-copy")


def copy_with_boto3(url: str, source: ImageSource, repository: str) -> None:
    """Copy range by range, as scripts do it."""
    client = boto3_client(url)
    requests = importlib.import_module("urllib3").PoolManager()
    target = {"repositoryName": f"{repository}-boto3-copy"}
    for blob in source.blobs:
        found = client.get_download_url_for_layer(
            repositoryName=repository, layerDigest=blob.digest
        )["downloadUrl"]
        upload = target | {"uploadId": client.initiate_layer_upload(**target)["uploadId"]}
        size = blob.size or 0
        for at in range(0, size, PART):
            last = min(at + PART, size) - 1
            data = requests.request("GET", found, headers={"Range": f"bytes={at}-{last}"}).data
            client.upload_layer_part(
                **upload, partFirstByte=at, partLastByte=last, layerPartBlob=data
            )
        client.complete_layer_upload(**upload, layerDigests=[blob.digest])


CONTENDERS: dict[str, Callable[[str, ImageSource, str], Any]] = {
    "floor": push_with_floor,
    "boto3": push_with_boto3,
    "aiobotocore": push_with_aiobotocore,
    "push": push_with_us,
    "pull floor": pull_with_floor,
    "pull": pull_with_us,
    "boto3 copy": copy_with_boto3,
    "copy": copy_with_us,
}


async def timed(work: Any, late: list[float]) -> None:
    """Await something, and note how late the event loop wakes meanwhile."""

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.005)
            late.append(time.perf_counter() - began - 0.005)

    watching = asyncio.create_task(watch())
    try:
        await work
    finally:
        watching.cancel()


def trial(name: str, url: str, layout: str, repository: str) -> dict[str, Any]:
    """Run a contender in this process, and return its figures."""
    source = ImageSource.from_oci_layout(layout)
    late: list[float] = []
    warm_up(url)
    before = reset_peak() or 0
    cpu, wall = time.process_time(), time.perf_counter()
    work = CONTENDERS[name](url, source, repository)
    if work is not None:
        asyncio.run(timed(work, late))
    return {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "grown": (kib("VmHWM") - before) / 1024,
        "late_p99": 1000 * statistics.quantiles(late, n=100)[98] if late else None,
    }


def warm_up(url: str) -> None:
    """Import and open what every contender needs, so that this does not count."""
    boto3_client(url).describe_repositories()

    async def check() -> None:
        async with client_of(url) as client:
            await client.check_layers("warm-up", [f"sha256:{1:064x}"])

    asyncio.run(check())


# -- the comparison


def main() -> None:
    """Run every contender in turns, and print the medians and the bars."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes of the layers")
    parser.add_argument("--only", nargs="*", default=list(CONTENDERS))
    parser.add_argument("--trial", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.trial:
        print(json.dumps(trial(*options.trial)))
        return

    sizes = [max(1, int(size * options.scale)) for size in SIZES]
    total = sum(sizes) / GIB
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in options.only}
    with tempfile.TemporaryDirectory() as place:
        layout = made_layout(Path(place) / "layout", sizes)
        for number in range(options.rounds):
            with served() as url:
                for name in options.only:
                    prepare(url, name, number)
                    found[name].append(run(name, url, layout, repository_of(name, number)))
                    print(number, name, found[name][-1], file=sys.stderr)

    print(f"{total:.2f} GiB in {len(sizes) + 1} blobs")
    for name, rows in found.items():
        cpu = statistics.median(row["cpu"] for row in rows) / total
        grown = statistics.median(row["grown"] for row in rows)
        late = statistics.median(row["late_p99"] or 0 for row in rows)
        print(f"{name:12} {cpu:6.2f} CPU s/GiB {grown:6.0f} MiB {late:6.1f} ms late at p99")
    print_bars(found)
    print_walls()


def print_bars(found: dict[str, list[dict[str, Any]]]) -> None:
    """Print each cost in relation to those that it is compared with, and its bar."""
    cpu = {name: statistics.median(row["cpu"] for row in rows) for name, rows in found.items()}
    late = {
        name: statistics.median(row["late_p99"] or 0 for row in rows)
        for name, rows in found.items()
    }
    for name, other, bar in BARS:
        if name in cpu and other in cpu:
            print(f"CPU of {name} / {other}: {cpu[name] / cpu[other]:.2f} (at most {bar})")
    if "push" in late and late.get("aiobotocore"):
        ratio = late["push"] / late["aiobotocore"]
        print(f"lateness of push / aiobotocore: {ratio:.2f} (at most 0.33)")


def print_walls() -> None:
    """Print the seconds of a push of 205 small layers, 50 ms away, at ECR's quotas."""
    quotas = {name: QUOTAS[name] for name in PUSHED_WITH}
    with tempfile.TemporaryDirectory() as place, LocalECR(latency=0.05, quota=quotas) as ecr:
        layout = made_layout(Path(place) / "layout", [20_000] * 205)
        source = ImageSource.from_oci_layout(layout)
        for name in ("warm-up", "ours", "boto3"):
            ecr.create_repository(name)

        async def push() -> float:
            async with client_of(ecr.endpoint_url) as client:
                await client.check_layers("warm-up", [f"sha256:{1:064x}"])
                began = time.perf_counter()
                await client.push("ours", source, tags=["v1"])
                return time.perf_counter() - began

        ours = asyncio.run(push())
        began = time.perf_counter()
        push_with_boto3(ecr.endpoint_url, source, "boto3")
        boto3 = time.perf_counter() - began

    ideal = 206 / 80 + 6 * 0.05  # the Initiates at 80 a second, and six round trips
    print(f"205 layers at 50 ms: {ours:.1f} s, ideal {ideal:.1f} s, boto3's loop {boto3:.1f} s")
    print(f"wall / ideal: {ours / ideal:.2f} (at most 1.5)")
    print(f"wall / boto3: {ours / boto3:.2f} (at most 0.12)")


def repository_of(name: str, number: int) -> str:
    """Return the repository of a trial: pulls and copies read what `push` pushed."""
    kind = "push" if "pull" in name or "copy" in name else name.replace(" ", "-")
    return f"{kind}-{number}"


def prepare(url: str, name: str, number: int) -> None:
    """Make the repositories of a trial."""
    client = boto3_client(url)
    where = repository_of(name, number)
    for each in ("warm-up", where, f"{where}-copy", f"{where}-boto3-copy"):
        with suppress(client.exceptions.RepositoryAlreadyExistsException):
            client.create_repository(repositoryName=each)


@contextmanager
def served() -> Generator[str]:
    """Start a local ECR in a process of its own, and return its URL."""
    code = (
        "import sys\nfrom ecr_layer_client.local import LocalECR\n"
        "with LocalECR(auth=False) as ecr:\n"
        "    print(ecr.endpoint_url, flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:  # noqa: S603
        yield (process.stdout or sys.stdin).readline().strip()
        process.communicate()


def run(name: str, url: str, layout: Path, repository: str) -> dict[str, Any]:
    """Run a trial in a new process."""
    command = [sys.executable, __file__, "--trial", name, url, str(layout), repository]
    out = subprocess.run(command, check=True, stdout=PIPE, text=True).stdout  # noqa: S603
    figures: dict[str, Any] = json.loads(out)
    return figures


if __name__ == "__main__":
    main()
