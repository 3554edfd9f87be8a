"""`ecr-layers` as a process: signals, pipes and terminals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from subprocess import PIPE, CompletedProcess, Popen
from typing import TYPE_CHECKING, Any

import pytest

from images.making import image

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COMMAND = [sys.executable, "-m", "ecr_layer_client"]
HELD = f"sha256:{0:064x}"

pty = pytest.importorskip("pty", reason="needs a POSIX terminal")


def started(command: list[str], **options: Any) -> Popen[str]:
    """Start a command."""
    return Popen(command, text=True, **options)


def finished(command: list[str], **options: Any) -> CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_a_process_streams_standard_input() -> None:
    """A process prints as many lines as it reads, in order, and absent digests make the code 1."""
    lines = [f"sha256:{number:064x}" for number in range(1000)]
    ran = finished([*COMMAND, "check", "team/app", "--json"], input="\n".join(lines))
    assert (
        ran.returncode,
        [json.loads(line)["digest"] for line in ran.stdout.splitlines()],
        ran.stderr,
    ) == (1, lines, "")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_signal_keeps_what_was_answered(number: signal.Signals, code: int) -> None:
    """A signal ends a check with 128 and its number, after all outcomes were printed."""
    with started(
        [*COMMAND, "check", "team/app", "--json"], stdin=PIPE, stdout=PIPE, stderr=PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(f"sha256:{number:064x}\n" for number in range(150)))
        process.stdin.flush()

        answered = [process.stdout.readline() for _ in range(150)]
        process.send_signal(number)
        process.wait()

        rest, said = process.stdout.read(), process.stderr.read() if process.stderr else ""

    found = process.returncode, len(set(answered)), rest, said
    assert found == (
        code,
        150,
        "",
        "interrupted; until then, 150 digests: 3 available (4.5 MB), 147 absent\n",
    )


def test_slow_input_is_answered_as_it_comes() -> None:
    """A line is answered before the next one arrives, and pauses lose nothing."""
    with started([*COMMAND, "check", "team/app", "--json"], stdin=PIPE, stdout=PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        answers: list[str] = []
        for number in (2, 0, 2):
            process.stdin.write(f"sha256:{number:064x}\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline())["digest"])

        process.stdin.close()
        rest = process.stdout.read()
    assert (process.returncode, answers, rest) == (
        0,
        [f"sha256:{number:064x}" for number in (2, 0, 2)],
        "",
    )


def test_the_timeout_is_of_the_whole_input() -> None:
    """--timeout includes pauses of the input, and the message has its original value."""
    with started(
        [*COMMAND, "check", "team/app", "--timeout", "0.9"], stdin=PIPE, stdout=PIPE, stderr=PIPE
    ) as process:
        assert process.stdin is not None

        process.stdin.write(f"{HELD}\n")
        process.stdin.flush()
        process.wait()
        said = process.stderr.read() if process.stderr else ""

    assert (process.returncode, "not done within --timeout 0.9 s" in said, said.count("\n")) == (
        2,
        True,
        1,
    )


@pytest.mark.parametrize(
    "arguments",
    [["check", "team/none", HELD], ["check"], ["nosuch"]],
    ids=["error", "usage", "no such command"],
)
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"], ids=["closed", "full"])
def test_an_error_that_nobody_can_read(arguments: list[str], redirection: str) -> None:
    """The exit code reports an error even if standard error can't be written."""
    shell = ["bash", "-c", f'"$@" {redirection}', "bash", *COMMAND, *arguments]
    assert subprocess.run(shell, capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [["check", "team/app", HELD], ["--help"], ["--version"]],
    ids=["check", "help", "version"],
)
def test_a_full_disk_is_one_line(arguments: list[str]) -> None:
    """Output that can't be written is an error that names standard output."""
    with open("/dev/full", "w", encoding="ascii") as full:
        ran = subprocess.run(
            [*COMMAND, *arguments], stdout=full, stderr=PIPE, text=True, check=False
        )
    assert (ran.returncode, ran.stderr) == (
        2,
        "error: can't write to standard output: No space left on device\n",
    )


