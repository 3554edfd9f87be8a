"""A fleet of clients that share one quota, simulated in virtual time on the real client code.

The code of `stream_layers` down to the transport is real. A token bucket, half a round trip away,
replaces the transport. It may throttle some requests at random, too. Each client has its own pacer,
as clients in separate processes have.
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
from ecr_layer_client._transport.credentials import Credentials
from ecr_layer_client._transport.opening import Identity, OpenedTransport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ecr_layer_client._transport.operation import Operation

T = TypeVar("T")


class Bucket:
    """ECR's quota: a bucket of at most `burst` tokens, which refills at a rate.

    A request takes a token. A request that finds no token is throttled.

    Args:
        rate: Tokens per second. A server without a quota has very many.
        burst: The most tokens that are saved up.
        noise: The share of requests, 0 to 1, that are throttled at random and take no token.
    """

    def __init__(self, rate: float, burst: float, noise: float = 0.0) -> None:
        self.rate = rate
        self.burst = burst
        self.noise = noise
        self._tokens = burst
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Take a token for a request, and return whether the request is accepted."""
        if random.random() < self.noise:  # noqa: S311 (no secret)
            return False
        self._tokens = min(self.burst, self._tokens + self.rate * (now - self._at))
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(slots=True)
class Tally:
    """The accepted and throttled requests of one client in each second.

    Attributes:
        accepted: The number of accepted requests, by second.
        throttled: The number of throttled requests, by second.
        waiting: The time from which each digest without an outcome has waited.
        longest_wait: The most seconds that a digest waited for its outcome.
    """

    accepted: dict[int, int] = field(default_factory=dict[int, int])
    throttled: dict[int, int] = field(default_factory=dict[int, int])
    waiting: dict[str, float] = field(default_factory=dict[str, float])
    longest_wait: float = 0.0

    def count(self, now: float, *, accepted: bool) -> None:
        """Count a request."""
        seconds = self.accepted if accepted else self.throttled
        seconds[int(now)] = seconds.get(int(now), 0) + 1

    def watch(self, digests: Iterable[str]) -> Iterator[str]:
        """Yield the digests, and note when each of them is taken."""
        loop = asyncio.get_running_loop()
        for digest in digests:
            self.waiting[digest] = loop.time()
            yield digest

    def settle(self, digests: Iterable[str], now: float) -> None:
        """End the wait of digests."""
        for digest in digests:
            self.longest_wait = max(self.longest_wait, now - self.waiting.pop(digest, now))

    def between(self, start: int, end: int) -> tuple[int, int]:
        """Return the accepted and the throttled requests from second `start` to before `end`."""
        seconds = range(start, end)
        accepted = sum(self.accepted.get(second, 0) for second in seconds)
        throttled = sum(self.throttled.get(second, 0) for second in seconds)
        return accepted, throttled


class SimulatedTransport:
    """A transport that sends requests to a bucket.

    Args:
        bucket: The bucket that accepts or throttles requests.
        round_trip: Seconds that a request and its response take together.
        jitter: The most seconds, drawn at random, that each way takes longer. Default 0.
    """

    def __init__(self, bucket: Bucket, round_trip: float, jitter: float = 0.0) -> None:
        self.tally = Tally()
        self._bucket = bucket
        self._round_trip = round_trip
        self._jitter = jitter

    async def aclose(self) -> None:
        """Return at once: the transport holds no resources."""

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
        self.tally.settle(check.digests, loop.time())
        return cast("T", Settled(dict.fromkeys(check.digests, _LAYER), 0))

    async def _travel(self) -> None:
        jitter = random.uniform(0.0, self._jitter)  # noqa: S311 (no secret)
        await asyncio.sleep(self._round_trip / 2 + jitter)


_LAYER = Layer(digest="sha256:00", availability=LayerAvailability.AVAILABLE)


def client_of(transport: SimulatedTransport, config: ClientConfig) -> ECRLayerClient:
    """Return an open client that uses the transport."""
    client = ECRLayerClient(config=config)
    connection = client._connection
    identity = Identity("http://127.0.0.1:1", "us-east-1", "simulated")
    credentials = Credentials(None)
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
    """Yield digests without end, different ones for each client."""
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
    noise: float = 0.0,
) -> list[Tally]:
    """Run a fleet for some virtual seconds, and return the tally of each client."""
    bucket = Bucket(rate, burst, noise)
    transports = [SimulatedTransport(bucket, round_trip) for _ in range(clients)]

    async def check(number: int) -> None:
        client = client_of(transports[number], config)
        digests = transports[number].tally.watch(endless(number))
        async with client.stream_layers("app", digests) as stream:
            async for _ in stream:
                pass

    tasks = [asyncio.create_task(check(number)) for number in range(clients)]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

    now = asyncio.get_running_loop().time()
    for transport in transports:
        transport.tally.settle(list(transport.tally.waiting), now)
    return [transport.tally for transport in transports]


@dataclass(frozen=True, slots=True)
class Job:
    """The outcome of a fleet's work that ends.

    Attributes:
        answered: Answered digests of all clients.
        goodput: The share of the quota that was used until the last client ended, without the
            saved-up burst.
        waste: The share of requests that were throttled.
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
    """Run a fleet whose clients share the digests evenly and begin at about the same moment."""
    bucket = Bucket(rate, burst)
    transports = [
        SimulatedTransport(bucket, round_trip, jitter=round_trip / 10) for _ in range(clients)
    ]

    async def check(number: int) -> int:
        await asyncio.sleep(random.uniform(0.0, 2 * round_trip))  # noqa: S311 (no secret)
        share = islice(endless(number), digests // clients)
        result = await client_of(transports[number], config).check_layers("app", share)
        return len(result.outcomes)

    loop = asyncio.get_running_loop()
    began = loop.time()
    answered = sum(await asyncio.gather(*map(check, range(clients))))
    elapsed = loop.time() - began

    counts = [each.tally.between(0, int(loop.time()) + 1) for each in transports]
    accepted = sum(good for good, _ in counts)
    throttled = sum(bad for _, bad in counts)
    return Job(answered, (accepted - burst) / rate / elapsed, throttled / (accepted + throttled))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A fleet's use of its quota.

    Attributes:
        goodput: Accepted requests, as a share of those that the bucket could have accepted.
        waste: The share of requests that were throttled.
        fairness: Jain's index of the clients' accepted requests: 1 if all clients had the same.
        wait: The most seconds that a digest waited for its outcome, from the start on.
    """

    goodput: float
    waste: float
    fairness: float
    wait: float

    @classmethod
    def of(cls, tallies: Sequence[Tally], rate: float, start: int, end: int) -> Outcome:
        """Return the outcome of the seconds from `start` to before `end`."""
        counted = [tally.between(start, end) for tally in tallies]
        accepted = [good for good, _ in counted]
        sent = sum(good + bad for good, bad in counted)

        squares = sum(count * count for count in accepted)
        fairness = sum(accepted) ** 2 / (len(accepted) * squares) if squares else 0.0
        goodput = sum(accepted) / (rate * max(1, end - start))
        wait = max(tally.longest_wait for tally in tallies)
        return cls(goodput, 1 - sum(accepted) / max(1, sent), fairness, wait)
