"""From a caller's digests to batches: each distinct digest once, malformed ones set aside, no more pulled than needed. Pure."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sized
from dataclasses import dataclass, field
from typing import cast

from ._errors import InvalidInputError, quoted
from ._models import MAX_DIGEST_LENGTH, LayerFailure, LayerFailureCode, LayerOutcome, canonical, is_well_formed

_CANONICAL_LINES = re.compile(r"(?:[a-z0-9\-_+.]+:[a-f0-9]+(?:\n|\Z))+")
_LOOKED_AT_ONCE = 10_000  # items
STREAM_WINDOW = 10_000  # distinct digests among which a stream asks a repeat only once


@dataclass(slots=True, eq=False)
class Batch:
    """Digests to ask in one call, in the one spelling that registries hold.

    Attributes:
        digests: What to ask; shrinks as answers settle it.
        spellings: The caller's spelling of those that are spelled otherwise.
        refused: The outcomes of those that ECR's own pattern refuses: nothing to ask.
    """

    digests: list[str] = field(default_factory=list[str])
    spellings: dict[str, str] = field(default_factory=dict[str, str])
    refused: dict[str, LayerOutcome] = field(default_factory=dict[str, LayerOutcome])

    def __len__(self) -> int:
        return len(self.digests) + len(self.refused)

    @property
    def left(self) -> list[str]:
        """What is still to be asked, as the caller spelled it."""
        return [self.spellings.get(digest, digest) for digest in self.digests]

    @property
    def spelled_refused(self) -> list[str]:
        """Those refused, as the caller spelled them."""
        return [outcome.digest for outcome in self.refused.values()]


class DigestSource:
    """One pass over a caller's digests, batch by batch; nothing is taken before `start`.

    An input that has a length is taken whole, at once. Of any other, no more is pulled than the next batch needs; what it raises
    passes through, after the digests that it gave before.

    Attributes:
        seen: The distinct digests taken so far (the last `window` of them), in order: registry's spelling -> caller's spelling.
        pulled: How many distinct digests were handed out in batches.
        total: How many there are; None while that is not known.
        exhausted: Whether there are no more batches.

    Raises:
        InvalidInputError: It is one str, or no iterable.
    """

    def __init__(self, digests: Iterable[str] | AsyncIterable[str], batch_size: int) -> None:
        self.seen: dict[str, str] = {}
        self.pulled: int = 0
        self.total: int | None = None
        self.exhausted: bool = False
        self._batch_size = batch_size
        self._window: int | None = None
        self._index = 0
        self._batch = Batch()
        self._ready: deque[Batch] = deque()
        self._error: Exception | None = None
        self._sized = isinstance(digests, Sized)
        self._items, self._async_items = _iterators(digests)

    def start(self, window: int | None = None) -> None:
        """Begin; a repeat is asked only once among `window` distinct digests, or among all.

        Raises:
            InvalidInputError: The input has a length, and an item is no str; of any other input, `take` and `pull` raise it.
        """
        self._window = window
        if window is not None:
            self.seen = OrderedDict()
        if self._sized and not self.is_async:
            self._take_whole()

    @property
    def is_async(self) -> bool:
        """Whether batches come from `pull`, not from `take`."""
        return self._async_items is not None

    @property
    def untaken(self) -> list[str]:
        """Digests that were taken from the input and not yet handed out in a batch, as the caller spelled them."""
        return [digest for batch in (*self._ready, self._batch) for digest in (*batch.left, *batch.spelled_refused)]

    def take(self) -> Batch | None:
        """Return the next batch of a plain iterable; None at its end, or where so many were repeats that others should run first."""
        if self._ready:
            batch = self._ready.popleft()
            self.exhausted = not self._ready
            return self._handed_out(batch)
        self._raise_held_back()
        pause = self._index + _LOOKED_AT_ONCE
        try:
            for item in self._items:
                if self._add(item):
                    return self._flush()
                if self._index >= pause:
                    return None
        except Exception as error:  # noqa: BLE001 (the caller's iterator may raise anything; it is raised again unchanged)
            return self._hold_back(error)
        self.exhausted = True
        return self._flush()

    async def pull(self) -> Batch | None:
        """Return the next batch of an async iterable; None when there is none."""
        assert self._async_items is not None  # noqa: S101 (the caller asked `is_async`)
        self._raise_held_back()
        try:
            async for item in self._async_items:
                if self._add(item):
                    return self._flush()
        except Exception as error:  # noqa: BLE001 (as in `take`)
            return self._hold_back(error)
        self.exhausted = True
        return self._flush()

    def _take_whole(self) -> None:
        items = list(self._items)
        position = 0
        while position < len(items):
            chunk = items[position : position + self._batch_size - len(self._batch.digests)]
            position += len(chunk)
            if self._add_all(chunk) or (position == len(items) and len(self._batch)):
                self._ready.append(self._batch)
                self._batch = Batch()
        self.total = sum(map(len, self._ready))
        self.exhausted = not self._ready

    def _add_all(self, chunk: list[object]) -> bool:
        """Add items that fit into the batch, and say whether it is full; what most inputs are made of costs little of Python's time."""
        digests = _canonical_ones(chunk)
        if len(digests) < len(chunk) or not self.seen.keys().isdisjoint(digests):
            is_full = False
            for item in chunk:
                is_full = self._add(item) or is_full
            return is_full
        self._index += len(chunk)
        self.seen.update(digests)
        self._forget()
        self._batch.digests.extend(digests)
        return len(self._batch.digests) == self._batch_size

    def _add(self, item: object) -> bool:
        if not isinstance(item, str):
            msg = f"digests[{self._index}] is {quoted(item)}, of type {type(item).__name__}: every digest is a str"
            raise InvalidInputError(msg)
        self._index += 1
        digest = canonical(item)
        if digest in self.seen:
            if self._window is not None:
                self.seen.move_to_end(digest)  # type: ignore[attr-defined]  # windowed: an OrderedDict
            return False
        self.seen[digest] = item
        self._forget()
        return self._append(digest, item)

    def _forget(self) -> None:
        while self._window is not None and len(self.seen) > self._window:
            self.seen.popitem(last=False)  # type: ignore[call-arg]  # windowed: an OrderedDict

    def _append(self, digest: str, spelling: str) -> bool:
        batch = self._batch
        if not is_well_formed(digest):
            batch.refused[digest] = refused(spelling)
            return len(batch.refused) == self._batch_size
        batch.digests.append(digest)
        if digest != spelling:
            batch.spellings[digest] = spelling
        return len(batch.digests) == self._batch_size

    def _flush(self) -> Batch | None:
        batch, self._batch = self._batch, Batch()
        return self._handed_out(batch) if len(batch) else None

    def _handed_out(self, batch: Batch) -> Batch:
        self.pulled += len(batch)
        return batch

    def _hold_back(self, error: Exception) -> Batch | None:
        self._error = error
        batch = self._flush()
        if batch is None:
            self._raise_held_back()
        return batch

    def _raise_held_back(self) -> None:
        if self._error is not None:
            self.exhausted = True
            raise self._error


