"""`ecr-layers plan`, `verify` and `audit`, run in this process against a local ECR."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from ecr_layer_client import Repository
from ecr_layer_client.cli import progress
from ecr_layer_client.cli.images import _AuditPrinter
from ecr_layer_client.images import ImageReport
from images.making import IMAGE, entry, image, index, layout_files, packed, sha256, tar, write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path
    from subprocess import CompletedProcess

    from ecr_layer_client.local import LocalECR

    Run = Callable[..., CompletedProcess[str]]

APP = image("app", "base", "code", foreign=["windows"])
ARM = image("arm", "base", "arm code")
BOTH = index({"linux/amd64": APP.manifest, "linux/arm64": ARM.manifest})
URI = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
NAMES = [sha256(blob) for blob in APP.blobs]


@pytest.fixture(scope="session")
def images(ecr: LocalECR) -> None:
    """Fill three repositories.

    `team/complete` holds an index of two images. `team/broken` holds the same, with a layer
    archived. `team/empty` holds nothing.
    """
    ecr.create_repository("team/empty")
    for name in ("team/complete", "team/broken"):
        for blob in (*APP.blobs, *ARM.blobs):
            ecr.put_layer(name, blob)
        for manifest, tag in ((APP.manifest, None), (ARM.manifest, None), (BOTH, "v1")):
            ecr.put_image(name, manifest, tag)
    ecr.archive("team/broken", NAMES[2])


@pytest.fixture
def layout(tmp_path: Path) -> str:
    """Write a layout of the first image, and return its path."""
    return str(
        write(
            tmp_path / "layout",
            layout_files([entry(APP.manifest, IMAGE)], [APP.manifest, *APP.blobs]),
        )
    )


@pytest.mark.usefixtures("images")
def test_plan_for_people(run: Run, layout: str) -> None:
    """A plan has a row for each blob, with a note where there is one, and a summary."""
    ran = run("plan", layout, "team/broken")
    assert ran.stdout.splitlines()[:6] == [
        "ACTION        SIZE  DIGEST",
        f"upload    10 bytes  {NAMES[2]}  (archived)",
        f"present  {len(APP.config):>3} bytes  {NAMES[0]}",
        f"present   10 bytes  {NAMES[1]}",
        f"skip      15 bytes  {sha256(b'foreign windows')}",
        "push of 1 manifest to team/broken",
    ]
    assert ran.returncode == 1


@pytest.mark.usefixtures("images")
def test_plan_as_json(run: Run, layout: str) -> None:
    """With --json, a plan is one object that includes its totals."""
    ran = run("plan", layout, f"{URI}/team/complete", "--json")
    [line] = ran.stdout.splitlines()
    planned = json.loads(line)
    assert ([blob["digest"] for blob in planned["present"]], planned["to_upload"]) == (NAMES, [])
    assert (planned["all_blobs_present"], planned["bytes_to_upload"], planned["repository"]) == (
        True,
        0,
        f"{URI}/team/complete",
    )
    assert ran.returncode == 0


PLANNED = """repository manifests to_upload present foreign archived undetermined calls shared_bytes
warnings service bytes_to_upload bytes_present bytes_foreign seconds_at_quota all_blobs_present"""
REPORTED = """repository reference tags digest media_type platform problem
available archived absent undetermined wrong_size children deployable defects"""
BLOB = "digest size media_type platform urls artifact_type annotations"


@pytest.mark.usefixtures("images")
def test_members_of_json(run: Run, layout: str) -> None:
    """The members of JSON lines do not change, because programs rely on them."""
    planned = json.loads(run("plan", layout, "team/empty", "--json").stdout)
    report = json.loads(run("verify", "team/complete:v1", "--json").stdout)
    audited = json.loads(run("audit", "team/complete", "--json").stdout.splitlines()[0])

    assert ([*planned], [*report], [*audited]) == (
        PLANNED.split(),
        REPORTED.split(),
        REPORTED.split(),
    )
    assert ([*planned["to_upload"][0]], [*report["children"][0]["available"][0]]) == (
        BLOB.split(),
        BLOB.split(),
    )


@pytest.mark.usefixtures("images")
def test_plan_of_an_image_without_its_manifest(run: Run, ecr: LocalECR, layout: str) -> None:
    """A plan whose blobs exist ends with 0 although the image is missing, and verify with 3."""
    for blob in APP.blobs:
        ecr.put_layer("team/blobs", blob)
    planned, verified = (
        run("plan", layout, "team/blobs"),
        run("verify", f"team/blobs@{sha256(APP.manifest)}"),
    )
    assert (planned.returncode, verified.returncode) == (0, 3)
    assert "calls: 1 BatchCheckLayerAvailability, 1 PutImage" in planned.stdout.splitlines()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("-", "an image is read more than once, so it can't come from a pipe: save it to a file"),
        (
            "python:3.11",
            (
                "'python:3.11' does not exist, and only local files are read: "
                "save the image first, for example with `docker save`"
            ),
        ),
    ],
    ids=["pipe", "image"],
)
def test_plan_of_no_file(run: Run, source: str, said: str) -> None:
    """A pipe and the name of an image are refused in one line, which says what to do."""
    ran = run("plan", source, "team/empty")
    usage = "`ecr-layers plan --help` shows the usage"
    assert (ran.returncode, ran.stdout, ran.stderr) == (
        2,
        "",
        f"error: Invalid value for IMAGE_SOURCE: {said}: {usage}\n",
    )


@pytest.mark.usefixtures("images")
def test_plan_of_a_malformed_manifest(run: Run, tmp_path: Path) -> None:
    """The error for a malformed manifest names the file."""
    path = tmp_path / "manifest.json"
    path.write_bytes(APP.manifest[:-3])
    ran = run("plan", str(path), "team/empty")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(
        f"error: {path}: not a valid manifest ({len(APP.manifest) - 3} bytes, sha256:"
    )


@pytest.mark.usefixtures("images")
def test_plan_of_schema_1(run: Run, tmp_path: Path) -> None:
    """An unknown size is printed as a dash."""
    path = tmp_path / "manifest.json"
    path.write_bytes(packed(schemaVersion=1, fsLayers=[{"blobSum": NAMES[0]}]))
    assert (
        run("plan", str(path), "team/empty").stdout.splitlines()[1]
        == f"upload           -  {NAMES[0]}"
    )


@pytest.mark.usefixtures("images")
def test_plan_of_a_truncated_archive(run: Run, tmp_path: Path) -> None:
    """A truncated archive is one line on standard error that names it, and exit code 2."""
    path = tar(tmp_path / "cut.tar", {"index.json": bytes(5000)})
    path.write_bytes(path.read_bytes()[:3000])
    ran = run("plan", str(path), "team/complete")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"error: {path} is not a complete tar archive")
    assert ran.stderr.count("\n") == 1


@pytest.mark.usefixtures("images")
def test_verify_for_people(run: Run) -> None:
    """A report has a row for each platform, and a line for each defect."""
    ran = run("verify", "team/broken:v1")
    lines = ran.stdout.splitlines()
    assert [line.split()[:3] for line in lines[:3]] == [
        ["IMAGE", "PLATFORM", "BLOBS"],
        ["broken", "linux/amd64", "3"],
        ["complete", "linux/arm64", "3"],
    ]
    defect = f"linux/amd64: archived: {NAMES[2]}"
    assert lines[3:] == [f"  {defect}", f"team/broken:v1: {defect} (1 in all)"]
    assert ran.returncode == 1


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize(
    "name",
    [
        "team/complete:v1",
        f"{URI}/team/complete:v1",
        f"team/complete@{sha256(BOTH)}",
        f"team/complete@{sha256(APP.manifest)}",
    ],
)
def test_verify_a_complete_image(run: Run, name: str) -> None:
    """A complete image ends with 0, named by tag or digest, with or without its registry."""
    ran = run("verify", name)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, f"{name}: complete")


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize(
    "name",
    [
        f"team/complete:v1@{sha256(APP.manifest)}",
        f"{URI}/team/complete:gone@{sha256(APP.manifest)}",
        f"team/complete@sha256:{sha256(APP.manifest)[7:].upper()}",
        f"arn:aws:ecr:us-east-1:123456789012:repository/team/complete@{sha256(APP.manifest)}",
    ],
    ids=["tag", "another-tag", "upper-case", "arn"],
)
def test_verify_by_digest(run: Run, name: str) -> None:
    """With a tag and a digest, the digest counts, in either letter case."""
    ran = run("verify", name, "--json")
    assert (ran.returncode, json.loads(ran.stdout)["reference"]) == (0, sha256(APP.manifest))


@pytest.mark.usefixtures("images")
def test_verify_as_json(run: Run) -> None:
    """With --json, a report is one object, even if the image does not exist."""
    reports = [
        json.loads(run("verify", name, "--json").stdout)
        for name in ("team/complete:v1", "team/complete:v9")
    ]

    assert [(report["deployable"], report["defects"]) for report in reports] == [
        (True, []),
        (False, ["not found (ImageNotFound): v9"]),
    ]
    assert run("verify", "team/complete:v9", "--json").returncode == 3
    assert [child["platform"]["architecture"] for child in reports[0]["children"]] == [
        "amd64",
        "arm64",
    ]


@pytest.mark.usefixtures("images")
def test_verify_as_json_per_platform(run: Run) -> None:
    """With --json, each image of an index has the same members as the index."""
    report = json.loads(run("verify", "team/broken:v1", "--json").stdout)
    children = [
        (child["platform"]["architecture"], child["repository"], child["deployable"])
        for child in report["children"]
    ]
    assert children == [("amd64", "team/broken", False), ("arm64", "team/broken", True)]
    assert [child["defects"] for child in report["children"]] == [report["defects"], []]
    assert [*report["children"][0]] == [*report]


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "team/complete",
            "'team/complete' does not name an image: append ':' and a tag, or '@' and a digest",
        ),
        ("team/complete@v1", "'team/complete@v1' has no digest after '@': append a tag with ':'"),
        ("team/complete:a b", "in REPOSITORY:TAG, 'a b' is not a valid reference"),
        (
            f"team/complete:a b@{sha256(BOTH)}",
            "in REPOSITORY:TAG, 'a b' is not a valid reference",
        ),
        (f"team/complete:@{sha256(BOTH)}", "in REPOSITORY:TAG, '' is not a valid reference"),
        (
            f"team/complete@{sha256(BOTH)[:-1]}",
            "write a tag, such as 'latest', or a digest",
        ),
        (f"@{sha256(BOTH)}", "is not a valid ECR repository name"),
        (f"{URI}/team/complete", "does not name an image"),
    ],
)
def test_verify_a_wrong_name(run: Run, name: str, why: str) -> None:
    """A name that does not name an image is one line on standard error, and exit code 2."""
    ran = run("verify", name)
    assert (ran.returncode, ran.stdout, why in ran.stderr) == (2, "", True)


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "team/complete:v9",
            "repository 'team/complete' has no image 'v9': check the tag or the digest, or push",
        ),
        (
            f"team/empty@{sha256(BOTH)}",
            f"repository 'team/empty' has no image '{sha256(BOTH)}': check the tag or the digest",
        ),
        ("team/none:v1", "BatchGetImage on repository 'team/none' (registry of the caller, Region"),
    ],
    ids=["tag", "digest", "repository"],
)
def test_verify_an_image_that_does_not_exist(run: Run, name: str, said: str) -> None:
    """If the image does not exist, verify prints one line on standard error, and ends with 3."""
    ran = run("verify", name)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (3, "", 1)
    assert ran.stderr.startswith(f"error: {said}")


@pytest.mark.usefixtures("images")
def test_an_unknown_repository_is_an_error(run: Run, layout: str) -> None:
    """An unknown repository ends plan and audit with 2."""
    codes = [
        run("plan", layout, "team/none").returncode,
        run("audit", "team/none").returncode,
    ]
    assert codes == [2, 2]


@pytest.mark.usefixtures("images")
def test_audit_for_people(run: Run) -> None:
    """An audit prints the broken images with their tags and defects, and counts all images."""
    ran = run("audit", "team/broken")
    assert ran.stdout.splitlines() == [
        f"{sha256(APP.manifest)}  (no tag)",
        f"  archived: {NAMES[2]}",
        f"{sha256(BOTH)}  v1",
        f"  linux/amd64: archived: {NAMES[2]}",
        "3 images: 1 complete, 2 broken",
    ]
    assert ran.returncode == 1


@pytest.mark.usefixtures("images")
def test_audit_as_json(run: Run) -> None:
    """With --json, every image has a line."""
    ran = run("audit", "team/complete", "--json")
    reports = [json.loads(line) for line in ran.stdout.splitlines()]
    assert {report["digest"]: (report["tags"], report["deployable"]) for report in reports} == {
        sha256(APP.manifest): ([], True),
        sha256(ARM.manifest): ([], True),
        sha256(BOTH): (["v1"], True),
    }
    assert ran.returncode == 0


@pytest.fixture
def denied_later(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let an audit fetch one image at a time, and deny all but the first."""
    monkeypatch.setattr("ecr_layer_client.images._reader._IMAGES_PER_ROUND", 1)
    ecr.faults.add(operation="BatchGetImage", error="AccessDeniedException", after=1)
    yield
    ecr.faults.clear()


