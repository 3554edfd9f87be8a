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
    """Let `team/whole` hold an index of two images, `team/broken` the same with a layer archived, and `team/empty` nothing."""
    ecr.create_repository("team/empty")
    for name in ("team/whole", "team/broken"):
        for blob in (*APP.blobs, *ARM.blobs):
            ecr.put_layer(name, blob)
        for manifest, tag in ((APP.manifest, None), (ARM.manifest, None), (BOTH, "v1")):
            ecr.put_image(name, manifest, tag)
    ecr.archive("team/broken", NAMES[2])


@pytest.fixture
def layout(tmp_path: Path) -> str:
    """Lay out the first image and return where."""
    return str(
        write(
            tmp_path / "layout",
            layout_files([entry(APP.manifest, IMAGE)], [APP.manifest, *APP.blobs]),
        )
    )


@pytest.mark.usefixtures("images")
def test_plan_for_people(run: Run, layout: str) -> None:
    """A plan is a row for each blob, with a note where there is one, and what a push comes to."""
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
    """With --json a plan is one object, with its sums."""
    ran = run("plan", layout, f"{URI}/team/whole", "--json")
    [line] = ran.stdout.splitlines()
    planned = json.loads(line)
    assert ([blob["digest"] for blob in planned["present"]], planned["to_upload"]) == (NAMES, [])
    assert (planned["all_blobs_present"], planned["bytes_to_upload"], planned["repository"]) == (
        True,
        0,
        f"{URI}/team/whole",
    )
    assert ran.returncode == 0


PLANNED = """repository manifests to_upload present foreign archived undetermined calls shared_bytes
bytes_to_upload bytes_present bytes_foreign seconds_at_quota all_blobs_present"""
REPORTED = """repository reference tags digest media_type platform problem available archived absent undetermined wrong_size children
deployable defects"""
BLOB = "digest size media_type platform urls artifact_type annotations"


@pytest.mark.usefixtures("images")
def test_members_of_json(run: Run, layout: str) -> None:
    """The members of each line of JSON are these, whatever they say; programs rely on them."""
    planned = json.loads(run("plan", layout, "team/empty", "--json").stdout)
    report = json.loads(run("verify", "team/whole:v1", "--json").stdout)
    audited = json.loads(run("audit", "team/whole", "--json").stdout.splitlines()[0])
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
def test_plan_of_an_image_of_which_the_manifest_alone_is_missing(
    run: Run, ecr: LocalECR, layout: str
) -> None:
    """A plan is of blobs: where all are there, it is exit code 0, though the image is not.

    Whether that is there, `verify` says.
    """
    for blob in APP.blobs:
        ecr.put_layer("team/blobs", blob)
    planned, verified = (
        run("plan", layout, "team/blobs"),
        run("verify", f"team/blobs@{sha256(APP.manifest)}"),
    )
    assert (planned.returncode, verified.returncode) == (0, 1)
    assert "calls: 1 BatchCheckLayerAvailability, 1 PutImage" in planned.stdout.splitlines()


def test_plan_of_standard_input(run: Run) -> None:
    """An image can't come from a pipe, and who tries is told what to do."""
    ran = run("plan", "-", "team/empty")
    assert (ran.returncode, ran.stdout, "save it to a file" in " ".join(ran.stderr.split())) == (
        2,
        "",
        True,
    )


@pytest.mark.usefixtures("images")
def test_plan_of_a_manifest_that_is_none(run: Run, tmp_path: Path) -> None:
    """An error of a manifest's JSON names the file."""
    path = tmp_path / "manifest.json"
    path.write_bytes(APP.manifest[:-3])
    ran = run("plan", str(path), "team/empty")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(
        f"error: {path}: not a valid manifest ({len(APP.manifest) - 3} bytes, sha256:"
    )


@pytest.mark.usefixtures("images")
def test_plan_of_schema_1(run: Run, tmp_path: Path) -> None:
    """A size that nobody says is a dash."""
    path = tmp_path / "manifest.json"
    path.write_bytes(packed(schemaVersion=1, fsLayers=[{"blobSum": NAMES[0]}]))
    assert (
        run("plan", str(path), "team/empty").stdout.splitlines()[1]
        == f"upload           -  {NAMES[0]}"
    )