def _canonical_ones(chunk: list[object]) -> dict[str, str]:
    """Return a chunk's digests, each by itself; or nothing where one is not spelled as registries spell it, and all need a closer look."""
    try:
        joined = "\n".join(cast("list[str]", chunk))
    except TypeError:
        return {}
    lines = cast("list[str]", chunk)
    is_plain = joined.count("\n") < len(lines) and max(map(len, lines)) <= MAX_DIGEST_LENGTH and _CANONICAL_LINES.fullmatch(joined)
    return dict(zip(lines, lines, strict=True)) if is_plain else {}


def _iterators(digests: Iterable[object] | AsyncIterable[object]) -> tuple[Iterator[object], AsyncIterator[object] | None]:
    if isinstance(digests, str | bytes | bytearray):
        msg = f"digests is one {type(digests).__name__}, {quoted(digests)}: pass a list of digests"
        raise InvalidInputError(msg)
    if isinstance(digests, AsyncIterable):
        return iter(()), aiter(digests)
    if isinstance(digests, Iterable):
        return iter(digests), None
    msg = f"digests is {quoted(digests)}: pass an iterable or an async iterable of str"
    raise InvalidInputError(msg)


def refused(spelling: str) -> LayerFailure:
    """Return the outcome of what is no digest: it is not asked."""
    reason = "not asked: it breaks ECR's pattern for a digest, 'algorithm:hex' of at most 1000 characters"
    return LayerFailure(digest=spelling, code=LayerFailureCode.INVALID_LAYER_DIGEST, reason=reason)
