"""From a caller's digests to batches; pure.

Each distinct digest is in one batch, malformed ones are set aside, and no more is pulled from the
input than the next batch needs.
"""

from __future__ import annotations

from collections import deque
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
from itertools import islice
from typing import Any, cast

from ecr_layer_client._models.digest import canonical, is_well_formed
from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.layer import LayerFailure, LayerFailureCode
from ecr_layer_client._models.outcomes import Row
from ecr_layer_client._text.quoting import quoted

STREAM_WINDOW = 10_000  # distinct digests, at least, among which a stream checks a repeat only once
ITEMS_WITHOUT_PAUSE = 5_000  # of an input, before other tasks may run

_HEX = b"0123456789abcdef"
_SHA256_LENGTHS = {len("sha256:") + 64}


@dataclass(slots=True, eq=False)
class Batch:
    """Digests to check in one call, in the one spelling that registries hold.

    Attributes:
        digests: The digests without an outcome yet.
        spellings: The caller's spelling of those that are spelled otherwise.
        refused: The outcomes of malformed digests, by their spelling. No request is sent for them.
    """

    digests: list[str] = field(default_factory=list[str])
    spellings: dict[str, str] = field(default_factory=dict[str, str])
    refused: dict[str, Row] = field(default_factory=dict[str, Row])

    def __len__(self) -> int:
        return len(self.digests) + len(self.refused)

    def settle(self, rows: dict[str, Row]) -> dict[str, Row]:
        """Remove the digests that have a row; return the rows by the caller's spellings."""
        if len(rows) == len(self.digests):
            self.digests = []
        else:
            self.digests = [digest for digest in self.digests if digest not in rows]

        if not self.spellings:
            return rows
        return {self.spellings.get(digest, digest): row for digest, row in rows.items()}

    @property
    def remaining(self) -> list[str]:
        """The digests without an outcome, as the caller spelled them."""
        return [self.spellings.get(digest, digest) for digest in self.digests]


class SeenDigests:
    """Distinct digests, in order.

    With a window, a digest is forgotten after `window` to twice as many other distinct ones.

    Attributes:
        spellings: The registry's spelling of a digest -> the caller's spelling. With a window, only
            the newest digests.
        window: See above. None: no digest is forgotten.
    """

    def __init__(self, window: int | None = None) -> None:
        self.spellings: dict[str, str] = {}
        self.window: int | None = window
        self._older: dict[str, str] = {}

    def add(self, digest: str, spelling: str) -> bool:
        """Add a digest; return whether it is new."""
        if digest in self.spellings or digest in self._older:
            return False
        self.spellings[digest] = spelling
        self._forget()
        return True

    def add_all(self, spellings: Mapping[str, str]) -> bool:
        """Add digests if each is new, and there is room for all; return whether they were added."""
        has_room = self.window is None or len(self.spellings) + len(spellings) <= self.window
        are_new = self.spellings.keys().isdisjoint(spellings) and (
            not self._older or self._older.keys().isdisjoint(spellings)
        )
        if has_room and are_new:
            self.spellings.update(spellings)
            self._forget()
        return has_room and are_new

    def _forget(self) -> None:
        if self.window is not None and len(self.spellings) == self.window:
            self._older, self.spellings = self.spellings, {}


class Batcher:
    """Puts each distinct digest into one batch.

    Attributes:
        seen: The distinct digests.
        made: The batches that nobody has taken.
    """

    def __init__(self, batch_size: int, name: str = "digests") -> None:
        self.seen: SeenDigests = SeenDigests()
        self.made: deque[Batch] = deque()
        self._batch_size = batch_size
        self._name = name
        self._batch = Batch()
        self._index = 0

    def add(self, item: object) -> None:
        """Add an item of the input, or raise InvalidInputError if it is not a str."""
        if not isinstance(item, str):
            msg = (
                f"{self._name}[{self._index}] is {quoted(item)}, of type {type(item).__name__}: "
                "every digest must be a str"
            )
            raise InvalidInputError(msg)

        self._index += 1
        digest = canonical(item)
        if not self.seen.add(digest, item):
            return
        if not is_well_formed(digest):
            self._refuse(item)
            return

        self._batch.digests.append(digest)
        if digest != item:
            self._batch.spellings[digest] = item
        if len(self._batch.digests) == self._batch_size:
            self.finish()

    def _refuse(self, digest: str) -> None:
        """Set a malformed digest aside. Many of them need no room in a batch of others."""
        refused_here = self._batch.refused
        refused_here[digest] = refused(digest)
        if len(refused_here) == self._batch_size:
            self.made.append(Batch(refused=refused_here))
            self._batch.refused = {}

    def add_all(self, items: Sequence[object]) -> None:
        """Add many items. Most inputs cost little of Python's time here."""
        position = 0
        while position < len(items):
            chunk = items[position : position + self._room]
            position += len(chunk)
            digests = canonical_digests(chunk)
            if len(digests) < len(chunk) or not self.seen.add_all(digests):
                for item in chunk:
                    self.add(item)
                continue

            self._index += len(chunk)
            self._batch.digests.extend(digests)
            if not self._room:
                self.finish()

    @property
    def _room(self) -> int:
        return self._batch_size - len(self._batch.digests)

    def finish(self) -> None:
        """Let the batch go, even if it is not full."""
        if len(self._batch):
            self.made.append(self._batch)
            self._batch = Batch()


