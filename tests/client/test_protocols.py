"""The shapes this library offers: what satisfies them at run time."""

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
    LayerStream,
    OutcomeStream,
    Progress,
)


class FakeChecker:
    """A fake as another library would write one."""

    async def check_layers(
        self, repository: str, digests: Any, *, timeout: float | None = None, progress: Any = False
    ) -> LayerCheckResult:
        """Answer."""
        del digests, timeout, progress
        return LayerCheckResult.of(repository, {})

    async def check_layer(self, repository: str, digest: str) -> LayerOutcome:
        """Answer."""
        del repository
        return Layer(digest=digest, availability=LayerAvailability.AVAILABLE)

    def stream_layers(self, repository: str, digests: Any, *, timeout: float | None = None) -> Any:
        """Answer."""


@pytest.mark.parametrize(
    "checker", [ECRLayerClient(region_name="eu-west-1"), FakeChecker()], ids=["client", "fake"]
)
def test_layer_checker(checker: object) -> None:
    """The client is a LayerChecker, and so is a fake with its methods."""
    assert isinstance(checker, LayerChecker)


@pytest.mark.parametrize(
    "other", [object(), LayerCheckResult.of("app", {})], ids=lambda other: type(other).__name__
)
def test_no_layer_checker(other: object) -> None:
    """What lacks the methods is no LayerChecker."""
    assert not isinstance(other, LayerChecker)


@pytest.mark.parametrize("method", ["check_layers", "check_layer", "stream_layers"])
def test_layer_checker_has_the_signature_of_the_client(method: str) -> None:
    """A method of the protocol takes what the client's takes."""
    offered, had = (
        inspect.signature(getattr(cls, method)).parameters for cls in (LayerChecker, ECRLayerClient)
    )
    assert dict(offered) == dict(had)


@pytest.mark.parametrize("method", ["__aenter__", "__aexit__", "__aiter__", "__anext__", "collect"])
def test_outcome_stream_is_what_the_client_gives(method: str) -> None:
    """The client's stream has each method of the protocol's, awaited alike."""
    offered, had = getattr(OutcomeStream, method), getattr(LayerStream, method)
    assert inspect.iscoroutinefunction(offered) == inspect.iscoroutinefunction(had)


def test_progress_is_a_value() -> None:
    """Progress is a value, equal and hashable by its members, pickled or not."""
    progress = Progress(pulled=200, answered=100, total=None)
    assert len({progress, Progress(200, 100, None), pickle.loads(pickle.dumps(progress))}) == 1
