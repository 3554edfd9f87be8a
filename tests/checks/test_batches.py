"""A source pulls a caller's digests, and hands each distinct one out in one batch.

Repeats, letter case, batch sizes and windows are in `tests/property/test_batches.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from checks.drawing import as_async, draw, drawn, pull, source_of
from ecr_layer_client import InvalidInputError, LayerFailure, LayerFailureCode
from ecr_layer_client._checks.batches import (
    STREAM_WINDOW,
    Batch,
    Batcher,
    DigestSource,
    SeenDigests,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

DIGESTS = [f"sha256:{number:064x}" for number in range(25)]
REASON = (
    "not sent: it does not match ECR's pattern for a digest, "
    "'algorithm:hex' of at most 1000 characters"
)
RULE = "pass a list, or any iterable or async iterable, of digests"


class Bag:
    """An input that only has a length and an iterator."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._items = list(items)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)


def failing(digests: list[str], error: BaseException) -> Iterator[str]:
    """Yield digests, then raise."""
    yield from digests
    raise error


SHAPES: dict[str, Callable[[Iterable[str]], Any]] = {
    **{shaped.__name__: shaped for shaped in (list, tuple, Bag, iter, as_async)},
    "dict": dict.fromkeys,
    "keys": lambda digests: dict.fromkeys(digests).keys(),
}
each_shape = pytest.mark.parametrize("shaped", SHAPES.values(), ids=list(SHAPES))
each_lazy_shape = pytest.mark.parametrize("shaped", [iter, as_async])


@each_shape
def test_every_shape_of_input(shaped: Callable[[list[str]], Any]) -> None:
    """Every kind of iterable gives full batches in input order, then the rest."""
    batches = [batch.digests for batch in drawn(source_of(shaped(DIGESTS)))]
    assert batches == [DIGESTS[:10], DIGESTS[10:20], DIGESTS[20:]]


@pytest.mark.parametrize("shaped", [set, frozenset])
def test_sets(shaped: Callable[[list[str]], Any]) -> None:
    """A set gives each of its digests once."""
    [batch] = drawn(source_of(shaped(DIGESTS), batch_size=100))
    assert sorted(batch.digests) == DIGESTS


@each_shape
def test_empty_input(shaped: Callable[[list[str]], Any]) -> None:
    """An empty input gives no batch."""
    assert drawn(source_of(shaped([]))) == []


@each_shape
def test_nothing_is_pulled_at_once(shaped: Callable[[list[str]], Any]) -> None:
    """A source pulls nothing from its input when it is made."""
    source = DigestSource(shaped(DIGESTS), 10)
    assert (source.seen.spellings, source.pulled, source.total) == ({}, 0, None)


def test_letter_cases_are_one_digest() -> None:
    """Two letter cases of a digest are one digest, which keeps the caller's first spelling."""
    upper, lower = "SHA256:" + "AB" * 32, "sha256:" + "ab" * 32
    [batch] = drawn(source_of([upper, lower]))
    assert (batch.digests, batch.spellings, batch.remaining) == ([lower], {lower: upper}, [upper])


def test_malformed_digests() -> None:
    """A malformed digest has its outcome at once, in its own spelling, and is not sent."""
    [batch] = drawn(source_of(["LATEST", DIGESTS[0], "", "LATEST"]))
    refused = [
        LayerFailure(digest=text, code=LayerFailureCode.INVALID_LAYER_DIGEST, reason=REASON)
        for text in ("LATEST", "")
    ]
    assert (batch.digests, list(batch.refused.values()), len(batch)) == ([DIGESTS[0]], refused, 3)


@pytest.mark.parametrize(
    ("digest", "advice"),
    [
        ("0" * 64, "; write 'sha256:' before it"),
        (f" {DIGESTS[0]}\n", "; remove the white space around it"),
        ("app.tar", ""),
    ],
)
def test_the_reason_of_a_malformed_digest_has_advice(digest: str, advice: str) -> None:
    """The outcome of a digest without its algorithm, or with space around it, says what to do."""
    [batch] = drawn(source_of([digest]))
    invalid = LayerFailureCode.INVALID_LAYER_DIGEST
    expected = LayerFailure(digest=digest, code=invalid, reason=f"{REASON}{advice}")
    assert batch.refused == {digest: expected}


