"""The commands with repositories of ECR Public, run in this process against a local ECR."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client.local import LocalECR
from images.making import IMAGE, Image, entry, layout_files, sha256, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    Run = Callable[..., CompletedProcess[str]]

APP = "public.ecr.aws/local/app"
ARN = "arn:aws:ecr-public::123456789012:repository/app"
IMAGE_OF_TESTS = Image(b"{}", (b"a layer",))
URI = f"{APP}@{sha256(IMAGE_OF_TESTS.manifest)}\n"


@pytest.fixture
def ecr() -> Iterator[LocalECR]:
    """Return a local ECR of another Region, with a public and a private repository, `app`."""
    with LocalECR(region="eu-west-1") as local:
        local.create_repository(APP)
        local.create_repository("app")
        yield local


@pytest.fixture(autouse=True)
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write an image as `layout` into the working directory, under the tag `v1`."""
    monkeypatch.chdir(tmp_path)
    names = {"org.opencontainers.image.ref.name": "v1"}
    root = entry(IMAGE_OF_TESTS.manifest, IMAGE, annotations=names)
    files = layout_files([root], [IMAGE_OF_TESTS.manifest, *IMAGE_OF_TESTS.blobs])
    return write(tmp_path / "layout", files)


def error_of(ran: CompletedProcess[str]) -> str:
    """Return the last line on standard error of a command that failed."""
    assert ran.returncode == 2
    return ran.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", [APP, ARN])
def test_check(run: Run, ecr: LocalECR, name: str) -> None:
    """A digest is checked in ECR Public, in its own Region."""
    digest = ecr.put_layer(APP, b"a layer")
    ran = run("check", name, digest, "--json")
    assert (ran.returncode, json.loads(ran.stdout)["availability"]) == (0, "AVAILABLE")


def test_plan(run: Run) -> None:
    """A plan counts by the quotas of ECR Public."""
    ran = run("plan", "layout", APP)
    assert ran.returncode == 1
    assert "at ECR's quotas at least 0.20 s" in ran.stdout


@pytest.mark.parametrize("target", [APP, f"{APP}:v2"])
def test_push(run: Run, target: str) -> None:
    """Standard output has the public URI of the image by its digest."""
    ran = run("push", "layout", target)
    assert (ran.returncode, ran.stdout) == (0, URI)


def test_a_push_to_an_arn(run: Run) -> None:
    """Without an alias there is no URI, so standard output has the ARN with the digest."""
    ran = run("push", "layout", ARN)
    assert (ran.returncode, ran.stdout) == (0, URI.replace(APP, ARN))


def test_the_json_of_a_push_to_an_arn(run: Run) -> None:
    """Without an alias, the JSON has the ARN in place of the URI."""
    ran = run("push", "layout", ARN, "--json")
    result = json.loads(ran.stdout.splitlines()[-1])
    assert (result["repository"], result["uris"]) == (ARN, [URI.replace(APP, ARN).strip()])


def test_a_push_to_an_arn_is_not_verified(run: Run, ecr: LocalECR) -> None:
    """`--verify` is refused for an ARN of ECR Public, too."""
    assert f"'{ARN}' is a repository of ECR Public" in error_of(
        run("push", "layout", ARN, "--verify")
    )
    assert ecr.stats.requests == 0


def test_push_to_a_dry_run(run: Run, ecr: LocalECR) -> None:
    """A dry run prints the plan and uploads nothing."""
    ran = run("push", "layout", APP, "--dry-run")
    assert ran.returncode == 0
    assert "PutImage" not in ecr.stats.by_operation


def test_copy(run: Run) -> None:
    """A private image is copied to ECR Public."""
    assert run("push", "layout", "app").returncode == 0
    ran = run("copy", "app:v1", APP)
    assert (ran.returncode, ran.stdout) == (0, URI)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["verify", f"{APP}:v1"], "verify"),
        (["audit", APP], "audit"),
        (["pull", f"{APP}:v1", "pulled"], "pull"),
        (["doctor", APP], "doctor"),
        (["copy", f"{APP}:v1", "app"], "the source of copy"),
        (["push", "layout", APP, "--verify"], "--verify"),
        (["copy", "app:v1", APP, "--verify"], "--verify"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_other_commands_refuse(run: Run, ecr: LocalECR, arguments: list[str], what: str) -> None:
    """A command that ECR Public's API can't do is refused without a request, with what can."""
    assert error_of(run(*arguments)) == (
        f"error: '{APP}' is a repository of ECR Public, and {what} needs a private one: "
        "with ECR Public, use check, plan, push, or copy to it, and pull from it with docker, "
        "skopeo or crane"
    )
    assert ecr.stats.requests == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", APP, "sha256:aa", "--region", "eu-west-1"],
        ["plan", "layout", APP, "--region", "eu-west-1"],
        ["push", "layout", APP, "--region", "eu-west-1"],
        ["copy", "app:v1", APP, "--to-region", "eu-west-1"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_another_region(run: Run, ecr: LocalECR, arguments: list[str]) -> None:
    """A Region that has no endpoint of ECR Public is refused before any request."""
    assert error_of(run(*arguments)) == (
        "error: ECR Public has no endpoint in Region 'eu-west-1': use 'us-east-1' or "
        "'us-west-2', or pass --endpoint-url"
    )
    assert ecr.stats.requests == 0


def test_its_other_region(run: Run) -> None:
    """A Region with an endpoint of ECR Public is accepted."""
    assert run("push", "layout", APP, "--region", "us-west-2").returncode == 0


def test_an_unknown_alias(run: Run) -> None:
    """The error for an unknown alias says what to check."""
    message = error_of(run("check", "public.ecr.aws/gone/app", "sha256:aa"))
    assert "RegistryNotFoundException" in message
    assert "check the name, the Region and the alias" in message
