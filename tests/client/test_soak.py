"""Ten minutes of work under mixed faults, keys rotating: it ends as it began, and every digest is accounted for."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.credentials import AioCredentials

from ecr_layer_client import CallError, ClientConfig, ECRLayerClient
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


@pytest.fixture(params=[pytest.param("client", marks=pytest.mark.full), "signed"])
def transport(request: pytest.FixtureRequest) -> TransportName:
    """Give the transport that most clients take; the other one, too, where there is time."""
    transport: TransportName = request.param
    return transport


HELD = [f"sha256:{number:064x}" for number in range(0, 1_000, 2)]
MIXED: list[dict[str, Any]] = [
    {"error": "ThrottlingException"},
    {"error": "ServerException"},
    {"status": 502},
    {"reset": True},
    {"cut_at": 50},
    {"body": b""},
    {"latency": (0.5, 15.0)},
    {"drop_rows": 3},
    {"double_rows": 3, "shuffle": True},
    {"drip": 500.0},
]
EVERY = 60.0  # seconds that a key is good for


class Rotating(AioCredentials):
    """A source of keys that gives another one every minute, and makes it known."""

    def __init__(self, ecr: LocalECR) -> None:
        super().__init__("", "", method="rotating")
        self._ecr = ecr
        self._known: set[int] = set()

    # The stub's base is the synchronous one.
    async def get_frozen_credentials(self) -> Any:  # type: ignore[override]
        """Return the key of this minute; the one before the last is known no more."""
        number = int(asyncio.get_running_loop().time() / EVERY)
        if number not in self._known:
            self._known.add(number)
            self._ecr.add_key(f"key-{number}", f"secret-{number}", f"token-{number}")
            if number - 2 in self._known:
                self._ecr.remove_key(f"key-{number - 2}")
        return await AioCredentials(
            f"key-{number}", f"secret-{number}", f"token-{number}"
        ).get_frozen_credentials()

    @property
    def rotations(self) -> int:
        """How many keys were given."""
        return len(self._known)


async def _work(client: ECRLayerClient, random: Random, until: float) -> Counter[str]:
    """Check random digests until then, and count what is not as it should be."""
    counts: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        asked = [f"sha256:{random.randrange(2_000):064x}" for _ in range(random.randrange(400))]
        distinct = set(asked)
        try:
            result = await client.check_layers(
                "app", asked, timeout=random.choice([None, 5.0, 60.0])
            )
        except CallError as error:
            assert error.partial is not None
            result = error.partial
            counts["errors"] += 1
        found = [outcome.digest for outcome in result]
        counts["checks"] += 1
        counts["lost"] += sorted([*found, *result.unanswered]) != sorted(distinct)
        counts["wrong"] += set(result.available) != (distinct & set(HELD)) - set(
            result.unanswered
        ) - set(result.undetermined)
        await asyncio.sleep(random.uniform(0.0, 10.0))
    return counts


def _session(ecr: LocalECR, keys: Rotating) -> Any:
    session: Any = ecr.session()
    session._credentials = keys
    return session


async def _soak(
    ecr: LocalECR, seconds: float, transport: TransportName
) -> tuple[Counter[str], int]:
    ecr.seed("app", [(digest, 1) for digest in HELD])
    ecr.faults.seed(7)
    for fault in MIXED:
        ecr.faults.add(probability=0.01 / len(MIXED), **fault)
    ecr.faults.add(probability=0.3, latency=(0.0, 0.2))
    keys = Rotating(ecr)
    config = ClientConfig(max_concurrency=5, transport=transport)
    client = ECRLayerClient(
        region_name=ecr.region,
        endpoint_url=ecr.endpoint_url,
        session=_session(ecr, keys),
        config=config,
    )
    async with client:
        until = asyncio.get_running_loop().time() + seconds
        # No secrets.
        counted = await asyncio.gather(*(_work(client, Random(seed), until) for seed in range(4)))  # noqa: S311
        resources = client._connection.resources_for(CHECK)
        rate_limiter, slots = resources.rate_limiter, resources.slots
        assert (
            rate_limiter.pacer._in_flight,
            len(rate_limiter._waiting),
            slots._value,
            ecr.in_flight,
        ) == (0, 0, 5, 0)
        loop: Any = asyncio.get_running_loop()
        assert [timer for timer in loop._scheduled if not timer.cancelled()] == []
        assert len(client._connection.users) <= 4
    return sum(counted, Counter[str]()), keys.rotations


@pytest.mark.parametrize(
    "minutes",
    [
        pytest.param(10, id="10-min"),
        pytest.param(120, id="2-h", marks=[pytest.mark.full, pytest.mark.timeout(600)]),
    ],
)
async def test_soak(ecr: LocalECR, transport: TransportName, minutes: int) -> None:
    """No digest is lost, no answer is wrong, and nothing is left: no task, turn, slot, timer, connection."""
    counts, rotations = await _soak(ecr, minutes * 60.0, transport)
    assert (
        counts["lost"],
        counts["wrong"],
        counts["checks"] > minutes * 20,
        rotations >= minutes,
    ) == (0, 0, True, True)
