"""Every Python that the project names runs its tests."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from wire.environments import environment, ran
from wire.processes import SOURCE

pytestmark = [pytest.mark.full, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = (
    tomllib.loads((ROOT / "pyproject.toml").read_text())
    if (ROOT / "pyproject.toml").exists()
    else {}
)
NAMED = re.findall(
    r"Programming Language :: Python :: (3\.\d+)",
    "\n".join(PROJECT.get("project", {}).get("classifiers", ())),
)
TESTS = tuple(
    f"tests/{folder}"
    for folder in ("calls", "checks", "client", "models", "property", "text", "transport", "wire")
)
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


def interpreter(version: str) -> Path:
    """Return an interpreter of a version, from the search path or pyenv's folder.

    Skip the test where there is none.
    """
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [Path(each) for each in (shutil.which(f"python{version}"),) if each] + sorted(
        versions.glob(f"{version}.*/bin/python{version}")
    )
    for python in reversed(found):
        if ran(python, "-c", "import ensurepip, ssl, venv").returncode == 0:
            return python
    pytest.skip(f"needs python{version}, on the search path or from pyenv")


def test_the_oldest_is_named() -> None:
    """The oldest Python named is the one that installing asks for, and this one is among them."""
    assert (PROJECT["project"]["requires-python"], THIS in NAMED) == (f">={NAMED[0]}", True)


@pytest.mark.parametrize("version", [each for each in NAMED if each != THIS])
def test_python(version: str, tmp_path: Path) -> None:
    """The tests of the core and of the wire pass on it."""
    wanted = [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["cli"],
        *PROJECT["dependency-groups"]["test"],
    ]
    python = environment(tmp_path / version, *wanted, python=interpreter(version)) / "python"
    path = os.pathsep.join((SOURCE, str(ROOT / "tests"), str(ROOT / "benchmarks")))
    options = (
        "-q",
        "-n",
        "2",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        ROOT,
        "-c",
        ROOT / "pyproject.toml",
    )
    said = ran(python, "-m", "pytest", *options, *(ROOT / each for each in TESTS), PYTHONPATH=path)
    assert said.returncode == 0, said.stdout[-5000:] + said.stderr[-2000:]
    print(said.stdout.splitlines()[-1])  # noqa: T201 (how many passed)
