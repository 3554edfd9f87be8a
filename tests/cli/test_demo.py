"""`ecr-layers demo`, and the program's own options, in this process."""

from __future__ import annotations

import re
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


def test_the_demo_says_what_to_run_next(demo: CompletedProcess[str]) -> None:
    """The demo prints the command for a real account, and nothing on standard error."""
    assert (
        demo.returncode,
        demo.stderr,
        "ecr-layers check REPOSITORY < digests.txt" in demo.stdout,
    ) == (0, "", True)


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
