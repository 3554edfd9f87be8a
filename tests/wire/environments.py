"""Virtual environments for packages that must not be in the environment of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

MAX_SECONDS = 600.0


def ran(*command: object, **variables: str) -> CompletedProcess[str]:
    """Run a command and return how it ended."""
    words = [str(each) for each in command]
    # Only the tests of this process make long runs of properties.
    inherited = {name: value for name, value in os.environ.items() if name != "HYPOTHESIS_PROFILE"}

    return subprocess.run(
        words,
        env=inherited | variables,
        timeout=MAX_SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )


def environment(folder: Path, *requirements: str, python: str | Path = sys.executable) -> Path:
    """Make a virtual environment, install the requirements and return the folder of its programs.

    Skip the test if pip cannot install them.
    """
    ran(python, "-m", "venv", folder).check_returncode()
    programs = folder / ("Scripts" if os.name == "nt" else "bin")

    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    installed = ran(*pip, "install", *requirements)
    if installed.returncode != 0:
        needed = " ".join(requirements)
        pytest.skip(f"needs {needed} from a package index; pip failed: {installed.stderr[-300:]}")

    return programs