@pytest.mark.parametrize("shaped", [list, iter, as_async])
def test_malformed_digests_make_no_batch_smaller(shaped: Callable[[list[str]], Any]) -> None:
    """Good digests fill their batches although there are many malformed ones between them."""
    given = [text for digest in DIGESTS for text in (digest, digest[7:], digest[8:])]
    batches = drawn(source_of(shaped(given)))
    assert [len(batch.digests) for batch in batches if batch.digests] == [10, 10, 5]


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
    """An item that is not a str is refused, with its index and its type; no batch is ready."""
    source = source_of([*DIGESTS, DIGESTS[0], item])
    with pytest.raises(InvalidInputError) as caught:
        pull(source)
    what = f"digests[26] is {item!r}, of type {type(item).__name__}"
    assert str(caught.value) == f"{what}: every digest must be a str"
    assert (len(source.ready), source.not_handed_out) == (0, DIGESTS)


@pytest.mark.parametrize("count", [0, 5, 10], ids=["at once", "within a batch", "after a batch"])
@each_lazy_shape
def test_error_of_the_iterator(shaped: Callable[[Iterator[str]], Any], count: int) -> None:
    """An exception of the caller's iterator is raised unchanged, and the digests before it kept."""
    error = LookupError("the caller's own")
    source, batches = source_of(shaped(failing(DIGESTS[:count], error))), list[Batch]()
    with pytest.raises(LookupError) as caught:
        draw(source, batches)
    assert (caught.value is error, source.has_more) == (True, False)
    assert [batch.digests for batch in batches] == ([DIGESTS[:count]] if count else [])


@each_lazy_shape
def test_interrupt_in_the_iterator(shaped: Callable[[Iterator[str]], Any]) -> None:
    """An interrupt in the iterator ends no batch; the source keeps the digests before it."""
    source = source_of(shaped(failing(DIGESTS[:5], SystemExit())))
    with pytest.raises(SystemExit):
        pull(source)
    assert (len(source.ready), source.not_handed_out) == (0, DIGESTS[:5])


def test_lazy_input_is_pulled_batch_by_batch() -> None:
    """A source pulls no more from a lazy input than the next batch needs."""
    digests = iter(DIGESTS)
    source = source_of(digests)
    pull(source)
    source.take()
    assert (source.pulled, source.total, len(source.seen.spellings)) == (10, None, 10)
    assert list(digests) == DIGESTS[10:]


@each_lazy_shape
def test_an_input_of_repeats_is_pulled_in_parts(shaped: Callable[[Iterator[str]], Any]) -> None:
    """Other tasks may run after 5,000 items that fill no batch."""
    repeats = iter(["latest"] * 12_000)
    pull(source_of(shaped(repeats)))
    assert len(list(repeats)) == 7_000


def test_a_long_sized_input_is_pulled_in_parts() -> None:
    """Other tasks may run after 5,000 items of an input with a length, and nothing is left out."""
    source = source_of([f"sha256:{number:064x}" for number in range(12_000)], batch_size=100)
    pulled: list[int] = []
    while source.has_more:
        pull(source)
        pulled.append(len(source.seen.spellings))
        assert bool(source.ready) is (len(pulled) == 3)
    assert (pulled, source.total, len(source.ready)) == ([5_000, 10_000, 12_000], 12_000, 120)


def test_sized_input_is_pulled_at_once() -> None:
    """An input with a length is pulled before its first batch, so that its total is known."""
    source = source_of([*DIGESTS, DIGESTS[0].upper(), "LATEST"])
    pull(source)
    source.take()
    assert (source.total, source.pulled) == (26, 10)
    assert source.not_handed_out == [*DIGESTS[10:], "LATEST"]


def test_window_of_a_stream() -> None:
    """A stream skips a repeat after 10,000 other digests, and remembers fewer than 20,000."""
    digests = [f"sha256:{number:064x}" for number in range(25_000)]
    repeated = iter([*digests, digests[10_000], digests[-10_001], digests[9_999], digests[-1]])
    source = source_of(repeated, batch_size=100, window=STREAM_WINDOW)
    checked = [digest for batch in drawn(source) for digest in batch.digests]
    assert (STREAM_WINDOW, checked[25_000:]) == (10_000, [digests[9_999]])


