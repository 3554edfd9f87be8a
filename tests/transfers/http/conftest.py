"""Transfers whose bytes come back over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from ecr_layer_client.local import LocalECR
from ecr_layer_client.transfers import _pull

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from ecr_layer_client.images import ImageSource


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test of this folder in real time."""
    return {"real": asyncio.SelectorEventLoop}


@pytest.fixture(autouse=True)
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write after few bytes."""
    monkeypatch.setattr(_pull, "_BUFFER_BYTES", 1000)


@pytest_asyncio.fixture
async def ecr(source: ImageSource) -> AsyncIterator[LocalECR]:
    """Give an open local ECR over HTTP whose repository `app` has the image, under `v1`."""
    async with LocalECR(regions=["eu-west-1"]) as ecr:
        ecr.create_repository("app")
        async with ecr.client() as client:
            await client.push("app", source)
        yield ecr
