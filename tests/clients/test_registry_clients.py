"""Clients of the Docker Registry API push to the local ECR and pull from it, and so do we.

The tests need skopeo, podman, buildah and docker (Debian's packages of these names, and docker.io).
oras-py is installed from PyPI.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from clients.images import AMD, ARM, BOTH, REF
from ecr_layer_client.images import ImageSource
from ecr_layer_client.local import LocalECR
from images.making import IMAGE, INDEX, Image, entry, layout_files, sha256, write
from wire.environments import environment, ran

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ecr_layer_client.images import ImageReport

    Run = Callable[..., str]

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

ORAS = Path(__file__).parent / "programs" / "oras_push.py"
# Larger than three chunks of 5 MiB.
LARGE = Random(3).randbytes(16 * 1024 * 1024)  # noqa: S311  (bytes of a layer)
TLS = "--tls-verify=false"


@pytest.fixture
def ecr() -> Iterator[LocalECR]:
    """Provide a local ECR with empty repositories, in its own thread."""
    with LocalECR() as local:
        local.create_repository("team/app")
        local.create_repository("ours")
        yield local


@pytest.fixture
def host(ecr: LocalECR) -> str:
    """Return where the clients reach the local ECR."""
    return ecr.endpoint_url.removeprefix("http://")


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Provide a folder with a short path, which podman needs for its storage."""
    with tempfile.TemporaryDirectory(prefix="ecr-") as path:
        yield Path(path)


@pytest.fixture
def run(ecr: LocalECR, host: str, short_path: Path, tmp_path: Path) -> Run:
    """Run a client that is logged in, with storage of its own, and return what it prints."""
    at = short_path / "at"
    storage = ["--storage-driver", "vfs", "--root", short_path / "root", "--runroot", at]
    options: dict[str, list[Any]] = {
        "skopeo": ["--insecure-policy"],
        "podman": storage,
        "buildah": storage,
    }

    def run(program: str, *arguments: object) -> str:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program} (Debian: apt-get install {program})")
        command = [program, *options[program], *arguments]
        said = ran(*command, REGISTRY_AUTH_FILE=str(tmp_path / "login.json"), TMPDIR=str(tmp_path))
        assert said.returncode == 0, said.stderr[-2000:]
        return said.stdout.strip()

    for program in ("skopeo", "podman", "buildah"):
        if shutil.which(program) is not None:
            run(program, "login", TLS, "-u", "AWS", "-p", ecr.login_password(), host)
    return run


def layout(path: Path) -> Path:
    """Write a layout with the images `both`, an index, and `v1`."""
    roots = [
        entry(BOTH, INDEX, annotations={REF: "both"}),
        entry(AMD.manifest, IMAGE, annotations={REF: "v1"}),
    ]
    write(path, layout_files(roots, [BOTH, AMD.manifest, ARM.manifest, *AMD.blobs, *ARM.blobs]))
    return path


def push_ours(ecr: LocalECR, image: Image) -> None:
    """Push an image with our client, as `ours:1.0`."""
    blobs = {sha256(blob): blob for blob in image.blobs}

    async def push() -> None:
        source = ImageSource.from_manifest(image.manifest, blobs=lambda blob: [blobs[blob.digest]])
        async with ecr.client() as client:
            await client.push("ours", source, tags=["1.0"])

    asyncio.run(push())


def reports(ecr: LocalECR, tag: str) -> list[ImageReport]:
    """Verify and audit `team/app` with our client, and return the reports, that of a tag first."""

    async def verify() -> list[ImageReport]:
        async with ecr.client() as client:
            verified = await client.verify_image("team/app", tag)
            return [verified, *[report async for report in client.audit("team/app")]]

    return asyncio.run(verify())


def pulled(ecr: LocalECR, tag: str, path: Path) -> ImageSource:
    """Pull from `team/app` with our client."""

    async def pull() -> None:
        async with ecr.client() as client:
            await client.pull("team/app", tag, path)

    asyncio.run(pull())
    return ImageSource.from_path(path)


# -- skopeo


