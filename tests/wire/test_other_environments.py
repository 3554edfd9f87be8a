"""The AWS command line, and the oldest and the newest aiobotocore, in separate environments."""

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
    """`aws ecr batch-check-layer-availability` prints the same rows as our client gets."""
    programs = await asyncio.to_thread(environment, tmp_path / "cli", "awscli")
    seeded.archive("app", digests[0])
    asked = digests[:100]

    where = ("--endpoint-url", seeded.endpoint_url, "--repository-name", "app")
    options = (*where, "--output", "json", "--layer-digests", *asked)
    command = (programs / "aws", "ecr", "batch-check-layer-availability", *options)
    finished = await asyncio.to_thread(lambda: ran(*command, **seeded.environment))
    assert finished.returncode == 0, finished.stderr

    async with seeded.client() as client:
        ours = await client.check_layers("app", asked)
    theirs: list[dict[str, Any]] = json.loads(finished.stdout)["layers"]
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
    """Return the requirements of a test run, with the oldest admitted aiobotocore or the newest."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed: list[str] = [*project["project"]["dependencies"], *project["dependency-groups"]["test"]]

    admitted = next(each for each in needed if each.startswith("aiobotocore"))
    aiobotocore = admitted.replace(">=", "==") if version == "oldest" else "aiobotocore"
    return [aiobotocore, *(each for each in needed if each != admitted)]


@pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(),
    reason="needs the source tree: pyproject.toml names the versions",
)
@pytest.mark.parametrize("version", ["oldest", "newest"])
def test_aiobotocore(version: str, tmp_path: Path) -> None:
    """The tests of the client pass with the oldest and the newest admitted aiobotocore."""
    python = environment(tmp_path / version, *pinned(version)) / "python"

    path = os.pathsep.join((SOURCE, str(ROOT / "tests")))
    pytest_command = (python, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    places = ("--rootdir", ROOT, "-c", ROOT / "pyproject.toml", *(ROOT / each for each in TESTS))
    finished = ran(*pytest_command, *places, PYTHONPATH=path)

    assert finished.returncode == 0, finished.stdout[-5000:] + finished.stderr[-2000:]
    print(finished.stdout.splitlines()[-1])  # noqa: T201 (the number of passed tests)
