"""`ecr-layers push`, `pull` and `copy` as processes: Ctrl-C, and readers that close the pipe."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client.local import LocalECR
from images.making import IMAGE, Image, entry, image, layout_files, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ecr_layer_client.local import Fault

COMMAND = [sys.executable, "-m", "ecr_layer_client"]
SMALL = image("small", "layer")
TO_CONTINUE = "run the same command again to continue"


@pytest.fixture
def ecr() -> Iterator[LocalECR]:
    """Return a local ECR with an empty repository, and one with a small image."""
    with LocalECR() as local:
        local.create_repository("app")
        for blob in SMALL.blobs:
            local.put_layer("full", blob)
        local.put_image("full", SMALL.manifest, "v1")
        yield local


@pytest.fixture
def large(tmp_path: Path, ecr: LocalECR) -> str:
    """Write an image with a layer of two parts, of 10 and of 1 MiB. ECR has its config."""
    bytes_of_layer = random.Random(0).randbytes(11 * 1024 * 1024)  # noqa: S311
    one = Image(b'{"os": "linux"}', (bytes_of_layer,))
    ecr.put_layer("app", one.config)
    files = layout_files([entry(one.manifest, IMAGE)], [one.manifest, *one.blobs])
    return str(write(tmp_path / "large", files))


def wait_for(fault: Fault, process: Popen[str]) -> None:
    """Wait until a fault affects a request of a process."""
    while not fault.played and process.poll() is None:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"]
)
def test_a_push_that_is_interrupted(
    ecr: LocalECR, large: str, number: signal.Signals, code: int
) -> None:
    """A signal ends a push with one line, and the next push sends only the second part."""
    push = [*COMMAND, "push", large, "app:v1"]
    fault = ecr.faults.add(operation="UploadLayerPart", latency=600.0, after=1)
    process = Popen(push, stdout=PIPE, stderr=PIPE, text=True)
    wait_for(fault, process)
    process.send_signal(number)
    out, said = process.communicate()
    fault.remove()
    line = f"interrupted; 0 of 1 layer and 10.5 MB of 11.5 MB transferred: {TO_CONTINUE}\n"
    assert (process.returncode, out, said) == (code, "", line)

    second = subprocess.run([*push, "--json"], capture_output=True, text=True, check=True)
    result = json.loads(second.stdout.splitlines()[-1])
    assert (len(result["resumed"]), result["bytes_moved"]) == (1, 1024 * 1024)


@pytest.mark.parametrize(
    ("command", "operation"),
    [
        ("push layout app:v1", "BatchCheckLayerAvailability"),
        pytest.param("push layout app:v1", "PutImage", marks=pytest.mark.full),
        ("push layout app:v1 --verify", "BatchGetImage"),
        pytest.param("pull full:v1 pulled", "BatchGetImage", marks=pytest.mark.full),
        ("pull full:v1 pulled", "GetLayer"),
        pytest.param("copy full:v1 app", "GetLayer", marks=pytest.mark.full),
    ],
)
def test_an_interruption_in_each_phase(
    ecr: LocalECR, tmp_path: Path, command: str, operation: str
) -> None:
    """Ctrl-C ends each phase with one line and 130, and the same command then succeeds."""
    files = layout_files([entry(SMALL.manifest, IMAGE)], [SMALL.manifest, *SMALL.blobs])
    write(tmp_path / "layout", files)
    before = 1 if "--verify" in command else 0
    fault = ecr.faults.add(operation=operation, latency=600.0, after=before)
    arguments = [*COMMAND, *command.split()]
    process = Popen(arguments, stdout=PIPE, stderr=PIPE, text=True, cwd=tmp_path)
    wait_for(fault, process)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate()
    fault.remove()
    *_, last = said.splitlines()
    assert (process.returncode, out) == (130, "")
    assert (last.startswith("interrupted; "), last.endswith(TO_CONTINUE)) == (True, True)
    assert "Traceback" not in said

    second = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (second.returncode, second.stdout.count("\n")) == (0, 1)


@pytest.mark.usefixtures("ecr")
@pytest.mark.parametrize(
    "arguments",
    [
        ["push", "layout", "app:v1"],
        ["pull", "full:v1", "pulled"],
        ["copy", "full:v1", "app", "--json"],
    ],
    ids=["push", "pull", "copy"],
)
def test_a_reader_that_has_enough(tmp_path: Path, arguments: list[str]) -> None:
    """Each command ends with 141 and without an error if the pipe that it prints to is closed."""
    files = layout_files([entry(SMALL.manifest, IMAGE)], [SMALL.manifest, *SMALL.blobs])
    write(tmp_path / "layout", files)
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [*COMMAND, *arguments], stdout=writing, stderr=PIPE, text=True, check=False, cwd=tmp_path
    )
    os.close(writing)
    assert (ran.returncode, "error" in ran.stderr) == (141, False)
