"""A source pulls a caller's digests, and hands each distinct one out in one batch.

Repeats, letter case, batch sizes and windows are in `tests/property/test_batches.py`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError, LayerFailure, LayerFailureCode
from ecr_layer_client._checks.batches import STREAM_WINDOW, Batch, DigestSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, KeysView

DIGESTS = [f"sha256:{number:064x}" for number in range(25)]
REASON = (
    "not sent: it does not match ECR's pattern for a digest, "
    "'algorithm:hex' of at most 1000 characters"
)
RULE = "pass a list, or any iterable or async iterable, of digests"
OWN_ERROR = LookupError("the caller's own")


class Bag:
    """An input that only has a length and an iterator."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = list(items)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)


class Failing:
    """Digests whose iterator raises an exception at its end. Counts the digests it yielded."""

    def __init__(self, digests: list[str], error: BaseException = OWN_ERROR) -> None:
        self.pulled = 0
        self._digests = digests
        self._error = error

    def __iter__(self) -> Iterator[str]:
        for digest in self._digests:
            self.pulled += 1
            yield digest
        raise self._error


class AsyncFailing:
    """The same as an async iterable."""

    def __init__(self, digests: list[str], error: BaseException = OWN_ERROR) -> None:
        self._failing = Failing(digests, error)

    async def __aiter__(self) -> AsyncIterator[str]:
        for digest in self._failing:
            yield digest


class FailingBag(Bag):
    """An input with a length, whose iterator raises an exception at its end."""

    def __iter__(self) -> Iterator[Any]:
        yield from self._items
        raise OWN_ERROR


def as_generator(digests: Iterable[Any]) -> Iterator[Any]:
    """Yield each item."""
    yield from digests


def as_keys(digests: Iterable[Any]) -> KeysView[Any]:
    """Return the keys of a dict."""
    return dict.fromkeys(digests).keys()


async def as_async(digests: Iterable[Any]) -> AsyncIterator[Any]:
    """Yield each item."""
    for digest in digests:
        yield digest


def next_of(source: DigestSource) -> Batch | None:
    """Return the next batch. The async inputs here never wait, so they need no event loop."""
    if not source.is_async:
        return source.take()
    try:
        source.pull().send(None)
    except StopIteration as done:
        batch: Batch | None = done.value
        return batch
    msg = "the input waited"
    raise AssertionError(msg)


def batches_of(source: DigestSource) -> list[Batch]:
    """Return all batches."""
    return list(iter(partial(next_of, source), None))


def digests_of(source: DigestSource) -> list[list[str]]:
    """Return the digests of all batches."""
    return [batch.digests for batch in batches_of(source)]


def started(digests: Any, batch_size: int = 10, window: int | None = None) -> DigestSource:
    """Return a source that has begun."""
    source = DigestSource(digests, batch_size)
    source.start(window)
    return source


each_shape = pytest.mark.parametrize(
    "shaped", [list, tuple, dict.fromkeys, as_keys, Bag, iter, as_generator, as_async]
)
each_failing = pytest.mark.parametrize("failing", [Failing, AsyncFailing])


@each_shape
def test_every_shape_of_input(shaped: Callable[[list[str]], Any]) -> None:
    """Every kind of iterable gives full batches in input order, then the rest."""
    assert digests_of(started(shaped(DIGESTS))) == [DIGESTS[:10], DIGESTS[10:20], DIGESTS[20:]]


@pytest.mark.parametrize("shaped", [set, frozenset])
def test_sets(shaped: Callable[[list[str]], Any]) -> None:
    """A set gives each of its digests once."""
    [batch] = batches_of(started(shaped(DIGESTS), batch_size=100))
    assert sorted(batch.digests) == DIGESTS


@each_shape
@pytest.mark.parametrize("window", [None, 100], ids=["collected", "streamed"])
def test_empty_input(shaped: Callable[[list[str]], Any], window: int | None) -> None:
    """An empty input gives no batch and is exhausted."""
    source = started(shaped([]), window=window)
    assert (batches_of(source), source.is_exhausted, source.pulled) == ([], True, 0)


@each_shape
def test_nothing_is_pulled_before_start(shaped: Callable[[list[str]], Any]) -> None:
    """A source pulls nothing from its input before it starts."""
    source = DigestSource(shaped(DIGESTS), 10)
    assert (source.seen, source.pulled, source.total) == ({}, 0, None)
    assert (source.is_exhausted, source.not_handed_out) == (False, [])


def test_letter_cases_are_one_digest() -> None:
    """Two letter cases of a digest are one digest, which keeps the caller's first spelling."""
    upper, lower = "SHA256:" + "AB" * 32, "sha256:" + "ab" * 32
    [batch] = batches_of(started([upper, lower]))
    assert (batch.digests, batch.spellings, batch.remaining) == ([lower], {lower: upper}, [upper])


