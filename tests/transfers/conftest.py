"""Transfers on the local ECR: in memory and in virtual time, or over HTTP where bytes come back."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client.images import ImageSource
from ecr_layer_client.local._registry import layers, uploads
from ecr_layer_client.transfers import _push
from images.making import IMAGE, Image, entry, layout_files, write
from in_memory_client import ecr as bare_ecr
from in_memory_client import pytest_asyncio_loop_factories
from transfers.making import PART, SIZES

if TYPE_CHECKING:
    from pathlib import Path

    from ecr_layer_client.local import LocalECR

__all__ = ["bare_ecr", "pytest_asyncio_loop_factories"]


@pytest.fixture
def transport() -> str:
    """Return the transport of the client: the one that streams parts."""
    return "signed"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ECR's parts small, so that a test moves little."""
    monkeypatch.setattr(layers, "PART_SIZE", PART)
    monkeypatch.setattr(uploads, "MIN_PART_SIZE", PART // 2)
    monkeypatch.setattr(_push, "MIN_PART_BYTES", PART // 2)


@pytest.fixture
def ecr(bare_ecr: LocalECR) -> LocalECR:
    """Give an open local ECR in memory with an empty repository, `app`."""
    bare_ecr.create_repository("app")
    return bare_ecr


@pytest.fixture
def image() -> Image:
    """Return an image with layers of several parts, of one part, and of one byte."""
    draws = random.Random(0)  # noqa: S311 (bytes of a layer)
    return Image(b'{"os": "linux"}', tuple(draws.randbytes(size) for size in SIZES))


@pytest.fixture
def layout(tmp_path: Path, image: Image) -> Path:
    """Write the image into an OCI layout, under the tag `v1`."""
    names = {"org.opencontainers.image.ref.name": "v1"}
    root = entry(image.manifest, IMAGE, annotations=names)
    return write(tmp_path / "layout", layout_files([root], [image.manifest, *image.blobs]))


@pytest.fixture
def source(layout: Path) -> ImageSource:
    """Return the image as a source."""
    return ImageSource.from_path(layout)
