"""Batches have each distinct digest once, for any input, letter case and batch size."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_layer_client import InvalidInputError
from ecr_layer_client._checks.batches import Batch, DigestSource
from ecr_layer_client._models.digest import canonical, is_well_formed
from property.running import distinct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    Shaped = Callable[[Iterable[object]], object]

LOWER = [f"{algorithm}:{number:x}" for algorithm in ("sha256", "a+b.c_d-e") for number in range(20)]
WELL_FORMED = st.sampled_from(
    [spelled(digest) for digest in LOWER for spelled in (str, str.upper, str.title)]
)
MALFORMED = st.sampled_from(
    [
        *("", "latest", "LATEST", "sha256:", "sha256:xyz", "sha256:\u212a"),
        *("\ud800", "sha256:aa\n", "a:" + "0" * 1_000),
    ]
)
DIGESTS = st.lists(WELL_FORMED | MALFORMED | st.text(max_size=3), max_size=40)
BATCH_SIZES = st.integers(1, 100)


async def as_async(digests: Iterable[object]) -> AsyncIterator[object]:
    """Yield each item, and never wait."""
    for digest in digests:
        yield digest


SHAPES = st.sampled_from([list, iter, as_async])
LAZY_SHAPES = st.sampled_from([iter, as_async])


def started(digests: object, batch_size: int, window: int | None = None) -> DigestSource:
    """Return a source of any shape that has begun."""
    source = DigestSource(digests, batch_size)  # type: ignore[arg-type]
    source.start(window)
    return source


def next_of(source: DigestSource) -> Batch | None:
    """Return the next batch. An async input that never waits needs no event loop."""
    if not source.is_async:
        return source.take()
    try:
        source.pull().send(None)
    except StopIteration as done:
        batch: Batch | None = done.value
        return batch
    msg = "the input waited"
    raise AssertionError(msg)


def drawn(source: DigestSource) -> list[Batch]:
    """Return every batch."""
    return list(iter(partial(next_of, source), None))


def draw_until_raised(source: DigestSource, batches: list[Batch]) -> NoReturn:
    """Add every batch until the input raises."""
    while True:
        batch = next_of(source)
        assert batch is not None
        batches.append(batch)


def checked(batches: Iterable[Batch]) -> list[str]:
    """Return the digests to check, in the registry's spelling."""
    return [digest for batch in batches for digest in batch.digests]


def refused(batches: Iterable[Batch]) -> list[str]:
    """Return the malformed digests, in the caller's spelling."""
    return [outcome.digest for batch in batches for outcome in batch.refused.values()]


def handed_out(batches: Iterable[Batch]) -> list[str]:
    """Return all digests, in the caller's spelling."""
    return [*(digest for batch in batches for digest in batch.remaining), *refused(batches)]


@given(DIGESTS, BATCH_SIZES, SHAPES)
def test_each_digest_is_in_one_batch(digests: list[str], batch_size: int, shaped: Shaped) -> None:
    """Each distinct digest is in one batch, or is refused once if it is malformed, in order."""
    batches = drawn(started(shaped(digests), batch_size))
    every = distinct(digests)
    assert checked(batches) == [digest for digest in every if is_well_formed(digest)]
    assert list(map(canonical, refused(batches))) == [
        digest for digest in every if not is_well_formed(digest)
    ]


@given(DIGESTS, BATCH_SIZES, SHAPES)
def test_the_first_spelling_is_kept(digests: list[str], batch_size: int, shaped: Shaped) -> None:
    """Each digest keeps the spelling in which it was given first."""
    batches = drawn(started(shaped(digests), batch_size))
    assert sorted(handed_out(batches)) == sorted(distinct(digests).values())


@given(DIGESTS, BATCH_SIZES, SHAPES)
def test_batches_are_full(digests: list[str], batch_size: int, shaped: Shaped) -> None:
    """No batch is empty or larger than a request may be, and all but the last are full."""
    batches = drawn(started(shaped(digests), batch_size))
    sizes = [max(len(batch.digests), len(batch.refused)) for batch in batches]
    assert [size for size in sizes if not 0 < size <= batch_size] == []
    assert [size for size in sizes[:-1] if size < batch_size] == []


@given(DIGESTS, BATCH_SIZES, st.integers(1, 20), LAZY_SHAPES)
def test_the_window_of_a_stream(
    digests: list[str], batch_size: int, window: int, shaped: Shaped
) -> None:
    """A stream skips a repeat among the last distinct digests, and remembers no more of them."""
    recent: list[str] = []
    expected: list[str] = []
    for digest in map(canonical, digests):
        if digest in recent:
            recent.remove(digest)
        else:
            expected.append(digest)
        recent = [*recent, digest][-window:]

    source = started(shaped(digests), batch_size, window)
    assert checked(drawn(source)) == [digest for digest in expected if is_well_formed(digest)]
    assert list(source.seen) == recent


@given(DIGESTS, BATCH_SIZES, st.integers(0, 8), st.sampled_from([list, iter]))
def test_no_digest_is_lost(digests: list[str], batch_size: int, takes: int, shaped: Shaped) -> None:
    """The digests in batches and those not handed out yet are all that was pulled, at any time."""
    source = started(shaped(digests), batch_size)
    batches = [batch for _ in range(takes) if (batch := source.take()) is not None]
    given_out = handed_out(batches)
    assert sorted([*given_out, *source.not_handed_out]) == sorted(source.seen.values())
    assert source.pulled == len(given_out)


@given(DIGESTS, BATCH_SIZES, st.sampled_from([5, None, b"sha256:aa", ["sha256:aa"]]), LAZY_SHAPES)
def test_an_item_that_is_not_a_str(
    digests: list[str], batch_size: int, item: object, shaped: Shaped
) -> None:
    """An item that is not a str ends a lazy input, with its index, after all that came before."""
    source = started(shaped([*digests, item]), batch_size)
    batches: list[Batch] = []
    with pytest.raises(InvalidInputError, match=rf"^digests\[{len(digests)}\] is "):
        draw_until_raised(source, batches)
    assert checked(batches) == [digest for digest in distinct(digests) if is_well_formed(digest)]
