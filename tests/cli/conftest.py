"""A local ECR in a thread of its own, and the environment of a user that reaches it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from ecr_layer_client.cli.app import app
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

HELD = [f"sha256:{number:064x}" for number in range(3)]
SOURCES = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="session")
def ecr() -> Generator[LocalECR]:
    """Return a local ECR in which `team/app` holds three layers.

    `team/old` holds the same layers, and only archived images hold the last of them.
    """
    with LocalECR() as local:
        local.seed("team/app", [(digest, 1_500_000) for digest in HELD])
        local.seed("team/old", [(digest, 1_500_000) for digest in HELD])
        local.archive("team/old", HELD[2])
        yield local


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ecr: LocalECR) -> dict[str, str]:
    """Set the variables of a user's shell, and hide the AWS configuration of this machine."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)

    settings = {
        **ecr.environment,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": str(SOURCES),
        "COLUMNS": "100",
    }

    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


@pytest.fixture(autouse=True)
def interruptible() -> Generator[None]:
    """Let Ctrl-C end the processes that a test starts.

    A shell ignores SIGINT for what it runs in the background, and child processes inherit that. A
    handler is not inherited: a child of a process with one has the default action.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def run() -> Callable[..., CompletedProcess[str]]:
    """Return a function that runs `ecr-layers` in this process."""

    def run(*arguments: str, stdin: str | bytes | None = None) -> CompletedProcess[str]:
        result = CliRunner().invoke(
            app, list(arguments), input=stdin, prog_name="ecr-layers", catch_exceptions=False
        )
        return CompletedProcess(arguments, result.exit_code, result.stdout, result.stderr)

    return run
