"""The wheel, built once from this source tree as its users will get it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wire.environments import ran

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel's file.

    Skip the test where there is no source tree, or nothing to build it with.
    """
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("needs the source tree: the wheel is built from it")
    folder = tmp_path_factory.mktemp("dist")
    built = ran(
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        folder,
        ROOT,
    )
    if "hatchling" in built.stderr and built.returncode != 0:
        pytest.skip(f"needs hatchling from a package index, and pip says: {built.stderr[-300:]}")
    assert built.returncode == 0, built.stderr
    (made,) = folder.glob("*.whl")
    return made
