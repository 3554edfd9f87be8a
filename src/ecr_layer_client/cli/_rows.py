"""What is printed of an outcome: a line of JSON, or a row for people; and the count of them all."""

from __future__ import annotations

import json
from collections import Counter

from rich.filesize import decimal

from ecr_layer_client import Layer, LayerAvailability, LayerOutcome, Repository

COLUMNS = ("repository", "digest", "outcome", "availability", "code", "reason", "size", "media_type")
KINDS = ("available", "archived", "absent", "undetermined")
_TEXT_LIMIT = 200

HEADER = f"{'OUTCOME':<12}  {'SIZE':>9}  DIGEST"


def json_line(repository: Repository, outcome: LayerOutcome) -> str:
    """Return one JSON object; its members are the same for each outcome, null where they say nothing."""
    known = {**dict(outcome), "repository": str(repository)}
    return json.dumps({column: known.get(column) for column in COLUMNS})


def row(outcome: LayerOutcome) -> str:
    """Return one row under `HEADER`."""
    size = decimal(outcome.size) if isinstance(outcome, Layer) and outcome.size is not None else "-"
    return f"{kind_of(outcome):<12}  {size:>9}  {shown(outcome.digest)}{_why(outcome)}"


def kind_of(outcome: LayerOutcome) -> str:
    """Return the part of a result that it belongs to, one of `KINDS`."""
    if outcome.is_available:
        return "available"
    if outcome.is_absent:
        return "absent"
    if isinstance(outcome, Layer) and outcome.availability is LayerAvailability.ARCHIVED:
        return "archived"
    return "undetermined"


class Tally:
    """Counts outcomes."""

    def __init__(self) -> None:
        self._kinds: Counter[str] = Counter()
        self._bytes_available = 0

    def add(self, outcome: LayerOutcome) -> None:
        """Count one."""
        self._kinds[kind_of(outcome)] += 1
        if isinstance(outcome, Layer) and outcome.is_available:
            self._bytes_available += outcome.size or 0

    @property
    def all_available(self) -> bool:
        """Whether none is anything else."""
        return self._kinds.total() == self._kinds["available"]

    def __str__(self) -> str:
        """Return one line of counts."""
        total = self._kinds.total()
        counts = [f"{self._kinds[kind]} {kind}" for kind in KINDS if self._kinds[kind] or kind in {"available", "absent"}]
        counts[0] += f" ({decimal(self._bytes_available)})"
        return f"{total} digest{'' if total == 1 else 's'}: {', '.join(counts)}"


def _why(outcome: LayerOutcome) -> str:
    if isinstance(outcome, Layer):
        return f"  ({shown(outcome.raw_availability)})" if outcome.raw_availability else ""
    if outcome.is_absent:
        return ""
    reason = f": {shown(outcome.reason)}" if outcome.reason else ""
    return f"  ({shown(outcome.raw_code or outcome.code)}{reason})"


def shown(text: str) -> str:
    """Keep text from outside from moving the cursor, forging a row or flooding the terminal."""
    text = text if text.isprintable() else text.encode("unicode_escape").decode()
    return text if len(text) <= _TEXT_LIMIT else f"{text[:_TEXT_LIMIT]}..."
