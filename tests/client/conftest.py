"""The client, on the in-memory local ECR and in virtual time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from in_memory_client import digests, pytest_asyncio_loop_factories, transport
from in_memory_client import ecr as bare_ecr

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

__all__ = ["bare_ecr", "digests", "pytest_asyncio_loop_factories", "transport"]


@pytest.fixture
def ecr(bare_ecr: LocalECR) -> LocalECR:
    """Give an open local ECR in memory with an empty repository, `app`."""
    bare_ecr.seed("app", [])
    return bare_ecr


@pytest.fixture
def no_aws_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Remove everything of AWS and of proxies from the environment."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    return monkeypatch
