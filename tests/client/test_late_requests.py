"""A request that was sent long after it was signed, although the clock is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import ClockSkewError

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

LATE: Any = {
    "error": "InvalidSignatureException",
    "message": "Signature expired: 20261123T120000Z is now earlier than 20261123T122000Z",
}


async def test_signed_again(ecr: LocalECR, digests: list[str]) -> None:
    """A late request is signed again and sent once more, with the same keys."""
    ecr.faults.add(**LATE, times=1)
    async with ecr.client() as client:
        result = await client.check_layers("app", digests[:2])
    assert (len(result.absent), ecr.stats.requests) == (2, 2)


async def test_late_again(ecr: LocalECR, digests: list[str]) -> None:
    """A request that is late twice is an error that does not blame the clock."""
    ecr.faults.add(**LATE)
    async with ecr.client() as client:
        with pytest.raises(ClockSkewError) as raised:
            await client.check_layers("app", digests[:1])
    words = "ECR received the request too late, although this machine's clock is right: "
    assert str(raised.value).endswith(f"{words}if the process was paused, try again")
    assert raised.value.skew == pytest.approx(0, abs=60)
    assert ecr.stats.requests == 2