def test_a_whole_batch_of_repeats_in_a_window() -> None:
    """A batch whose digests came before the newest ones, but in the window, is not sent again."""
    repeated = iter([*DIGESTS[:15], *DIGESTS[:5]])
    source = source_of(repeated, batch_size=5, window=10)
    assert [digest for batch in drawn(source) for digest in batch.digests] == DIGESTS[:15]


def test_a_window_that_no_number_of_batches_fills() -> None:
    """A stream forgets digests, too, if its window is not a multiple of the batch size."""
    source = source_of(iter(DIGESTS), batch_size=7, window=10)
    drawn(source)
    assert list(source.seen.spellings) == DIGESTS[20:]


def test_a_settled_batch_has_nothing_left() -> None:
    """A batch whose digests all have a row is empty."""
    batch = Batch(DIGESTS[:2])
    batch.settle(dict.fromkeys(DIGESTS[:2], ("AVAILABLE", 1, None)))
    assert (batch.digests, batch.remaining, len(batch)) == ([], [], 0)


def test_seen_is_every_distinct_digest_in_order() -> None:
    """`seen` maps the registry's spelling of each distinct digest to the caller's, in order."""
    source = source_of(["SHA256:BB", "sha256:aa", "LATEST", "sha256:bb"])
    pull(source)
    expected = {"sha256:bb": "SHA256:BB", "sha256:aa": "sha256:aa", "latest": "LATEST"}
    assert list(source.seen.spellings.items()) == list(expected.items())


LINES = [f"sha256:{number:064x}" for number in range(3)]
PREFIX = "sha256:"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("sha512:" + "0" * 64, id="another-prefix"),
        pytest.param("0" * 71, id="no-prefix"),
        pytest.param("sha256" + "0" * 64 + ":", id="prefix-apart"),
        pytest.param(PREFIX + "0" * 63 + "A", id="upper-case"),
        pytest.param(PREFIX + "0" * 63 + "g", id="not-hexadecimal"),
        pytest.param(PREFIX + "0" * 63 + "\u212a", id="not-ASCII"),
        pytest.param(PREFIX + "0" * 63 + "\ud800", id="surrogate"),
        pytest.param(PREFIX + "0" * 62, id="too-short"),
        pytest.param("0" * 32 + "\nsha256:" + "0" * 31, id="prefix-inside"),
    ],
)
def test_a_digest_that_is_no_sha256(text: str) -> None:
    """An odd digest among SHA-256s in lower case has the same outcome as one added by itself."""
    batcher = Batcher(10)
    batcher.add(text)
    batcher.finish()
    [alone] = batcher.made
    [among] = drawn(source_of([*LINES, text]))
    assert among.digests == [*LINES, *alone.digests]
    assert (among.spellings, among.refused) == (alone.spellings, alone.refused)


def test_a_chunk_of_sha256s_is_added_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No digest is looked at by itself if a whole chunk is of SHA-256s in lower case."""
    monkeypatch.delattr(Batcher, "add")
    [batch] = drawn(source_of(LINES))
    assert (batch.digests, batch.spellings) == (LINES, {})


def test_window_of_seen_digests() -> None:
    """A digest is forgotten after as many new ones as the window has, twice."""
    seen = SeenDigests(2)
    assert [seen.add(digest, digest) for digest in "abacdadb"] == [
        True,
        True,
        False,
        *[True] * 2,
        True,
        False,
        True,
    ]


def test_a_column_of_pyarrow() -> None:
    """The items of a column are taken as Python's, not as the scalars that its iterator gives."""

    class Column:
        def __iter__(self) -> Iterator[object]:
            return iter([object()] * len(LINES))

        def to_pylist(self) -> list[str]:
            return LINES

    column: Any = Column()
    [batch] = drawn(source_of(column))
    assert batch.digests == LINES


def test_message_about_an_item_is_bounded() -> None:
    """An item of 10 kB makes a message of one bounded line."""
    with pytest.raises(InvalidInputError) as caught:
        pull(source_of([b"\n" * 10_000]))
    assert (len(str(caught.value)) < 500, "\n" in str(caught.value)) == (True, False)
