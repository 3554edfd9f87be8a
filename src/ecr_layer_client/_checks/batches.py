"""From a caller's digests to batches; pure.

Each distinct digest is in one batch, malformed ones are set aside, and no more is pulled from the
input than the next batch needs.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Sized,
)
from dataclasses import dataclass, field
from typing import cast

from ecr_layer_client._models.digest import canonical, is_well_formed
from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.layer import LayerFailure, LayerFailureCode, LayerOutcome
from ecr_layer_client._text.quoting import quoted

STREAM_WINDOW = 10_000  # distinct digests among which a stream checks a repeat only once
ITEMS_WITHOUT_PAUSE = 10_000  # of an input, before other tasks may run

_HEX = b"0123456789abcdef"
_SHA256_LENGTHS = {len("sha256:") + 64}


@dataclass(slots=True, eq=False)
class Batch:
    """Digests to check in one call, in the one spelling that registries hold.

    Attributes:
        digests: The digests without an outcome yet.
        spellings: The caller's spelling of those that are spelled otherwise.
        refused: The outcomes of malformed digests, by digest. No request is sent for them.
    """

    digests: list[str] = field(default_factory=list[str])
    spellings: dict[str, str] = field(default_factory=dict[str, str])
    refused: dict[str, LayerOutcome] = field(default_factory=dict[str, LayerOutcome])

    def __len__(self) -> int:
        return len(self.digests) + len(self.refused)

    def add(self, digest: str, spelling: str) -> None:
        """Add a digest, or the outcome of a malformed one."""
        if not is_well_formed(digest):
            self.refused[digest] = refused(spelling)
            return
        self.digests.append(digest)
        if digest != spelling:
            self.spellings[digest] = spelling

    def is_full(self, size: int) -> bool:
        """Return whether it has `size` digests, or as many malformed ones."""
        return len(self.digests) >= size or len(self.refused) >= size

    def settle(self, outcomes: Mapping[str, LayerOutcome]) -> Mapping[str, LayerOutcome]:
        """Remove the digests that have an outcome; return the outcomes in the caller's spelling."""
        if len(outcomes) == len(self.digests):
            self.digests = []
        else:
            self.digests = [digest for digest in self.digests if digest not in outcomes]

        if not self.spellings:
            return outcomes
        return {
            digest: spelled(outcome, self.spellings.get(digest, digest))
            for digest, outcome in outcomes.items()
        }

    @property
    def remaining(self) -> list[str]:
        """The digests without an outcome, as the caller spelled them."""
        return [self.spellings.get(digest, digest) for digest in self.digests]

    @property
    def unsettled(self) -> list[str]:
        """All digests, malformed ones included, as the caller spelled them."""
        return [*self.remaining, *(outcome.digest for outcome in self.refused.values())]