def test_skopeo_pushes(ecr: LocalECR, host: str, run: Run, tmp_path: Path) -> None:
    """An image that skopeo pushes is complete for our client, which pulls the same manifests."""
    source = f"oci:{layout(tmp_path / 'layout')}:both"
    run(
        "skopeo",
        "copy",
        "--quiet",
        "--all",
        f"--dest{TLS[1:]}",
        source,
        f"docker://{host}/team/app:1.0",
    )

    assert {report.deployable for report in reports(ecr, "1.0")} == {True}
    manifests = [manifest.raw for manifest in pulled(ecr, "1.0", tmp_path / "pulled").manifests]
    assert sorted(manifests) == sorted([AMD.manifest, ARM.manifest, BOTH])


def test_skopeo_pulls(ecr: LocalECR, host: str, run: Run, tmp_path: Path) -> None:
    """An image that our client pushed is pulled by skopeo byte for byte."""
    push_ours(ecr, AMD)
    target = f"dir:{tmp_path / 'pulled'}"
    run("skopeo", "copy", "--quiet", f"--src{TLS[1:]}", f"docker://{host}/ours:1.0", target)
    files = {path.read_bytes() for path in (tmp_path / "pulled").iterdir()}
    assert files >= {AMD.manifest, *AMD.blobs}


def test_skopeo_lists_and_deletes(ecr: LocalECR, host: str, run: Run) -> None:
    """Skopeo lists tags, inspects an image and deletes it."""
    push_ours(ecr, AMD)
    name = f"docker://{host}/ours"
    listed = json.loads(run("skopeo", "list-tags", TLS, name))["Tags"]
    digest = json.loads(run("skopeo", "inspect", TLS, f"{name}:1.0"))["Digest"]
    run("skopeo", "delete", TLS, f"{name}:1.0")
    left = json.loads(run("skopeo", "list-tags", TLS, name))["Tags"]
    assert (listed, digest, left) == (["1.0"], sha256(AMD.manifest), [])


def test_skopeo_tries_again_when_it_is_throttled(
    ecr: LocalECR, host: str, run: Run, tmp_path: Path
) -> None:
    """A throttled PutImage is tried again by skopeo, as with ECR."""
    fault = ecr.faults.add(operation="PutImage", error="ThrottlingException", times=1)
    source = f"oci:{layout(tmp_path / 'layout')}:v1"
    target = f"docker://{host}/team/app:1.0"
    run("skopeo", "copy", "--quiet", "--retry-times", "2", f"--dest{TLS[1:]}", source, target)
    assert (fault.played, reports(ecr, "1.0")[0].deployable) == (1, True)


# -- podman and buildah


def test_buildah_builds_and_pushes(ecr: LocalECR, host: str, run: Run, tmp_path: Path) -> None:
    """An image that buildah builds and pushes is complete for our client, and comes back."""
    (tmp_path / "file").write_bytes(b"content")
    container = run("buildah", "from", "scratch")
    run("buildah", "copy", "--quiet", container, tmp_path / "file", "/file")
    image = run("buildah", "commit", "--quiet", container, "made:1.0")
    run("buildah", "push", "--quiet", TLS, "made:1.0", f"docker://{host}/team/app:1.0")
    again = run("buildah", "pull", "--quiet", "--policy", "always", TLS, f"{host}/team/app:1.0")

    assert {report.deployable for report in reports(ecr, "1.0")} == {True}
    assert (again, len(pulled(ecr, "1.0", tmp_path / "pulled").blobs)) == (image, 2)


def test_buildah_pulls_what_our_client_pushed(ecr: LocalECR, host: str, run: Run) -> None:
    """Buildah, which checks each layer against the config, gets the image byte for byte."""
    push_ours(ecr, AMD)
    image = run("buildah", "pull", "--quiet", TLS, f"{host}/ours:1.0")
    assert image == sha256(AMD.config).removeprefix("sha256:")


def test_podman_pulls_and_pushes(ecr: LocalECR, host: str, run: Run) -> None:
    """An image that our client pushed is pulled by podman, and is complete when pushed on."""
    push_ours(ecr, AMD)
    image = run("podman", "pull", "--quiet", TLS, f"{host}/ours:1.0")
    run("podman", "tag", image, f"{host}/team/app:1.0")
    run("podman", "push", "--quiet", TLS, f"{host}/team/app:1.0")

    assert image == sha256(AMD.config).removeprefix("sha256:")
    assert {report.deployable for report in reports(ecr, "1.0")} == {True}


