"""A user's first run of pytest with our fixture, where no module has been compiled yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wire.environments import environment, ran

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

RUNS = 10
USERS_TEST = """
import pytest


@pytest.mark.asyncio
async def test_mine(local_ecr):
    digest = local_ecr.put_layer("team/app", b"a layer")
    async with local_ecr.client() as client:
        assert (await client.check_layers("team/app", [digest])).all_available
"""


def test_without_bytecode_caches(wheel: Path, tmp_path: Path) -> None:
    """Ten runs in a row pass, although each one compiles every module that it imports."""
    programs = environment(tmp_path / "tests", str(wheel), "pytest", "pytest-asyncio")
    mine = tmp_path / "mine" / "test_mine.py"
    mine.parent.mkdir()
    mine.write_text(USERS_TEST)

    ended: list[str] = []
    for number in range(RUNS):
        said = ran(
            *(programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--rootdir", mine.parent, mine),
            PYTHONPYCACHEPREFIX=str(tmp_path / f"caches {number}"),
        )
        ended.append(said.stdout.strip().splitlines()[-1].partition(" in ")[0])
    assert ended == ["1 passed"] * RUNS
