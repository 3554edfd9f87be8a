"""Show what each constant of the pacer buys: a figure of a simulation with it and without it.

Run it with `make bench-pacer-constants`. Only the pacer is real here, so that hundreds of runs take
a minute or two. `benchmarks/pacing.py` simulates the complete client.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import inf
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fleet import Bucket, Tally

from ecr_layer_client._calls import pacer
from ecr_layer_client._calls.pacer import Pacer

if TYPE_CHECKING:
    from collections.abc import Callable

UNLIMITED = 1e9
SEEDS = range(5)
CHANGE_SECONDS = 10


@dataclass(slots=True)
class Client:
    """A client that keeps requests in line.

    Attributes:
        pacer: Its pacer.
        line: The requests that wait for their turn, given by the time since when they wait.
        left: Requests that are not in the line yet.
        tally: What became of its requests.
        ended: The time at which the last request succeeded.
        turn: The time of the next turn.
    """

    pacer: Pacer
    line: deque[float]
    left: float
    tally: Tally = field(default_factory=Tally)
    ended: float = 0.0
    turn: float = inf


@dataclass(frozen=True, slots=True)
class Scenario:
    """Clients that share a bucket.

    Attributes:
        bucket: The tokens per second, the burst, and the share of requests throttled at random.
        clients: The number of clients.
        round_trip: Seconds that a request and its response take together.
        in_flight: Requests of each client that wait or are in flight.
        ceiling: Requests per second of each client.
        requests: Requests of each client.
        seconds: The end.
        quota: Tokens per second from `CHANGE_SECONDS` on. None if they do not change.
    """

    bucket: tuple[float, float, float]
    clients: int = 1
    round_trip: float = 0.05
    in_flight: int = 50
    ceiling: float = UNLIMITED
    requests: float = UNLIMITED
    seconds: float = 60.0
    quota: float | None = None

    def run(self, seed: int) -> list[Client]:
        """Run the clients in virtual time."""
        random.seed(seed)
        bucket = Bucket(*self.bucket)
        clients = [self._client() for _ in range(self.clients)]
        order = count()
        events: list[tuple[float, int, str, Client, float]] = []

        def at(time: float, event: str, client: Client, since: float = 0.0) -> None:
            heappush(events, (time, next(order), event, client, since))

        for client in clients:
            at(random.uniform(0, 2 * self.round_trip), "turn", client)  # noqa: S311 (no secret)

        while events and events[0][0] < self.seconds:
            now, _, event, client, since = heappop(events)
            if self.quota is not None and now >= CHANGE_SECONDS:
                bucket.rate = self.quota
            if event == "arrival":
                accepted = bucket.take(now)
                client.tally.count(now, accepted=accepted)
                at(now + self._travel(), "accepted" if accepted else "throttled", client, since)
                continue

            self._respond(client, event, since, now)
            wait: float | None = 0.0
            while client.line and (wait := client.pacer.wait(now)) == 0:
                client.pacer.sent(now)
                client.line.popleft()
                at(now + self._travel(), "arrival", client, now)
            if client.line and wait and not now < client.turn <= now + wait:
                client.turn = now + wait
                at(client.turn, "turn", client)
        return clients

    def _client(self) -> Client:
        made = Pacer()
        made.ceiling = self.ceiling
        waiting = int(min(self.in_flight, self.requests))
        return Client(made, deque([0.0] * waiting), self.requests - waiting)

    def _travel(self) -> float:
        return self.round_trip * random.uniform(0.5, 0.55)  # noqa: S311 (no secret)

    def _respond(self, client: Client, event: str, since: float, now: float) -> None:
        if event == "throttled":
            client.pacer.throttled(now, now - since)
            client.line.appendleft(now)
        elif event == "accepted":
            client.pacer.succeeded(now)
            client.ended = now
            if client.left >= 1:
                client.left -= 1
                client.line.append(now)


def counts(clients: list[Client], start: int, end: int) -> tuple[int, int]:
    """Return the accepted and the throttled requests of some seconds."""
    counted = [client.tally.between(start, end) for client in clients]
    return sum(good for good, _ in counted), sum(bad for _, bad in counted)


def waste(scenario: Scenario, start: int = 0) -> float:
    """Return the share of requests that were throttled, on average."""
    return fmean(_waste(scenario.run(seed), start) for seed in SEEDS)


def _waste(clients: list[Client], start: int) -> float:
    accepted, throttled = counts(clients, start, 1_000)
    return throttled / max(1, accepted + throttled)


def goodput(scenario: Scenario, possible: float, start: int = 0) -> float:
    """Return the share of the possible requests per second that were accepted, on average."""
    end = int(scenario.seconds)
    accepted = (counts(scenario.run(seed), start, end)[0] for seed in SEEDS)
    return fmean(accepted) / (end - start) / possible


def job_goodput(scenario: Scenario) -> float:
    """Return the share of the quota that clients use until the last one ends, on average."""
    rate, burst, _ = scenario.bucket
    used: list[float] = []
    for seed in SEEDS:
        clients = scenario.run(seed)
        ended = max(client.ended for client in clients)
        used.append((counts(clients, 0, 1_000)[0] - burst) / rate / ended)
    return fmean(used)


def _goodput_after_growth() -> float:
    return goodput(MORE_QUOTA, 1000, CHANGE_SECONDS)


ONE = Scenario((1000, 200, 0), in_flight=100)
MANY = Scenario((1000, 200, 0), clients=100, in_flight=100, seconds=40)
JOB = Scenario(
    (50, 50, 0), clients=8, round_trip=0.03, in_flight=10, ceiling=800, requests=125, seconds=500
)
NOISY = Scenario((UNLIMITED, UNLIMITED, 0.05), ceiling=800, seconds=30)
SLOW_NOISY = Scenario((UNLIMITED, UNLIMITED, 0.05), in_flight=10, ceiling=40)
MORE_QUOTA = Scenario((100, 50, 0), seconds=40, quota=1000)
ENDING = "8 clients with work that ends, "

# The constant, another value, what is measured, and how.
EXPERIMENTS: list[tuple[str, float, str, Callable[[], float]]] = [
    ("_CONFIRMING_REQUESTS", 10, ENDING + "waste", lambda: waste(JOB)),
    ("_EMPTY_BUCKET_EXCESS", 1, "noise 5 %, goodput", lambda: goodput(NOISY, 800)),
    ("_EMPTY_BUCKET_EXCESS", 8, ENDING + "waste", lambda: waste(JOB)),
    ("_SAMPLE", 5, "noise 5 %, goodput", lambda: goodput(NOISY, 800)),
    ("_SAMPLE", 1e9, "noise 5 %, goodput", lambda: goodput(NOISY, 800)),
    ("_SAMPLE_SECONDS", 1e9, "noise 5 % at 40 a second, goodput", lambda: goodput(SLOW_NOISY, 40)),
    ("_TRIAL_FACTOR", 8, "noise 5 %, goodput", lambda: goodput(NOISY, 800)),
    ("_NOISE_PART", 1.0, "noise 5 %, goodput", lambda: goodput(NOISY, 800)),
    ("_MIN_FIRST_RATE", 0.05, ENDING + "goodput", lambda: job_goodput(JOB)),
    ("_GAIN_PER_SECOND", 0, ENDING + "goodput", lambda: job_goodput(JOB)),
    ("_RECOVERY_SECONDS", 1e9, "quota grows from 100 to 1000, goodput", _goodput_after_growth),
    ("_LOSS_PER_RATE", 1e9, ENDING + "goodput", lambda: job_goodput(JOB)),
    ("_MAX_LOSS_FACTOR", 1e9, "1 client, goodput", lambda: goodput(ONE, 1000, 20)),
    ("_RESPONSE_WEIGHT", 1.0, "100 clients, waste", lambda: waste(MANY, 20)),
]


def main() -> None:
    """Print the table in Markdown."""
    print("| constant | its value | other value | scenario | with it | with the other |")
    print("|---|---:|---:|---|---:|---:|")
    for name, other, scenario, measure in EXPERIMENTS:
        value = getattr(pacer, name)
        figures = [measure()]
        setattr(pacer, name, other)
        figures.append(measure())
        setattr(pacer, name, value)
        measured = " | ".join(f"{figure:.3f}" for figure in figures)
        print(f"| `{name}` | {value:.3g} | {other:.3g} | {scenario} | {measured} |", flush=True)


if __name__ == "__main__":
    main()
