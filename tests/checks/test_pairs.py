"""From digests of many repositories to batches: each of one repository, and full where memory allows."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import InvalidInputError, Repository
from ecr_layer_client._checks.pairs import PairSource, RepositoryBatch

if TYPE_CHECKING:
    from collections.abc import Iterator

D = [f"sha256:{number:x}" for number in range(16, 46)]


def _source(digests: Any, batch_size: int = 10, window: int | None = None) -> PairSource:
    source = PairSource(digests, batch_size, Repository.coerce)
    source.start(window)
    return source


def _batches(source: PairSource) -> Iterator[tuple[str, list[str]]]:
    while not source.exhausted:
        batch = source.take()
        if batch is not None:
            assert isinstance(batch, RepositoryBatch)
            yield batch.repository.name, batch.remaining


def test_interleaved() -> None:
    """Digests of repositories that take turns are gathered into full batches, and the rest comes in the end."""
    pairs = [(name, digest) for digest in D[:15] for name in ("aa", "bb")]
    assert list(_batches(_source(iter(pairs)))) == [
        ("aa", D[:10]),
        ("bb", D[:10]),
        ("aa", D[10:15]),
        ("bb", D[10:15]),
    ]


def test_of_a_mapping() -> None:
    """Of a mapping, each repository's last batch leaves when it has no more digests."""
    batches = list(_batches(_source({"aa": iter(D[:12]), "bb": iter(D[:3])})))
    assert batches == [("aa", D[:10]), ("aa", D[10:12]), ("bb", D[:3])]


def test_bounded() -> None:
    """When more than 10,000 digests wait for company, the batch that was begun first leaves as it is."""
    batches = _batches(_source((f"team/{number}", D[0]) for number in count()))
    assert [next(batches), next(batches)] == [("team/0", [D[0]]), ("team/1", [D[0]])]


def test_bounded_by_no_more_than_needed() -> None:
    """10,000 digests may wait."""
    source = _source((f"team/{number}", D[0]) for number in range(10_000))
    assert (source.take(), source.pulled, len(source.untaken)) == (None, 0, 10_000)


@pytest.mark.parametrize("whole", [True, False], ids=["sized", "lazy"])
def test_taken_whole(*, whole: bool) -> None:
    """An input that has a length is taken whole, so its total is known.

    Of a mapping, if all that it holds has one.
    """
    digests: Any = D[:12] if whole else iter(D[:12])
    source = _source({"aa": digests, "bb": D[:3]})
    assert (source.total, source.is_whole) == ((15, True) if whole else (None, False))


def test_refused_when_taken_whole() -> None:
    """An item of a list that is no pair is refused at the start."""
    with pytest.raises(InvalidInputError, match=r"digests\[1\]"):
        _source([("aa", D[0]), "aa"])


def test_pairs_may_be_lists() -> None:
    """A pair may be a list, as JSON has it."""
    assert list(_batches(_source([["aa", D[0]]]))) == [("aa", [D[0]])]


def test_repeats() -> None:
    """A repeat of a digest in one repository is asked once.

    In another repository it is another question.
    """
    assert list(_batches(_source([("aa", D[0]), ("bb", D[0]), ("aa", D[0].upper())]))) == [
        ("aa", [D[0]]),
        ("bb", [D[0]]),
    ]


def test_a_window() -> None:
    """Streamed, a repeat is known among the last distinct digests of all repositories."""
    pairs = [("aa", D[0]), ("bb", D[1]), ("aa", D[0]), ("bb", D[2]), ("bb", D[1])]
    assert list(_batches(_source(iter(pairs), window=2))) == [
        ("aa", [D[0]]),
        ("bb", [D[1], D[2], D[1]]),
    ]


def test_malformed() -> None:
    """What is no digest is set aside, in its repository's batch."""
    source = _source([("aa", "latest"), ("aa", D[0])])
    batch = source.take()
    assert (batch and batch.remaining, batch and batch.spelled_refused) == ([D[0]], ["latest"])


def test_untaken() -> None:
    """What was taken from the input and not handed out is told by batch."""
    source = _source([("aa", digest) for digest in D[:25]])
    source.take()
    assert [batch.remaining for batch in source.untaken] == [D[10:20], D[20:25]]
