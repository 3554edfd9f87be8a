"""The wheel that users install, built once from this source tree."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wire.environments import ran

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel's path.

    Skip the test if there is no source tree, or if pip cannot install the build backend.
    """
    if not (ROOT / "pyproject.toml").exists():
        pytest.skip("needs the source tree: the wheel is built from it")

    folder = tmp_path_factory.mktemp("dist")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    built = ran(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)

    if "hatchling" in built.stderr and built.returncode != 0:
        pytest.skip(f"needs hatchling from a package index; pip failed: {built.stderr[-300:]}")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel
