"""What the page for other libraries says of aioboto3: whether pip finds both, and that its clients can be borrowed."""

from __future__ import annotations

import sys
import textwrap
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from wire.environments import environment, ran

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ecr_layer_client.local import LocalECR

    from .conftest import Block

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]


def test_pip_finds_no_versions_that_go_together(root: Path) -> None:
    """No aioboto3 of the present goes with this library's aiobotocore.

    When one does, the page is to be mended.
    """
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "install",
        "--dry-run",
        "--ignore-installed",
    )
    alone = ran(*pip, "aioboto3>=15")
    if alone.returncode != 0:
        pytest.skip(f"needs aioboto3 from a package index, and pip says: {alone.stderr[-300:]}")
    both = ran(*pip, "aioboto3>=15", str(root))
    assert (both.returncode, "ResolutionImpossible" in both.stderr) == (1, True), both.stderr


def test_a_client_of_aioboto3_is_borrowed(
    aws: LocalECR, root: Path, blocks: Callable[..., list[Block]], tmp_path: Path
) -> None:
    """The page's example runs where aioboto3 was installed without its pin, and answers every digest."""
    (block,) = [
        each
        for each in blocks((root / "docs/depend.md").read_text(encoding="utf-8"))
        if each.title == 'title="with aioboto3"'
    ]
    boto3 = f"boto3=={version('boto3')}"
    programs = environment(tmp_path / "environment", str(root), boto3, "aiofiles")
    unpinned = ran(
        programs / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
        "install",
        "--no-deps",
        "aioboto3>=15",
    )
    assert unpinned.returncode == 0, unpinned.stderr
    program = tmp_path / "program.py"
    lines = [
        "import asyncio",
        "from ecr_layer_client import ECRLayerClient",
        "digests = [f'sha256:{number:064x}' for number in range(250)]",
        "async def main():",
        textwrap.indent(block.text, "    "),
        "    print(result)",
        "asyncio.run(main())",
    ]
    program.write_text("\n".join(lines), encoding="utf-8")
    said = ran(programs / "python", "-W", "error", program, **aws.environment)
    assert said.stdout.strip() == (
        "LayerCheckResult(repository='team/app', outcomes=250, available=125, archived=0, absent=125, undetermined=0)"
    ), said.stderr
