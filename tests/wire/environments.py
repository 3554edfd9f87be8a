"""Virtual environments of their own, for what the tests' own environment must not hold."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess

TOO_LONG = 600  # seconds


def ran(*command: str | Path, **variables: str) -> CompletedProcess[str]:
    """Run a command to its end."""
    words = [str(each) for each in command]
    inherited = {
        name: value for name, value in os.environ.items() if name != "HYPOTHESIS_PROFILE"
    }  # long runs are for this one alone
    return subprocess.run(
        words,
        env=inherited | variables,
        timeout=TOO_LONG,
        capture_output=True,
        text=True,
        check=False,
    )


def environment(folder: Path, *requirements: str, python: str | Path = sys.executable) -> Path:
    """Return the folder of a new environment's programs, with these requirements installed.

    Skip the test where that can't be done.
    """
    ran(python, "-m", "venv", folder).check_returncode()
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    installed = ran(
        programs / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "install",
        *requirements,
    )
    if installed.returncode != 0:
        pytest.skip(
            f"needs {' '.join(requirements)} from a package index, and pip says: {installed.stderr[-300:]}"
        )
    return programs
