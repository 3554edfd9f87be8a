"""`ecr-layers` as a process of its own: signals, pipes and terminals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from subprocess import PIPE, CompletedProcess, Popen
from typing import Any

import pytest

COMMAND = [sys.executable, "-m", "ecr_layer_client.cli"]
HELD = f"sha256:{0:064x}"

pty = pytest.importorskip("pty", reason="needs a POSIX terminal")


def started(command: list[str], **options: Any) -> Popen[str]:
    """Start a command."""
    return Popen(command, text=True, **options)  # noqa: S603 (ours)


def finished(command: list[str], **options: Any) -> CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # noqa: S603 (ours)


def test_a_process_streams_standard_input() -> None:
    """A thousand lines piped in are a thousand lines piped out, and absent ones make the exit code 1."""
    lines = "".join(f"sha256:{number:064x}\n" for number in range(1000))
    ran = finished([*COMMAND, "check", "team/app", "--json"], input=lines)
    assert (ran.returncode, len(set(ran.stdout.splitlines())), ran.stderr) == (1, 1000, "")


def test_ctrl_c_keeps_what_was_answered() -> None:
    """Interrupted while it waits for more input, it has printed the answers so far, says how many, and exits with 130."""
    with started([*COMMAND, "check", "team/app", "--json"], stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(f"sha256:{number:064x}\n" for number in range(150)))
        process.stdin.flush()
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.wait()
        rest, said = process.stdout.read(), process.stderr.read() if process.stderr else ""
    found = process.returncode, len((first + rest).splitlines()), said
    assert found == (130, 100, "interrupted; until then, 100 digests: 3 available (4.5 MB), 97 absent\n")


def test_a_reader_that_has_enough_ends_it_quietly() -> None:
    """When the pipe it prints to is closed, as by `head`, it stops without a word, as programs do that SIGPIPE ends."""
    with started([*COMMAND, "check", "team/app", HELD], stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        said = process.stderr.read() if process.stderr else ""
    assert (process.returncode, said) == (141, "")


def test_a_terminal_without_digests_is_not_read() -> None:
    """At a terminal, a check without digests says what is missing instead of waiting for lines."""
    ours, theirs = pty.openpty()
    ran = finished([*COMMAND, "check", "team/app"], stdin=theirs)
    os.close(theirs)
    os.close(ours)
    said = "no digests: give them as arguments, or pipe them in, one a line"
    assert (ran.returncode, ran.stdout, said in ran.stderr) == (2, "", True)


def test_the_demo_shows_a_bar_in_a_terminal() -> None:
    """Where standard error is a terminal, a bar shows how far it is; standard output holds the table alone."""
    ours, theirs = pty.openpty()
    with started([*COMMAND, "demo"], stdout=PIPE, stderr=theirs, env=os.environ | {"TERM": "xterm"}) as process:
        os.close(theirs)
        shown = _read_to_end(ours)
        assert process.stdout is not None
        table = process.stdout.read()
    found = process.returncode, "7974/7974" in shown, "checking layers" in table
    assert found == (0, True, False)


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_it_says_what_to_install(missing: str) -> None:
    """Where typer or rich is not installed, one line names the extra."""
    program = f"import sys; sys.modules[{missing!r}] = None; from ecr_layer_client.cli import main; main()"
    ran = finished([sys.executable, "-c", program])
    expected = 2, f"error: ecr-layers needs {missing}: pip install 'ecr-layer-client[cli]'\n"
    assert (ran.returncode, ran.stderr) == expected


def _read_to_end(terminal: int) -> str:
    shown = b""
    try:
        while chunk := os.read(terminal, 65536):
            shown += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(terminal)
    return shown.decode()
