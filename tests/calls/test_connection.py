"""`Connection`: its transfers have connections of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


@pytest.fixture
def transport() -> TransportName:
    """Give one transport: how requests are sent does not matter here."""
    return "signed"


async def test_transfers_share_a_connection(ecr: LocalECR) -> None:
    """Transfers that begin at once share one connection, which later ones use, too."""
    async with ecr.client() as client:
        connection = client._connection
        one, two = await asyncio.gather(connection.for_transfers(), connection.for_transfers())
        later = await connection.for_transfers()
    assert one is two is later


async def test_the_connection_of_transfers(ecr: LocalECR) -> None:
    """It has the options of the client, except for the number of requests in flight."""
    async with ecr.client(max_concurrency=1, batch_size=7) as client:
        connection = await client._connection.for_transfers()
        expected = client._config.replace({"max_concurrency": 64})
        options = client._connection.options
    assert (connection.options, connection.config) == (options, expected)


async def test_closing_the_connection_of_transfers(ecr: LocalECR) -> None:
    """Closing the client closes it, and transfers of the client opened again have another one."""
    client = ecr.client()
    async with client:
        closed = await client._connection.for_transfers()
    async with client:
        opened = await client._connection.for_transfers()
        assert (closed.is_open, opened.is_open) == (False, True)
