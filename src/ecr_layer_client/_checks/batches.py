"""From a caller's digests to batches: each distinct digest once, malformed ones set aside, no more pulled than needed. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict, deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sized
from dataclasses import dataclass, field
from typing import TypeVar, cast

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.layer import (
    LayerFailure,
    LayerFailureCode,
    LayerOutcome,
    canonical,
    is_well_formed,
)
from ecr_layer_client._text.quoting import quoted

_HEX = b"0123456789abcdef"
_SHA256_LENGTHS = {len("sha256:") + 64}
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

    def add(self, digest: str, spelling: str) -> int:
        """Add a digest, or the outcome of what is none, and return how many there are now of its kind."""
        if not is_well_formed(digest):
            self.refused[digest] = refused(spelling)
            return len(self.refused)
        self.digests.append(digest)
        if digest != spelling:
            self.spellings[digest] = spelling
        return len(self.digests)

    @property
    def remaining(self) -> list[str]:
        """What is still to be asked, as the caller spelled it."""
        return [self.spellings.get(digest, digest) for digest in self.digests]

    @property
    def spelled_refused(self) -> list[str]:
        """Those refused, as the caller spelled them."""
        return [outcome.digest for outcome in self.refused.values()]


class BatchSource(ABC):
    """One pass over a caller's input, batch by batch; nothing is taken before `start`.

    An input that has a length is taken whole, at once. Of any other, no more is pulled than the
    next batch needs; what it raises passes through, after what it gave before.

    Attributes:
        pulled: How many distinct digests were handed out in batches.
        total: How many there are; None while that is not known.
        exhausted: Whether there are no more batches.
    """

    def __init__(
        self,
        items: Iterator[object],
        async_items: AsyncIterator[object] | None,
        batch_size: int,
        *,
        is_sized: bool,
    ) -> None:
        self.pulled: int = 0
        self.total: int | None = None
        self.exhausted: bool = False
        self._items = items
        self._async_items = async_items
        self._batch_size = batch_size
        self._is_sized = is_sized
        self._window: int | None = None
        self._index: int = 0
        self._ready: deque[Batch] = deque()
        self._has_ended = False
        self._error: Exception | None = None

    @abstractmethod
    def _add(self, item: object) -> Batch | None:
        """Take an item of the input, and return the batch that is ready by it."""

    @abstractmethod
    def _rest(self) -> list[Batch]:
        """Return the batches that are not full, and forget them."""

    def start(self, window: int | None = None) -> None:
        """Begin; a repeat is asked only once among `window` distinct digests, or among all.

        Raises:
            InvalidInputError: The input has a length, and an item is of a wrong type; of any other
                input, `take` and `pull` raise it.
        """
        self._window = window
        if self._is_sized:
            self._take_whole()
            self._finish()
            self.total = sum(map(len, self._ready))
            self.exhausted = not self._ready

    @property
    def is_async(self) -> bool:
        """Whether batches come from `pull`, not from `take`."""
        return self._async_items is not None

    def take(self) -> Batch | None:
        """Return the next batch of a plain iterable.

        None at its end, or where so many were repeats that others should run first.
        """
        if not self._has_ended:
            pause = self._index + _LOOKED_AT_ONCE
            try:
                for item in self._items:
                    batch = self._add(item)
                    if batch is not None:
                        return self._handed_out(batch)
                    if self._index >= pause:
                        return None
            except Exception as error:  # noqa: BLE001
                # The caller's iterator may raise anything; it is raised again unchanged.
                self._error = error
            self._finish()
        return self._next_of_the_rest()

    async def pull(self) -> Batch | None:
        """Return the next batch of an async iterable.

        None as `take` does, for an async iterable need not let others run.
        """
        if not self._has_ended:
            assert self._async_items is not None  # noqa: S101 (the caller asked `is_async`)
            pause = self._index + _LOOKED_AT_ONCE
            try:
                async for item in self._async_items:
                    batch = self._add(item)
                    if batch is not None:
                        return self._handed_out(batch)
                    if self._index >= pause:
                        return None
            except Exception as error:  # noqa: BLE001 (as in `take`)
                self._error = error
            self._finish()
        return self._next_of_the_rest()

    def _take_whole(self) -> None:
        added = map(self._add, self._items)
        self._ready.extend(batch for batch in added if batch is not None)

    def _finish(self) -> None:
        self._has_ended = True
        self._ready.extend(self._rest())

    def _next_of_the_rest(self) -> Batch | None:
        batch = self._ready.popleft() if self._ready else None
        self.exhausted = not self._ready and (batch is None or self._error is None)
        if batch is None and self._error is not None:
            raise self._error
        return None if batch is None else self._handed_out(batch)

    def _handed_out(self, batch: Batch) -> Batch:
        self.pulled += len(batch)
        return batch


class DigestSource(BatchSource):
    """A caller's digests of one repository.

    Attributes:
        seen: The distinct digests taken so far (the last `window` of them), in order: registry's
            spelling -> caller's spelling.

    Raises:
        InvalidInputError: It is one str, or no iterable.
    """

    def __init__(self, digests: Iterable[str] | AsyncIterable[str], batch_size: int) -> None:
        items, async_items = iterators(
            digests, "digests", "a list, or any iterable or async iterable, of digests"
        )
        super().__init__(
            items,
            async_items,
            batch_size,
            is_sized=isinstance(digests, Sized) and async_items is None,
        )
        self.seen: dict[str, str] = {}
        self._batch = Batch()

    @property
    def untaken(self) -> list[str]:
        """Digests that were taken from the input and not yet handed out in a batch, as the caller spelled them."""
        return [
            digest
            for batch in (*self._ready, self._batch)
            for digest in (*batch.remaining, *batch.spelled_refused)
        ]

    def start(self, window: int | None = None) -> None:
        """Begin; a repeat is asked only once among `window` distinct digests, or among all."""
        self.seen = {} if window is None else OrderedDict()
        super().start(window)

    def _take_whole(self) -> None:
        items = list(self._items)
        position = 0
        while position < len(items):
            chunk = items[position : position + self._batch_size - len(self._batch.digests)]
            position += len(chunk)
            self._ready.extend(self._add_all(chunk))

    def _add_all(self, chunk: list[object]) -> list[Batch]:
        """Add items that fit into the batch.

        What most inputs are made of costs little of Python's time.
        """
        digests = _canonical_ones(chunk)
        if len(digests) < len(chunk) or not self.seen.keys().isdisjoint(digests):
            return [batch for batch in map(self._add, chunk) if batch is not None]
        self._index += len(chunk)
        self.seen.update(digests)
        forget(self.seen, self._window)
        self._batch.digests.extend(digests)
        return self._rest() if len(self._batch.digests) == self._batch_size else []

    def _add(self, item: object) -> Batch | None:
        if not isinstance(item, str):
            msg = f"digests[{self._index}] is {quoted(item)}, of type {type(item).__name__}: every digest is a str"
            raise InvalidInputError(msg)
        self._index += 1
        digest = canonical(item)
        if is_repeat(self.seen, digest, item, self._window):
            return None
        return self._rest()[0] if self._batch.add(digest, item) == self._batch_size else None

    def _rest(self) -> list[Batch]:
        batch, self._batch = self._batch, Batch()
        return [batch] if len(batch) else []


_Key = TypeVar("_Key")


def is_repeat(seen: dict[_Key, str], key: _Key, spelling: str, window: int | None) -> bool:
    """Say whether something was seen (among the last `window`), and see it."""
    if key in seen:
        if window is not None:
            seen.move_to_end(key)  # type: ignore[attr-defined]  # windowed: an OrderedDict
        return True
    seen[key] = spelling
    forget(seen, window)
    return False


def forget(seen: dict[_Key, str], window: int | None) -> None:
    """Keep no more than the last `window`."""
    while window is not None and len(seen) > window:
        seen.popitem(last=False)  # type: ignore[call-arg]  # windowed: an OrderedDict


def _canonical_ones(chunk: list[object]) -> dict[str, str]:
    """Return a chunk's digests, each by itself.

    Or nothing where one is no SHA-256 in lower case, and all need a closer look.

    Nearly all are, and are told by a few passes over all of them at once: each is as long as one
    and begins like one, and without its hexadecimal digits, nothing is left of it but the other
    letters of that beginning.
    """
    lines = cast("list[str]", chunk)
    try:
        text = "\n".join(("", *lines))
    except TypeError:
        return {}
    is_canonical = (
        set(map(len, lines)) == _SHA256_LENGTHS
        and text.count("\nsha256:") == len(lines)
        and text.isascii()
        and text.encode("ascii").translate(None, _HEX) == b"\nsh:" * len(lines)
    )
    return dict(zip(lines, lines, strict=True)) if is_canonical else {}


def iterators(
    given: object, name: str, what: str
) -> tuple[Iterator[object], AsyncIterator[object] | None]:
    """Return the plain iterator of what was given, and the async one, if it has that.

    Raises:
        InvalidInputError: It is one str, or no iterable.
    """
    if isinstance(given, str | bytes | bytearray):
        msg = f"{name} is one {type(given).__name__}, {quoted(given)}: pass {what}"
        raise InvalidInputError(msg)
    if isinstance(given, AsyncIterable):
        return iter(()), aiter(cast("AsyncIterable[object]", given))
    if isinstance(given, Iterable):
        return iter(cast("Iterable[object]", given)), None
    msg = f"{name} is {quoted(given)}: pass {what}"
    raise InvalidInputError(msg)


def refused(spelling: str) -> LayerFailure:
    """Return the outcome of what is no digest: it is not asked."""
    reason = "not asked: it breaks ECR's pattern for a digest, 'algorithm:hex' of at most 1000 characters"
    return LayerFailure(digest=spelling, code=LayerFailureCode.INVALID_LAYER_DIGEST, reason=reason)
