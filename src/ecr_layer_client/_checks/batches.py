"""From a caller's digests to batches; pure.

Each distinct digest is in one batch, malformed ones are set aside, and no more is pulled from the
input than the next batch needs.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, cast

from ecr_layer_client._models.digest import canonical, is_well_formed
from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.layer import LayerFailure, LayerFailureCode, LayerOutcome
from ecr_layer_client._text.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

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


class Batcher:
    """Puts each distinct digest into one batch.

    Attributes:
        seen: The distinct digests (the last `window` of them), in order: the registry's
            spelling -> the caller's spelling.
        ready: The batches that may be checked.
        window: A repeat is skipped only among so many distinct digests; None means among all.
    """

    def __init__(self, batch_size: int, name: str = "digests") -> None:
        self.seen: dict[str, str] = {}
        self.ready: deque[Batch] = deque()
        self.window: int | None = None
        self._batch_size = batch_size
        self._name = name
        self._batch = Batch()
        self._index = 0

    def add(self, item: object) -> None:
        """Add an item of the input, or raise InvalidInputError if it is not a str."""
        if not isinstance(item, str):
            msg = (
                f"{self._name}[{self._index}] is {quoted(item)}, of type {type(item).__name__}: "
                "every digest is a str"
            )
            raise InvalidInputError(msg)

        self._index += 1
        digest = canonical(item)
        if is_repeat(self.seen, digest, item, self.window):
            return
        if not is_well_formed(digest):
            self._refuse(digest, item)
            return

        self._batch.digests.append(digest)
        if digest != item:
            self._batch.spellings[digest] = item
        if len(self._batch.digests) == self._batch_size:
            self.finish()

    def _refuse(self, digest: str, spelling: str) -> None:
        """Set a malformed digest aside. Many of them need no room in a batch of others."""
        refused_here = self._batch.refused
        refused_here[digest] = refused(spelling)
        if len(refused_here) == self._batch_size:
            self.ready.append(Batch(refused=refused_here))
            self._batch.refused = {}

    def add_all(self, items: Sequence[object]) -> None:
        """Add many items. Most inputs cost little of Python's time here."""
        position = 0
        while position < len(items):
            chunk = items[position : position + self._room]
            position += len(chunk)
            digests = canonical_digests(chunk)
            if len(digests) < len(chunk) or not self.seen.keys().isdisjoint(digests):
                for item in chunk:
                    self.add(item)
                continue

            self._index += len(chunk)
            self.seen.update(digests)
            _forget(self.seen, self.window)
            self._batch.digests.extend(digests)
            if not self._room:
                self.finish()

    @property
    def _room(self) -> int:
        return self._batch_size - len(self._batch.digests)

    def finish(self) -> None:
        """Let the batch go, even if it is not full."""
        if len(self._batch):
            self.ready.append(self._batch)
            self._batch = Batch()

    @property
    def not_handed_out(self) -> list[str]:
        """The digests that are still here, as the caller spelled them."""
        batches = *self.ready, self._batch
        return [
            digest
            for batch in batches
            for digest in (*batch.remaining, *(each.digest for each in batch.refused.values()))
        ]


class DigestSource(Batcher):
    """One pass over a caller's digests, batch by batch. Nothing is pulled before `start`.

    An input with a length is taken at once. Of any other input, no more is pulled than the next
    batch needs.

    Attributes:
        pulled: The number of distinct digests handed out in batches.
        total: The number of distinct digests; None while it is not known.
    """

    def __init__(self, digests: Iterable[str] | AsyncIterable[str], batch_size: int) -> None:
        super().__init__(batch_size)
        what = "a list, or any iterable or async iterable, of digests"
        self._items, self._async_items = iterators(digests, "digests", what)
        self._is_sized = isinstance(digests, Sized) and self._async_items is None
        self.pulled: int = 0
        self.total: int | None = None

    def start(self, window: int | None = None) -> bool:
        """Begin; return whether `fill` must pull the input, because it has no length."""
        self.window = window
        self.seen = {} if window is None else OrderedDict()
        if self._is_sized:
            self.add_all(list(self._items))
            self.finish()
            self.total = sum(map(len, self.ready))
        return not self._is_sized

    async def fill(self) -> bool:
        """Pull until a batch is ready, or so many items that other tasks should run.

        Return False at the end of the input. What the input raises is raised unchanged, and the
        digests before an Exception are ready.
        """
        pause = self._index + ITEMS_WITHOUT_PAUSE
        try:
            while not self.ready and self._index < pause:
                if not await self._pull():
                    self.finish()
                    return False
        except Exception:
            self.finish()
            raise
        return True

    async def _pull(self) -> bool:
        """Pull no more than the batch has room for; return False at the end of the input."""
        if self._async_items is not None:
            async for item in self._async_items:
                self.add(item)
                if self.ready or not self._index % ITEMS_WITHOUT_PAUSE:
                    return True
            return False

        chunk: list[object] = []
        try:
            chunk.extend(islice(self._items, self._room))
        finally:
            self.add_all(chunk)
        return bool(chunk)

    def take(self) -> Batch:
        """Hand out the next batch that is ready."""
        batch = self.ready.popleft()
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
    """Return the plain iterator of an input, and its async iterator if it has one."""
    if isinstance(given, AsyncIterable):
        return iter(()), aiter(cast("AsyncIterable[object]", given))
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | bytearray):
        return iter(cast("Iterable[object]", given)), None
    kind = f"one {type(given).__name__}, " if isinstance(given, str | bytes | bytearray) else ""
    msg = f"{name} is {kind}{quoted(given)}: pass {what}"
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
