"""Sources of batches that have begun, and their batches, without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client._checks.batches import Batch, DigestSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


async def as_async(digests: Iterable[Any]) -> AsyncIterator[Any]:
    """Yield each item, and never wait."""
    for digest in digests:
        yield digest


def source_of(digests: Any, batch_size: int = 10, window: int | None = None) -> DigestSource:
    """Return a source from which nothing was pulled."""
    source = DigestSource(digests, batch_size)
    source.seen.window = window
    return source


def pull(source: DigestSource) -> None:
    """Pull until a batch is ready. An input that never waits needs no event loop."""
    if not source.is_async:
        source.pull()
        return

    with pytest.raises(StopIteration):
        source.pull_async().send(None)


def draw(source: DigestSource, batches: list[Batch]) -> None:
    """Add every batch to a list, those before an error of the input, too."""
    while source.has_more:
        try:
            pull(source)
        except Exception:
            source.fail()
            raise
        finally:
            batches += [source.take() for _ in range(len(source.ready))]


def drawn(source: DigestSource) -> list[Batch]:
    """Return every batch."""
    batches: list[Batch] = []
    draw(source, batches)
    assert source.has_more is False
    return batches