@pytest.mark.usefixtures("images", "denied_later")
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["people", "json"])
def test_audit_that_ends_with_an_error(run: Run, options: list[str]) -> None:
    """An audit that fails prints what it found, and one line that says how far it came."""
    ran = run("audit", "team/broken", *options)
    found = [
        line for line in ran.stdout.splitlines() if sha256(APP.manifest) in line or NAMES[2] in line
    ]
    assert (ran.returncode, len(found) > 0, "images:" in ran.stdout) == (2, True, False)
    [said] = ran.stderr.splitlines()
    assert said.startswith("error: BatchGetImage on repository 'team/broken'")
    assert said.endswith("; until then, 1 image: 0 complete, 1 broken")


@pytest.mark.asyncio
async def test_audit_that_is_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    """An audit that is interrupted says how far it came, and prints no summary."""
    broken = ImageReport(
        repository=Repository(name="team/app"),
        reference=NAMES[0],
        digest=NAMES[0],
        problem="archived",
    )

    async def interrupted() -> AsyncIterator[ImageReport]:
        yield broken
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await _AuditPrinter(as_json=False).print_all(interrupted())
    assert capsys.readouterr().err == ("interrupted; until then, 1 image: 0 complete, 1 broken\n")


@pytest.mark.usefixtures("images")
def test_audit_of_an_empty_repository(run: Run) -> None:
    """A repository without images passes an audit."""
    ran = run("audit", "team/empty")
    assert (ran.returncode, ran.stdout) == (0, "0 images: 0 complete, 0 broken\n")


@pytest.mark.usefixtures("images")
def test_progress_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, a slow command shows progress on standard error only."""
    before = run("audit", "team/complete")
    monkeypatch.setattr(progress, "_DELAY_SECONDS", 0.0)
    monkeypatch.setattr(progress, "_terminal", lambda: Console(stderr=True, force_terminal=True))
    shown = run("audit", "team/complete")
    assert (before.stderr, "images" in shown.stderr, shown.stdout) == ("", True, before.stdout)


@pytest.mark.parametrize("command", ["plan", "verify", "audit"])
def test_help(run: Run, command: str) -> None:
    """The help of each command has examples, exit codes and the permissions it needs."""
    said = run(command, "--help").stdout
    assert [
        word in said for word in ("Examples:", "Exit codes:", "ecr:BatchCheckLayerAvailability")
    ] == [True] * 3
