"""Clients of other projects push to the local ECR and pull from it.

Each client runs in its own environment. Our client pushes an image that each of them pulls, and
examines the image that each of them pushes.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client.images import ImageSource
from ecr_layer_client.local import LocalECR
from images.making import Image, sha256
from wire.environments import environment, ran

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

PROGRAMS = Path(__file__).parent / "programs"
JAVASCRIPT = "@aws-sdk/client-ecr"
SIZE = 5 * 1024 * 1024 + 8
OURS = Image(b"{}", (b"the layer of our client",))
SEEN: dict[str, Any] = {
    "uri": "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app",
    "before": [["UNAVAILABLE", None], ["UNAVAILABLE", None]],
    "uploaded": [True, True],
    "after": [["AVAILABLE", SIZE], ["AVAILABLE", 2]],
    "put": True,
    "got": [True],
    "missing": ["ImageNotFound"],
    "downloaded": True,
    "ours": [sha256(OURS.manifest), *map(sha256, OURS.blobs)],
    "listed": ["1.0"],
    "described": [SIZE + 2],
    "tags": ["team", "a"],
    "policy": True,
    "resume": 3,
    "errors": [
        "InvalidLayerPartException",
        "InvalidLayerPartException",
        "RepositoryAlreadyExistsException",
        "InvalidLayerException",
        "RepositoryNotFoundException",
        "LayersNotFoundException",
        "ImageAlreadyExistsException",
    ],
}
SEEN_IN_PUBLIC: dict[str, Any] = {
    "uri": "public.ecr.aws/local/team/app",
    "alias": "local",
    "token": ["authorizationToken", "expiresAt"],
    "before": SEEN["before"],
    "uploaded": SEEN["uploaded"],
    "after": SEEN["after"],
    "put": True,
    "described": [True],
    "named": "arn:aws:ecr-public::123456789012:repository/team/app",
    "errors": [
        "RepositoryAlreadyExistsException",
        "ImageAlreadyExistsException",
        "RegistryNotFoundException",
        "RepositoryNotFoundException",
        "ImageNotFoundException",
    ],
}
POLICY = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {
                    "tagStatus": "any",
                    "countType": "imageCountMoreThan",
                    "countNumber": 9,
                },
                "action": {"type": "expire"},
            }
        ]
    }
)
# Where Debian's packages install programs and the sources of libraries for Go.
AWS_2, GO_PATH = Path("/usr/bin/aws"), Path("/usr/share/gocode")
UNCHECKED = {
    "no name": "repositoryName",
    "no digests": "layerDigests",
    "an empty list": "layerDigests",
    "101 digests": "layerDigests",
    "a name of one letter": "repositoryName",
    "a name in capitals": "repositoryName",
    "a name with dots": "repositoryName",
    "a number for a name": "repositoryName",
    "numbers for digests": "layerDigests",
    "a long digest": "layerDigests",
    "a short registry": "registryId",
    "no upload": "uploadId",
    "a malformed upload id": "uploadId",
    "a part before the first byte": "partFirstByte",
    "no part": "layerPartBlob",
    "no image": "imageIds",
    "101 images": "imageIds",
    "no manifest": "imageManifest",
    "an empty manifest": "imageManifest",
    "malformed manifest": "ImageManifest",
    "a word for a setting": "imageTagMutability",
}


@pytest.fixture
def ecr() -> Iterator[LocalECR]:
    """Provide a local ECR in its own thread."""
    with LocalECR() as local:
        yield local


@pytest.fixture
def seen(ecr: LocalECR) -> Callable[..., dict[str, Any]]:
    """Run a command in the environment of the local ECR, and return the JSON that it prints."""

    def run(*command: str | Path) -> dict[str, Any]:
        asyncio.run(push(ecr))
        said = ran(*command, **ecr.environment)
        assert said.returncode == 0, said.stderr[-2000:]
        assert asyncio.run(examined(ecr)) == [True, True, True]
        return dict(json.loads(said.stdout))

    return run


async def push(ecr: LocalECR) -> None:
    """Push an image with our client."""
    blobs = {sha256(blob): blob for blob in OURS.blobs}
    source = ImageSource.from_manifest(OURS.manifest, blobs=lambda each: [blobs[each.digest]])
    ecr.create_repository("team/ours")
    async with ecr.client() as client:
        await client.push("team/ours", source, tags=["1.0"])


async def examined(ecr: LocalECR) -> list[bool]:
    """Return whether our client finds the image of the other client complete, in three ways."""
    async with ecr.client() as client:
        image = await client.get_image("team/app", "1.0")
        checked = await client.check_layers("team/app", [each.digest for each in image.blobs])
        report = await client.verify_image("team/app", "1.0")
        audited = [each.deployable async for each in client.audit("team/app")]
    return [checked.all_available, report.deployable, audited == [True]]


@pytest.mark.parametrize(
    ("client", "requirement", "hidden"),
    [
        ("boto3", "boto3", []),
        ("capo", "capo-ecr", []),
        # The command line prints only the message of an error.
        ("aws", "awscli", ["resume"]),
    ],
    ids=["boto3", "capo-ecr", "awscli"],
)
def test_a_python_client_pushes_and_pulls(
    seen: Any, tmp_path: Path, client: str, requirement: str, hidden: list[str]
) -> None:
    """A Python client pushes in parts, pulls byte for byte, and reads each error code."""
    python = environment(tmp_path / client, requirement) / "python"
    told = seen(python, PROGRAMS / "journey.py", client, POLICY)
    assert told == {**SEEN, **dict.fromkeys(hidden)}


@pytest.mark.parametrize(("client", "requirement"), [("boto3", "boto3"), ("aws", "awscli")])
def test_a_python_client_pushes_to_ecr_public(
    ecr: LocalECR, tmp_path: Path, client: str, requirement: str
) -> None:
    """A Python client pushes to ECR Public in parts, and reads each error code."""
    python = environment(tmp_path / client, requirement) / "python"
    told = ran(python, PROGRAMS / "journey.py", client, "ecr-public", **ecr.environment)
    assert told.returncode == 0, told.stderr[-2000:]
    assert json.loads(told.stdout) == SEEN_IN_PUBLIC


@pytest.mark.skipif(not AWS_2.exists(), reason="needs Debian's package awscli, of version 2")
def test_the_second_command_line_pushes_and_pulls(seen: Any) -> None:
    """Version 2 of the AWS command line gets the same results as version 1."""
    told = seen(sys.executable, PROGRAMS / "journey.py", "aws", POLICY, AWS_2)
    assert told == {**SEEN, "resume": None}


@pytest.mark.skipif(
    shutil.which("go") is None or not (GO_PATH / "src/github.com/aws/aws-sdk-go").exists(),
    reason="needs Debian's packages golang-go and golang-github-aws-aws-sdk-go-dev",
)
def test_go_pushes_and_pulls(seen: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Version 1 of AWS's client for Go, which many tools use, gets the same results."""
    monkeypatch.setenv("GO111MODULE", "off")
    monkeypatch.setenv("GOPATH", str(GO_PATH))
    monkeypatch.setenv("GOCACHE", str(tmp_path))
    assert seen("go", "run", PROGRAMS / "journey.go", POLICY) == SEEN


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """Provide a folder in which Node.js finds AWS's client for JavaScript."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}, of Node.js (Debian: apt-get install nodejs npm)")

    installed = ran(
        "npm",
        "install",
        "--prefix",
        tmp_path,
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        JAVASCRIPT,
    )
    if installed.returncode != 0:
        pytest.skip(
            f"needs {JAVASCRIPT} from a package index, and npm says: {installed.stderr[-300:]}"
        )
    shutil.copy(PROGRAMS / "journey.mjs", tmp_path)

    return tmp_path


def test_javascript_pushes_and_pulls(seen: Any, node: Path) -> None:
    """AWS's client for JavaScript gets the same results as the Python clients.

    The server rejects what this client sends without validation, and names the member.
    """
    told = seen("node", node / "journey.mjs", POLICY)
    unchecked = told.pop("unchecked")
    assert (told, unchecked) == (
        SEEN,
        {what: ["InvalidParameterException", member] for what, member in UNCHECKED.items()},
    )