def test_malformed_digests() -> None:
    """A malformed digest has its outcome at once, in its own spelling, and is not sent."""
    [batch] = batches_of(started(["LATEST", DIGESTS[0], "", "LATEST"]))
    refused = [
        LayerFailure(digest=text, code=LayerFailureCode.INVALID_LAYER_DIGEST, reason=REASON)
        for text in ("LATEST", "")
    ]
    assert (batch.digests, list(batch.refused.values()), len(batch)) == ([DIGESTS[0]], refused, 3)


@pytest.mark.parametrize(
    ("digests", "said"),
    [
        *((text, f"one {type(text).__name__}, ") for text in ("aa", b"aa", bytearray(b"aa"))),
        *((value, "") for value in (None, 5, object)),
    ],
    ids=lambda value: str(value)[:12],
)
def test_input_is_not_an_iterable_of_digests(digests: Any, said: str) -> None:
    """A single text, or a value that is not iterable, is refused with what to pass instead."""
    with pytest.raises(InvalidInputError) as caught:
        DigestSource(digests, 10)
    assert str(caught.value) == f"digests is {said}{digests!r}: {RULE}"


@pytest.mark.parametrize("item", [5, None, b"sha256:aa", ["sha256:aa"]], ids=repr)
def test_item_is_not_a_str(item: Any) -> None:
    """An item that is not a str is refused at the start, with its index and its type."""
    source = DigestSource([*DIGESTS, DIGESTS[0], item], 10)
    with pytest.raises(InvalidInputError) as caught:
        source.start()
    what = f"digests[26] is {item!r}, of type {type(item).__name__}"
    assert str(caught.value) == f"{what}: every digest is a str"


@pytest.mark.parametrize("count", [0, 5, 10], ids=["at once", "within a batch", "after a batch"])
@each_failing
def test_error_of_the_iterator(failing: type[Failing | AsyncFailing], count: int) -> None:
    """An exception of the caller's iterator is raised unchanged, after its digests, each time."""
    source = started(failing(DIGESTS[:count]))
    first = [batch.digests for batch in [next_of(source)] if batch] if count else []
    assert first == ([DIGESTS[:count]] if count else [])

    for _ in range(2):
        with pytest.raises(LookupError) as caught:
            next_of(source)
        assert caught.value is OWN_ERROR
    assert source.is_exhausted


@each_failing
def test_interrupt_in_the_iterator(failing: type[Failing | AsyncFailing]) -> None:
    """An interrupt in the iterator is raised at once; the source keeps the digests before it."""
    source = started(failing(DIGESTS[:5], SystemExit()))
    with pytest.raises(SystemExit):
        batches_of(source)
    assert source.not_handed_out == DIGESTS[:5]


def test_error_of_a_sized_input() -> None:
    """An exception of an input with a length is raised at the start."""
    source = DigestSource(FailingBag(DIGESTS), 10)
    with pytest.raises(LookupError):
        source.start()


def test_lazy_input_is_pulled_batch_by_batch() -> None:
    """A source pulls no more from a lazy input than the next batch needs."""
    digests = Failing(DIGESTS)
    source = started(digests)
    source.take()
    assert (digests.pulled, source.pulled, source.total, len(source.seen)) == (10, 10, None, 10)


def test_sized_input_is_pulled_at_the_start() -> None:
    """An input with a length is pulled completely at the start, so that its total is known."""
    source = started([*DIGESTS, DIGESTS[0].upper(), "LATEST"])
    source.take()
    assert (source.total, source.pulled, source.is_exhausted) == (26, 10, False)
    assert source.not_handed_out == [*DIGESTS[10:], "LATEST"]


def test_exhausted_with_the_last_batch() -> None:
    """A source of a sized input is exhausted as soon as its last batch is handed out."""
    source = started(DIGESTS)
    taken = [(source.take() is not None, source.is_exhausted) for _ in range(4)]
    assert taken == [(True, False), (True, False), (True, True), (False, True)]


def test_window_of_a_stream() -> None:
    """A stream remembers only the last 10,000 distinct digests."""
    digests = (f"sha256:{number:x}" for number in range(30_000))
    source = started(digests, batch_size=100, window=STREAM_WINDOW)
    batches_of(source)
    assert (STREAM_WINDOW, len(source.seen), source.pulled) == (10_000, 10_000, 30_000)


def test_seen_is_every_distinct_digest_in_order() -> None:
    """`seen` maps the registry's spelling of each distinct digest to the caller's, in order."""
    seen = started(["SHA256:BB", "sha256:aa", "LATEST", "sha256:bb"]).seen
    expected = {"sha256:bb": "SHA256:BB", "sha256:aa": "sha256:aa", "latest": "LATEST"}
    assert list(seen.items()) == list(expected.items())


def test_message_about_an_item_is_bounded() -> None:
    """An item of 10 kB makes a message of one bounded line."""
    with pytest.raises(InvalidInputError) as caught:
        started([b"\n" * 10_000])
    assert (len(str(caught.value)) < 500, "\n" in str(caught.value)) == (True, False)
