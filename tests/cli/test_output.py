"""The output of outcomes, however unusual, and of those known before an interruption."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import (
    Layer,
    LayerAvailability,
    LayerFailure,
    LayerFailureCode,
    LayerOutcome,
    Repository,
)
from ecr_layer_client.cli.check import _Printer
from ecr_layer_client.cli.output import InputOrder, JSONLines, row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DIGEST = "sha256:aa"
FROZEN = Layer(digest=DIGEST, availability=LayerAvailability.UNKNOWN, raw_availability="FROZEN")
TIRED = LayerFailure(
    digest=DIGEST, code=LayerFailureCode.UNKNOWN, raw_code="Tired", reason="so\ntired"
)
MISSING = LayerFailure(digest=DIGEST, code=LayerFailureCode.MISSING_LAYER_DIGEST, reason="not here")
NOT_REPORTED = LayerFailure(digest=DIGEST, code=LayerFailureCode.NOT_REPORTED)
NO_SIZE = Layer(digest=DIGEST, availability=LayerAvailability.AVAILABLE)


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        (FROZEN, "undetermined          -  sha256:aa  (FROZEN)"),
        (TIRED, "undetermined          -  sha256:aa  (Tired: so\\ntired)"),
        (MISSING, "absent                -  sha256:aa"),
        (NOT_REPORTED, "undetermined          -  sha256:aa  (NotReported)"),
        (NO_SIZE, "available             -  sha256:aa"),
    ],
    ids=["new availability", "new code", "missing", "not reported", "no size"],
)
def test_a_row_says_why(outcome: LayerOutcome, shown: str) -> None:
    """An undetermined outcome is shown with ECR's own code or words, in one line."""
    assert row(outcome) == shown


TEXTS = ["plain", 'with "quotes" and \\', "caf\u00e9 \U0001f40b", "\0\x1b[2J\n", "\ud800"]


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
@pytest.mark.parametrize(
    "outcome",
    [FROZEN, TIRED, MISSING, NOT_REPORTED, NO_SIZE],
    ids=lambda outcome: type(outcome).__name__,
)
def test_a_json_line_is_what_json_dumps_prints(outcome: LayerOutcome, text: str) -> None:
    """A JSON line is what `json.dumps` prints for the columns of a table, for any text."""
    texts: dict[str, str] = {
        name: text
        for name in ("digest", "reason", "media_type")
        if name in type(outcome).model_fields
    }
    given = outcome.model_copy(update=texts)

    columns = (
        "repository",
        "digest",
        "outcome",
        "availability",
        "code",
        "reason",
        "size",
        "media_type",
    )
    members = {"repository": "app"} | {
        column: getattr(given, f"raw_{column}", None) or getattr(given, column, None)
        for column in columns[1:]
    }
    assert JSONLines(Repository(name="app")).line(given) == json.dumps(members)


async def interrupted() -> AsyncIterator[LayerOutcome]:
    """Return a stream that Ctrl-C ends after two outcomes."""
    yield LayerFailure(digest="b", code=LayerFailureCode.NOT_REPORTED)
    yield LayerFailure(digest="a", code=LayerFailureCode.NOT_REPORTED)
    raise asyncio.CancelledError


@pytest.mark.asyncio
async def test_an_interruption_loses_no_answer(capsysbinary: Any) -> None:
    """After an interruption, all known outcomes are printed in the order of the input."""
    stream: Any = interrupted()
    order = InputOrder(10)
    for digest in ("c", "a", "b"):
        order.add(digest)

    with pytest.raises(asyncio.CancelledError):
        await _Printer(Repository(name="app"), order, 3, as_json=False).print_all(stream)

    printed = capsysbinary.readouterr()
    digests = [line.split()[2] for line in printed.out.decode().splitlines()[1:]]
    expected = (
        ["a", "b"],
        b"interrupted; until then, 2 digests: 0 available (0 bytes), 0 absent, 2 undetermined\n",
    )
    assert (digests, printed.err) == expected