@pytest.mark.usefixtures("images")
def test_plan_of_what_is_no_image(run: Run, tmp_path: Path) -> None:
    """A cut archive is one line on standard error that names it, and exit code 2."""
    path = tar(tmp_path / "cut.tar", {"index.json": bytes(5000)})
    path.write_bytes(path.read_bytes()[:3000])
    ran = run("plan", str(path), "team/whole")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"error: {path} is not a complete tar archive")
    assert ran.stderr.count("\n") == 1


@pytest.mark.usefixtures("images")
def test_verify_for_people(run: Run) -> None:
    """A report is a row for each platform, and a line for each defect."""
    ran = run("verify", "team/broken:v1")
    lines = ran.stdout.splitlines()
    assert [line.split()[:3] for line in lines[:3]] == [
        ["IMAGE", "PLATFORM", "BLOBS"],
        ["broken", "linux/amd64", "3"],
        ["whole", "linux/arm64", "3"],
    ]
    defect = f"linux/amd64: archived: {NAMES[2]}"
    assert lines[3:] == [f"  {defect}", f"team/broken:v1: {defect} (1 in all)"]
    assert ran.returncode == 1


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize(
    "name",
    [
        "team/whole:v1",
        f"{URI}/team/whole:v1",
        f"team/whole@{sha256(BOTH)}",
        f"team/whole@{sha256(APP.manifest)}",
    ],
)
def test_verify_a_whole_image(run: Run, name: str) -> None:
    """An image is named by its tag or its digest, with or without its registry.

    A whole one is exit code 0.
    """
    ran = run("verify", name)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, f"{name}: complete")


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize(
    "name",
    [
        f"team/whole:v1@{sha256(APP.manifest)}",
        f"{URI}/team/whole:gone@{sha256(APP.manifest)}",
        f"team/whole@sha256:{sha256(APP.manifest)[7:].upper()}",
        f"arn:aws:ecr:us-east-1:123456789012:repository/team/whole@{sha256(APP.manifest)}",
    ],
    ids=["tag", "another-tag", "upper-case", "arn"],
)
def test_verify_by_digest(run: Run, name: str) -> None:
    """Of a tag and a digest the digest counts, as for Docker and Kubernetes.

    It is taken in either letter case.
    """
    ran = run("verify", name, "--json")
    assert (ran.returncode, json.loads(ran.stdout)["reference"]) == (0, sha256(APP.manifest))


@pytest.mark.usefixtures("images")
def test_verify_as_json(run: Run) -> None:
    """With --json a report is one object, an image that is not there, too."""
    reports = [
        json.loads(run("verify", name, "--json").stdout)
        for name in ("team/whole:v1", "team/whole:v9")
    ]
    assert [(report["deployable"], report["defects"]) for report in reports] == [
        (True, []),
        (False, ["not found (ImageNotFound): v9"]),
    ]
    assert [child["platform"]["architecture"] for child in reports[0]["children"]] == [
        "amd64",
        "arm64",
    ]


@pytest.mark.usefixtures("images")
def test_verify_as_json_per_platform(run: Run) -> None:
    """With --json each image of an index has the members that the index has: whether it is deployable, too, and the repository's name."""
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
        ("team/whole", "'team/whole' names no image: append ':' and a tag, or '@' and a digest"),
        ("team/whole@v1", "'team/whole@v1' has no digest behind '@': a tag is appended with ':'"),
        ("team/whole:a b", "the tag or digest of REPOSITORY:TAG is 'a b': a tag"),
        (f"team/whole:a b@{sha256(BOTH)}", "the tag or digest of REPOSITORY:TAG is 'a b': a tag"),
        (f"team/whole:@{sha256(BOTH)}", "the tag or digest of REPOSITORY:TAG is '': a tag"),
        (
            f"team/whole@{sha256(BOTH)[:-1]}",
            "a tag, such as 'latest', or a digest, sha256: and 64 digits",
        ),
        (f"@{sha256(BOTH)}", "is no ECR repository name"),
        ("team/none:v1", "The repository with name 'team/none' does not exist"),
        (f"{URI}/team/whole", "names no image"),
    ],
)
def test_verify_what_is_no_image(run: Run, name: str, why: str) -> None:
    """What names no image, or no repository, is one line on standard error, and exit code 2."""
    ran = run("verify", name)
    assert (ran.returncode, ran.stdout, why in ran.stderr) == (2, "", True)


