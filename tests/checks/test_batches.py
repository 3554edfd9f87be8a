"""From a caller's digests to batches: each once, malformed ones set aside, no more pulled than needed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError, LayerFailure, LayerFailureCode
from ecr_layer_client._checks.batches import STREAM_WINDOW, Batch, DigestSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, KeysView

DIGESTS = [f"sha256:{number:064x}" for number in range(25)]
REASON = "not sent: it does not match ECR's pattern for a digest, 'algorithm:hex' of at most 1000 characters"


class Bag:
    """An input with a length, iterable and no more."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = list(items)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)


class Stop:
    """Digests that end with what a caller's iterator raises; counts what was pulled."""

    def __init__(self, digests: list[str], error: BaseException) -> None:
        self.pulled = 0
        self._digests = digests
        self._error = error

    def __iter__(self) -> Iterator[str]:
        for digest in self._digests:
            self.pulled += 1
            yield digest
        raise self._error


class AsyncStop:
    """The same, asynchronous."""

    def __init__(self, digests: list[str], error: BaseException) -> None:
        self._stop = Stop(digests, error)

    async def __aiter__(self) -> AsyncIterator[str]:
        for digest in self._stop:
            yield digest


def as_generator(digests: Iterable[Any]) -> Iterator[Any]:
    """Yield each."""
    yield from digests


def as_keys(digests: Iterable[Any]) -> KeysView[Any]:
    """Return the keys of a dict."""
    return dict.fromkeys(digests).keys()


async def as_async(digests: Iterable[Any]) -> AsyncIterator[Any]:
    """Yield each."""
    for digest in digests:
        yield digest


def next_of(source: DigestSource) -> Batch | None:
    """Return the next batch of either kind of input.

    An async one never waits here, so it needs no event loop.
    """
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
    """Return every batch there is."""
    return list(iter(partial(next_of, source), None))


def asked(source: DigestSource) -> list[list[str]]:
    """Return the digests of every batch there is."""
    return [batch.digests for batch in drawn(source)]


def started(digests: Any, batch_size: int = 10, window: int | None = None) -> DigestSource:
    """Return a source that has begun."""
    source = DigestSource(digests, batch_size)
    source.start(window)
    return source


SHAPES: list[Any] = [
    pytest.param(list, id="list"),
    pytest.param(tuple, id="tuple"),
    pytest.param(dict.fromkeys, id="dict"),
    pytest.param(as_keys, id="keys view"),
    pytest.param(Bag, id="sized iterable"),
    pytest.param(iter, id="iterator"),
    pytest.param(as_generator, id="generator"),
    pytest.param(as_async, id="async generator"),
]


@pytest.mark.parametrize("shaped", SHAPES)
def test_every_shape_of_input(shaped: Callable[[list[str]], Any]) -> None:
    """Every kind of iterable gives full batches in input order, then the rest."""
    assert asked(started(shaped(DIGESTS))) == [DIGESTS[:10], DIGESTS[10:20], DIGESTS[20:]]


@pytest.mark.parametrize("shaped", [set, frozenset], ids=["set", "frozenset"])
def test_sets(shaped: Callable[[list[str]], Any]) -> None:
    """A set gives each of its digests once."""
    assert (
        sorted(digest for batch in asked(started(shaped(DIGESTS))) for digest in batch) == DIGESTS
    )


@pytest.mark.parametrize("shaped", SHAPES)
@pytest.mark.parametrize("window", [None, 100], ids=["collected", "streamed"])
def test_nothing_to_ask(shaped: Callable[[list[str]], Any], window: int | None) -> None:
    """An empty input of every kind gives no batch and is exhausted."""
    source = started(shaped([]), window=window)
    assert (drawn(source), source.is_exhausted, source.pulled) == ([], True, 0)


@pytest.mark.parametrize("shaped", SHAPES)
def test_whole_batches_alone(shaped: Callable[[list[str]], Any]) -> None:
    """An input of whole batches gives no empty one at its end."""
    assert asked(started(shaped(DIGESTS[:20]))) == [DIGESTS[:10], DIGESTS[10:20]]


@pytest.mark.parametrize("shaped", SHAPES)
def test_nothing_is_taken_before_start(shaped: Callable[[list[str]], Any]) -> None:
    """Making a source takes nothing from the input."""
    source = DigestSource(shaped(DIGESTS), 10)
    assert (
        source.seen,
        source.pulled,
        source.total,
        source.is_exhausted,
        source.not_handed_out,
    ) == (
        {},
        0,
        None,
        False,
        [],
    )


