"""Sources of batches that have begun, and their batches, without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ecr_layer_client._checks.batches import Batch, DigestSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable


async def as_async(digests: Iterable[Any]) -> AsyncIterator[Any]:
    """Yield each item, and never wait."""
    for digest in digests:
        yield digest


def started(digests: Any, batch_size: int = 10, window: int | None = None) -> DigestSource:
    """Return a source that has begun."""
    source = DigestSource(digests, batch_size)
    source.start(window)
    return source


def fill(source: DigestSource) -> bool:
    """Pull until a batch is ready. An input that never waits needs no event loop."""
    try:
        source.fill().send(None)
    except StopIteration as done:
        return bool(done.value)
    msg = "the input waited"
    raise AssertionError(msg)


def draw(source: DigestSource, batches: list[Batch]) -> None:
    """Add every batch to a list, those before an error of the input, too."""
    has_more = True
    while has_more:
        try:
            has_more = fill(source)
        finally:
            batches += [source.take() for _ in range(len(source.ready))]


def drawn(source: DigestSource) -> list[Batch]:
    """Return every batch."""
    batches: list[Batch] = []
    draw(source, batches)
    return batches
