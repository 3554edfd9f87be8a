"""Ten minutes of work under mixed faults, with keys that rotate: nothing is lost or left over."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.credentials import AioCredentials

from client.steps import client_of, digests_of, now, partial_of, pending_timers
from ecr_layer_client import CallError, ECRLayerClient
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

HELD = [f"sha256:{number:064x}" for number in range(0, 1_000, 2)]
MIXED: list[dict[str, Any]] = [
    *({"error": "ThrottlingException"}, {"error": "ServerException"}, {"status": 502}),
    *({"reset": True}, {"cut_at": 50}, {"body": b""}, {"latency": (0.5, 15.0)}),
    *({"drop_rows": 3}, {"double_rows": 3, "shuffle": True}, {"drip": 500.0}),
]
KEY_SECONDS = 60.0  # that a key is valid


class Rotating(AioCredentials):
    """A source of keys that adds another key to the local ECR every minute."""

    def __init__(self, ecr: LocalECR) -> None:
        super().__init__("", "", method="rotating")
        self._ecr = ecr
        self.numbers: set[int] = set()

    # The stub's base is the synchronous one.
    async def get_frozen_credentials(self) -> Any:  # type: ignore[override]
        """Return the key of this minute. ECR does not know the one before the last any more."""
        number = int(now() / KEY_SECONDS)
        keys = f"key-{number}", f"secret-{number}", f"token-{number}"
        if number not in self.numbers:
            self.numbers.add(number)
            self._ecr.add_key(*keys)
            if number - 2 in self.numbers:
                self._ecr.remove_key(f"key-{number - 2}")
        return await AioCredentials(*keys).get_frozen_credentials()


async def _work(client: ECRLayerClient, random: Random, until: float) -> Counter[str]:
    """Check random digests until a time, and count what is not as it should be."""
    counts: Counter[str] = Counter()
    while now() < until:
        given = [f"sha256:{random.randrange(2_000):064x}" for _ in range(random.randrange(400))]
        timeout = random.choice([None, 5.0, 60.0])
        try:
            result = await client.check_layers("app", given, timeout=timeout)
        except CallError as error:
            result = partial_of(error)

        answered, distinct = digests_of(result), set(given)
        unknown = {*result.unanswered, *result.undetermined}
        counts["checks"] += 1
        counts["lost"] += sorted([*answered, *result.unanswered]) != sorted(distinct)
        counts["wrong"] += set(result.available) != (distinct & set(HELD)) - unknown
        await asyncio.sleep(random.uniform(0.0, 10.0))
    return counts


def _state(client: ECRLayerClient, ecr: LocalECR) -> dict[str, int]:
    resources = client._connection.resources_for(CHECK)
    return {
        "in flight": resources.rate_limiter.pacer._in_flight,
        "waiting": len(resources.rate_limiter._waiting),
        "free slots": resources.slots._value,
        "requests": ecr.in_flight,
        "timers": len(pending_timers()),
    }


@pytest.mark.parametrize("transport", [pytest.param("client", marks=pytest.mark.full), "signed"])
@pytest.mark.parametrize(
    "minutes",
    [
        pytest.param(10, id="10-min"),
        pytest.param(120, id="2-h", marks=[pytest.mark.full, pytest.mark.timeout(600)]),
    ],
)
async def test_soak(ecr: LocalECR, transport: TransportName, minutes: int) -> None:
    """No digest is lost, no outcome is wrong, and no task, slot, timer or connection is left."""
    ecr.seed("app", [(digest, 1) for digest in HELD])
    ecr.faults.seed(7)
    for fault in MIXED:
        ecr.faults.add(probability=0.01 / len(MIXED), **fault)
    ecr.faults.add(probability=0.3, latency=(0.0, 0.2))

    session: Any = ecr.session()
    session._credentials = keys = Rotating(ecr)
    until = now() + minutes * 60.0
    async with client_of(ecr, session, transport=transport, max_concurrency=5) as client:
        randoms = map(Random, range(4))
        counted = await asyncio.gather(*(_work(client, random, until) for random in randoms))
        state = _state(client, ecr)
        assert len(client._connection.users) <= 4

    none_left = {"in flight": 0, "waiting": 0, "free slots": 5, "requests": 0, "timers": 0}
    assert state == none_left
    counts = sum(counted, Counter[str]())
    assert (counts["lost"], counts["wrong"]) == (0, 0)
    assert (counts["checks"] > minutes * 20, len(keys.numbers) >= minutes) == (True, True)