@pytest.mark.parametrize("window", [None, 100], ids=["collected", "streamed"])
def test_duplicates_are_asked_once(window: int | None) -> None:
    """A digest given twice is asked once, at its first place."""
    assert asked(started(iter([*DIGESTS[:3], *DIGESTS[:4]]), window=window)) == [DIGESTS[:4]]


def test_letter_cases_are_asked_once_in_lower_case() -> None:
    """Two letter cases of one digest are asked once in lower case and answered in the first spelling."""
    upper, lower = "SHA256:" + "AB" * 32, "sha256:" + "ab" * 32
    [batch] = drawn(started([upper, lower]))
    assert (batch.digests, batch.spellings, batch.remaining) == ([lower], {lower: upper}, [upper])


def test_malformed_are_set_aside() -> None:
    """A malformed digest is an outcome at once, in its own spelling, and is not asked."""
    [batch] = drawn(started(["LATEST", DIGESTS[0], "", "LATEST"]))
    refused = [
        LayerFailure(digest=text, code=LayerFailureCode.INVALID_LAYER_DIGEST, reason=REASON)
        for text in ("LATEST", "")
    ]
    assert (batch.digests, list(batch.refused.values()), len(batch)) == ([DIGESTS[0]], refused, 3)


def test_malformed_make_batches_of_their_own() -> None:
    """Malformed digests alone come in batches no larger than others, so that memory stays flat."""
    assert [len(batch) for batch in drawn(started(f"bad {number}" for number in range(25)))] == [
        10,
        10,
        5,
    ]


def test_malformed_take_no_place() -> None:
    """A malformed digest takes no place from one that is asked."""
    mixed = [
        text for number, digest in enumerate(DIGESTS[:10]) for text in (f"bad {number}", digest)
    ][:-1]
    [first, rest] = drawn(started([*mixed, DIGESTS[9]]))
    assert (first.digests, len(first.refused), len(rest)) == ([*DIGESTS[:9]], 10, 1)


@pytest.mark.parametrize(
    "digests",
    ["sha256:aa", b"sha256:aa", bytearray(b"sha256:aa")],
    ids=lambda digests: type(digests).__name__,
)
def test_one_text_is_refused(digests: Any) -> None:
    """One text in place of a list of digests is refused, naming it and the mend."""
    with pytest.raises(InvalidInputError) as caught:
        DigestSource(digests, 10)
    rule = "pass a list, or any iterable or async iterable, of digests"
    assert str(caught.value) == f"digests is one {type(digests).__name__}, {digests!r}: {rule}"


@pytest.mark.parametrize("digests", [None, 5, object], ids=str)
def test_what_is_no_iterable_is_refused(digests: Any) -> None:
    """What can't be iterated is refused, naming it."""
    with pytest.raises(InvalidInputError) as caught:
        DigestSource(digests, 10)
    assert (
        str(caught.value)
        == f"digests is {digests!r}: pass a list, or any iterable or async iterable, of digests"
    )


@pytest.mark.parametrize("item", [5, None, b"sha256:aa", ["sha256:aa"]], ids=repr)
def test_sized_input_with_an_item_that_is_no_str(item: Any) -> None:
    """An item that is no str is refused with its index before anything is asked, where the input can be taken whole."""
    source = DigestSource([*DIGESTS, DIGESTS[0], item], 10)
    with pytest.raises(InvalidInputError) as caught:
        source.start()
    assert (
        str(caught.value)
        == f"digests[26] is {item!r}, of type {type(item).__name__}: every digest is a str"
    )


@pytest.mark.parametrize("shaped", [iter, as_async], ids=["iterator", "async generator"])
def test_lazy_input_with_an_item_that_is_no_str(shaped: Callable[[list[Any]], Any]) -> None:
    """Of a lazy input, the digests before the item are handed out, then it is refused with its index."""
    source = started(shaped([*DIGESTS[:12], 5, DIGESTS[12]]))
    first, second = next_of(source) or Batch(), next_of(source) or Batch()
    assert (first.digests, second.digests, source.is_exhausted) == (
        DIGESTS[:10],
        DIGESTS[10:12],
        False,
    )
    with pytest.raises(
        InvalidInputError, match=r"^digests\[12\] is 5, of type int: every digest is a str$"
    ):
        drawn(source)


