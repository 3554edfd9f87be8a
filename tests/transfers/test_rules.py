"""Lost responses and races, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from transfers.memory_downloads import download_from_memory
from transfers.rules import HERE, RULES

if TYPE_CHECKING:
    from pathlib import Path

    from ecr_layer_client.local import LocalECR
    from images.making import Image
    from transfers.rules import Rule

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
async def test_a_rule(
    rule: Rule, ecr: LocalECR, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule for a lost response or a race holds in memory."""
    download_from_memory(ecr, monkeypatch)
    ecr.create_repository(HERE)
    await rule(ecr, image, tmp_path)