@pytest.mark.usefixtures("images")
def test_audit_for_people(run: Run) -> None:
    """An audit prints the images that are not whole, with their tags and defects, and counts them all."""
    ran = run("audit", "team/broken")
    assert ran.stdout.splitlines() == [
        f"{sha256(APP.manifest)}  (no tag)",
        f"  archived: {NAMES[2]}",
        f"{sha256(BOTH)}  v1",
        f"  linux/amd64: archived: {NAMES[2]}",
        "3 images: 1 whole, 2 not",
    ]
    assert ran.returncode == 1


@pytest.mark.usefixtures("images")
def test_audit_as_json(run: Run) -> None:
    """With --json there is a line for every image."""
    ran = run("audit", "team/whole", "--json")
    reports = [json.loads(line) for line in ran.stdout.splitlines()]
    assert {report["digest"]: (report["tags"], report["deployable"]) for report in reports} == {
        sha256(APP.manifest): ([], True),
        sha256(ARM.manifest): ([], True),
        sha256(BOTH): (["v1"], True),
    }
    assert ran.returncode == 0


@pytest.fixture
def denied_later(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let an audit take an image at a time, and all but the first be denied."""
    monkeypatch.setattr("ecr_layer_client.images._reader._ROUND", 1)
    ecr.faults.add(operation="BatchGetImage", error="AccessDeniedException", after=1)
    yield
    ecr.faults.clear()


@pytest.mark.usefixtures("images", "denied_later")
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["people", "json"])
def test_audit_that_ends_with_an_error(run: Run, options: list[str]) -> None:
    """When an audit fails, what it found before is printed, one line says what failed and how far it was, and the exit code is 2."""
    ran = run("audit", "team/broken", *options)
    found = [
        line for line in ran.stdout.splitlines() if sha256(APP.manifest) in line or NAMES[2] in line
    ]
    assert (ran.returncode, len(found) > 0, "images:" in ran.stdout) == (2, True, False)
    [said] = ran.stderr.splitlines()
    assert said.startswith("error: BatchGetImage on repository 'team/broken'")
    assert said.endswith("; until then, 1 image: 0 whole, 1 not")


@pytest.mark.asyncio
async def test_audit_that_is_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    """Interrupted, an audit prints what it found, and says how far it was.

    The end's own line is not printed.
    """
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
    assert capsys.readouterr().err == "interrupted; until then, 1 image: 0 whole, 1 not\n"


@pytest.mark.usefixtures("images")
def test_audit_of_an_empty_repository(run: Run) -> None:
    """A repository without images is whole."""
    ran = run("audit", "team/empty")
    assert (ran.returncode, ran.stdout) == (0, "0 images: 0 whole, 0 not\n")


@pytest.mark.usefixtures("images")
def test_a_sign_of_life(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal, what takes longer is shown on standard error, and standard output stays as it is."""
    before = run("audit", "team/whole")
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    monkeypatch.setattr(progress, "_terminal", lambda: Console(stderr=True, force_terminal=True))
    shown = run("audit", "team/whole")
    assert (before.stderr, "images" in shown.stderr, shown.stdout) == ("", True, before.stdout)


@pytest.mark.parametrize("command", ["plan", "verify", "audit"])
def test_help(run: Run, command: str) -> None:
    """Each command says what it does, with examples, exit codes and the rights it needs."""
    said = run(command, "--help").stdout
    assert [
        word in said for word in ("Examples:", "Exit codes:", "ecr:BatchCheckLayerAvailability")
    ] == [True] * 3