@pytest.mark.parametrize(
    ("closed", "code"), [(">&-", 141), ("2>&-", 0)], ids=["standard output", "standard error"]
)
def test_a_stream_that_is_closed_from_the_start(closed: str, code: int) -> None:
    """A check without standard output ends with 141, and one without standard error works."""
    ran = finished(["/bin/sh", "-c", f'"$@" {closed}', "sh", *COMMAND, "check", "team/app", HELD])
    assert (ran.returncode, ran.stderr) == (code, "")


@pytest.mark.parametrize(
    "arguments",
    [["check", "team/app", HELD], ["demo"], ["doctor"]],
    ids=["check", "demo", "doctor"],
)
def test_a_reader_that_has_enough_ends_it_quietly(arguments: list[str]) -> None:
    """Each command ends silently with 141 when the pipe that it prints to is closed."""
    with started([*COMMAND, *arguments], stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        said = process.stderr.read() if process.stderr else ""
    assert (process.returncode, said) == (141, "")


# Prints keys that have expired, so that they are refreshed at once, and then fails.
EXPIRED_KEYS = """
import json, pathlib
mark = pathlib.Path(__file__).with_name("mark")
if mark.exists():
    raise SystemExit("the vault is sealed")
mark.touch()
keys = {"Version": 1, "AccessKeyId": "id", "SecretAccessKey": "hidden", "SessionToken": "token"}
print(json.dumps(keys | {"Expiration": "2020-01-01T00:00:00Z"}))
"""


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (["check", "team/app", HELD], 1),
        (["plan", "manifest.json", "team/app"], 1),
        (["verify", "team/app:1"], 1),
        (["audit", "team/app"], 1),
        (["pull", "team/app:1", "pulled"], 1),
        (["copy", "team/app:1", "team/app:2"], 1),
        (["doctor", "team/app"], 0),
    ],
    ids=["check", "plan", "verify", "audit", "pull", "copy", "doctor"],
)
def test_a_failed_refresh_of_credentials_is_one_line(
    tmp_path: Path, arguments: list[str], lines: int
) -> None:
    """If credentials can't be refreshed, a command prints one line, and the doctor its findings."""
    (tmp_path / "keys.py").write_text(EXPIRED_KEYS)
    (tmp_path / "manifest.json").write_bytes(image("app", "base").manifest)
    process = f"credential_process = {sys.executable} {tmp_path / 'keys.py'}\n"
    (tmp_path / "config").write_text(f"[default]\nregion = us-east-1\n{process}")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") or name in {"AWS_CONFIG_FILE", "AWS_ENDPOINT_URL_ECR"}
    }
    ran = finished([*COMMAND, *arguments], env=kept, cwd=tmp_path)
    assert (
        ran.returncode,
        ran.stderr.count("\n"),
        "the vault is sealed" in ran.stdout + ran.stderr,
    ) == (
        2,
        lines,
        True,
    )


NOISY = """
import asyncio, logging, warnings
from ecr_layer_client.cli import demo, main

class Finalized:
    def __del__(self):
        raise OSError("noise")

async def noisy():
    import aiohttp
    async def fails():
        raise OSError("noise")
    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    del task
    aiohttp.ClientSession()
    logging.getLogger("botocore").error("noise")
    warnings.warn("noise")
    Finalized()
    return 0

demo._demo = noisy
main()
"""


