"""A fleet of clients that share one quota, simulated in virtual time on the real client code.

Everything is real from `stream_layers` down to the transport; in the transport's place stands a
token bucket, half a round trip away. Each client has a pacer of its own, as clients in as many
processes would.
"""

from __future__ import annotations

import asyncio
import os
import random
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, TypeVar, cast

from ecr_layer_client import ClientConfig, ECRLayerClient, Layer, LayerAvailability, ThrottledError
from ecr_layer_client._calls.connection import Resources
from ecr_layer_client._calls.rate_limiter import RateLimiter
from ecr_layer_client._checks.operation import CHECK, Check, Settled
from ecr_layer_client._models.quotas import ceiling_of
from ecr_layer_client._transport.credentials import BorrowedCredentials
from ecr_layer_client._transport.opening import Identity, OpenedTransport

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ecr_layer_client._transport.operation import Operation

T = TypeVar("T")


class Bucket:
    """ECR's quota: tokens refill at a rate up to a burst.

    A request without a token is throttled and costs none.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Accept a request, or throttle it."""
        self._tokens = min(self.burst, self._tokens + self.rate * (now - self._at))
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(slots=True)
class Tally:
    """What one client's requests came to, second by second."""

    accepted: dict[int, int] = field(default_factory=dict[int, int])
    throttled: dict[int, int] = field(default_factory=dict[int, int])

    def count(self, now: float, *, accepted: bool) -> None:
        """Count a request."""
        seconds = self.accepted if accepted else self.throttled
        seconds[int(now)] = seconds.get(int(now), 0) + 1

    def between(self, start: int, end: int) -> tuple[int, int]:
        """Return how many were accepted and how many throttled from second `start` to before `end`."""
        seconds = range(start, end)
        return sum(self.accepted.get(second, 0) for second in seconds), sum(
            self.throttled.get(second, 0) for second in seconds
        )


class SimulatedTransport:
    """The way to a bucket and back.

    Args:
        bucket: What accepts requests.
        round_trip: Seconds there and back.
        jitter: Seconds that each way may take longer, by chance. Default 0.
    """

    def __init__(self, bucket: Bucket, round_trip: float, jitter: float = 0.0) -> None:
        self.tally = Tally()
        self._bucket = bucket
        self._round_trip = round_trip
        self._jitter = jitter

    async def aclose(self) -> None:
        """Hold nothing."""

    async def send(self, operation: Operation[T]) -> T:
        """Send a request to the bucket."""
        loop = asyncio.get_running_loop()
        await self._travel()
        accepted = self._bucket.take(loop.time())
        self.tally.count(loop.time(), accepted=accepted)
        await self._travel()
        if not accepted:
            msg = "Rate exceeded"
            raise ThrottledError(msg, repository=operation.repository, request_id="simulated")
        check = cast("Check", operation)  # no other operation is simulated
        return cast("T", Settled(dict.fromkeys(check.digests, _LAYER), 0))

    async def _travel(self) -> None:
        # Chance, not a secret.
        await asyncio.sleep(self._round_trip / 2 + random.uniform(0.0, self._jitter))  # noqa: S311


_LAYER = Layer(digest="sha256:00", availability=LayerAvailability.AVAILABLE)


def client_of(transport: SimulatedTransport, config: ClientConfig) -> ECRLayerClient:
    """Return an open client whose way to ECR is `transport`."""
    client = ECRLayerClient(config=config)
    connection = client._connection
    identity = Identity("http://127.0.0.1:1", "us-east-1", "simulated")
    credentials = BorrowedCredentials()
    connection._opened = OpenedTransport(transport, identity, credentials)
    connection._home = asyncio.get_running_loop(), os.getpid()

    # Each client has a rate limiter of its own, as a client in another process has.
    limiter = RateLimiter()
    limiter.set_ceiling(connection, ceiling_of(CHECK, config.requests_per_second))
    connection._resources[CHECK] = Resources(
        transport, identity.region_name, credentials, limiter, connection._slots
    )
    return client


def endless(client: int) -> Iterator[str]:
    """Return digests without end."""
    number = 0
    while True:
        yield f"sha256:{client:032x}{number:032x}"
        number += 1


async def run(
    config: ClientConfig,
    *,
    clients: int,
    rate: float,
    burst: float,
    round_trip: float,
    seconds: float,
) -> list[Tally]:
    """Let a fleet ask one digest a request for some virtual seconds, and return each client's tally."""
    bucket = Bucket(rate, burst)
    transports = [SimulatedTransport(bucket, round_trip) for _ in range(clients)]

    async def ask(number: int) -> None:
        async with client_of(transports[number], config).stream_layers(
            "app", endless(number)
        ) as stream:
            async for _ in stream:
                pass

    tasks = [asyncio.create_task(ask(number)) for number in range(clients)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return [transport.tally for transport in transports]


@dataclass(frozen=True, slots=True)
class Job:
    """What a fleet made of work that ends.

    Attributes:
        answered: Digests that all clients together have answers for.
        goodput: The share of the quota that was used until the last client ended, the saved-up
            burst left out.
        waste: Throttled requests, of all.
    """

    answered: int
    goodput: float
    waste: float


async def run_job(
    config: ClientConfig,
    *,
    clients: int,
    digests: int,
    rate: float,
    burst: float,
    round_trip: float,
) -> Job:
    """Let a fleet share `digests` evenly, one a request, all from about the same moment on."""
    bucket = Bucket(rate, burst)
    transports = [
        SimulatedTransport(bucket, round_trip, jitter=round_trip / 10) for _ in range(clients)
    ]

    async def check(number: int) -> int:
        await asyncio.sleep(random.uniform(0.0, 2 * round_trip))  # noqa: S311 (as above)
        result = await client_of(transports[number], config).check_layers(
            "app", islice(endless(number), digests // clients)
        )
        return len(result.outcomes)

    loop = asyncio.get_running_loop()
    began = loop.time()
    answered = sum(await asyncio.gather(*map(check, range(clients))))
    elapsed = loop.time() - began
    accepted, throttled = (
        sum(counts)
        for counts in zip(
            *(each.tally.between(0, int(loop.time()) + 1) for each in transports), strict=True
        )
    )
    return Job(answered, (accepted - burst) / rate / elapsed, throttled / (accepted + throttled))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fleet made of its quota.

    Attributes:
        goodput: Accepted requests, of those the bucket could have accepted.
        waste: Throttled requests, of all.
        fairness: Jain's index of the clients' accepted requests; 1 where all had the same.
    """

    goodput: float
    waste: float
    fairness: float

    @classmethod
    def of(cls, tallies: Sequence[Tally], rate: float, start: int, end: int) -> Outcome:
        """Sum up the seconds from `start` to before `end`."""
        counted = [tally.between(start, end) for tally in tallies]
        accepted = [good for good, _ in counted]
        sent = sum(good + bad for good, bad in counted)
        squares = sum(count * count for count in accepted)
        fairness = sum(accepted) ** 2 / (len(accepted) * squares) if squares else 0.0
        return cls(
            sum(accepted) / (rate * max(1, end - start)), 1 - sum(accepted) / max(1, sent), fairness
        )
