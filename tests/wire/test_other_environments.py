"""What lives in environments of its own: the AWS command line, and the oldest and the newest aiobotocore."""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import Layer
from wire.environments import environment, ran
from wire.processes import SOURCE

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
TESTS = ("tests/wire", "tests/client")


@pytest.mark.asyncio
async def test_the_aws_command_line_agrees(
    seeded: LocalECR, digests: list[str], tmp_path: Path
) -> None:
    """`aws ecr batch-check-layer-availability` gives the same rows as our client, from the same endpoint."""
    programs = await asyncio.to_thread(environment, tmp_path / "cli", "awscli")
    seeded.archive("app", digests[0])
    asked = digests[:100]
    options = [
        "--endpoint-url",
        seeded.endpoint_url,
        "--repository-name",
        "app",
        "--output",
        "json",
        "--layer-digests",
        *asked,
    ]
    command = ["ecr", "batch-check-layer-availability", *options]
    said = await asyncio.to_thread(lambda: ran(programs / "aws", *command, **seeded.environment))
    assert said.returncode == 0, said.stderr
    async with seeded.client() as client:
        ours = await client.check_layers("app", asked)
    theirs: list[dict[str, Any]] = json.loads(said.stdout)["layers"]
    assert [
        (
            each["layerDigest"],
            each["layerAvailability"],
            each.get("layerSize"),
            each.get("mediaType"),
        )
        for each in theirs
    ] == [
        (layer.digest, layer.availability, layer.size, layer.media_type)
        for layer in ours
        if isinstance(layer, Layer)
    ]


def pinned(version: str) -> list[str]:
    """Return what a run of the tests needs, with the oldest aiobotocore that the project admits, or the newest."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked: list[str] = [*project["project"]["dependencies"], *project["dependency-groups"]["test"]]
    admitted = next(each for each in asked if each.startswith("aiobotocore"))
    aiobotocore = admitted.replace(">=", "==") if version == "oldest" else "aiobotocore"
    return [aiobotocore, *(each for each in asked if each != admitted)]


@pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(),
    reason="needs the source tree: the versions stand in pyproject.toml",
)
@pytest.mark.parametrize("version", ["oldest", "newest"])
def test_aiobotocore(version: str, tmp_path: Path) -> None:
    """The tests of the client and of the wire pass with the oldest and the newest aiobotocore that the project admits."""
    python = environment(tmp_path / version, *pinned(version)) / "python"
    path = os.pathsep.join((SOURCE, str(ROOT / "tests")))
    tests = [str(ROOT / each) for each in TESTS]
    said = ran(
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        ROOT,
        "-c",
        ROOT / "pyproject.toml",
        *tests,
        PYTHONPATH=path,
    )
    assert said.returncode == 0, said.stdout[-5000:] + said.stderr[-2000:]
    print(said.stdout.splitlines()[-1])  # noqa: T201 (how many passed)
