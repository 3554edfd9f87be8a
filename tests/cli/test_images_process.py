"""`ecr-layers plan`, `verify` and `audit` as processes: Ctrl-C, and readers that close the pipe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING

import pytest

from images.making import IMAGE, entry, image, layout_files, sha256, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecr_layer_client.local import LocalECR

IMAGES = [image(f"image {number}", "base") for number in range(3)]
MAIN = "from ecr_layer_client.cli import main; main()"
ONE_BY_ONE = f"from ecr_layer_client.images import _reader; _reader._IMAGES_PER_ROUND = 1; {MAIN}"
READS_FOREVER = f"""
import sys, threading
from ecr_layer_client.images import ImageSource
def read(path):
    print("reading", file=sys.stderr, flush=True)
    threading.Event().wait()
ImageSource.from_path = read
{MAIN}
"""


@pytest.fixture(autouse=True, scope="module")
def images(ecr: LocalECR) -> None:
    """Let `team/three` hold three images."""
    for one in IMAGES:
        for blob in one.blobs:
            ecr.put_layer("team/three", blob)
        ecr.put_image("team/three", one.manifest)


@pytest.fixture
def third_hangs(ecr: LocalECR) -> Iterator[None]:
    """Let ECR never send its third response with manifests."""
    ecr.faults.add(operation="BatchGetImage", latency=600.0, after=2)
    yield
    ecr.faults.clear()


def started(program: str, *arguments: str) -> Popen[str]:
    """Start a program with the arguments of `ecr-layers`."""
    return Popen([sys.executable, "-c", program, *arguments], stdout=PIPE, stderr=PIPE, text=True)


def ended(process: Popen[str]) -> tuple[int, str, str]:
    """Return how a process ended, and the rest of what it printed."""
    out, said = process.communicate()
    return process.returncode, out, said


@pytest.mark.usefixtures("third_hangs")
def test_ctrl_c_in_an_audit_keeps_what_was_found() -> None:
    """Ctrl-C while a response is due ends an audit with 130, after it printed its results."""
    process = started(ONE_BY_ONE, "audit", "team/three", "--json")
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "", "interrupted; until then, 2 images: 2 complete, 0 broken\n")
    assert [json.loads(line)["deployable"] for line in lines] == [True, True]


def test_ctrl_c_while_an_archive_is_read(tmp_path: Path) -> None:
    """Ctrl-C ends a plan at once, however long reading the image takes."""
    process = started(READS_FOREVER, "plan", str(tmp_path), "team/three")
    assert process.stderr is not None
    assert process.stderr.readline() == "reading\n"
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "{layout}", "team/three"],
        ["verify", f"team/three@{sha256(IMAGES[0].manifest)}"],
        ["audit", "team/three", "--json"],
    ],
    ids=["plan", "verify", "audit"],
)
def test_a_reader_that_has_enough(tmp_path: Path, arguments: list[str]) -> None:
    """Each command ends silently when the pipe that it prints to is closed."""
    layout = write(
        tmp_path / "layout",
        layout_files([entry(IMAGES[0].manifest, IMAGE)], [IMAGES[0].manifest, *IMAGES[0].blobs]),
    )

    reading, writing = os.pipe()
    os.close(reading)
    filled = [argument.format(layout=layout) for argument in arguments]
    ran = subprocess.run(
        [sys.executable, "-c", MAIN, *filled], stdout=writing, stderr=PIPE, text=True, check=False
    )

    os.close(writing)
    assert (ran.returncode, ran.stderr) == (141, "")
