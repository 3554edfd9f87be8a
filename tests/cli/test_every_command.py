"""Options and messages of all commands: --timeout, --quiet, help, exit codes, errors in usage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from ecr_layer_client.cli.app import app
from ecr_layer_client.cli.exit_codes import OF_ALL_COMMANDS, OF_COMMANDS
from images.making import IMAGE, entry, image, layout_files, sha256, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from subprocess import CompletedProcess

    from ecr_layer_client.local import LocalECR

    Run = Callable[..., CompletedProcess[str]]

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
PROGRAM: Any = get_command(app)
COMMANDS = ["demo", "check", "plan", "verify", "audit", "push", "pull", "copy", "doctor", "serve"]
APP = image("app", "base", "code")
HELD = sha256(APP.blobs[0])
NOTHING_YET = "; nothing was transferred yet: run the same command again to continue"


@pytest.fixture(autouse=True, scope="session")
def repositories(ecr: LocalECR) -> None:
    """Let `shared/complete` hold an image, `shared/broken` one with an archived layer."""
    for name in ("shared/complete", "shared/broken"):
        for blob in APP.blobs:
            ecr.put_layer(name, blob)
        ecr.put_image(name, APP.manifest, "v1")
    ecr.archive("shared/broken", HELD)
    ecr.create_repository("shared/empty")
    ecr.create_repository("shared/copied")


@pytest.fixture(autouse=True)
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the image as `layout` into the working directory."""
    monkeypatch.chdir(tmp_path)
    files = layout_files([entry(APP.manifest, IMAGE)], [APP.manifest, *APP.blobs])
    write(tmp_path / "layout", files)


@pytest.fixture
def never_answered(ecr: LocalECR) -> Iterator[None]:
    """Let ECR never send a response."""
    ecr.faults.add(latency=600.0)
    yield
    ecr.faults.clear()


@pytest.mark.usefixtures("never_answered")
@pytest.mark.parametrize(
    ("command", "code", "ending"),
    [
        (f"check shared/empty {HELD}", 2, ": allow more time (digests read and not answered: 1)"),
        ("plan layout shared/empty", 2, ""),
        ("verify shared/complete:v1", 2, ""),
        ("audit shared/complete", 2, ""),
        ("doctor shared/complete", 2, ""),
        ("push layout shared/empty", 75, NOTHING_YET),
        ("pull shared/complete:v1 pulled", 75, NOTHING_YET),
        ("copy shared/complete:v1 shared/empty", 75, NOTHING_YET),
    ],
    ids=["check", "plan", "verify", "audit", "doctor", "push", "pull", "copy"],
)
def test_a_timeout_ends_a_command(run: Run, command: str, code: int, ending: str) -> None:
    """--timeout ends a command with one line on standard error: 2, or 75 if a run continues it."""
    ran = run(*command.split(), "--timeout", "0.2")
    assert (ran.returncode, ran.stderr.count("\n")) == (code, 1)
    assert ran.stderr.endswith(f": not done within --timeout 0.2 s{ending}\n")


def test_a_timeout_ends_the_demo(run: Run) -> None:
    """--timeout ends the demo before its table."""
    ran = run("demo", "--timeout", "0.001")
    said = "error: not done within --timeout 0.001 s\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", said)


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        f"check a1 {HELD}",
        "plan layout a1",
        "verify a1:v1",
        "audit a1",
        "doctor a1",
        "push layout a1",
        "pull a1:v1 pulled",
        "copy a1:v1 b1",
    ],
    ids=lambda command: command.split()[0],
)
def test_a_timeout_that_is_not_valid(run: Run, command: str) -> None:
    """A --timeout of 0 is an error."""
    ran = run(*command.split(), "--timeout", "0")
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (
        2,
        "error: --timeout 0 must be a number of seconds greater than 0 and less than 1,000,000,000",
    )


def test_a_timeout_that_is_too_long(run: Run) -> None:
    """A --timeout of 31 years or more is an error, as it is in the client."""
    ran = run("demo", "--timeout", "1e9")
    rule = "must be a number of seconds greater than 0 and less than 1,000,000,000"
    assert (ran.returncode, ran.stderr) == (2, f"error: --timeout 1000000000 {rule}\n")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (f"check shared/complete {HELD}", 0),
        (f"check shared/empty {HELD} --json", 1),
        ("plan layout shared/complete", 0),
        ("plan layout shared/empty --json", 1),
        ("verify shared/complete:v1", 0),
        ("verify shared/broken:v1 --json", 1),
        ("audit shared/complete", 0),
        ("audit shared/broken --json", 1),
        ("doctor shared/complete", 0),
        ("doctor shared/none --json", 2),
        ("push layout shared/complete:v2", 0),
        ("push layout shared/empty --dry-run --json", 0),
        ("pull shared/complete:v1 pulled --json", 0),
        ("copy shared/complete:v1 shared/copied", 0),
    ],
)
def test_quiet(run: Run, command: str, code: int) -> None:
    """With --quiet, a command prints nothing, and its exit code is the result."""
    ran = run(*command.split(), "--quiet")
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, "", "")


def test_quiet_prints_errors(run: Run) -> None:
    """With --quiet, errors are printed all the same."""
    ran = run("verify", "shared/complete:v9", "-q")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (3, "", 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check"], "Missing argument 'REPOSITORY': `ecr-layers check --help` shows the usage"),
        (["nosuch"], "No such command 'nosuch': `ecr-layers --help` shows the usage"),
    ],
    ids=["argument", "command"],
)
def test_a_wrong_usage_is_one_line(run: Run, arguments: list[str], said: str) -> None:
    """An error in the usage is one line that says where the help is, and exit code 2."""
    ran = run(*arguments)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"error: {said}\n")


def test_without_arguments_the_help_is_printed(run: Run) -> None:
    """Without arguments, the program prints its help, and ends with 2."""
    ran = run()
    assert (ran.returncode, "Start here:" in ran.stdout, ran.stderr) == (2, True, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_terminal_of_80_columns(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """On a terminal of 80 columns, the help has each option and each example unbroken."""
    monkeypatch.setenv("COLUMNS", "80")
    shown = run(command, "--help").stdout
    options = (name for option in PROGRAM.commands[command].params for name in option.opts)
    examples = re.findall("^(  .+)$", PROGRAM.commands[command].help, re.MULTILINE)
    lines = [*(name for name in options if name.startswith("-")), *examples]
    assert [line for line in lines if line not in shown] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_the_exit_codes(run: Run, command: str) -> None:
    """The help names each exit code of a command with its meaning."""
    shown = run(command, "--help").stdout.partition("Exit codes:")[2].partition("╭")[0]
    rows = re.findall(r"^   (\d+) +(.+?) *$", shown, re.MULTILINE)
    codes = {**OF_ALL_COMMANDS, **OF_COMMANDS[command]}
    assert rows == [(str(code), codes[code]) for code in sorted(codes)]


def test_the_page_names_the_exit_codes() -> None:
    """The page of the command line has each exit code with the meaning that the help has."""
    rows = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    assert rows == [
        *(
            (str(code), f"`{command}`", meaning)
            for command, codes in OF_COMMANDS.items()
            for code, meaning in codes.items()
        ),
        *((str(code), "all", meaning) for code, meaning in OF_ALL_COMMANDS.items()),
    ]
