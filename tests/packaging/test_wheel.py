"""The wheel: its files, and its use in environments with nothing else installed."""

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
            result = await client.check_layers("app", [held, "sha256:" + "b" * 64])
            return result.available == (held,)

extras = {"typer", "rich", "pyarrow", "pandas", "tqdm", "opentelemetry", "pytest"}
print(asyncio.run(main()), sorted(extras & sys.modules.keys()))
"""


def test_contents(wheel: Path) -> None:
    """The wheel holds the package, its sample with the attribution, its licence and no more."""
    names = ZipFile(wheel).namelist()
    metadata = f"ecr_layer_client-{ecr_layer_client.__version__}.dist-info/"
    wanted = {
        "ecr_layer_client/py.typed",
        "ecr_layer_client/local/sample/ATTRIBUTION.md",
        f"{metadata}licenses/LICENSE",
        f"{metadata}entry_points.txt",
    }

    missing = wanted - set(names)
    others = {name for name in names if not name.startswith(("ecr_layer_client/", metadata))}
    assert (missing, others) == (set(), set())


def test_alone(wheel: Path, tmp_path: Path) -> None:
    """Installed alone, the wheel has every public name of the core and checks without an extra."""
    programs = environment(tmp_path / "alone", str(wheel))
    finished = ran(programs / "python", "-I", "-c", CHECKED)
    assert (finished.returncode, finished.stdout.strip(), finished.stderr) == (0, "True []", "")


def test_command_without_its_extra(wheel: Path, tmp_path: Path) -> None:
    """Without the extra `cli`, the command names in one line the package to install."""
    programs = environment(tmp_path / "alone", str(wheel))
    finished = ran(programs / "ecr-layers", "--version")
    assert (
        finished.returncode,
        finished.stderr.count("\n"),
        "pip install 'ecr-layer-client[cli]'" in finished.stderr,
    ) == (2, 1, True)


def test_command(wheel: Path, tmp_path: Path) -> None:
    """With the extra `cli`, the command and its demo run."""
    programs = environment(tmp_path / "cli", f"ecr-layer-client[cli] @ {wheel.as_uri()}")
    version, demo = ran(programs / "ecr-layers", "--version"), ran(programs / "ecr-layers", "demo")
    assert (version.stdout.strip(), demo.returncode, demo.stderr) == (
        f"ecr-layers {ecr_layer_client.__version__}",
        0,
        "",
    )


def test_fixture(wheel: Path, tmp_path: Path) -> None:
    """With pytest installed, the fixture `local_ecr` works without configuration."""
    programs = environment(tmp_path / "tests", str(wheel), "pytest")
    (tmp_path / "test_mine.py").write_text(
        "def test_mine(local_ecr):\n"
        "    assert local_ecr.endpoint_url.startswith('http://127.0.0.1')\n"
    )

    pytest_command = (programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    finished = ran(*pytest_command, "--rootdir", tmp_path, tmp_path)

    output = finished.stdout
    assert output.splitlines()[-1].startswith("1 passed"), output + finished.stderr


def test_types(wheel: Path, tmp_path: Path) -> None:
    """A type checker in another project finds the types."""
    programs = environment(tmp_path / "types", str(wheel), "mypy")
    (tmp_path / "mine.py").write_text(
        "from ecr_layer_client import ECRLayerClient\nreveal_type(ECRLayerClient().check_layer)\n"
    )
    # Without a file of its own, mypy might find this project's settings.
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nstrict = true\n")

    mypy = (programs / "python", "-m", "mypy", "--config-file", settings)
    finished = ran(*mypy, "--cache-dir", tmp_path / "cache", tmp_path / "mine.py")

    output = finished.stdout
    assert (finished.returncode, "Coroutine[Any, Any, " in output) == (0, True), output
