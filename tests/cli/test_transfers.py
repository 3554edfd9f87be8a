"""`ecr-layers push`, `pull` and `copy`, run in this process against a local ECR over HTTP."""

from __future__ import annotations

import json
import math
import random
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from ecr_layer_client.cli import progress, transfer_output
from ecr_layer_client.images import ImageSource
from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._registry import layers, uploads
from ecr_layer_client.transfers import _push
from images.making import (
    IMAGE,
    INDEX,
    Image,
    docker_25,
    entry,
    index,
    layout_files,
    sha256,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    Run = Callable[..., CompletedProcess[str]]

PART = 10_000  # bytes, in place of ECR's 10 MiB
SIZES = (35_000, 9_000)  # of the layers
BLOBS = len(SIZES) + 1
HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
ARN = "arn:aws:ecr:us-east-1:123456789012:repository"
TO_CONTINUE = "run the same command again to continue"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ECR's parts small, so that a test moves little."""
    monkeypatch.setattr(layers, "PART_SIZE", PART)
    monkeypatch.setattr(uploads, "MIN_PART_SIZE", PART // 2)
    monkeypatch.setattr(_push, "MIN_PART_BYTES", PART // 2)


@pytest.fixture
def ecr() -> Iterator[LocalECR]:
    """Return a local ECR of two Regions with an empty repository, `app`, in each."""
    with LocalECR(regions=["eu-west-1"]) as local:
        local.create_repository("app")
        local.create_repository(f"{HOST.replace('us-east-1', 'eu-west-1')}/app")
        yield local


@pytest.fixture
def image() -> Image:
    """Return an image with a layer of several parts and one of a single part."""
    draws = random.Random(0)  # noqa: S311 (bytes of a layer)
    return Image(b'{"os": "linux"}', tuple(draws.randbytes(size) for size in SIZES))


@pytest.fixture
def full(ecr: LocalECR, image: Image) -> str:
    """Put the image into a repository, and return its name."""
    for blob in image.blobs:
        ecr.put_layer("full", blob)
    ecr.put_image("full", image.manifest, "v1")
    return "full:v1"


@pytest.fixture(autouse=True)
def layout(tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the image as `layout` into the working directory, under the tag `v1`."""
    monkeypatch.chdir(tmp_path)
    names = {"org.opencontainers.image.ref.name": "v1"}
    root = entry(image.manifest, IMAGE, annotations=names)
    return write(tmp_path / "layout", layout_files([root], [image.manifest, *image.blobs]))


def complete(run: Run, *names: str) -> list[bool]:
    """Return whether each of some images is complete."""
    return [run("verify", name, "--quiet").returncode == 0 for name in names]


def requests(ecr: LocalECR) -> dict[str, int]:
    """Return the requests that succeeded, by operation."""
    by_operation = ecr.stats.by_operation
    return {name: outcomes["ok"] for name, outcomes in by_operation.items() if "ok" in outcomes}


def lines(ran: CompletedProcess[str]) -> list[dict[str, Any]]:
    """Return the JSON lines of a command."""
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_push_prints_the_uri(run: Run, image: Image) -> None:
    """Standard output has the URI of the image by its digest, and nothing else."""
    ran = run("push", "layout", "app")
    assert (ran.returncode, ran.stdout) == (0, f"{HOST}/app@{sha256(image.manifest)}\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["app"], ["v1"]),
        (["app:a"], ["a"]),
        (["app", "--tag", "b", "--tag", "c"], ["b", "c"]),
        (["app:a", "--tag", "b"], ["a", "b"]),
        ([f"{HOST}/app:a"], ["a"]),
        ([f"{ARN}/app:a"], ["a"]),
        ([f"{ARN}/app"], ["v1"]),
    ],
    ids=["source", "target", "options", "both", "uri", "arn", "arn-without-tag"],
)
def test_tags_of_a_push(run: Run, arguments: list[str], expected: list[str]) -> None:
    """An image gets the tags of the target and of --tag, and without any those of its source."""
    ran = run("push", "layout", *arguments, "--json")
    assert lines(ran)[-1]["images"][0]["tags"] == expected
    assert complete(run, *(f"app:{tag}" for tag in expected)) == [True] * len(expected)


def test_lines_of_a_push(run: Run, image: Image) -> None:
    """In a pipe, standard error has a line per layer and a summary, and no bar."""
    ran = run("push", "layout", "app")
    *each, summary = ran.stderr.splitlines()
    assert [line.partition(",")[0] for line in each] == ["1/3 layers", "2/3 layers", "3/3 layers"]
    assert {line.rpartition(" ")[2] for line in each} == {sha256(blob) for blob in image.blobs}
    assert summary.startswith("3 layers transferred, 44.0 kB; 0 present; ")
    assert summary.endswith(" s; tags: v1")
    assert "\x1b" not in ran.stderr


@pytest.mark.usefixtures("full")
def test_the_summary_without_a_tag(run: Run, image: Image) -> None:
    """The summary says if an image got no tag, and how to give one."""
    copied = run("copy", f"full@{sha256(image.manifest)}", "app").stderr
    pulled = run("pull", f"full@{sha256(image.manifest)}", "pulled").stderr
    assert copied.endswith("; no tag: name one with --tag\n")
    assert pulled.endswith("; no tag\n")


def test_the_summary_of_a_repeated_part(run: Run, ecr: LocalECR) -> None:
    """The summary says how many bytes were transferred again."""
    ecr.faults.add(operation="UploadLayerPart", error="ServerException", times=1)
    assert " transferred again; 0 present; " in run("push", "layout", "app").stderr


def test_a_bar_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch, image: Image) -> None:
    """On a terminal, a bar shows bytes and layers on standard error, in place of the lines."""
    monkeypatch.setattr(progress, "_DELAY_SECONDS", 0.0)
    monkeypatch.setattr(progress, "_terminal", lambda: Console(stderr=True, force_terminal=True))
    ran = run("push", "layout", "app")
    found = ran.stdout, "3/3 layers" in ran.stderr, "44.0/44.0 kB" in ran.stderr
    assert found == (f"{HOST}/app@{sha256(image.manifest)}\n", True, True)
    assert "3/3 layers," not in ran.stderr


def test_json_lines_of_a_push(run: Run, image: Image) -> None:
    """With --json, there is a line for each layer, and the result is the last line."""
    ran = run("push", "layout", "app", "--json")
    events = [line["event"] for line in lines(ran)]
    assert (events.count("layer"), events.count("result"), events[-1]) == (BLOBS, 1, "result")
    result = lines(ran)[-1]
    assert (result["uris"], result["complete"]) == ([f"{HOST}/app@{sha256(image.manifest)}"], None)
    assert (result["repository"], ran.stderr) == (f"{HOST}/app", "")


def test_json_of_an_error(run: Run, ecr: LocalECR, image: Image) -> None:
    """With --json, the last line of a failed push says how far each layer came."""
    ecr.faults.add(operation="UploadLayerPart", error="ServerException", after=3)
    ran = run("push", "layout", "app", "--retry-for", "0.05", "--json")
    last = lines(ran)[-1]
    digests = {*last["moved"], *(layer["digest"] for layer in last["unfinished"])}
    assert (last["event"], last["exit_code"], digests) == (
        "error",
        75,
        {sha256(blob) for blob in image.blobs},
    )
    assert ran.stderr.endswith(f"error: {last['message']}\n")
    assert {*last["unfinished"][0]} == {"digest", "size", "received"}


def test_json_of_a_timeout(run: Run, ecr: LocalECR, image: Image) -> None:
    """The error of a timeout has the layers, too."""
    ecr.faults.add(operation="UploadLayerPart", latency=30.0)
    last = lines(run("push", "layout", "app", "--timeout", "1", "--json"))[-1]
    unfinished = [
        (layer["digest"], layer["size"], layer["received"]) for layer in last["unfinished"]
    ]
    assert sorted(unfinished) == sorted((sha256(blob), len(blob), 0) for blob in image.blobs)


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("pull full:none pulled", 3, "BatchGetImage: full:none: ECR has no such image"),
        ("pull full:v1 layout/blobs", 2, "PATH 'layout/blobs' is neither empty"),
        ("pull full:v1 layout/index.json/x", 2, "layout/index.json/x"),
        ("push layout app --timeout 0.001", 75, "not done within --timeout 0.001 s; nothing was"),
    ],
    ids=["not found", "argument", "file", "before the transfer"],
)
def test_json_of_an_early_error(run: Run, command: str, code: int, message: str) -> None:
    """An error before the transfer has no layers."""
    ran = run(*command.split(), "--json")
    [last] = lines(ran)
    assert (ran.returncode, last["exit_code"], last["moved"], last["unfinished"]) == (
        code,
        code,
        None,
        None,
    )
    assert last["message"].startswith(message)


MEMBERS = "event sent confirmed total repeated layers_done layers digest"


@pytest.mark.parametrize(("seconds", "is_one"), [(math.inf, True), (0.0, False)])
def test_json_progress(
    run: Run, monkeypatch: pytest.MonkeyPatch, seconds: float, *, is_one: bool
) -> None:
    """Progress lines keep their distance in time, and have all members of a progress."""
    monkeypatch.setattr(transfer_output, "_SECONDS_BETWEEN_LINES", seconds)
    found = lines(run("push", "layout", "app", "--json"))
    assert ([line["event"] for line in found].count("progress") == 1) == is_one
    assert [*found[0]] == MEMBERS.split()


def test_a_dry_run(run: Run, ecr: LocalECR) -> None:
    """--dry-run prints what plan prints, uploads nothing, and ends with 0."""
    planned = run("plan", "layout", "app")
    ran = run("push", "layout", "app", "--dry-run")
    assert (ran.returncode, ran.stdout, planned.returncode) == (0, planned.stdout, 1)
    assert "InitiateLayerUpload" not in requests(ecr)


def test_a_dry_run_of_a_copy(run: Run, ecr: LocalECR, full: str) -> None:
    """--dry-run of a copy prints the plan of the target, and uploads nothing."""
    ran = run("copy", full, "app", "--dry-run")
    assert (ran.returncode, "copy of 1 manifest to app" in ran.stdout) == (0, True)
    assert "InitiateLayerUpload" not in requests(ecr)


def test_pull(run: Run, full: str, image: Image) -> None:
    """A pull writes a layout that has the image under its tag."""
    ran = run("pull", full, "pulled")
    digest = sha256(image.manifest)
    assert (ran.returncode, ImageSource.from_path("pulled").tags) == (0, {digest: ("v1",)})
    assert ran.stdout.endswith(f"full@{digest}\n")


def test_a_second_pull(run: Run, full: str) -> None:
    """Layers that the layout has are not downloaded again."""
    run("pull", full, "pulled")
    result = lines(run("pull", full, "pulled", "--json"))[-1]
    assert (result["moved"], len(result["present"])) == ([], BLOBS)


def test_copy_gives_a_tag(run: Run, ecr: LocalECR, full: str) -> None:
    """A copy to the same repository puts the tag, and uploads nothing."""
    ran = run("copy", full, "full:stable")
    assert (ran.returncode, complete(run, "full:stable")) == (0, [True])
    assert "InitiateLayerUpload" not in requests(ecr)


def test_copy_without_a_new_tag(run: Run, full: str) -> None:
    """A copy of an image onto itself is an error that names the option."""
    ran = run("copy", full, "full")
    said = "error: a copy within one repository needs --tag: pass the new tags"
    assert (ran.returncode, ran.stderr.startswith(said)) == (2, True)


def test_copy_onto_itself_by_a_profile(run: Run, full: str, other: str) -> None:
    """A profile whose endpoint is the same, as with AWS_ENDPOINT_URL_ECR, changes nothing."""
    ran = run("copy", full, "full", "--to-profile", other)
    said = "error: a copy within one repository needs --tag: pass the new tags"
    assert (ran.returncode, ran.stdout, ran.stderr.startswith(said)) == (2, "", True)


def test_copy_to_another_repository(run: Run, full: str) -> None:
    """Without a tag, the copy has the tag of the source."""
    ran = run("copy", full, "app", "--verify")
    assert (ran.returncode, complete(run, "app:v1")) == (0, [True])


@pytest.mark.parametrize(
    "target",
    [
        ["app", "--to-region", "eu-west-1"],
        [f"{HOST.replace('us-east-1', 'eu-west-1')}/app"],
        [f"{ARN.replace('us-east-1', 'eu-west-1')}/app:v1"],
    ],
    ids=["option", "uri", "arn"],
)
def test_copy_to_another_region(run: Run, full: str, image: Image, target: list[str]) -> None:
    """--to-region, or the Region of the target itself, makes a client of that Region."""
    ran = run("copy", full, *target)
    uri = f"{HOST.replace('us-east-1', 'eu-west-1')}/app@{sha256(image.manifest)}\n"
    assert (ran.returncode, ran.stdout) == (0, uri)
    assert run("verify", "app:v1", "--region", "eu-west-1").returncode == 0
    assert run("verify", "app:v1", "--region", "us-east-1").returncode == 3


def test_copy_to_two_regions(run: Run, ecr: LocalECR, full: str) -> None:
    """Another --to-region than the target's own is refused before any request."""
    before = requests(ecr)
    ran = run("copy", full, f"{HOST}/app", "--to-region", "eu-west-1")
    said = (
        f"error: --to-region 'eu-west-1' is not the Region of '{HOST}/app': leave out --to-region\n"
    )
    assert (ran.returncode, ran.stderr, requests(ecr)) == (2, said, before)


def test_copy_with_another_profile(run: Run, ecr: LocalECR, full: str, tmp_path: Path) -> None:
    """--to-profile is for the target alone: the source is read with the other credentials."""
    (tmp_path / "credentials").write_text(
        "[other]\naws_access_key_id = unknown\naws_secret_access_key = x\n", encoding="ascii"
    )
    ran = run("copy", full, "app", "--to-profile", "other")
    assert (ran.returncode, requests(ecr)["BatchGetImage"]) == (2, 1)
    assert "BatchCheckLayerAvailability" not in requests(ecr)


@pytest.fixture
def other(ecr: LocalECR, tmp_path: Path) -> str:
    """Configure a profile with a key of its own and the Region eu-west-1, and return its name."""
    ecr.add_key("other", "secret")
    keys = "[other]\naws_access_key_id = other\naws_secret_access_key = secret\n"
    (tmp_path / "credentials").write_text(keys, encoding="ascii")
    (tmp_path / "config").write_text("[profile other]\nregion = eu-west-1\n", encoding="ascii")
    return "other"


def test_copy_to_another_account(
    run: Run, ecr: LocalECR, full: str, other: str, image: Image
) -> None:
    """The target's own key, account and tag are used, and the image is complete there."""
    there = f"{HOST.replace('123456789012', '210987654321')}/app"
    ecr.create_repository(there)
    ran = run("copy", full, f"{there}:v2", "--to-profile", other, "--verify")
    assert (ran.returncode, ran.stdout) == (0, f"{there}@{sha256(image.manifest)}\n")
    assert complete(run, f"{there}:v2") == [True]


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    ("variable", "options", "region"),
    [
        (None, [], "eu-west-1"),
        ("us-east-1", [], "us-east-1"),
        ("us-east-1", ["--to-region", "eu-west-1"], "eu-west-1"),
    ],
    ids=["of the profile", "of the variable", "of the option"],
)
def test_the_region_of_a_profile(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    other: str,
    variable: str | None,
    options: list[str],
    region: str,
) -> None:
    """The target's Region is --to-region, AWS_DEFAULT_REGION or that of --to-profile."""
    if variable is None:
        monkeypatch.delenv("AWS_DEFAULT_REGION")
    ran = run("copy", f"{HOST}/full:v1", "app", "--to-profile", other, *options)
    assert (ran.returncode, f".{region}." in ran.stdout) == (0, True)


@pytest.mark.parametrize(
    "command",
    [
        "push layout none",
        "push layout none --dry-run",
        "pull app:none pulled",
        "pull none:v1 pulled",
        "copy app:none app:v1",
        "copy none:v1 app",
    ],
)
def test_what_does_not_exist(run: Run, command: str) -> None:
    """An image or a repository that does not exist is one line, and exit code 3."""
    ran = run(*command.split())
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (3, "", 1)


@pytest.mark.usefixtures("full")
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("push layout app --max-bandwidth 10X", "Invalid value for '--max-bandwidth': '10X' is"),
        ("push layout app --max-bandwidth 0", "Invalid value for '--max-bandwidth': '0' is not"),
        ("push layout app --retry-for 0", "--retry-for 0"),
        ("push layout app --timeout 0", "--timeout 0 must be"),
        ("push layout app:-", "'-' is not a valid tag"),
        ("push layout app --tag .", "'.' is not a valid tag"),
        ("push layout app@sha256:00", "names a digest: name a repository"),
        ("push layout APP:v1", "'APP' is not a valid ECR repository name"),
        ("push nosuch app", "Invalid value for PATH: 'nosuch' does not exist"),
        ("push layout app --journal /proc", "--journal '/proc' can't be used: "),
        ("push layout app --journal /proc", ": use --journal with another directory, or --no-res"),
        ("push layout app --journal=", "--journal '' is empty: leave out --journal to use the"),
        (
            "push layout app --journal j --no-resume",
            "Invalid value for --journal: it can't be used",
        ),
        ("pull full pulled", "'full' does not name an image"),
        ("pull full:v1 pulled --platform x", "--platform 'x'"),
        ("copy full:v1 app --tag .", "'.' is not a valid tag"),
        (
            "copy full:v1 app --journal j --no-resume",
            "Invalid value for --journal: it can't be used",
        ),
    ],
)
def test_a_bad_option(run: Run, ecr: LocalECR, command: str, said: str) -> None:
    """A bad option or argument is one line and exit code 2, before any request."""
    before = requests(ecr)
    ran = run(*command.split())
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert said in ran.stderr
    assert requests(ecr) == before


@pytest.fixture
def two(tmp_path: Path, image: Image) -> str:
    """Write a layout with two images, `v1` and `v2`, and return its path."""
    second = Image(b'{"os": "other"}', image.layers)
    names = {"v1": image.manifest, "v2": second.manifest}
    roots = [
        entry(manifest, IMAGE, annotations={"org.opencontainers.image.ref.name": name})
        for name, manifest in names.items()
    ]
    blobs = [*names.values(), *image.blobs, *second.blobs]
    return str(write(tmp_path / "two", layout_files(roots, blobs)))


@pytest.mark.parametrize("by_digest", [False, True], ids=["tag", "digest"])
def test_one_image_of_several(run: Run, two: str, image: Image, *, by_digest: bool) -> None:
    """--image pushes one image of a layout, named by its tag or digest."""
    named = sha256(image.manifest) if by_digest else "v1"
    ran = run("push", two, "app:new", "--image", named)
    assert (ran.returncode, ran.stdout) == (0, f"{HOST}/app@{sha256(image.manifest)}\n")


def test_the_plan_of_one_image_of_several(run: Run, two: str) -> None:
    """--image plans one image of a layout."""
    ran = run("plan", two, "app", "--image", "v2", "--json")
    assert len(lines(ran)[-1]["manifests"]) == 1


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("push two app:new", "the tag 'new' would name two images, v1 and v2: push one of them"),
        (
            "push two app --image v3",
            "two has no image 'v3': choose one of its images with --image: v1",
        ),
        (
            "push two app --platform linux/arm64",
            "several images: choose one of its images with --image",
        ),
        (
            "plan two app --image v3",
            "two has no image 'v3': choose one of its images with --image: v1",
        ),
    ],
)
@pytest.mark.usefixtures("two")
def test_which_image_of_several(run: Run, command: str, said: str) -> None:
    """A message about several images names the option that chooses one."""
    ran = run(*command.split())
    assert (ran.returncode, "--image" in ran.stderr, said in ran.stderr) == (2, True, True)


