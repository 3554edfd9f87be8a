"""The output of `check`: lines of JSON or rows for people, their count, and their order."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import aclosing
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, cast, get_args

from ecr_layer_client._checks.batches import STREAM_WINDOW, SeenDigests
from ecr_layer_client._models.digest import canonical
from ecr_layer_client._models.layer import Group, group_of
from ecr_layer_client._text.byte_sizes import human_bytes
from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import printable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from ecr_layer_client._models.layer import Layer, LayerFailure, LayerOutcome
    from ecr_layer_client._models.repository import Repository

_MAX_TEXT_LENGTH = 200

HEADER = f"{'OUTCOME':<12}  {'SIZE':>9}  DIGEST"


class JSONLines:
    """Outcomes of a repository as JSON objects.

    All objects have the same members in the same order. A member without a value is null.
    """

    def __init__(self, repository: Repository) -> None:
        self._begin = f'{{"repository": {quoted(str(repository))}, "digest": '

    def line(self, outcome: LayerOutcome) -> str:
        """Return one outcome.

        The text is formatted by hand, because `json.dumps` takes as long as all other work on a
        digest.
        """
        begin = f'{self._begin}{quoted(outcome.digest)}, "outcome": "{outcome.outcome}"'
        members = (
            _failure_members(outcome) if outcome.outcome == "failure" else _layer_members(outcome)
        )
        return f"{begin}, {members}}}"


def _failure_members(failure: LayerFailure) -> str:
    code = quoted(failure.raw_code or failure.code)
    reason = "null" if failure.reason is None else quoted(failure.reason)
    return (
        f'"availability": null, "code": {code}, "reason": {reason}, '
        '"size": null, "media_type": null'
    )


def _layer_members(layer: Layer) -> str:
    availability = quoted(layer.raw_availability or layer.availability)
    size = "null" if layer.size is None else layer.size
    media_type = "null" if layer.media_type is None else quoted(layer.media_type)
    return (
        f'"availability": {availability}, "code": null, "reason": null, '
        f'"size": {size}, "media_type": {media_type}'
    )


def row(outcome: LayerOutcome) -> str:
    """Return one row under `HEADER`."""
    size = (
        human_bytes(outcome.size)
        if outcome.outcome == "layer" and outcome.size is not None
        else "-"
    )
    return f"{group_of(outcome):<12}  {size:>9}  {shown(outcome.digest)}{_reason(outcome)}"


def _reason(outcome: LayerOutcome) -> str:
    if outcome.outcome == "layer":
        return f"  ({shown(outcome.raw_availability)})" if outcome.raw_availability else ""
    if outcome.is_absent:
        return ""

    reason = f": {shown(outcome.reason)}" if outcome.reason else ""
    return f"  ({shown(outcome.raw_code or outcome.code)}{reason})"


def shown(text: str, max_length: int = _MAX_TEXT_LENGTH) -> str:
    """Return text from outside so that it can't move the cursor, forge a row or flood the screen.

    Control characters are escaped, and long text is truncated.
    """
    text = printable(text)
    return text if len(text) <= max_length else f"{text[:max_length]}..."


class Tally:
    """The count of outcomes by group."""

    def __init__(self) -> None:
        self._groups: Counter[str] = Counter()
        self._bytes_available = 0

    def add(self, outcome: LayerOutcome) -> None:
        """Count one outcome."""
        self._groups[group_of(outcome)] += 1
        if outcome.is_available:
            self._bytes_available += cast("Layer", outcome).size or 0

    @property
    def total(self) -> int:
        """Return how many outcomes were counted."""
        return self._groups.total()

    @property
    def all_available(self) -> bool:
        """Return whether all outcomes are available."""
        return self.total == self._groups["available"]

    def __str__(self) -> str:
        """Return the counts in one line."""
        counts = [
            f"{self._groups[group]:,} {group}"
            for group in get_args(Group)
            if self._groups[group] or group in {"available", "absent"}
        ]
        counts[0] += f" ({human_bytes(self._bytes_available)})"
        return f"{counted(self.total, 'digest')}: {', '.join(counts)}"


class InputOrder:
    """Returns outcomes in the order in which their digests were read.

    A late outcome holds back those behind it. Once `max_waiting` digests wait, reading waits too,
    so that memory stays bounded.

    Args:
        max_waiting: How many digests may wait. This must be more than two batches, because the
            late digest may itself wait until more is read.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._seen = SeenDigests(STREAM_WINDOW)
        self._waiting: deque[str] = deque()
        self._settled: dict[str, LayerOutcome] = {}
        self._may_read = asyncio.Event()

    def forget(self) -> None:
        """Forget which digests were read, so that a repeat is checked again."""
        self._seen = SeenDigests(STREAM_WINDOW)

    def add(self, digest: str) -> bool:
        """Add the next digest, and return whether to check it: a repeat is not checked."""
        key = canonical(digest)
        if not self._seen.add(key, digest):
            return False
        self._waiting.append(key)
        return True

    async def read(self, lines: AsyncGenerator[str]) -> AsyncGenerator[str]:
        """Yield the digests to check."""
        async with aclosing(lines):
            async for line in lines:
                while len(self._waiting) >= self._max_waiting:
                    self._may_read.clear()
                    await self._may_read.wait()
                if self.add(line):
                    yield line

    def settle(self, outcome: LayerOutcome) -> Iterator[LayerOutcome]:
        """Add an outcome, and yield the outcomes that are next in the order."""
        self._settled[canonical(outcome.digest)] = outcome
        while self._waiting and self._waiting[0] in self._settled:
            yield self._settled.pop(self._waiting.popleft())
        self._may_read.set()

    def rest(self) -> Iterator[LayerOutcome]:
        """Yield the outcomes that were held back, after it is clear that no more will come."""
        for key in self._waiting:
            if key in self._settled:
                yield self._settled.pop(key)
