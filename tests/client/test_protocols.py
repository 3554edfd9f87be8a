"""The protocols that this library offers, and what satisfies them at run time."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest

from ecr_layer_client import (
    ECRLayerClient,
    Layer,
    LayerAvailability,
    LayerChecker,
    LayerCheckResult,
    LayerOutcome,
    Progress,
)


class FakeChecker:
    """A fake as the user of this library writes one."""

    async def check_layers(
        self, repository: str, digests: Any, *, timeout: float | None = None, progress: Any = False
    ) -> LayerCheckResult:
        """Return an empty result."""
        return LayerCheckResult.of(repository, {})

    async def check_layer(self, repository: str, digest: str) -> LayerOutcome:
        """Return an available layer."""
        return Layer(digest=digest, availability=LayerAvailability.AVAILABLE)

    def stream_layers(self, repository: str, digests: Any, *, timeout: float | None = None) -> Any:
        """Return nothing."""


@pytest.mark.parametrize(
    ("checker", "is_one"),
    [
        (ECRLayerClient(region_name="eu-west-1"), True),
        (FakeChecker(), True),
        (object(), False),
        (LayerCheckResult.of("app", {}), False),
    ],
    ids=["client", "fake", "object", "result"],
)
def test_layer_checker(checker: object, is_one: bool) -> None:
    """The client and a fake with its methods are LayerCheckers, and other objects are not."""
    assert isinstance(checker, LayerChecker) is is_one


@pytest.mark.parametrize("method", ["check_layers", "check_layer", "stream_layers"])
def test_layer_checker_has_the_signatures_of_the_client(method: str) -> None:
    """A method of the protocol has the parameters of the client's method."""
    offered, own = (
        inspect.signature(getattr(cls, method)).parameters for cls in (LayerChecker, ECRLayerClient)
    )
    assert dict(offered) == dict(own)


def test_progress_is_a_value() -> None:
    """Progress is a value: equal and hashable by its members, pickled or not."""
    progress = Progress(pulled=200, answered=100, total=None)
    assert len({progress, Progress(200, 100, None), pickle.loads(pickle.dumps(progress))}) == 1
