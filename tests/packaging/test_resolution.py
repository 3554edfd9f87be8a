"""pip finds versions of the dependencies that fit together, without a long search."""

from __future__ import annotations

from pathlib import Path

import pytest

from wire.environments import environment, ran

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

_ROOT = Path(__file__).parents[2]
_MAX_TRIED = 40  # the boto3 releases since the botocore that aiobotocore accepts, with room


def test_an_old_pip_finds_versions_beside_boto3_and_moto(tmp_path: Path) -> None:
    """Pip 23 tries one moto, and few versions of boto3."""
    programs = environment(tmp_path / "old pip", "pip==23.2.1")
    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check", "--no-cache-dir")
    found = ran(*pip, "install", "--dry-run", _ROOT, "boto3", "moto")
    assert found.returncode == 0, found.stderr

    tried = [line.split()[1] for line in found.stdout.splitlines() if "Downloading" in line]
    motos = {name for name in tried if name.startswith("moto-")}
    assert (len(motos), len(set(tried)) < len(_installed(found.stdout)) + _MAX_TRIED) == (1, True)


def _installed(output: str) -> list[str]:
    (line,) = [line for line in output.splitlines() if line.startswith("Would install ")]
    return line.split()[2:]
