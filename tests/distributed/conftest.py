"""Tables, with a local ECR on a socket: clients that a checker makes need one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from distributed.steps import keys
from ecr_layer_client.distributed import TableChecker
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def ecr() -> Iterator[LocalECR]:
    """Give an open local ECR of two Regions, in a thread."""
    with LocalECR(region="us-east-1", regions=["eu-west-1"]) as ecr:
        yield ecr


@pytest.fixture
def checker_of(ecr: LocalECR) -> Iterator[Callable[..., TableChecker]]:
    """Give a function that makes checkers of the local ECR, and close their clients."""
    made: list[TableChecker] = []

    def make(**options: Any) -> TableChecker:
        if "credentials_for" not in options:
            options.setdefault("credentials", keys)
        where: dict[str, Any] = {"region_name": ecr.region, "endpoint_url": ecr.endpoint_url}
        made.append(TableChecker(**(where | options)))
        return made[-1]

    yield make
    for checker in made:
        asyncio.run(checker.aclose())
