"""How far a reader who follows one check has to go."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import ecr_layer_client
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from types import FrameType

PACKAGE = Path(ecr_layer_client.__file__).parent
DIGESTS = [f"sha256:{number:064x}" for number in range(100)]


@pytest.mark.asyncio
async def test_a_check_moves_between_few_files() -> None:
    """A check of one batch calls from one file of the package to another at most 50 times."""
    called: list[Path] = []

    def trace(frame: FrameType, event: str, _: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.is_relative_to(PACKAGE):
            called.append(path.relative_to(PACKAGE))

    async with LocalECR(in_memory=True) as ecr:
        ecr.create_repository("app")
        async with ecr.client() as client:
            await client.check_layers("app", DIGESTS)
            sys.setprofile(trace)
            try:
                await client.check_layers("app", DIGESTS)
            finally:
                sys.setprofile(None)

    visited = [path for path, _ in groupby(path for path in called if path.parts[0] != "local")]
    assert 0 < len(visited) <= 50
