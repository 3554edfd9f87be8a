"""Streams show their progress in notebooks and terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from descriptions import described
from ecr_layer_client.display._description import Description, Part, Tone
from seen import Seen

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


async def test_a_stream(ecr: LocalECR, digests: list[str]) -> None:
    """A stream shows the answered digests, those in flight, and those to come."""
    ecr.seed("team/app", [])
    parts = (
        Part("answered", Tone.GOOD, 100),
        Part("sent, not answered", Tone.HELD, 100),
        Part("to come", Tone.REST, 50),
    )

    async with (
        ecr.client(max_concurrency=1) as client,
        client.stream_layers("team/app", digests) as stream,
    ):
        assert described(stream).verdict == "no digest sent yet"
        await anext(stream)
        assert described(stream) == Description(
            "Checking layers of team/app", "100 of 250 digests answered", parts
        )
        rows = [[part.label, str(part.count)] for part in parts]
        assert Seen(stream._repr_html_()).tables == [rows]


async def test_a_stream_of_unknown_length(ecr: LocalECR, digests: list[str]) -> None:
    """A stream of a generator does not show the digests to come."""
    ecr.seed("team/app", [])
    async with (
        ecr.client(max_concurrency=1) as client,
        client.stream_layers("team/app", iter(digests)) as stream,
    ):
        await anext(stream)
        description = described(stream)

    assert description.verdict == "100 of 200 digests answered so far"
    answered, sent = Part("answered", Tone.GOOD, 100), Part("sent, not answered", Tone.HELD, 100)
    assert description.parts == (answered, sent)


async def test_repr(ecr: LocalECR, digests: list[str]) -> None:
    """The repr of a stream is one line of counts."""
    ecr.seed("team/app", [])
    async with ecr.client() as client, client.stream_layers("team/app", digests) as stream:
        await stream.collect()
        assert repr(stream) == "<LayerStream pulled=250 answered=250 total=250>"
