"""The pytest plugin as its users have it: a separate run of pytest for each framework."""

from __future__ import annotations

import importlib
import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import ecr_layer_client
from wire.environments import environment, ran

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
SOURCE = Path(ecr_layer_client.__file__).parents[1]

BLOCKING = """
import boto3

def test_it(local_ecr):
    digest = local_ecr.put_layer("app", b"a layer")
    client = boto3.client("ecr", **local_ecr.client_kwargs)
    answer = client.batch_check_layer_availability(repositoryName="app", layerDigests=[digest])
    assert answer["layers"][0]["layerAvailability"] == "AVAILABLE"

def test_each_test_has_its_own(local_ecr):
    assert local_ecr.stats.requests == 0
"""
AWAITING = """
import pytest

{mark}
async def test_it({more}local_ecr):
    digest = local_ecr.put_layer("app", b"a layer")
    async with local_ecr.client() as client:
        assert (await client.check_layers("app", [digest])).all_available
"""
ANYIO = (
    AWAITING.format(mark="@pytest.mark.anyio", more="anyio_backend_name, ")
    + """
@pytest.fixture
def anyio_backend():
    return "asyncio"
"""
)
ASYNCIO = {
    "strict": AWAITING.format(mark="@pytest.mark.asyncio", more=""),
    "auto": AWAITING.format(mark="", more=""),
}
UNITTEST = """
import unittest
import pytest
from ecr_layer_client.local import LocalECR

async def is_held(ecr):
    digest = ecr.put_layer("app", b"a layer")
    async with ecr.client() as client:
        return (await client.check_layers("app", [digest])).all_available

class ByPytest(unittest.IsolatedAsyncioTestCase):
    @pytest.fixture(autouse=True)
    def _ecr(self, local_ecr):
        self.ecr = local_ecr

    async def test_it(self):
        assert await is_held(self.ecr)

class Alone(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.ecr = self.enterContext(LocalECR())

    async def test_it(self):
        assert await is_held(self.ecr)
"""

OWN = [
    "ecr_layer_client",
    "ecr_layer_client._models",
    "ecr_layer_client._models.version",
    "ecr_layer_client.testing",
]


@pytest.fixture
def run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, int]]:
    """Run test files in another process, with the plugin.

    Return how many of the tests had which outcome.
    """
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(filter(None, (str(SOURCE), os.environ.get("PYTHONPATH"))))
    )
    # Other plugins that are installed here are not part of the test.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(*arguments: str) -> dict[str, int]:
        files = [argument for argument in arguments if "\n" in argument]
        pytester.makepyfile(**{f"test_{number}": file for number, file in enumerate(files)})
        plugins = (
            "-p",
            "ecr_layer_client.testing",
            "-p",
            "pytest_asyncio.plugin",
            "-oasyncio_default_fixture_loop_scope=function",
        )

        return pytester.runpytest_subprocess(
            "-Werror", *plugins, *(each for each in arguments if each not in files)
        ).parseoutcomes()

    return run


@pytest.mark.parametrize("mode", ["strict", pytest.param("auto", marks=pytest.mark.full)])
def test_every_framework_is_served(run: Any, mode: str) -> None:
    """Tests that block, of pytest-asyncio, of anyio and of unittest all use the fixture.

    Each test has its own registry.
    """
    assert run(
        BLOCKING,
        UNITTEST,
        ANYIO,
        ASYNCIO[mode],
        "-p",
        "anyio.pytest_plugin",
        f"-oasyncio_mode={mode}",
    ) == {"passed": 6}


def test_the_plugin_alone_imports_little() -> None:
    """A run of pytest that does not use the fixture imports only four small modules."""
    code = (
        "import sys, logging, pytest; had = {*sys.modules}; import ecr_layer_client.testing; "
        "print(*sorted({*sys.modules} - had))"
    )
    assert ran(sys.executable, "-c", code, PYTHONPATH=str(SOURCE)).stdout.split() == OWN


def test_the_plugin_is_an_entry_point() -> None:
    """The entry point of the package names the plugin, and the module exists."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (module,) = project["project"]["entry-points"]["pytest11"].values()
    assert importlib.import_module(module).__all__ == ["local_ecr"]


@pytest.mark.full
@pytest.mark.timeout(600)
def test_an_installed_package_brings_the_fixture(tmp_path: Path) -> None:
    """Where the package is installed beside pytest, `local_ecr` works without configuration."""
    python = environment(tmp_path / "environment", str(ROOT), "pytest", "boto3") / "python"
    (tmp_path / "test_mine.py").write_text(BLOCKING)
    said = ran(
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        tmp_path,
        tmp_path / "test_mine.py",
    )

    assert said.stdout.splitlines()[-1].startswith("2 passed"), said.stdout