@pytest.mark.parametrize(
    ("variable", "is_shown"), [("", False), ("1", True)], ids=["nothing", "everything"]
)
def test_what_libraries_log_is_hidden(variable: str, *, is_shown: bool) -> None:
    """Standard error has no log record, warning or traceback of a library, unless it is wanted."""
    variables = os.environ | {"ECR_LAYERS_TRACEBACK": variable}
    ran = finished([sys.executable, "-c", NOISY, "demo"], env=variables)
    reports = [
        "noise",
        "never retrieved",
        "Unclosed client session",
        "Exception ignored",
        "Warning",
    ]
    shown = [report for report in reports if report in ran.stderr]
    assert (ran.returncode, shown, bool(ran.stderr)) == (0, reports if is_shown else [], is_shown)


def test_a_terminal_without_digests_is_not_read() -> None:
    """At a terminal, a check without digests is an error, and does not wait for lines."""
    ours, theirs = pty.openpty()
    ran = finished([*COMMAND, "check", "team/app"], stdin=theirs)
    os.close(theirs)
    os.close(ours)
    said = "no digests were given: pass them as arguments, or on standard input, one per line"
    assert (ran.returncode, ran.stdout, said in ran.stderr) == (2, "", True)


def test_the_demo_shows_a_bar_in_a_terminal() -> None:
    """The demo shows a bar on a terminal, and standard output has only the table."""
    ours, theirs = pty.openpty()
    with started(
        [*COMMAND, "demo"], stdout=PIPE, stderr=theirs, env=os.environ | {"TERM": "xterm"}
    ) as process:
        os.close(theirs)
        shown = _read_to_end(ours)
        assert process.stdout is not None
        table = process.stdout.read()
    found = process.returncode, "7974/7974" in shown, "checking layers" in table
    assert found == (0, True, False)