class DigestSource(Batcher):
    """One pass over a caller's digests, batch by batch. Nothing is pulled before `pull`.

    An input with a length is taken whole, and no batch of it is ready before all of it is known to
    be valid. Of any other input, no more is pulled than the next batch needs.

    Attributes:
        ready: The batches that may be checked.
        is_async: Whether the input is an async iterable.
        has_more: Whether the input may have more items.
        pulled: The number of distinct digests handed out in batches.
        total: The number of distinct digests; None while it is not known.
    """

    def __init__(self, digests: Iterable[str] | AsyncIterable[str], batch_size: int) -> None:
        super().__init__(batch_size)
        what = "a list, or any iterable or async iterable, of digests"
        # The plain iterator of an async input has no item, so that `pull` ends one that failed.
        self._items, self._async_items = iterators(digests, "digests", what)
        self.is_async: bool = self._async_items is not None
        self._is_sized = isinstance(digests, Sized) and not self.is_async
        self.ready: deque[Batch] = deque() if self._is_sized else self.made
        self.has_more: bool = True
        self.pulled: int = 0
        self.total: int | None = None

    def pull(self) -> None:
        """Pull until a batch is ready, or so many items that other tasks should run.

        What the input raises is raised unchanged.
        """
        pause = self._index + ITEMS_WITHOUT_PAUSE
        while self.has_more and not self.ready and self._index < pause:
            chunk: list[object] = []
            wanted = self._room
            try:
                chunk.extend(islice(self._items, wanted))
            finally:
                self.add_all(chunk)
            if len(chunk) < wanted:
                self._end()

    async def pull_async(self) -> None:
        """Pull an async input as `pull` does."""
        pause = self._index + ITEMS_WITHOUT_PAUSE
        while self.has_more and not self.ready and self._index < pause:
            chunk: list[object] = []
            wanted = self._room
            try:
                async for item in cast("AsyncIterator[object]", self._async_items):
                    chunk.append(item)
                    if len(chunk) == wanted:
                        break
            finally:
                self.add_all(chunk)
            if len(chunk) < wanted:
                self._end()

    def _end(self) -> None:
        self.has_more = False
        self.finish()
        if self._is_sized:
            self.ready = self.made
            self.total = sum(map(len, self.ready))

    def fail(self) -> None:
        """End an input that raised an error: without a length, the digests before it are ready."""
        self.has_more = False
        if not self._is_sized:
            self.finish()

    @property
    def not_handed_out(self) -> list[str]:
        """The digests that are still here, as the caller spelled them."""
        batches = *self.made, self._batch
        return [digest for batch in batches for digest in (*batch.remaining, *batch.refused)]

    def take(self) -> Batch:
        """Hand out the next batch that is ready."""
        batch = self.ready.popleft()
        self.pulled += len(batch)
        return batch


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
    """Return the plain iterator of an input, and its async iterator if it has one."""
    if isinstance(given, AsyncIterable):
        return iter(()), aiter(cast("AsyncIterable[object]", given))
    if hasattr(given, "to_pylist"):
        # A column of pyarrow gives scalars of its own.
        given = cast("Any", given).to_pylist()
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | bytearray):
        return iter(cast("Iterable[object]", given)), None
    kind = f"one {type(given).__name__}, " if isinstance(given, str | bytes | bytearray) else ""
    msg = f"{name} is {kind}{quoted(given)}: pass {what}"
    raise InvalidInputError(msg)


def refused(digest: str) -> LayerFailure:
    """Return the outcome of a malformed digest, for which no request is sent."""
    reason = (
        "not sent: it does not match ECR's pattern for a digest, "
        f"'algorithm:hex' of at most 1000 characters{_advice(digest)}"
    )
    return LayerFailure(digest=digest, code=LayerFailureCode.INVALID_LAYER_DIGEST, reason=reason)


def _advice(digest: str) -> str:
    if is_well_formed(digest.strip()):
        return "; remove the white space around it"
    return "; write 'sha256:' before it" if is_well_formed(f"sha256:{digest}") else ""