@pytest.fixture
def archive(tmp_path: Path, image: Image) -> Path:
    """Write an archive of `docker save` with one of the two platforms that its index names."""
    both = index({"linux/amd64": image.manifest, "linux/arm64": Image(b"{}", ()).manifest})
    files = docker_25([], [entry(both, INDEX)], both, image.manifest, *image.blobs)
    return write(tmp_path / "archive", files)


@pytest.mark.usefixtures("archive")
def test_a_push_warns_of_what_was_not_saved(run: Run) -> None:
    """A push prints the warnings of its plan on standard error, one per line."""
    warning = "warning: linux/arm64 was not saved: the push leaves out the index"
    ran = run("push", "archive", "app:v1")
    found = [line for line in ran.stderr.splitlines() if line.startswith(warning)]
    assert (ran.returncode, len(found)) == (0, 1)


@pytest.mark.usefixtures("archive")
def test_the_result_has_the_warnings(run: Run) -> None:
    """With --json, the result has the warnings of the plan."""
    [warning] = lines(run("push", "archive", "app:v1", "--json"))[-1]["warnings"]
    assert warning.startswith("linux/arm64 was not saved: ")


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("platform", ["linux/arm64", "linux/s390x"])
def test_a_push_of_a_platform_that_was_not_saved(run: Run, ecr: LocalECR, platform: str) -> None:
    """A platform that was not saved is refused, and nothing else is pushed in its place."""
    ran = run("push", "archive", "app:v1", "--platform", platform)
    assert (ran.returncode, "it has linux/amd64" in ran.stderr, requests(ecr)) == (2, True, {})


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["people", "json"])
def test_a_push_to_run_again(run: Run, ecr: LocalECR, options: list[str]) -> None:
    """A push that ECR fails to serve ends with 75, and one line says that a run continues it."""
    ecr.faults.add(operation="UploadLayerPart", error="ServerException")
    ran = run("push", "layout", "app", "--retry-for", "0.05", *options)
    assert ran.returncode == 75
    said = f"; 0 of 3 layers and 0 bytes of 44.0 kB transferred: {TO_CONTINUE}\n"
    assert ran.stderr.endswith(said)


