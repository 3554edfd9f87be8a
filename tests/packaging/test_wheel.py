"""The wheel: what is in it, and that it works where nothing else is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

import ecr_layer_client
from wire.environments import environment, ran

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

CHECKED = """
import asyncio, sys, warnings
warnings.simplefilter("error")
import ecr_layer_client, ecr_layer_client.images, ecr_layer_client.local
for module in (ecr_layer_client, ecr_layer_client.images, ecr_layer_client.local):
    for name in module.__all__:
        getattr(module, name)

async def main():
    async with ecr_layer_client.local.LocalECR() as ecr:
        held = ecr.put_layer("app", b"a layer")
        async with ecr.client() as client:
            return (await client.check_layers("app", [held, "sha256:" + "b" * 64])).available == (held,)

print(asyncio.run(main()), sorted({"typer", "rich", "pyarrow", "pandas", "tqdm", "opentelemetry", "pytest"} & sys.modules.keys()))
"""


def test_contents(wheel: Path) -> None:
    """It holds the package, its types, its sample with the attribution, its licence, and nothing else."""
    names = ZipFile(wheel).namelist()
    told = f"ecr_layer_client-{ecr_layer_client.__version__}.dist-info/"
    wanted = {
        "ecr_layer_client/py.typed",
        "ecr_layer_client/local/sample/ATTRIBUTION.md",
        f"{told}licenses/LICENSE",
        f"{told}entry_points.txt",
    }
    assert (
        wanted - set(names),
        {name for name in names if not name.startswith(("ecr_layer_client/", told))},
    ) == (set(), set())


def test_alone(wheel: Path, tmp_path: Path) -> None:
    """Installed alone, every public name of the core is there, checks work, and no extra is needed or imported."""
    programs = environment(tmp_path / "alone", str(wheel))
    said = ran(programs / "python", "-I", "-c", CHECKED)
    assert (said.returncode, said.stdout.strip(), said.stderr) == (0, "True []", "")


def test_command_without_its_extra(wheel: Path, tmp_path: Path) -> None:
    """Installed without the extra `cli`, the command says in one line what to install."""
    programs = environment(tmp_path / "alone", str(wheel))
    said = ran(programs / "ecr-layers", "--version")
    assert (
        said.returncode,
        said.stderr.count("\n"),
        "pip install 'ecr-layer-client[cli]'" in said.stderr,
    ) == (2, 1, True)


def test_command(wheel: Path, tmp_path: Path) -> None:
    """Installed with the extra `cli`, the command and its demo run."""
    programs = environment(tmp_path / "cli", f"ecr-layer-client[cli] @ {wheel.as_uri()}")
    version, demo = ran(programs / "ecr-layers", "--version"), ran(programs / "ecr-layers", "demo")
    assert (version.stdout.strip(), demo.returncode, demo.stderr) == (
        f"ecr-layers {ecr_layer_client.__version__}",
        0,
        "",
    )


def test_fixture(wheel: Path, tmp_path: Path) -> None:
    """Installed beside pytest, the fixture `local_ecr` is there, without a line of configuration."""
    programs = environment(tmp_path / "tests", str(wheel), "pytest")
    (tmp_path / "test_mine.py").write_text(
        "def test_mine(local_ecr):\n    assert local_ecr.endpoint_url.startswith('http://127.0.0.1')\n"
    )
    said = ran(
        programs / "python",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        tmp_path,
        tmp_path,
    )
    assert said.stdout.splitlines()[-1].startswith("1 passed"), said.stdout + said.stderr


def test_types(wheel: Path, tmp_path: Path) -> None:
    """A type checker in a project of its own finds the types."""
    programs = environment(tmp_path / "types", str(wheel), "mypy")
    (tmp_path / "mine.py").write_text(
        "from ecr_layer_client import ECRLayerClient\nreveal_type(ECRLayerClient().check_layer)\n"
    )
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n")  # not this project's settings
    said = ran(
        programs / "python",
        "-m",
        "mypy",
        "--config-file",
        tmp_path / "mypy.ini",
        "--cache-dir",
        tmp_path / "cache",
        tmp_path / "mine.py",
    )
    assert (said.returncode, "Coroutine[Any, Any, " in said.stdout) == (0, True), said.stdout
