"""Batches have each distinct digest once, for any input, letter case and batch size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.drawing import as_async, draw, drawn, pull, source_of
from ecr_layer_client import InvalidInputError
from ecr_layer_client._models.digest import canonical, is_well_formed
from property.running import distinct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ecr_layer_client._checks.batches import Batch

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


SHAPES = st.sampled_from([list, iter, as_async])
LAZY_SHAPES = st.sampled_from([iter, as_async])


def checked(batches: Iterable[Batch]) -> list[str]:
    """Return the digests to check, in the registry's spelling."""
    return [digest for batch in batches for digest in batch.digests]


def refused(batches: Iterable[Batch]) -> list[str]:
    """Return the malformed digests, in the caller's spelling."""
    return [digest for batch in batches for digest in batch.refused]


def handed_out(batches: Iterable[Batch]) -> list[str]:
    """Return all digests, in the caller's spelling."""
    return [*(digest for batch in batches for digest in batch.remaining), *refused(batches)]


@given(DIGESTS, BATCH_SIZES, SHAPES)
def test_each_digest_is_in_one_batch(digests: list[str], batch_size: int, shaped: Shaped) -> None:
    """Each distinct digest is in one batch, or is refused once if it is malformed, in order."""
    batches = drawn(source_of(shaped(digests), batch_size))
    every = distinct(digests)
    assert checked(batches) == [digest for digest in every if is_well_formed(digest)]
    assert list(map(canonical, refused(batches))) == [
        digest for digest in every if not is_well_formed(digest)
    ]


@given(DIGESTS, BATCH_SIZES, SHAPES)
def test_the_first_spelling_is_kept(digests: list[str], batch_size: int, shaped: Shaped) -> None:
    """Each digest keeps the spelling in which it was given first."""
    batches = drawn(source_of(shaped(digests), batch_size))
    assert sorted(handed_out(batches)) == sorted(distinct(digests).values())


@given(DIGESTS, BATCH_SIZES, SHAPES)
def test_batches_are_full(digests: list[str], batch_size: int, shaped: Shaped) -> None:
    """No batch is empty or larger than a request may be, and all but the last are full."""
    batches = drawn(source_of(shaped(digests), batch_size))
    sizes = [max(len(batch.digests), len(batch.refused)) for batch in batches]
    assert [size for size in sizes if not 0 < size <= batch_size] == []
    assert [size for size in sizes[:-1] if size < batch_size] == []


@given(DIGESTS, BATCH_SIZES, st.integers(1, 20), LAZY_SHAPES)
def test_the_window_of_a_stream(
    digests: list[str], batch_size: int, window: int, shaped: Shaped
) -> None:
    """A stream forgets its digests by the window: those before the last full one."""
    expected: list[str] = []
    for digest in map(canonical, digests):
        forgotten = max(0, len(expected) // window - 1) * window
        if digest not in expected[forgotten:]:
            expected.append(digest)

    source = source_of(shaped(digests), batch_size, window)
    assert checked(drawn(source)) == [digest for digest in expected if is_well_formed(digest)]
    assert len(source.seen.spellings) < window


@given(DIGESTS, BATCH_SIZES, st.integers(0, 8), st.sampled_from([list, iter]))
def test_no_digest_is_lost(digests: list[str], batch_size: int, takes: int, shaped: Shaped) -> None:
    """The digests in batches and those not handed out yet are all that was pulled, at any time."""
    source = source_of(shaped(digests), batch_size)
    batches: list[Batch] = []
    for _ in range(takes):
        pull(source)
        batches += [source.take() for _ in range(len(source.ready) > 0)]
    given_out = handed_out(batches)
    assert sorted([*given_out, *source.not_handed_out]) == sorted(source.seen.spellings.values())
    assert source.pulled == len(given_out)


@given(DIGESTS, BATCH_SIZES, st.sampled_from([5, None, b"sha256:aa", ["sha256:aa"]]), LAZY_SHAPES)
def test_an_item_that_is_not_a_str(
    digests: list[str], batch_size: int, item: object, shaped: Shaped
) -> None:
    """An item that is not a str ends a lazy input, with its index, after all that came before."""
    source = source_of(shaped([*digests, item]), batch_size)
    batches: list[Batch] = []
    with pytest.raises(InvalidInputError, match=rf"^digests\[{len(digests)}\] is "):
        draw(source, batches)
    assert checked(batches) == [digest for digest in distinct(digests) if is_well_formed(digest)]