@pytest.mark.parametrize("given", [0, 5, 10], ids=["at once", "within a batch", "after a batch"])
@pytest.mark.parametrize("stop", [Stop, AsyncStop], ids=["iterable", "async iterable"])
def test_error_of_the_iterator_passes_unchanged(stop: type[Stop | AsyncStop], given: int) -> None:
    """What the caller's iterator raises comes after the digests it gave, unchanged, and again whenever asked."""
    error = LookupError("the caller's own")
    source = started(stop(DIGESTS[:given], error))
    given_first = [batch.digests for batch in [next_of(source)] if batch] if given else []
    for _ in range(2):
        with pytest.raises(LookupError) as caught:
            next_of(source)
        assert caught.value is error
    assert (given_first, source.is_exhausted) == ([DIGESTS[:given]] if given else [], True)


@pytest.mark.parametrize("stop", [Stop, AsyncStop], ids=["iterable", "async iterable"])
def test_interrupt_in_the_iterator_keeps_what_was_taken(stop: type[Stop | AsyncStop]) -> None:
    """An interrupt passes at once; what was taken before it is still known."""
    source = started(stop(DIGESTS[:5], SystemExit()))
    with pytest.raises(SystemExit):
        drawn(source)
    assert source.not_handed_out == DIGESTS[:5]


def test_error_of_a_sized_iterator_comes_at_the_start() -> None:
    """What an input with a length raises while it is taken whole comes before anything is asked."""

    class Torn(Bag):
        def __iter__(self) -> Iterator[Any]:
            yield from self._items
            raise LookupError

    source = DigestSource(Torn(DIGESTS), 10)
    with pytest.raises(LookupError):
        source.start()


def test_lazy_input_is_pulled_batch_by_batch() -> None:
    """No more is pulled from a lazy input than the next batch needs."""
    digests = Stop(DIGESTS, LookupError())
    source = started(digests)
    source.take()
    assert (digests.pulled, source.pulled, source.total, len(source.seen)) == (10, 10, None, 10)


def test_sized_input_is_taken_whole() -> None:
    """An input with a length is taken whole at the start: the total is known, and what is not handed out too."""
    source = started([*DIGESTS, DIGESTS[0].upper(), "LATEST"])
    source.take()
    assert (source.total, source.pulled, source.is_exhausted, source.not_handed_out) == (
        26,
        10,
        False,
        [*DIGESTS[10:], "LATEST"],
    )


def test_exhausted_with_the_last_batch() -> None:
    """A source taken whole is exhausted as soon as its last batch is handed out."""
    source = started(DIGESTS)
    assert [(source.take() is not None, source.is_exhausted) for _ in range(4)] == [
        (True, False),
        (True, False),
        (True, True),
        (False, True),
    ]


def test_repeat_within_the_window_is_asked_once() -> None:
    """A repeat among the last distinct digests is not asked again, and counts as recent."""
    one, two, three = DIGESTS[:3]
    assert asked(started(iter([one, two, one, three, one]), window=2)) == [[one, two, three]]


def test_repeat_beyond_the_window_is_asked_again() -> None:
    """A repeat farther apart than the window is asked again."""
    one, two, three = DIGESTS[:3]
    assert asked(started(iter([one, two, three, one]), window=2)) == [[one, two, three, one]]


def test_window_of_a_stream() -> None:
    """A stream knows the last 10,000 distinct digests, and no more."""
    source = started(
        (f"sha256:{number:x}" for number in range(30_000)), batch_size=100, window=STREAM_WINDOW
    )
    drawn(source)
    assert (STREAM_WINDOW, len(source.seen), source.pulled) == (10_000, 10_000, 30_000)


def test_seen_is_every_distinct_digest_in_order() -> None:
    """What was seen is known by the registry's spelling, in order, with the caller's."""
    source = started(["SHA256:BB", "sha256:aa", "LATEST", "sha256:bb"])
    assert list(source.seen.items()) == [
        ("sha256:bb", "SHA256:BB"),
        ("sha256:aa", "sha256:aa"),
        ("latest", "LATEST"),
    ]


def test_message_of_an_item_is_bounded() -> None:
    """An item of 10 kB makes a message of one bounded line."""
    with pytest.raises(InvalidInputError) as caught:
        started([b"\n" * 10_000])
    assert (len(str(caught.value)) < 500, "\n" in str(caught.value)) == (True, False)
