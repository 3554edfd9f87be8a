"""The docker-compose file and the testcontainers example of the page about a local registry."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from ecr_layer_client.cli.app import app
from ecr_layer_client.local import LocalECR
from images.making import IMAGE, Image, entry, layout_files, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from docs.conftest import Block


@pytest.fixture
def page(root: Path, blocks: Callable[..., list[Block]]) -> dict[str, str]:
    """Return the last block of each language of the page."""
    text = (root / "docs" / "local-registry.md").read_text(encoding="utf-8")
    return {block.language: block.text for block in blocks(text)}


def test_the_example_of_two_registries_runs(
    page: dict[str, str], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The profiles and commands of the page copy an image from one local ECR to another."""
    text = (root / "docs" / "local-registry.md").read_text(encoding="utf-8")
    commands = re.findall(r"^ecr-layers (.* --profile .*)$", text, re.MULTILINE)
    one = Image(b"{}", (b"a layer",))
    write(
        tmp_path / "layout", layout_files([entry(one.manifest, IMAGE)], [one.manifest, *one.blobs])
    )
    monkeypatch.chdir(tmp_path)

    with LocalECR() as first, LocalECR() as second:
        profiles = page["ini"].replace("http://127.0.0.1:4510", first.endpoint_url)
        profiles = profiles.replace("http://127.0.0.1:4511", second.endpoint_url)
        (tmp_path / "config").write_text(profiles, encoding="utf-8")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
        for ecr in (first, second):
            ecr.create_repository("team/app")
        codes = [CliRunner().invoke(app, command.split()).exit_code for command in commands]

    assert codes == [0, 0, 0]


@pytest.fixture
def service(page: dict[str, str]) -> dict[str, Any]:
    """Return the service of the docker-compose file."""
    # PyYAML has no types.
    yaml: Any = importlib.import_module("yaml")
    return dict(yaml.safe_load(page["yaml"])["services"]["ecr"])


def test_the_command_of_the_service_runs(service: dict[str, Any], tmp_path: Path) -> None:
    """The command of the docker-compose file serves, with a directory and a port of the test."""
    program, *options = service["command"]
    given: dict[str, str] = {"--data=/data": f"--data={tmp_path}", "--port=4510": "--port=0"}
    command = [
        sys.executable,
        "-m",
        "ecr_layer_client",
        *(given.get(each) or each for each in options),
    ]
    with subprocess.Popen(
        [*command, "--timeout", "0.001"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as serving:
        printed, _ = serving.communicate()
    assert (program, serving.returncode) == ("ecr-layers", 0)
    assert "export AWS_ENDPOINT_URL_ECR=http://127.0.0.1:" in printed


def test_the_health_check_of_the_service_is_answered(service: dict[str, Any]) -> None:
    """The check of the docker-compose file succeeds when the local ECR serves, and fails before."""
    kind, _, *arguments = service["healthcheck"]["test"]
    ecr = LocalECR()
    with ecr:
        host = ecr.endpoint_url.removeprefix("http://")
        arguments = [each.replace("127.0.0.1:4510", host) for each in arguments]
        healthy = subprocess.run([sys.executable, *arguments], check=False)
    closed = subprocess.run([sys.executable, *arguments], check=False, capture_output=True)
    assert (kind, healthy.returncode, closed.returncode) == ("CMD", 0, 1)


def test_the_example_of_testcontainers_compiles(page: dict[str, str]) -> None:
    """The example that needs Docker is valid Python, with options that the command has."""
    compile(page["py"], "local-registry.md", "exec")
    command = page["py"].partition('.with_command("ecr-layers serve ')[2].partition('"')[0]
    options = {each for each in command.split() if each.startswith("--")}
    said = subprocess.run(
        [sys.executable, "-m", "ecr_layer_client", "serve", "--help"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert {option for option in options if option not in said} == set()


_CHECK = """
import asyncio
from ecr_layer_client import ECRLayerClient

async def main():
    async with ECRLayerClient() as client:
        print((await client.check_layer("team/app", "sha256:" + "0" * 64)).is_absent)

asyncio.run(main())
"""


def test_a_service_of_the_cookbook_finds_the_local_ecr(
    root: Path, blocks: Callable[..., list[Block]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the variables of the cookbook, a client without arguments uses the local ECR."""
    yaml: Any = importlib.import_module("yaml")
    text = (root / "docs" / "cookbook.md").read_text(encoding="utf-8")
    (block,) = [block for block in blocks(text) if block.language == "yaml"]
    variables = yaml.safe_load(block.text)["services"]["app"]["environment"]

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with LocalECR(auth=False) as ecr:
        ecr.create_repository("team/app")
        here = variables["AWS_ENDPOINT_URL_ECR"].replace("http://ecr:4510", ecr.endpoint_url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", here)
        ran = subprocess.run(
            [sys.executable, "-c", _CHECK], capture_output=True, text=True, check=False
        )
    assert (ran.stdout, ran.stderr) == ("True\n", "")
