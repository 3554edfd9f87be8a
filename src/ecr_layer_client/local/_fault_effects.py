"""How a fault changes a response: another response, changed rows, a truncated or slow body.

The module uses no clock except `asyncio.sleep`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import from_json, to_json

import ecr_layer_client.local._protocol as protocol

from ._protocol import Reply
from ._registry.blob_store import CHUNK
from ._registry.errors import error_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from random import Random

    from ._fault_options import Script
    from ._interceptors import Call
    from ._protocol import Stream
    from ._registry.blob_store import Blob

# A chunk of a dripped body holds what this time allows, and at least one byte.
DRIP_INTERVAL_SECONDS = 0.1
REDIRECT = 307
HTML = b"<html><head><title>%d</title></head><body><center><h1>%d</h1></center></body></html>\r\n"

Rows = dict[str, list[Any]]

# These faults replace only the outcome "ok". The most severe one comes first.
_MILD = ("accept_bytes", "lose_layer", "drop_rows", "double_rows", "shuffle", "drip", "latency")


def reply_of(script: Script, call: Call) -> Reply | None:
    """Return the response that a fault gives in place of the registry.

    None means that the registry responds.
    """
    if script.error is not None:
        return call.error_reply(error_of(script.error, script.message, script.status))
    if script.redirect_to is not None:
        headers = {"location": script.redirect_to}
        return Reply(script.status or REDIRECT, headers, b"", "redirect_to")
    if script.body is not None:
        headers = {"content-type": protocol.CONTENT_TYPE}
        return Reply(script.status or 200, headers, script.body, "body")
    if script.status is not None:
        body = HTML % (script.status, script.status)
        return Reply(script.status, {"content-type": "text/html"}, body, str(script.status))
    return None


def changed(reply: Reply, scripts: Sequence[Script], random: Random) -> Reply:
    """Return the reply as the faults change it. Its outcome names the most severe fault."""
    if reply.outcome == "ok":
        reply = _with_rows(reply, scripts, random)
        applied = (name for name in _MILD if any(getattr(script, name) for script in scripts))
        reply = replace(reply, outcome=next(applied, "ok"))
    return _on_the_wire(reply, scripts)


def _with_rows(reply: Reply, scripts: Sequence[Script], random: Random) -> Reply:
    changing = [script for script in scripts if script.changes_rows]
    # A download is streamed and has no rows, and some responses of `/v2/` have no body.
    if not changing or not isinstance(reply.body, bytes) or reply.stream or not reply.body:
        return reply

    members = cast("dict[str, Any]", from_json(reply.body))
    rows: Rows = {name: value for name, value in members.items() if isinstance(value, list)}
    for script in changing:
        _double(rows, script.double_rows, random)
        _drop(rows, script.drop_rows, random)
        if script.shuffle:
            rows = {name: _shuffled(each, random) for name, each in rows.items()}

    return replace(reply, body=to_json(members | rows))


def _drop(rows: Rows, count: int, random: Random) -> None:
    for name, index in sorted(_some(rows, count, random), reverse=True):
        del rows[name][index]


def _double(rows: Rows, count: int, random: Random) -> None:
    for name, row in [(name, rows[name][index]) for name, index in _some(rows, count, random)]:
        rows[name].append(row)


def _some(rows: Rows, count: int, random: Random) -> list[tuple[str, int]]:
    places = [(name, index) for name, each in rows.items() for index in range(len(each))]
    return random.sample(places, min(count, len(places)))


def _shuffled(rows: list[Any], random: Random) -> list[Any]:
    shuffled = random.sample(rows, len(rows))
    # A shuffle can return the same order. Then a rotation guarantees another one.
    return shuffled if shuffled != rows else [*rows[1:], *rows[:1]]


def _on_the_wire(reply: Reply, scripts: Sequence[Script]) -> Reply:
    cuts = [
        (script.cut_at, script.reset)
        for script in scripts
        if script.cut_at is not None and script.cut_at < len(reply.body)
    ]
    rates = [script.drip for script in scripts if script.drip is not None]
    if not cuts and not rates:
        return reply

    cut_at, reset = min(cuts, default=(None, False))
    outcome = reply.outcome if not cuts else "reset" if reset else "cut_at"
    stream = _stream(cut_at, min(rates, default=None), reset=reset)
    return replace(reply, outcome=outcome, stream=stream)


def _stream(cut_at: int | None, rate: float | None, *, reset: bool) -> Stream:
    async def stream(body: Blob) -> AsyncIterator[bytes]:
        end = len(body) if cut_at is None else cut_at
        size = min(CHUNK, max(1, int(rate * DRIP_INTERVAL_SECONDS))) if rate else CHUNK

        for start in range(0, end, size):
            chunk = body[start : min(end, start + size)]
            if rate:
                await asyncio.sleep(len(chunk) / rate)
            yield chunk

        if reset:
            raise ConnectionResetError

    return stream
