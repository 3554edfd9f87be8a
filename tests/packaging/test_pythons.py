"""The project's tests pass on each Python version that the project names."""

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
    """Return an interpreter of a version, from the search path or from pyenv's folder.

    Skip the test if there is none.
    """
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [Path(each) for each in (shutil.which(f"python{version}"),) if each]
    found += sorted(versions.glob(f"{version}.*/bin/python{version}"))

    for python in reversed(found):
        if ran(python, "-c", "import ensurepip, ssl, venv").returncode == 0:
            return python

    pytest.skip(f"needs python{version}, on the search path or from pyenv")


def test_the_oldest_is_named() -> None:
    """`requires-python` is the oldest version named, and this Python's version is named."""
    assert (PROJECT["project"]["requires-python"], THIS in NAMED) == (f">={NAMED[0]}", True)


@pytest.mark.parametrize("version", [each for each in NAMED if each != THIS])
def test_python(version: str, tmp_path: Path) -> None:
    """The tests of the core and those over real sockets pass on this Python version."""
    wanted = [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["cli"],
        *PROJECT["dependency-groups"]["test"],
    ]
    python = environment(tmp_path / version, *wanted, python=interpreter(version)) / "python"

    path = os.pathsep.join((SOURCE, str(ROOT / "tests"), str(ROOT / "benchmarks")))
    pytest_command = (python, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider")
    places = ("--rootdir", ROOT, "-c", ROOT / "pyproject.toml", *(ROOT / each for each in TESTS))
    finished = ran(*pytest_command, *places, PYTHONPATH=path)

    assert finished.returncode == 0, finished.stdout[-5000:] + finished.stderr[-2000:]
    print(finished.stdout.splitlines()[-1])  # noqa: T201 (the number of passed tests)
