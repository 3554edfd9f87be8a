"""Streams show their progress in notebooks and terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from descriptions import described
from ecr_layer_client import RepositoryNotFoundError
from ecr_layer_client.display._description import Description, Part, Tone
from seen import Seen

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


async def test_a_stream(ecr: LocalECR, digests: list[str]) -> None:
    """A stream shows the answered digests, those under way, and those to come."""
    ecr.seed("team/app", [])

    async with (
        ecr.client(max_concurrency=1) as client,
        client.stream_layers("team/app", digests) as stream,
    ):
        before = described(stream)
        await anext(stream)
        assert (before.verdict, described(stream)) == (
            "nothing asked yet",
            Description(
                "Checking layers of team/app",
                "100 of 250 digests answered",
                (
                    Part("answered", Tone.GOOD, 100),
                    Part("asked, not answered", Tone.HELD, 100),
                    Part("to come", Tone.REST, 50),
                ),
            ),
        )
        assert Seen(stream._repr_html_()).tables == [
            [["answered", "100"], ["asked, not answered", "100"], ["to come", "50"]]
        ]


async def test_a_stream_of_unknown_length(ecr: LocalECR, digests: list[str]) -> None:
    """A stream of a generator does not show the digests to come."""
    ecr.seed("team/app", [])

    async with (
        ecr.client(max_concurrency=1) as client,
        client.stream_layers("team/app", iter(digests)) as stream,
    ):
        await anext(stream)
        description = described(stream)
        assert (description.verdict, description.parts) == (
            "100 of 200 digests answered so far",
            (Part("answered", Tone.GOOD, 100), Part("asked, not answered", Tone.HELD, 100)),
        )


async def test_a_stream_of_many(ecr: LocalECR, digests: list[str]) -> None:
    """A stream of many repositories also shows which of them failed."""
    ecr.seed("team/app", [])

    async with (
        ecr.client() as client,
        client.stream_many({"team/app": digests, "team/gone": digests[:3]}) as stream,
    ):
        with pytest.raises(RepositoryNotFoundError):
            _ = [outcome async for outcome in stream]
        description = described(stream)
        (table,) = description.tables
        assert (description.title, description.verdict, table.caption, table.rows[0][:2]) == (
            "Checking layers of many repositories",
            "250 of 253 digests answered",
            "Failed: 1",
            ("team/gone", "RepositoryNotFoundError"),
        )


async def test_a_stream_that_waits(ecr: LocalECR, digests: list[str]) -> None:
    """A stream that waits shows how many layers are available, and how many it waits for."""
    ecr.seed("team/app", [(digest, 1) for digest in digests[:200]])

    async with (
        ecr.client() as client,
        client.stream_until_available("team/app", digests, timeout=60.0) as stream,
    ):
        await anext(stream)
        assert described(stream) == Description(
            "Waiting for layers of team/app",
            "200 of 250 digests available",
            (Part("available", Tone.GOOD, 200), Part("waited for", Tone.REST, 50)),
        )


async def test_a_stream_that_waits_for_a_generators(ecr: LocalECR, digests: list[str]) -> None:
    """A stream that waits for a generator's layers waits for those that it got so far."""
    ecr.seed("team/app", [(digests[0], 1)])

    async with (
        ecr.client(max_concurrency=1) as client,
        client.stream_until_available("team/app", iter(digests), timeout=60.0) as stream,
    ):
        before = described(stream)
        await anext(stream)
        description = described(stream)
        assert (before.verdict, sum(part.count for part in description.parts)) == (
            "nothing asked yet",
            stream.progress.pulled,
        )


async def test_repr(ecr: LocalECR, digests: list[str]) -> None:
    """The repr of a stream is one line of counts."""
    ecr.seed("team/app", [])
    async with ecr.client() as client, client.stream_layers("team/app", digests) as stream:
        await stream.collect()
        assert repr(stream) == "<LayerStream pulled=250 answered=250 total=250>"
