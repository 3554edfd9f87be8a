"""A push whose process is killed goes on where it was, in the next process."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client.images import ImageSource
from ecr_layer_client.local import LocalECR
from images.making import IMAGE, Image, entry, layout_files, write

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

MIB = 1024 * 1024
PARTS = 5  # of the layer, 10 MiB each but the last
PUSH = """
import asyncio, sys
from ecr_layer_client import ECRLayerClient
from ecr_layer_client.images import ImageSource

async def main(layout, journal):
    async with ECRLayerClient() as client:
        await client.push("app", ImageSource.from_path(layout), tags=["v1"], journal=journal)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def small_parts() -> None:
    """Keep ECR's real sizes: the processes of these tests know no others."""


@pytest.fixture
def image() -> Image:
    """Return an image with one large layer."""
    return Image(b"{}", (random.Random(1).randbytes(45 * MIB),))  # noqa: S311


def parts(ecr: LocalECR) -> int:
    """Return how many parts ECR has accepted."""
    outcomes = ecr.stats.by_operation.get("UploadLayerPart", {})
    return outcomes.get("ok", 0) + outcomes.get("latency", 0)


async def test_killed_twice(tmp_path: Path, image: Image) -> None:
    """Two processes are killed in the layer; the third ends, and repeats a part of each at most."""
    files = layout_files([entry(image.manifest, IMAGE)], [image.manifest, *image.blobs])
    layout = write(tmp_path / "layout", files)
    arguments = [sys.executable, "-c", PUSH, str(layout), str(tmp_path / "journal")]
    async with LocalECR() as ecr:
        ecr.create_repository("app")
        environment = os.environ | ecr.environment
        # Each part takes long enough for the process to be killed in the middle of the next one.
        slow = ecr.faults.add(operation="UploadLayerPart", latency=0.5)
        for enough in (2, 4):
            process = await asyncio.create_subprocess_exec(*arguments, env=environment)
            while parts(ecr) < enough:  # noqa: ASYNC110 (another process works)
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        slow.remove()

        process = await asyncio.create_subprocess_exec(
            *arguments, env=environment, stdout=subprocess.DEVNULL
        )
        assert await process.wait() == 0
        async with ecr.client() as client:
            report = await client.verify_image("app", ImageSource.from_path(layout).roots[0].digest)

    assert report.deployable
    assert parts(ecr) <= PARTS + 1 + 2
