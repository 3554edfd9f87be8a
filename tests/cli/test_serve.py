"""`ecr-layers serve`: its output, how programs reach it, and how it ends."""

from __future__ import annotations

import base64
import importlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client.cli.serve import _exports
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    Run = Callable[..., CompletedProcess[str]]

COMMAND = [sys.executable, "-m", "ecr_layer_client", "serve"]


def started(*options: str) -> Popen[str]:
    """Start the command with options."""
    return Popen([*COMMAND, *options], text=True, stdout=PIPE, stderr=PIPE)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Popen[str]]:
    """Return the process of a running local ECR."""
    with started("--region", "eu-west-1", "--verbose", "--data", str(tmp_path / "data")) as process:
        yield process
        process.kill()


def taken_over(printed: str) -> dict[str, str]:
    """Return the AWS variables of a shell that had a profile and evaluated the printed text."""
    script = 'eval "$1"; env'
    shell = subprocess.run(
        ["sh", "-c", script, "sh", printed],
        env=os.environ | {"AWS_PROFILE": "mine"},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(line.split("=", 1) for line in shell.stdout.splitlines() if line.startswith("AWS_"))


def test_a_shell_takes_over_its_variables(
    served: Popen[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With the printed variables, boto3 reaches the local ECR, which logs and keeps requests."""
    assert served.stdout is not None
    for name, value in taken_over(served.stdout.read()).items():
        monkeypatch.setenv(name, value)

    boto3: Any = importlib.import_module("boto3")  # without types
    created = boto3.Session().client("ecr").create_repository(repositoryName="team/app")
    assert (
        created["repository"]["repositoryUri"]
        == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app"
    )

    served.terminate()
    assert served.stderr is not None
    assert served.stderr.read().splitlines()[2].endswith(" CreateRepository: ok")
    assert (
        LocalECR(region="eu-west-1", data=tmp_path / "data").create_repository("team/app")
        == created["repository"]["repositoryUri"]
    )
    assert [each.name for each in (tmp_path / "data").iterdir()] == ["eu-west-1"]


def test_its_variables_need_no_trust() -> None:
    """Values are quoted, and the shell's profile is unset, because some SDKs prefer it to keys."""
    assert (
        taken_over(_exports({"AWS_REGION": "a b; echo AWS_X=$(id)'\""}))["AWS_REGION"]
        == "a b; echo AWS_X=$(id)'\""
    )
    assert "AWS_PROFILE" not in taken_over(_exports({}))


@pytest.mark.parametrize(
    ("how", "code"),
    [
        pytest.param(signal.SIGINT, 130, id="Ctrl-C"),
        pytest.param(signal.SIGTERM, 143, id="kill", marks=pytest.mark.full),
    ],
)
def test_it_ends_when_it_is_told(served: Popen[str], how: signal.Signals, code: int) -> None:
    """Ctrl-C and SIGTERM end the server silently, with the exit codes of shells."""
    assert served.stdout is not None
    assert served.stderr is not None
    url = (
        next(line for line in served.stdout if "AWS_ENDPOINT_URL_ECR" in line)
        .strip()
        .partition("=")[2]
    )
    served.send_signal(how)
    served.wait()
    first, login = served.stderr.read().splitlines()
    expected = f"the local ECR listens at {url}; stop it with Ctrl-C or `kill {served.pid}`"
    assert (served.returncode, first) == (code, expected)
    assert login.startswith("to push and pull images, log in for 12 hours: docker login ")


def test_its_login_is_accepted_at_the_host_that_is_named() -> None:
    """The command to log in has a valid password, and the repositories are there."""
    with started(
        "--repository", "team/app", "--repository", "base", "--registry-host", "localhost:4510"
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        variables = taken_over(process.stdout.read())
        process.stderr.readline()
        *_, password, host = process.stderr.readline().partition(" (")[0].split()

        token = base64.b64encode(f"AWS:{password}".encode()).decode()
        url = f"{variables['AWS_ENDPOINT_URL_ECR']}/v2/_catalog"
        request = urllib.request.Request(  # noqa: S310  (the URL of the local ECR)
            url, headers={"Authorization": f"Basic {token}"}
        )
        with urllib.request.urlopen(request) as response:  # noqa: S310
            listed = json.load(response)
        process.kill()
    assert (host, listed) == ("localhost:4510", {"repositories": ["base", "team/app"]})


def test_a_public_repository_is_created(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository of ECR Public is named by its URI, whose alias is `local`."""
    with started("--repository", "public.ecr.aws/local/app") as process:
        assert process.stdout is not None
        for name, value in taken_over(process.stdout.read()).items():
            monkeypatch.setenv(name, value)
        boto3: Any = importlib.import_module("boto3")  # without types
        public = boto3.Session().client("ecr-public", region_name="us-east-1")
        [found] = public.describe_repositories()["repositories"]
        process.kill()
    assert found["repositoryUri"] == "public.ecr.aws/local/app"


def test_without_auth_nobody_has_to_log_in() -> None:
    """With --no-auth, the command to log in is left out."""
    with started("--no-auth", "--timeout", "0.001") as process:
        errors = process.communicate()[1]
    assert (process.returncode, len(errors.splitlines())) == (0, 1)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--repository", "TEAM", "'TEAM'"),
        ("--registry-host", "http://x", "--registry-host must be a host with its port"),
    ],
    ids=["repository", "registry-host"],
)
def test_it_names_the_option_that_is_wrong(run: Run, option: str, value: str, message: str) -> None:
    """A malformed name or host is an error of the usage."""
    ended = run("serve", option, value)
    assert (ended.returncode, message in " ".join(ended.stderr.split())) == (2, True)


def test_a_taken_port_is_one_line(run: Run, ecr: LocalECR) -> None:
    """A port that is in use is an error of one line."""
    port = ecr.endpoint_url.rpartition(":")[2]
    ended = run("serve", "--port", port)
    expected = (
        f"error: can't listen on 127.0.0.1, port {port}: the port is in use: "
        "choose another --port, or end the program that listens there\n"
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", expected)


def test_it_warns_of_other_machines(run: Run) -> None:
    """An address other than loopback has a warning. No machine has the one used here."""
    ended = run("serve", "--host", "192.0.2.1")
    warning, error = ended.stderr.splitlines()
    expected = (
        "warning: 192.0.2.1 is not a loopback address: every machine that can reach this address "
        "can use the local ECR, because the keys are not secret"
    )
    assert (ended.returncode, warning, error.partition(":")[0]) == (2, expected, "error")


def test_a_directory_in_use_is_told(run: Run, tmp_path: Path) -> None:
    """A second local ECR on the same directory does not start."""
    first = LocalECR(data=tmp_path)
    ended = run("serve", "--data", str(tmp_path))
    says = "in use by another local ECR of this process: close that first"
    assert (
        ended.returncode,
        ended.stdout,
        says in " ".join(ended.stderr.split()),
        first.region,
    ) == (2, "", True, "us-east-1")


@pytest.mark.parametrize(
    ("timeout", "code", "said"),
    [
        ("0.001", 0, "the local ECR listens at "),
        ("0", 2, "error: --timeout 0 must be a number of "),
    ],
    ids=["over", "not valid"],
)
def test_a_timeout_ends_it(timeout: str, code: int, said: str) -> None:
    """--timeout ends a local ECR with exit code 0, and one that is not valid with an error."""
    with started("--timeout", timeout) as process:
        errors = process.communicate()[1]
    assert (process.returncode, said in errors) == (code, True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--account", "12"], "--account must be 12 digits"),
        (["--absent", "perhaps"], "'unavailable', 'missing'"),
        (["--quota", "0"], "--quota must be above 0"),
        (["--data", __file__], "can't be used: Not a directory"),
        (["--data", ""], "data must be the path of a directory"),
        (["--host", ""], "--host must be an address"),
        (["--port", "70000"], "less than or equal to 65535"),
        (["--burst", "5"], "burst needs a quota"),
        (["--latency", "nan"], "--latency must be"),
    ],
    ids=["account", "absent", "quota", "file", "no-data", "no-host", "port", "burst", "latency"],
)
def test_a_wrong_option_is_told(run: Run, options: list[str], says: str) -> None:
    """A wrong option is a usage error that names it."""
    ended = run("serve", *options)
    assert (ended.returncode, says in " ".join(ended.stderr.split())) == (2, True)
