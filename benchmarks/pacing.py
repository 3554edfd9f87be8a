"""Simulate clients that share a quota in virtual time: their goodput, waste and fairness.

Run it with `make bench-pacing`. The bucket refills at 1,000 requests a second (ECR's default quota
for the check), saves up 200, and is 25 ms away.

- The first table compares this library's pacer with plain backoff, in which throttled requests wait
  by full jitter and nothing else delays a request.
- The second table shows a server without a quota that throttles requests at random. A client must
  not take that for a quota.
- The third table shows work that ends, in which the last clients must take over the share of the
  quota that the others no longer use.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fleet import Bucket, Job, Outcome, Tally, run, run_job

from ecr_layer_client import ClientConfig
from ecr_layer_client._checks.operation import CHECK
from ecr_layer_client._models.quotas import ceiling_of
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine

RATE, BURST, ROUND_TRIP = 1000.0, 200.0, 0.05
START, END = 20, 60
CEILING = ceiling_of(CHECK)
IN_FLIGHT = 100
JOBS = 100
NOISE_SECONDS, UNLIMITED = 300, 1e9
BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.05, 20.0
PUBLISHED = """botocore's own modes on the same bucket, from an earlier study (not run here):
- Standard mode has three attempts and a bucket of 500 retry tokens, so that in bulk its caller gets
  the throttling errors.
- Adaptive mode used 28 % of the quota with one client."""


async def plain_backoff(clients: int) -> list[Tally]:
    """Run clients that keep `IN_FLIGHT` requests in flight and wait by full jitter if throttled."""
    bucket = Bucket(RATE, BURST)
    tallies = [Tally() for _ in range(clients)]
    loop = asyncio.get_running_loop()

    async def send_requests(tally: Tally) -> None:
        throttled = 0
        while True:
            await asyncio.sleep(ROUND_TRIP / 2)
            accepted = bucket.take(loop.time())
            tally.count(loop.time(), accepted=accepted)
            await asyncio.sleep(ROUND_TRIP / 2)

            throttled = 0 if accepted else throttled + 1
            if throttled:
                backoff = min(MAX_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0 ** min(throttled - 1, 60))
                await asyncio.sleep(random.uniform(0, backoff))  # noqa: S311 (no secret)

    tasks = [
        asyncio.create_task(send_requests(tally)) for tally in tallies for _ in range(IN_FLIGHT)
    ]
    await asyncio.sleep(END)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return tallies


def ours(clients: int) -> Coroutine[None, None, list[Tally]]:
    """Run clients of this library, each with its own pacer and without the usual ceiling."""
    config = ClientConfig(batch_size=1, max_concurrency=IN_FLIGHT, requests_per_second=1e9)
    return run(config, clients=clients, rate=RATE, burst=BURST, round_trip=ROUND_TRIP, seconds=END)


def noisy(noise: float) -> Outcome:
    """Run one client under its default ceiling, on a server that throttles requests at random."""
    random.seed(0)
    config = ClientConfig(batch_size=1, max_concurrency=50)
    fleet = run(
        config,
        clients=1,
        rate=UNLIMITED,
        burst=UNLIMITED,
        round_trip=ROUND_TRIP,
        seconds=NOISE_SECONDS,
        noise=noise,
    )
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return Outcome.of(runner.run(fleet), CEILING, 0, NOISE_SECONDS)


def simulate(fleet: Coroutine[None, None, list[Tally]]) -> Outcome:
    """Run a fleet in virtual time."""
    random.seed(0)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return Outcome.of(runner.run(fleet), RATE, START, END)


def job(seed: int) -> Job:
    """Run eight clients that share 1,000 requests on a quota of 50 a second."""
    random.seed(seed)
    config = ClientConfig(batch_size=1, max_concurrency=10)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(
            run_job(config, clients=8, digests=1_000, rate=50, burst=50, round_trip=0.03)
        )


def main() -> None:
    """Print the tables in Markdown."""
    print_endless_work()
    print(f"\n{PUBLISHED}")
    print_noise()
    print_work_that_ends()


def print_endless_work() -> None:
    """Print the goodput, waste and fairness of clients that never end."""
    print(
        f"Bucket of {RATE:.0f} requests a second, burst {BURST:.0f}, "
        f"round trip {ROUND_TRIP * 1000:.0f} ms; seconds {START} to {END}.\n"
    )

    print("| clients | way | goodput | waste | fairness (Jain) |\n|---:|---|---:|---:|---:|")
    for clients in (1, 8, 100):
        for name, way in (("this library", ours), ("plain backoff", plain_backoff)):
            outcome = simulate(way(clients))
            shares = f"{outcome.goodput:.1%} | {outcome.waste:.1%} | {outcome.fairness:.2f}"
            print(f"| {clients} | {name} | {shares} |", flush=True)


def print_noise() -> None:
    """Print the goodput and the longest wait of a client whose requests are throttled at random."""
    print(
        f"\nOne client, {CEILING:.0f} requests a second at most, on a server that throttles "
        f"requests at random; {NOISE_SECONDS} seconds. Bar at 5 %: goodput 50 %, wait 10 s.\n"
    )
    print("| throttled at random | goodput, of the ceiling | longest wait |\n|---:|---:|---:|")
    for noise in (0.01, 0.05, 0.2):
        outcome = noisy(noise)
        print(f"| {noise:.0%} | {outcome.goodput:.1%} | {outcome.wait:.1f} s |", flush=True)


def print_work_that_ends() -> None:
    """Print the goodput and waste of clients that share work which ends."""
    jobs = [job(seed) for seed in range(JOBS)]
    goodput, waste = sorted(each.goodput for each in jobs), sorted(each.waste for each in jobs)

    print(
        "\nEight clients share 1,000 requests on a quota of 50 a second (burst 50, 30 ms away), "
        f"from the first second on; {JOBS} runs.\n"
    )
    print("| | median | 95 % of runs |\n|---|---:|---:|")
    print(f"| goodput, at least | {goodput[JOBS // 2]:.1%} | {goodput[JOBS // 20]:.1%} |")
    print(f"| waste, at most | {waste[JOBS // 2]:.1%} | {waste[JOBS - 1 - JOBS // 20]:.1%} |")


if __name__ == "__main__":
    main()
