"""`ecr-layers demo`, and the program's own options, in this process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from subprocess import DEVNULL
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client import __version__

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    Run = Callable[..., CompletedProcess[str]]


@pytest.fixture
def demo(run: Run) -> CompletedProcess[str]:
    """Return the result of the demo."""
    return run("demo")


def test_the_demo_ends_with_a_table(demo: CompletedProcess[str]) -> None:
    """The table has the counts of the sample, and one request per 100 layers of a repository."""
    rows = dict(re.findall(r"^│ (.*?) +│ +(\S.*?) │$", demo.stdout, re.MULTILINE))
    rows.pop("seconds")

    assert {name.strip(): value for name, value in rows.items()} == {
        "repositories": "135",
        "images": "856",
        "distinct layers": "7,974",
        "available": "4,021",
        "absent": "3,953",
        "requests made": "175",
        "with batches for one image at a time": "895",
        "with one HEAD per layer of each image": "10,349",
        "bytes a push would skip": "94.4 GB",
    }


@pytest.mark.parametrize("columns", ["1", "30", "59"])
def test_the_demo_on_a_narrow_terminal(
    run: Run, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    """On a terminal too narrow for the table, its rows are complete lines."""
    monkeypatch.setenv("COLUMNS", columns)
    ran = run("demo")
    row = "  with one HEAD per layer of each image: 10,349"
    assert (ran.returncode, row in ran.stdout.splitlines()) == (0, True)


PROGRAM = Path(sys.executable).with_name("ecr-layers")


BIN = PROGRAM.parent
PYTHON = BIN / "python"


@pytest.mark.parametrize(
    ("called", "path", "program"),
    [
        (".venv/bin/ecr-layers", "/usr/bin", ".venv/bin/ecr-layers"),
        (str(PROGRAM), f"{BIN}", "ecr-layers"),
        ("a b/ecr-layers", "/usr/bin", "'a b/ecr-layers'"),
        ("src/ecr_layer_client/__main__.py", "/usr/bin", f"{PYTHON} -m ecr_layer_client"),
        ("src/ecr_layer_client/__main__.py", f"{BIN}", "python -m ecr_layer_client"),
    ],
    ids=["path", "name", "blank", "module by path", "module"],
)
def test_the_demo_names_the_program_as_it_was_called(
    run: Run, monkeypatch: pytest.MonkeyPatch, called: str, path: str, program: str
) -> None:
    """The demo ends with commands that call the program as the demo was called."""
    monkeypatch.setenv("PATH", path)
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setattr(sys, "executable", str(PYTHON))
    ran = run("demo")
    assert (ran.returncode, ran.stderr, f"\n  {program} doctor\n" in ran.stdout) == (0, "", True)


def test_the_demo_ends_with_commands_that_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command at the end of the demo works as printed, in the shell that ran the demo."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.chdir(BIN.parent)
    printed = subprocess.run(
        ["bin/ecr-layers", "demo"], capture_output=True, text=True, check=True
    ).stdout
    commands = re.findall("^  (.*(?:doctor|--help|serve &.*))$", printed, re.MULTILINE)
    assert [each.count("bin/ecr-layers ") for each in commands] == [1] * 4

    # The local ECR would outlive the test.
    local = "; ".join(commands[2:]).replace("serve", "serve --timeout 10")
    codes = [
        subprocess.run(
            ["/bin/sh", "-c", each], stdout=DEVNULL, stderr=DEVNULL, check=False
        ).returncode
        for each in (*commands[:2], local)
    ]
    assert codes == [0, 0, 0]


def test_the_demo_ignores_aws_settings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo ignores AWS settings, such as a profile that does not exist."""
    monkeypatch.setenv("AWS_PROFILE", "none")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert run("demo").returncode == 0


def test_the_version(run: Run) -> None:
    """--version prints the package's version."""
    assert run("--version").stdout == f"ecr-layers {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--help"], ["demo", "check", "--version"]),
        (
            ["check", "--help"],
            [
                "Examples:",
                "Exit codes:",
                "--region",
                "--endpoint-url",
                "--json",
                "ecr:BatchCheckLayerAvailability",
            ],
        ),
        (["demo", "-h"], ["no AWS account", "Example:", "Exit codes:"]),
        (
            ["serve", "-h"],
            ["no AWS account", "Examples:", "eval", "--port", "--no-auth", "Exit codes:"],
        ),
    ],
    ids=["program", "check", "demo", "serve"],
)
def test_help_is_enough(run: Run, arguments: list[str], named: list[str]) -> None:
    """--help names commands, options, examples and exit codes."""
    shown = " ".join(run(*arguments).stdout.split())
    assert [name for name in named if name not in shown] == []
