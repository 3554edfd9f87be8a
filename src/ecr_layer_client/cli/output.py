"""What is printed of an outcome: a line of JSON, or a row for people; and the count of them all."""

from __future__ import annotations

from collections import Counter
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, cast, get_args

from ecr_layer_client._models.layer import Group, group_of
from ecr_layer_client._text.byte_sizes import human_bytes
from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import printable

if TYPE_CHECKING:
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
