"""Order, duplication, letter case and batch size change nothing about what is asked, and nothing is lost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_layer_client import InvalidInputError
from ecr_layer_client._checks.batches import Batch, DigestSource
from ecr_layer_client._models.layer import canonical, is_well_formed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

LOWER = [f"{algorithm}:{number:x}" for algorithm in ("sha256", "a+b.c_d-e") for number in range(20)]
WELL_FORMED = st.sampled_from(
    [spelled(digest) for digest in LOWER for spelled in (str, str.upper, str.title)]
)
MALFORMED = st.sampled_from(
    [
        "",
        "latest",
        "LATEST",
        "sha256:",
        "sha256:xyz",
        "sha256:\u212a",
        "\ud800",
        "sha256:aa\n",
        "a:" + "0" * 1_000,
    ]
)
DIGESTS = st.lists(WELL_FORMED | MALFORMED | st.text(max_size=3), max_size=40)
BATCH_SIZES = st.integers(1, 100)


async def as_async(digests: Iterable[str]) -> AsyncIterator[str]:
    """Yield each, never waiting."""
    for digest in digests:
        yield digest


SHAPES = st.sampled_from([list, iter, as_async])


def drawn(digests: object, batch_size: int, window: int | None = None) -> list[Batch]:
    """Return every batch."""
    source = DigestSource(digests, batch_size)  # type: ignore[arg-type]  # any shape
    source.start(window)
    return list(iter(partial(next_of, source), None))


def asked(batches: list[Batch]) -> list[str]:
    """Return what is asked, in the one spelling."""
    return [digest for batch in batches for digest in batch.digests]


def refused(batches: list[Batch]) -> list[str]:
    """Return what is refused, as it was spelled."""
    return [outcome.digest for batch in batches for outcome in batch.refused.values()]


def distinct(digests: Iterable[str]) -> list[str]:
    """Return each once, in the one spelling, in order: the reference."""
    return list(dict.fromkeys(map(canonical, digests)))


@given(DIGESTS, BATCH_SIZES, SHAPES)
def test_each_str_is_accounted_for_once(
    digests: list[str], batch_size: int, shaped: Callable[[list[str]], object]
) -> None:
    """Each distinct digest is asked once if it is well-formed, else refused once.

    In input order.
    """
    batches = drawn(shaped(digests), batch_size)
    assert asked(batches) == [digest for digest in distinct(digests) if is_well_formed(digest)]
    assert list(map(canonical, refused(batches))) == [
        digest for digest in distinct(digests) if not is_well_formed(digest)
    ]


@given(DIGESTS, BATCH_SIZES, SHAPES)
def test_first_spelling_is_kept(
    digests: list[str], batch_size: int, shaped: Callable[[list[str]], object]
) -> None:
    """What is left to ask, and what is refused, is spelled as it was given first."""
    firsts: dict[str, str] = {}
    for digest in digests:
        firsts.setdefault(canonical(digest), digest)
    batches = drawn(shaped(digests), batch_size)
    assert sorted(
        [*(text for batch in batches for text in batch.remaining), *refused(batches)]
    ) == sorted(firsts.values())


@given(DIGESTS, BATCH_SIZES, SHAPES)
def test_batches_are_full_and_bounded(
    digests: list[str], batch_size: int, shaped: Callable[[list[str]], object]
) -> None:
    """No batch is empty, none asks more than a request may, and none but the last is less than full."""
    batches = drawn(shaped(digests), batch_size)
    sizes = [(len(batch.digests), len(batch.refused)) for batch in batches]
    assert [size for size in sizes if not 0 < max(size) <= batch_size] == []
    assert [size for size in sizes[:-1] if max(size) < batch_size] == []


@given(st.data(), DIGESTS, BATCH_SIZES, BATCH_SIZES)
def test_order_duplication_and_batch_size_change_nothing(
    data: st.DataObject, digests: list[str], one: int, other: int
) -> None:
    """The same digests in another order, some of them doubled, in batches of another size: the same are asked and refused."""
    doubled = digests + (
        data.draw(st.lists(st.sampled_from(digests), max_size=20)) if digests else []
    )
    shuffled = data.draw(st.permutations(doubled))
    first, second = drawn(digests, one), drawn(shuffled, other)
    assert sorted(asked(first)) == sorted(asked(second))
    assert sorted(map(canonical, refused(first))) == sorted(map(canonical, refused(second)))


@given(st.data(), st.lists(WELL_FORMED, max_size=40), BATCH_SIZES)
def test_letter_case_changes_nothing(
    data: st.DataObject, digests: list[str], batch_size: int
) -> None:
    """The same digests in other letter cases: the same are asked, in the same order."""
    respelled = [
        data.draw(st.sampled_from([digest, digest.upper(), digest.lower(), digest.swapcase()]))
        for digest in digests
    ]
    assert asked(drawn(respelled, batch_size)) == asked(drawn(digests, batch_size))


@given(DIGESTS, BATCH_SIZES, st.integers(1, 20), st.sampled_from([iter, as_async]))
def test_window_is_a_cache_of_the_last_distinct_digests(
    digests: list[str], batch_size: int, window: int, shaped: Callable[[list[str]], object]
) -> None:
    """In a stream a digest is asked unless it is among the last distinct ones, and no more than those are remembered."""
    recent: list[str] = []
    expected: list[str] = []
    for digest in map(canonical, digests):
        if digest in recent:
            recent.remove(digest)
        else:
            expected.append(digest)
        recent = [*recent, digest][-window:]
    source = DigestSource(shaped(digests), batch_size)  # type: ignore[arg-type]  # any shape
    source.start(window)
    batches = list(iter(partial(next_of, source), None))
    assert asked(batches) == [digest for digest in expected if is_well_formed(digest)]
    assert list(source.seen) == recent


@given(DIGESTS, BATCH_SIZES, st.integers(0, 8), st.sampled_from([list, iter]))
def test_nothing_taken_is_ever_lost(
    digests: list[str], batch_size: int, takes: int, shaped: Callable[[list[str]], object]
) -> None:
    """At any moment what was handed out and what is not are together what was seen."""
    source = DigestSource(shaped(digests), batch_size)  # type: ignore[arg-type]  # any shape
    source.start()
    batches = [batch for _ in range(takes) if (batch := source.take()) is not None]
    handed_out = [*(text for batch in batches for text in batch.remaining), *refused(batches)]
    assert sorted([*handed_out, *source.not_handed_out]) == sorted(source.seen.values())
    assert source.pulled == len(handed_out)


@given(
    DIGESTS,
    BATCH_SIZES,
    st.sampled_from([5, None, b"sha256:aa", ["sha256:aa"]]),
    st.sampled_from([iter, as_async]),
)
def test_what_comes_before_a_bad_item_is_handed_out(
    digests: list[str], batch_size: int, item: object, shaped: Callable[[list[object]], object]
) -> None:
    """An item that is no str ends a lazy input after all that came before it, with its index."""
    # Any shape.
    source = DigestSource(shaped([*digests, item]), batch_size)  # type: ignore[arg-type]
    source.start()
    batches: list[Batch] = []
    with pytest.raises(InvalidInputError, match=rf"^digests\[{len(digests)}\] is "):
        draw_until_raised(source, batches)
    assert asked(batches) == [digest for digest in distinct(digests) if is_well_formed(digest)]


def draw_until_raised(source: DigestSource, batches: list[Batch]) -> NoReturn:
    """Add every batch until the input raises."""
    while True:
        batch = next_of(source)
        assert batch is not None
        batches.append(batch)


def next_of(source: DigestSource) -> Batch | None:
    """Return the next batch; an async input that never waits needs no event loop."""
    if not source.is_async:
        return source.take()
    try:
        source.pull().send(None)
    except StopIteration as done:
        batch: Batch | None = done.value
        return batch
    msg = "the input waited"
    raise AssertionError(msg)
