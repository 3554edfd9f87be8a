"""A connection that received something while it was idle is not used again."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client import ClientConfig
from ecr_layer_client.local._session import local_session
from transports import TRANSPORTS, client_class
from wire.servers import Served, read_head, serving

if TYPE_CHECKING:
    from ecr_layer_client._models.config import TransportName

pytestmark = pytest.mark.asyncio

REGION = "us-east-1"
DIGEST = f"sha256:{0:064x}"


def response(availability: str) -> bytes:
    """Return a response that says of the digest what is given."""
    row = {"layerDigest": DIGEST, "layerAvailability": availability}
    body = json.dumps({"layers": [row], "failures": []}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


STALE = response("UNAVAILABLE")


@pytest.mark.parametrize(
    ("late", "connections"),
    [(STALE, 2), (b"HTTP/1.1 100 Continue\r\n\r\n" + STALE, 2), (STALE[:-9], 2), (STALE[:9], 1)],
    ids=["response", "after an interim response", "half of a body", "half of a head"],
)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_late_copy_of_a_response_is_no_result(
    transport: TransportName, late: bytes, connections: int
) -> None:
    """Data that an idle connection receives, such as a copy of a response, is never a response."""
    is_answered, was_repeated = asyncio.Event(), asyncio.Event()

    async def play(
        served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await read_head(served, reader)
            length = served.heads[-1].lower().partition("content-length: ")[2].partition("\r\n")[0]
            await reader.readexactly(int(length))

            writer.write(STALE if len(served.heads) == 1 else response("AVAILABLE"))
            if len(served.heads) == 1:
                await is_answered.wait()
                writer.write(late)
                await writer.drain()
                was_repeated.set()

    make = partial(client_class(transport), region_name=REGION, session=local_session(REGION))
    config = ClientConfig(transport=transport)
    async with serving(play) as served, make(endpoint_url=served.url, config=config) as client:
        first = await client.check_layers("app", [DIGEST])
        is_answered.set()
        await was_repeated.wait()
        second = await client.check_layers("app", [DIGEST])

    found = first.absent, second.available, served.accepted
    assert found == ((DIGEST,), (DIGEST,), connections)