def test_podman_reads_the_errors(ecr: LocalECR, host: str, run: Run) -> None:
    """Podman's message has the words of ECR's error."""
    with pytest.raises(AssertionError, match="manifest unknown: Requested image not found"):
        run("podman", "pull", TLS, f"{host}/ours:none")
    assert ecr.stats.by_operation["BatchGetImage"] == {"MANIFEST_UNKNOWN": 1}


# -- docker


@pytest.fixture
def docker(ecr: LocalECR, host: str, short_path: Path) -> Iterator[Run]:
    """Run docker, which is logged in, with an engine of its own."""
    engine = shutil.which("dockerd")
    if engine is None or shutil.which("docker") is None or os.geteuid() != 0:
        pytest.skip("needs root and the engine of docker (Debian: apt-get install docker.io)")

    socket = f"unix://{short_path}/socket"
    options = {
        "--bridge": "none",
        "--data-root": short_path / "data",
        "--exec-root": short_path / "exec",
        "--host": socket,
        "--iptables": "false",
        "--pidfile": short_path / "pid",
        "--storage-driver": "vfs",
    }
    command = [engine, *(f"{name}={value}" for name, value in options.items())]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        if not any("API listen on" in line for line in running.stderr):
            pytest.skip("the engine of docker does not start here")

        def run(*arguments: object) -> str:
            variables = {"DOCKER_HOST": socket, "DOCKER_CONFIG": str(short_path)}
            ended = ran("docker", *arguments, **variables)
            assert ended.returncode == 0, ended.stderr[-2000:]
            return ended.stdout.strip()

        try:
            run("login", "--username", "AWS", "--password", ecr.login_password(), host)
            yield run
        finally:
            running.terminate()
            running.stderr.read()


def test_docker_pushes_and_pulls(ecr: LocalECR, host: str, docker: Run, tmp_path: Path) -> None:
    """Our client finds complete what docker pushes, and docker pulls what we push."""
    with tarfile.open(tmp_path / "files.tar", "w") as archive:
        archive.add(ORAS, "file")
    docker("import", tmp_path / "files.tar", f"{host}/team/app:1.0")
    docker("push", "--quiet", f"{host}/team/app:1.0")
    push_ours(ecr, AMD)
    docker("pull", "--quiet", f"{host}/ours:1.0")
    digests = docker("inspect", "--format", "{{json .RepoDigests}}", f"{host}/ours:1.0")

    assert {report.deployable for report in reports(ecr, "1.0")} == {True}
    assert json.loads(digests) == [f"{host}/ours@{sha256(AMD.manifest)}"]


def test_docker_reads_the_errors(ecr: LocalECR, host: str, docker: Run, tmp_path: Path) -> None:
    """Docker's message has the words of ECR's error."""
    with tarfile.open(tmp_path / "files.tar", "w") as archive:
        archive.add(ORAS, "file")
    docker("import", tmp_path / "files.tar", f"{host}/none:1.0")
    words = "name unknown: The repository with name 'none' does not exist in the registry"
    with pytest.raises(AssertionError, match=words):
        docker("push", f"{host}/none:1.0")
    assert ecr.stats.by_operation["InitiateLayerUpload"]["NAME_UNKNOWN"] > 0


# -- oras-py


def test_oras_pushes_and_pulls(ecr: LocalECR, host: str, tmp_path: Path) -> None:
    """oras-py pushes a file, at once and in chunks, and pulls what our client pushed."""
    (tmp_path / "large").write_bytes(LARGE)
    push_ours(ecr, AMD)
    python = environment(tmp_path / "oras", "oras") / "python"
    said = ran(python, ORAS, host, ecr.login_password(), tmp_path / "large", tmp_path)
    assert said.returncode == 0, said.stderr[-2000:]

    digests = [sha256(layer) for layer in AMD.layers]
    assert json.loads(said.stdout.splitlines()[-1]) == {
        "whole": [201, True],
        "chunks": [201, True],
        "tags": ["chunks", "whole"],
        "ours": digests,
    }
    blobs = [(tmp_path / f"blob-{number}").read_bytes() for number in range(len(digests))]
    assert tuple(blobs) == AMD.layers
    assert {report.deployable for report in reports(ecr, "chunks")} == {True}
