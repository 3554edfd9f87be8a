"""The commands of the command line's page run as written, and the doctor prints its example."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client.local import LocalECR
from images.making import IMAGE, entry, image, layout_files, sha256, write

if TYPE_CHECKING:
    from collections.abc import Generator

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
BLOCKS = [
    block.strip() for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
]
COMMANDS = [
    line for block in BLOCKS for line in ([block] if "eval" in block else block.splitlines())
]
HELD = image("app", "base", "code")


@pytest.fixture(scope="session")
def of_the_page() -> Generator[LocalECR]:
    """Return a local ECR in the page's Region, whose `team/app` holds the image `team/app:1.0`."""
    with LocalECR(region="eu-west-1", regions=["us-east-1"]) as local:
        local.create_repository("team/mirror")
        local.create_repository("123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app")
        for blob in HELD.blobs:
            local.put_layer("team/app", blob)
        local.put_image("team/app", HELD.manifest, "1.0")
        yield local


@pytest.fixture
def home(tmp_path: Path, of_the_page: LocalECR, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create a user's home with the page's files, a program `deploy`, and the local ECR as AWS."""
    for name, value in {**of_the_page.environment, "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)

    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "deploy").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{programs}:{os.environ['PATH']}")

    write(
        tmp_path / "layout",
        layout_files([entry(HELD.manifest, IMAGE)], [HELD.manifest, *HELD.blobs]),
    )
    (tmp_path / "manifest.json").write_bytes(HELD.manifest)
    (tmp_path / "digests.txt").write_text(
        f"{sha256(HELD.blobs[0])}\nsha256:{0:064x}\n", encoding="ascii"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(command: str) -> None:
    """A shell runs each command of the page without an error, with exit code 0 or 1."""
    if " | jq" in command and shutil.which("jq") is None:
        pytest.skip("needs jq")

    with Path("printed").open("w") as out:
        shell = subprocess.Popen(
            ["/bin/bash", "-c", command], stdout=out, stderr=out, start_new_session=True
        )
        try:
            code = shell.wait(timeout=50)
        finally:
            _end(shell.pid)

    printed = Path("printed").read_text()
    assert (code in {0, 1}, "error" in printed.lower()) == (True, False), printed


def _end(group: int) -> None:
    """End the processes that a shell left running, such as a server in the background."""
    try:
        os.killpg(group, signal.SIGTERM)
    except ProcessLookupError:
        return


@pytest.mark.usefixtures("home")
def test_the_doctor_prints_what_the_page_shows(of_the_page: LocalECR) -> None:
    """The doctor prints the page's example, except for versions, times and the port."""
    fault = of_the_page.faults.add(error="AccessDeniedException", after=1)
    ran = subprocess.run(
        ["ecr-layers", "doctor", "team/app", "--region", "eu-west-1"],
        capture_output=True,
        text=True,
        check=False,
    )
    fault.remove()
    shown = re.findall(r'^```text title="doctor"\n(.*?)^```$', PAGE, re.DOTALL | re.MULTILINE)
    assert (ran.returncode, plain(ran.stdout)) == (2, plain(shown[0]))


def plain(text: str) -> str:
    """Return a text without the parts that differ by run or by machine."""
    text = re.sub(r" on \w+$", " on SYSTEM", text, flags=re.MULTILINE)
    return re.sub(r"(?<=127\.0\.0\.1:)\d+|\d+(?= ms)|(?<= )\d+\.\d+[\w.+]*", "N", text)