class DigestSource:
    """One pass over a caller's digests, batch by batch. Nothing is pulled before `start`.

    An input with a length is taken at once. Of any other input, no more is pulled than the next
    batch needs. An exception of the input is raised after all that the input gave before.

    Args:
        digests: Any iterable or async iterable of str.
        batch_size: Digests in a full batch.
        name: What messages call the input. Default "digests".

    Attributes:
        seen: The distinct digests pulled so far (the last `window` of them), in order:
            the registry's spelling -> the caller's spelling.
        pulled: The number of distinct digests handed out in batches.
        total: The number of distinct digests; None while it is not known.
        is_exhausted: Whether there are no more batches.
        is_async: Whether batches come from `pull`, not from `take`.

    Raises:
        InvalidInputError: The input is one str, or not an iterable.
    """

    def __init__(
        self,
        digests: Iterable[str] | AsyncIterable[str],
        batch_size: int,
        name: str = "digests",
    ) -> None:
        what = "a list, or any iterable or async iterable, of digests"
        self._items, self._async_items = iterators(digests, name, what)
        self._name = name
        self.is_async: bool = self._async_items is not None
        self.seen: dict[str, str] = {}
        self.pulled: int = 0
        self.total: int | None = None
        self.is_exhausted: bool = False
        self._is_sized = isinstance(digests, Sized) and not self.is_async
        self._batch_size = batch_size
        self._window: int | None = None
        self._index = 0
        self._batch = Batch()
        self._ready: deque[Batch] = deque()
        self._has_ended = False
        self._error: Exception | None = None

    def start(self, window: int | None = None) -> None:
        """Begin.

        Args:
            window: A repeat is checked only once among so many distinct digests. Default None:
                among all.

        Raises:
            InvalidInputError: The input has a length, and an item has a wrong type. For any other
                input, `take` and `pull` raise it.
        """
        self._window = window
        self.seen = {} if window is None else OrderedDict()
        if self._is_sized:
            self._ready.extend(self.add_all(list(self._items)))
            self._end()
            self.total = sum(map(len, self._ready))
            self.is_exhausted = not self._ready

    def take(self) -> Batch | None:
        """Return the next batch of a plain iterable.

        Return None at the end, and after so many repeats that other tasks should run.
        """
        if not self._has_ended:
            pause = self._index + ITEMS_WITHOUT_PAUSE
            try:
                for item in self._items:
                    batch = self.add(item)
                    if batch is not None:
                        return self._handed_out(batch)
                    if self._index >= pause:
                        return None
            except Exception as error:  # noqa: BLE001 (the caller's iterator may raise anything)
                self._error = error
            self._end()
        return self._next_ready()

    async def pull(self) -> Batch | None:
        """Return the next batch of an async iterable, or None as `take` does.

        An async iterable need not let other tasks run.
        """
        if not self._has_ended:
            assert self._async_items is not None  # noqa: S101 (see `is_async`)
            pause = self._index + ITEMS_WITHOUT_PAUSE
            try:
                async for item in self._async_items:
                    batch = self.add(item)
                    if batch is not None:
                        return self._handed_out(batch)
                    if self._index >= pause:
                        return None
            except Exception as error:  # noqa: BLE001 (as in `take`)
                self._error = error
            self._end()
        return self._next_ready()

    @property
    def not_handed_out(self) -> list[str]:
        """Digests that were pulled and not yet handed out, as the caller spelled them."""
        return [digest for batch in (*self._ready, self._batch) for digest in batch.unsettled]

    def add_all(self, items: Sequence[object]) -> list[Batch]:
        """Add many items; return the batches that they fill."""
        batches: list[Batch] = []
        position = 0
        while position < len(items):
            chunk = items[position : position + self._batch_size - len(self._batch.digests)]
            position += len(chunk)
            batches += self._add_chunk(chunk)
        return batches

    def _add_chunk(self, chunk: Sequence[object]) -> list[Batch]:
        """Add items that fit into the batch. Most inputs cost little of Python's time here."""
        digests = canonical_digests(chunk)
        if len(digests) < len(chunk) or not self.seen.keys().isdisjoint(digests):
            return [batch for batch in map(self.add, chunk) if batch is not None]

        self._index += len(chunk)
        self.seen.update(digests)
        _forget(self.seen, self._window)
        self._batch.digests.extend(digests)
        is_full = len(self._batch.digests) == self._batch_size
        return [self._begin_batch()] if is_full else []

    def add(self, item: object) -> Batch | None:
        """Add an item; return the batch that it fills."""
        if not isinstance(item, str):
            msg = (
                f"{self._name}[{self._index}] is {quoted(item)}, of type {type(item).__name__}: "
                "every digest is a str"
            )
            raise InvalidInputError(msg)

        self._index += 1
        digest = canonical(item)
        if is_repeat(self.seen, digest, item, self._window):
            return None
        self._batch.add(digest, item)
        return self._begin_batch() if self._batch.is_full(self._batch_size) else None

    def _begin_batch(self) -> Batch:
        """Return the batch, and begin another one."""
        batch, self._batch = self._batch, Batch()
        return batch

    def rest(self) -> list[Batch]:
        """Return the batch that is not full, if it has any digest."""
        return [self._begin_batch()] if len(self._batch) else []

    def _end(self) -> None:
        self._has_ended = True
        self._ready.extend(self.rest())

    def _next_ready(self) -> Batch | None:
        batch = self._ready.popleft() if self._ready else None
        self.is_exhausted = not self._ready and (batch is None or self._error is None)
        if batch is None and self._error is not None:
            raise self._error
        return None if batch is None else self._handed_out(batch)

    def _handed_out(self, batch: Batch) -> Batch:
        self.pulled += len(batch)
        return batch


def is_repeat(seen: dict[str, str], digest: str, spelling: str, window: int | None) -> bool:
    """Return whether a digest was seen among the last `window`, and remember it."""
    if digest in seen:
        if window is not None:
            # With a window, the mapping is an OrderedDict.
            seen.move_to_end(digest)  # type: ignore[attr-defined]
        return True
    seen[digest] = spelling
    _forget(seen, window)
    return False


def _forget(seen: dict[str, str], window: int | None) -> None:
    """Keep no more than the last `window`."""
    while window is not None and len(seen) > window:
        seen.popitem(last=False)  # type: ignore[call-arg]  # see `is_repeat`


def canonical_digests(chunk: Sequence[object]) -> dict[str, str]:
    """Return a chunk's digests, each by itself; nothing if one is not a SHA-256 in lower case.

    A few passes over the whole chunk find out: each item is as long as such a digest and begins
    like one, and without their hexadecimal digits nothing is left but the letters of `sha256:`.
    """
    lines = cast("Sequence[str]", chunk)
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
    """Return the plain iterator of an input, and its async iterator if it has one.

    Raises:
        InvalidInputError: The input is one str, or not an iterable.
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
    """Return the outcome of a malformed digest, for which no request is sent."""
    reason = (
        "not sent: it does not match ECR's pattern for a digest, "
        "'algorithm:hex' of at most 1000 characters"
    )
    return LayerFailure(digest=spelling, code=LayerFailureCode.INVALID_LAYER_DIGEST, reason=reason)


def spelled(outcome: LayerOutcome, spelling: str) -> LayerOutcome:
    """Return the outcome with the caller's spelling of its digest."""
    if outcome.digest == spelling:
        return outcome
    return outcome.model_copy(update={"digest": spelling})