@pytest.mark.parametrize(
    ("kept", "advice"),
    [(0, "nothing was kept: allow more time than one part"), (1, TO_CONTINUE)],
)
def test_a_timeout_of_a_push(run: Run, ecr: LocalECR, kept: int, advice: str) -> None:
    """A timeout says whether another run continues, or would begin again for ever."""
    ecr.faults.add(operation="UploadLayerPart", latency=30.0, after=kept)
    ran = run("push", "layout", "app", "--timeout", "1")
    *_, said = ran.stderr.splitlines()
    assert (ran.returncode, f" of 44.0 kB transferred: {advice}" in said) == (75, True)


@pytest.mark.parametrize(
    ("options", "resumed"),
    [([], 1), (["--journal", "journal"], 1), (["--no-resume"], 0)],
    ids=["default", "directory", "none"],
)
def test_the_next_push_continues(run: Run, ecr: LocalECR, options: list[str], resumed: int) -> None:
    """After exit code 75, the next push continues the layer of several parts from its journal."""
    fault = ecr.faults.add(operation="UploadLayerPart", error="ServerException", after=3)
    first = run("push", "layout", "app", "--retry-for", "0.05", *options)
    fault.remove()
    second = run("push", "layout", "app", "--json", *options)
    assert (first.returncode, second.returncode) == (75, 0)
    assert len(lines(second)[-1]["resumed"]) == resumed


