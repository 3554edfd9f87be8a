"""The output of `check`: lines of JSON or rows for people, their count, and their order."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from contextlib import aclosing
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, cast, get_args

from ecr_layer_client._checks.batches import STREAM_WINDOW, is_repeat
from ecr_layer_client._models.layer import Group, canonical, group_of
from ecr_layer_client._text.byte_sizes import human_bytes
from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import printable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from ecr_layer_client._models.layer import Layer, LayerOutcome
    from ecr_layer_client._models.repository import Repository

_TEXT_LIMIT = 200

HEADER = f"{'OUTCOME':<12}  {'SIZE':>9}  DIGEST"


class JSONLines:
    """Outcomes of a repository as JSON objects.

    Their members are the same for each, in one order, null where they say nothing.
    """

    def __init__(self, repository: Repository) -> None:
        self._begin = f'{{"repository": {quoted(str(repository))}, "digest": '

    def line(self, outcome: LayerOutcome) -> str:
        """Return one.

        Pasted together, for `json.dumps` costs as much as all the rest of a digest does.
        """
        begin = f'{self._begin}{quoted(outcome.digest)}, "outcome": "{outcome.outcome}"'
        if outcome.outcome == "failure":
            code, reason = (
                quoted(outcome.raw_code or outcome.code),
                "null" if outcome.reason is None else quoted(outcome.reason),
            )
            return f'{begin}, "availability": null, "code": {code}, "reason": {reason}, "size": null, "media_type": null}}'
        size = "null" if outcome.size is None else outcome.size
        media_type = "null" if outcome.media_type is None else quoted(outcome.media_type)
        availability = quoted(outcome.raw_availability or outcome.availability)
        layer = f'"availability": {availability}, "code": null, "reason": null, "size": {size}, "media_type": {media_type}'
        return f"{begin}, {layer}}}"


def row(outcome: LayerOutcome) -> str:
    """Return one row under `HEADER`."""
    size = (
        human_bytes(outcome.size)
        if outcome.outcome == "layer" and outcome.size is not None
        else "-"
    )
    return f"{group_of(outcome):<12}  {size:>9}  {shown(outcome.digest)}{_why(outcome)}"


class Tally:
    """Counts outcomes."""

    def __init__(self) -> None:
        self._groups: Counter[str] = Counter()
        self._bytes_available = 0

    def add(self, outcome: LayerOutcome) -> None:
        """Count one."""
        self._groups[group_of(outcome)] += 1
        if outcome.is_available:
            self._bytes_available += cast("Layer", outcome).size or 0

    @property
    def total(self) -> int:
        """How many were counted."""
        return self._groups.total()

    @property
    def all_available(self) -> bool:
        """Whether none is anything else."""
        return self.total == self._groups["available"]

    def __str__(self) -> str:
        """Return one line of counts."""
        total = self.total
        counts = [
            f"{self._groups[group]:,} {group}"
            for group in get_args(Group)
            if self._groups[group] or group in {"available", "absent"}
        ]
        counts[0] += f" ({human_bytes(self._bytes_available)})"
        return f"{counted(total, 'digest')}: {', '.join(counts)}"


def _why(outcome: LayerOutcome) -> str:
    if outcome.outcome == "layer":
        return f"  ({shown(outcome.raw_availability)})" if outcome.raw_availability else ""
    if outcome.is_absent:
        return ""
    reason = f": {shown(outcome.reason)}" if outcome.reason else ""
    return f"  ({shown(outcome.raw_code or outcome.code)}{reason})"


def shown(text: str, longest: int = _TEXT_LIMIT) -> str:
    """Keep text from outside from moving the cursor, forging a row or flooding the terminal."""
    text = printable(text)
    return text if len(text) <= longest else f"{text[:longest]}..."


class InputOrder:
    """Remembers in which order digests were asked, and gives their outcomes in that order.

    An outcome that is late holds back those behind it, and, once `most` digests wait, the reading,
    so that memory stays bounded.

    Args:
        most: Digests that may wait; more than two batches, or what is late might itself wait for
            the reading.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: dict[str, str] = OrderedDict()
        self._waiting: deque[str] = deque()
        self._settled: dict[str, LayerOutcome] = {}
        self._has_room = asyncio.Event()

    def forget(self) -> None:
        """Let a digest be asked anew that was asked before."""
        self._seen.clear()

    def add(self, digest: str) -> bool:
        """Take the next digest; say whether it is to be asked, or is a repeat."""
        key = canonical(digest)
        if is_repeat(self._seen, key, digest, STREAM_WINDOW):
            return False
        self._waiting.append(key)
        return True

    async def read(self, lines: AsyncGenerator[str]) -> AsyncGenerator[str]:
        """Yield the lines that are to be asked."""
        async with aclosing(lines):
            async for line in lines:
                while len(self._waiting) >= self._most:
                    self._has_room.clear()
                    await self._has_room.wait()
                if self.add(line):
                    yield line

    def settle(self, outcome: LayerOutcome) -> Iterator[LayerOutcome]:
        """Take an outcome, and yield those whose turn it is."""
        self._settled[canonical(outcome.digest)] = outcome
        while self._waiting and self._waiting[0] in self._settled:
            yield self._settled.pop(self._waiting.popleft())
        self._has_room.set()

    def rest(self) -> Iterator[LayerOutcome]:
        """Yield what was settled and held back, where what it waits for is not to come."""
        for key in self._waiting:
            if key in self._settled:
                yield self._settled.pop(key)
