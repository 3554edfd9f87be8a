"""Shell completion of commands, options and profiles, in a real bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

PROGRAM = Path(sys.executable).parent / "ecr-layers"


def completed(line: str) -> list[str]:
    """Return the words that bash offers at the end of a line."""
    words, _, last = line.rpartition(" ")
    script = f"""
        PATH={PROGRAM.parent}:$PATH
        eval "$(_ECR_LAYERS_COMPLETE=source_bash ecr-layers)"
        complete -p ecr-layers >/dev/null || exit 1
        COMP_WORDS=({words} "$1") COMP_CWORD={len(words.split())}
        _ecr_layers_completion ecr-layers
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """

    ran = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", last], capture_output=True, text=True, check=True
    )
    return ran.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ecr-layers d", ["demo", "doctor"]),
        ("ecr-layers check --re", ["--region"]),
        ("ecr-layers check team/app --profile ", ["ci", "default", "other"]),
        ("ecr-layers check team/app --profile o", ["other"]),
        ("ecr-layers check team/app --region eu-w", ["eu-west-1", "eu-west-2", "eu-west-3"]),
        ("ecr-layers doctor --region us-isob-e", ["us-isob-east-1"]),
    ],
    ids=["commands", "options", "profiles", "profile", "Regions", "Region"],
)
def test_bash_completes(environment: dict[str, str], line: str, offered: list[str]) -> None:
    """Bash completes commands, options, the profiles of the AWS configuration, and Regions."""
    Path(environment["AWS_CONFIG_FILE"]).write_text(
        "[profile ci]\n[default]\n[sso-session s]\n", encoding="ascii"
    )
    Path(environment["AWS_SHARED_CREDENTIALS_FILE"]).write_text("[other]\n", encoding="ascii")
    assert completed(line) == offered


def test_a_broken_configuration_offers_no_profiles(environment: dict[str, str]) -> None:
    """A configuration that can't be read offers no profiles and prints no error."""
    Path(environment["AWS_CONFIG_FILE"]).write_text("no section\n", encoding="ascii")
    assert completed("ecr-layers check team/app --profile ") == []


def test_the_tab_key() -> None:
    """In an interactive bash, the Tab key completes a command."""
    pty = pytest.importorskip("pty", reason="needs a POSIX terminal")
    child, ours = pty.fork()
    if child == 0:
        environment = os.environ | {
            "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}",
            "TERM": "dumb",
        }
        command = ["bash", "--norc", "--noprofile", "-i"]
        os.execvpe("bash", command, environment)  # noqa: S606 (our own program)

    os.write(ours, b'eval "$(_ECR_LAYERS_COMPLETE=source_bash ecr-layers)"; echo re""ady\n')
    shown = _read_until(ours, b"ready")
    os.write(ours, b"echo ecr-layers; ecr-layers doc\t")
    shown = _read_until(ours, b"doctor ")

    os.write(ours, b"\x03exit\n")
    _read_until(ours, b"exit")
    os.close(ours)
    os.waitpid(child, 0)
    assert b"ecr-layers doctor " in shown


def _read_until(terminal: int, text: bytes) -> bytes:
    shown = b""
    while text not in shown:
        shown += os.read(terminal, 4096)
    return shown