def test_the_journal_is_in_the_state_directory(run: Run, ecr: LocalECR, tmp_path: Path) -> None:
    """Without --journal, it is in the user's state directory."""
    ecr.faults.add(operation="UploadLayerPart", error="ServerException", after=3)
    run("push", "layout", "app", "--retry-for", "0.05")
    assert (tmp_path / "state" / "ecr-layers" / "uploads").is_dir()


def test_a_state_directory_that_cannot_be_written(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the directory and the options, and --no-resume does without it."""
    monkeypatch.setenv("XDG_STATE_HOME", "/proc")
    ran = run("push", "layout", "app")
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: --journal '/proc/ecr-layers/uploads' can't be used: ")
    assert ran.stderr.endswith(": use --journal with another directory, or --no-resume\n")
    assert run("push", "layout", "app", "--no-resume").returncode == 0


def test_a_pull_to_run_again(run: Run, ecr: LocalECR, full: str) -> None:
    """A pull whose downloads fail ends with 75, and the next one gets the image."""
    fault = ecr.faults.add(operation="GetLayer", error="ServerException")
    first = run("pull", full, "pulled", "--retry-for", "0.05")
    fault.remove()
    assert (first.returncode, run("pull", full, "pulled").returncode) == (75, 0)


def test_the_next_copy_continues(run: Run, ecr: LocalECR, full: str) -> None:
    """A copy has the same journal as a push."""
    fault = ecr.faults.add(operation="UploadLayerPart", error="ServerException", after=3)
    first = run("copy", full, "app", "--retry-for", "0.05")
    fault.remove()
    second = run("copy", full, "app", "--json")
    assert (first.returncode, len(lines(second)[-1]["resumed"])) == (75, 1)


def test_a_pull_into_another_directory(run: Run, full: str) -> None:
    """A directory that is no layout is refused by the name of the argument, with exit code 2."""
    ran = run("pull", full, "layout/blobs")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: PATH 'layout/blobs' is neither empty nor an OCI layout")


def test_verify_after_a_push(run: Run) -> None:
    """With --verify, a complete image ends with 0 and says so in the result."""
    ran = run("push", "layout", "app", "--verify", "--json")
    assert (ran.returncode, lines(ran)[-1]["complete"]) == (0, True)


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["people", "json"])
def test_verify_finds_an_incomplete_image(
    run: Run, ecr: LocalECR, image: Image, options: list[str]
) -> None:
    """If a layer is lost after the push, --verify ends with 1, and no URI is printed for people."""
    rows = [
        {"layerDigest": sha256(blob), "layerAvailability": "UNAVAILABLE"} for blob in image.blobs
    ]
    lost = json.dumps({"layers": rows, "failures": []}).encode()
    ecr.faults.add(operation="BatchCheckLayerAvailability", body=lost, after=1)
    ran = run("push", "layout", "app", "--verify", *options)
    [said] = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert (ran.returncode, "the image is not complete: " in said) == (1, True)
    assert [line["complete"] for line in lines(ran)[-1:]] == [False] * len(options)


def test_bandwidth(run: Run) -> None:
    """--max-bandwidth takes a number with a unit."""
    assert run("push", "layout", "app", "--max-bandwidth", "10M").returncode == 0
