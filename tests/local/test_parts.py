"""Large parts of layers: every spelling of their JSON is the same part."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client.local._protocol import MAX_SMALL_BODY, TARGET_PREFIX, Request
from ecr_layer_client.local._registry.registry import Registry
from ecr_layer_client.local._service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.asyncio

LAYER = bytes(range(256)) * 1024
DIGEST = f"sha256:{hashlib.sha256(LAYER).hexdigest()}"
BLOB = base64.b64encode(LAYER).decode()
assert len(BLOB) > MAX_SMALL_BODY


class Uploading:
    """A registry with one upload in progress."""

    def __init__(self) -> None:
        """Start an upload."""
        registry = Registry(account="123456789012", region="us-east-1")
        registry.run("CreateRepository", {"repositoryName": "app"})
        started = registry.run("InitiateLayerUpload", {"repositoryName": "app"})
        self.upload = {"repositoryName": "app", "uploadId": started["uploadId"]}
        self.service = Service(registry)

    def part(self, blob: object = BLOB) -> dict[str, Any]:
        """Return the members of the one part."""
        where = {"partFirstByte": 0, "partLastByte": len(LAYER) - 1}
        return {**self.upload, **where, "layerPartBlob": blob}

    async def send(self, body: str, operation: str = "UploadLayerPart") -> dict[str, Any]:
        """Send a body, and return the members of the response."""
        headers = {"x-amz-target": f"{TARGET_PREFIX}.{operation}"}
        reply = await self.service.answer(Request("POST", "/", headers, body.encode()))
        answer: dict[str, Any] = json.loads(reply.body[:])
        return answer

    async def complete(self) -> object:
        """Complete the upload, and return the digest of the layer, if it has the bytes."""
        members = {**self.upload, "layerDigests": [DIGEST]}
        return (await self.send(json.dumps(members), "CompleteLayerUpload")).get("layerDigest")


def last(part: dict[str, Any]) -> str:
    """Spell the blob last, as most clients do."""
    return json.dumps(part)


def first(part: dict[str, Any]) -> str:
    """Spell the blob first."""
    return json.dumps(dict(reversed(part.items())))


def spaced(part: dict[str, Any]) -> str:
    """Put spaces around everything."""
    return json.dumps(part, indent=2, separators=(" , ", " \t:\n "))


def escaped(part: dict[str, Any]) -> str:
    """Escape slashes and plus signs, as some languages do."""
    return json.dumps(part).replace("/", "\\/").replace("+", "\\u002b")


def named_elsewhere(part: dict[str, Any]) -> str:
    """Use the name of the blob for other things, too."""
    return json.dumps({"a": "layerPartBlob", "b": {"layerPartBlob": "x"}, **part})


@pytest.mark.parametrize("spell", [last, first, spaced, escaped, named_elsewhere])
async def test_a_large_part_is_spelt_in_any_way(spell: Callable[[dict[str, Any]], str]) -> None:
    """Order, spaces and escapes of the JSON don't matter."""
    uploading = Uploading()
    answer = await uploading.send(spell(uploading.part()))
    assert (answer.get("lastByteReceived"), await uploading.complete()) == (len(LAYER) - 1, DIGEST)


@pytest.mark.parametrize(
    "blob",
    ["?" + BLOB[1:], BLOB[:-1], BLOB[:-4] + '\\"AA', [BLOB], {"layerPartBlob": BLOB}],
    ids=["character", "length", "quote", "list", "object"],
)
async def test_a_large_part_that_is_not_base64_is_rejected(blob: object) -> None:
    """A blob that is not base64 is an error that names the member, and nothing is appended."""
    uploading = Uploading()
    answer = await uploading.send(json.dumps(uploading.part(blob)))
    message = (
        "Invalid parameter at 'layerPartBlob' failed to satisfy constraint: "
        "'must be a string of base64'"
    )
    assert answer == {"__type": "InvalidParameterException", "message": message}

    answer = await uploading.send(json.dumps(uploading.part()))
    assert (answer["lastByteReceived"], await uploading.complete()) == (len(LAYER) - 1, DIGEST)


@pytest.mark.parametrize("cut", [1, 2, 200_000])
async def test_a_large_part_that_is_cut_is_not_json(cut: int) -> None:
    """A body that ends early is rejected."""
    uploading = Uploading()
    answer = await uploading.send(json.dumps(uploading.part())[:-cut])
    assert answer["__type"] == "SerializationException"


async def test_a_part_above_20_mib_is_rejected() -> None:
    """The service model's limit applies to the decoded bytes."""
    uploading = Uploading()
    part = uploading.part("AAAA" * (20_971_520 // 3 + 1))
    answer = await uploading.send(json.dumps(part))
    assert "must have length less than or equal to 20971520" in answer["message"]