def in_a_terminal(
    command: list[str], *, typed: bytes = b"", variables: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a command in a terminal of 60 columns, and return its exit code and its output."""
    child, ours = pty.fork()
    if child == 0:
        os.execve(  # noqa: S606 (our own program)
            command[0],
            command,
            os.environ | {"TERM": "xterm", "COLUMNS": "60"} | dict(variables or {}),
        )
    os.write(ours, typed)
    shown = _read_to_end(ours)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown


def test_digests_are_typed_at_a_terminal() -> None:
    """With '-', lines are read from the terminal until Ctrl-D, as a message says."""
    code, shown = in_a_terminal(
        [*COMMAND, "check", "team/app", "-"], typed=f"{HELD}\n\x04".encode()
    )
    assert (code, "Ctrl-D ends" in shown, "available" in shown) == (0, True, True)


NO_DELAY = "from ecr_layer_client.cli import progress, main; progress._DELAY_SECONDS = 0.0; main()"


@pytest.mark.parametrize(
    ("to", "is_shown"),
    [("> /dev/null", True), ("", False), ("> /dev/null 2> /dev/null", False)],
    ids=["file", "terminal", "no terminal"],
)
def test_progress_is_for_a_terminal_that_shows_nothing_else(to: str, *, is_shown: bool) -> None:
    """A check shows progress on a terminal, unless its outcomes scroll by on the same one."""
    lines = f"{sys.executable} -c 'for number in range(3000): print(\"sha256:%064x\" % number)'"
    command = f'{lines} | {sys.executable} -c "{NO_DELAY}" check team/app {to}'
    _, shown = in_a_terminal(["/bin/sh", "-c", command], variables={"FORCE_COLOR": "1"})
    assert ("a second" in shown) == is_shown


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False)],
    ids=["colours", "NO_COLOR"],
)
def test_the_doctor_at_a_narrow_terminal(variables: dict[str, str], *, is_coloured: bool) -> None:
    """Findings on a terminal fit its width, and have colours unless NO_COLOR is set."""
    code, shown = in_a_terminal([*COMMAND, "doctor", "team/app"], variables=variables)
    # A spinner may have been shown, and erased.
    widest = max(len(line) for line in _plain(shown.replace("\x1b[2K", "\n")).splitlines())
    assert (code, "\x1b[32mok" in shown, widest <= 60) == (0, is_coloured, True)


def test_the_doctors_spinner_is_erased() -> None:
    """The doctor prints each finding on a line of its own, after its spinner was erased."""
    _, shown = in_a_terminal([sys.executable, "-c", NO_DELAY, "doctor", "team/app"])
    lines = _plain(shown.replace("\x1b[2K", "\n")).splitlines()
    assert ("⠋" in shown, max(map(len, lines)) <= 60) == (True, True)


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False)],
    ids=["colours", "NO_COLOR"],
)
def test_help_at_a_terminal(variables: dict[str, str], *, is_coloured: bool) -> None:
    """Help on a terminal has colours, unless NO_COLOR is set."""
    code, shown = in_a_terminal([*COMMAND, "check", "--help"], variables=variables)
    colours = re.findall(r"\x1b\[[0-9;]*3[0-7]m", shown)
    assert (code, bool(colours), "--batch-size" in _plain(shown)) == (0, is_coloured, True)


@pytest.mark.parametrize("columns", [1, 23, 24, 40, 71, 72, 200])
def test_the_doctor_leaves_out_no_word(columns: int) -> None:
    """A terminal of any width shows all text that --json has."""
    asked = [*COMMAND, "doctor", "team/none", "--region", "us-east-1"]
    _, shown = in_a_terminal(asked, variables={"COLUMNS": str(columns)})
    told = [json.loads(line) for line in finished([*asked, "--json"]).stdout.splitlines()]
    texts = [
        _packed(text)
        for line in told
        for text in (line["part"], line["status"], line["found"], line["to_do"] or "")
    ]
    assert [text for text in texts if text not in _packed(_plain(shown))] == []


def test_help_waits_for_nothing_heavy() -> None:
    """--help does not import the client or AWS's libraries."""
    heavy = ("ecr_layer_client._client", "aiobotocore", "botocore", "aiohttp")
    program = (
        "import sys\nfrom ecr_layer_client.cli import main\ntry:\n    main()\nexcept SystemExit:\n"
        f"    print([name for name in {heavy} if name in sys.modules])"
    )
    assert (
        finished([sys.executable, "-c", program, "check", "--help"]).stdout.splitlines()[-1] == "[]"
    )


@pytest.mark.full
def test_memory_does_not_grow_with_the_input() -> None:
    """Twenty times as many lines take less than 12 MiB more."""
    peaks: list[int] = []
    for count in (20_000, 400_000):
        program = f"for number in range({count}): print('sha256:%064x' % number)"
        with (
            started([sys.executable, "-c", program], stdout=PIPE) as lines,
            started(
                [*COMMAND, "check", "team/app", "--json"],
                stdin=lines.stdout,
                stdout=subprocess.DEVNULL,
            ) as process,
        ):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            peaks.append(usage.ru_maxrss)

        assert process.returncode == 1

    assert peaks[1] - peaks[0] < 12 * 1024


@pytest.mark.parametrize("missing", ["typer", "rich", "platformdirs"])
def test_without_the_extra_it_says_what_to_install(missing: str) -> None:
    """Without typer, rich or platformdirs, one line names the extra to install."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None; "
        "from ecr_layer_client.cli import main; main()"
    )
    ran = finished([sys.executable, "-c", program])
    expected = 2, f"error: ecr-layers needs {missing}: pip install 'ecr-layer-client[cli]'\n"
    assert (ran.returncode, ran.stderr) == expected


def _plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def _packed(text: str) -> str:
    """Return a text without the parts that differ by run or by the terminal's width."""
    return re.sub(r"\d+ms|requestid'?[0-9a-f-]+", "", re.sub(r"\s", "", text))


def _read_to_end(terminal: int) -> str:
    shown = b""
    try:
        while chunk := os.read(terminal, 65536):
            shown += chunk
    except OSError:
        # Linux raises this when the other end is closed.
        pass
    finally:
        os.close(terminal)
    return shown.decode()
