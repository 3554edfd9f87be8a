"""The claims about aioboto3 on the page for libraries that depend on this one."""

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
    """No current aioboto3 accepts this library's aiobotocore.

    When one does, correct the page.
    """
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    dry_run = (*pip, "install", "--dry-run", "--ignore-installed")
    alone = ran(*dry_run, "aioboto3>=15")
    if alone.returncode != 0:
        pytest.skip(f"needs aioboto3 from a package index; pip failed: {alone.stderr[-300:]}")

    both = ran(*dry_run, "aioboto3>=15", str(root))
    assert (both.returncode, "ResolutionImpossible" in both.stderr) == (1, True), both.stderr


def test_a_client_of_aioboto3_is_borrowed(
    aws: LocalECR, root: Path, blocks: Callable[..., list[Block]], tmp_path: Path
) -> None:
    """With an aioboto3 installed without its pin, the page's example answers every digest."""
    (block,) = [
        each
        for each in blocks((root / "docs/depend.md").read_text(encoding="utf-8"))
        if each.title == 'title="with aioboto3"'
    ]

    boto3 = f"boto3=={version('boto3')}"
    programs = environment(tmp_path / "environment", str(root), boto3, "aiofiles")
    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    unpinned = ran(*pip, "install", "--no-deps", "aioboto3>=15")
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
    finished = ran(programs / "python", "-W", "error", program, **aws.environment)

    assert finished.stdout.strip() == (
        "LayerCheckResult(repository='team/app', outcomes=250, available=125, archived=0, "
        "absent=125, undetermined=0)"
    ), finished.stderr
