"""Clients that share a quota without knowing it, simulated on the real client in virtual time."""

from __future__ import annotations

import asyncio
import random

import pytest
from fleet import Job, Outcome, run, run_job

from ecr_layer_client import ClientConfig
from virtual_time import VirtualTimeLoop

_NO_CEILING = 1e9  # requests a second


def _outcome(
    clients: int,
    *,
    rate: float,
    burst: float,
    round_trip: float,
    start: int,
    end: int,
    in_flight: int = 100,
    ceiling: float | None = _NO_CEILING,
    noise: float = 0.0,
) -> Outcome:
    random.seed(0)
    config = ClientConfig(batch_size=1, max_concurrency=in_flight, requests_per_second=ceiling)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        tallies = runner.run(
            run(
                config,
                clients=clients,
                rate=rate,
                burst=burst,
                round_trip=round_trip,
                seconds=end,
                noise=noise,
            )
        )

    return Outcome.of(tallies, rate, start, end)


@pytest.mark.parametrize(
    ("clients", "goodput", "waste", "fairness"),
    [
        pytest.param(1, 0.97, 0.03, 1.0, id="1"),
        pytest.param(8, 0.92, 0.06, 0.85, id="8"),
        pytest.param(10, 0.95, 0.05, 0.85, id="10"),
    ],
)
def test_a_small_quota(clients: int, goodput: float, waste: float, fairness: float) -> None:
    """Clients use a quota of 100 requests a second, waste little of it and share it fairly."""
    outcome = _outcome(clients, rate=100, burst=20, round_trip=0.05, start=20, end=60)
    assert (outcome.goodput >= goodput, outcome.waste <= waste, outcome.fairness >= fairness) == (
        True,
        True,
        True,
    ), outcome


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("clients", "goodput", "waste", "fairness"),
    [
        pytest.param(1, 0.97, 0.03, 1.0, id="1"),
        pytest.param(8, 0.92, 0.06, 0.0, id="8"),
        pytest.param(100, 0.95, 0.05, 0.85, id="100"),
    ],
)
def test_ecrs_quota(clients: int, goodput: float, waste: float, fairness: float) -> None:
    """Clients use ECR's quota of 1,000 requests a second, waste little and share it fairly."""
    outcome = _outcome(clients, rate=1000, burst=200, round_trip=0.05, start=20, end=60)
    assert (outcome.goodput >= goodput, outcome.waste <= waste, outcome.fairness >= fairness) == (
        True,
        True,
        True,
    ), outcome


def test_the_default_ceiling() -> None:
    """By default, a client sends at most 800 requests a second: 80 % of ECR's default quota."""
    outcome = _outcome(1, rate=1000, burst=200, round_trip=0.05, start=1, end=6, ceiling=None)
    assert (round(outcome.goodput, 2), outcome.waste) == (0.8, 0.0)


def _noisy(noise: float, *, seconds: int, ceiling: float, in_flight: int) -> tuple[bool, bool]:
    """Return whether a client that is throttled at random uses half of its ceiling, and waits 10 s.

    The server has no quota.
    """
    outcome = _outcome(
        1,
        rate=_NO_CEILING,
        burst=_NO_CEILING,
        round_trip=0.05,
        start=0,
        end=seconds,
        in_flight=in_flight,
        ceiling=ceiling,
        noise=noise,
    )
    return outcome.goodput * _NO_CEILING / ceiling >= 0.5, outcome.wait <= 10


@pytest.mark.parametrize("noise", [0.01, 0.05, 0.2])
def test_random_throttling(noise: float) -> None:
    """A server that throttles at random leaves half of the ceiling, and no digest waits 10 s."""
    assert _noisy(noise, seconds=20, ceiling=200, in_flight=20) == (True, True)


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize("noise", [0.01, 0.05, 0.2])
def test_random_throttling_for_long(noise: float) -> None:
    """Random throttling leaves half of the default ceiling for 300 s, and no digest waits 10 s."""
    assert _noisy(noise, seconds=300, ceiling=800, in_flight=50) == (True, True)


@pytest.mark.parametrize("in_flight", [10, 50])
def test_the_first_second_counts(in_flight: int) -> None:
    """One client on a quota of 50 wastes little, although it knows no quota in its first second."""
    outcome = _outcome(1, rate=50, burst=50, round_trip=0.03, start=0, end=20, in_flight=in_flight)
    assert (outcome.goodput >= 0.95, outcome.waste <= (0.06 if in_flight == 10 else 0.08)) == (
        True,
        True,
    ), outcome


def test_eight_clients_that_begin_at_once() -> None:
    """Eight clients that begin at once on a quota of 50 waste at most 12 %, from the start on."""
    outcome = _outcome(8, rate=50, burst=50, round_trip=0.03, start=0, end=20, in_flight=10)
    assert (outcome.goodput >= 0.88, outcome.waste <= 0.12) == (True, True), outcome


def _job(seed: int) -> Job:
    random.seed(seed)
    config = ClientConfig(batch_size=1, max_concurrency=10)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(
            run_job(config, clients=8, digests=1_000, rate=50, burst=50, round_trip=0.03)
        )


def test_work_that_ends() -> None:
    """Eight clients that share work use a quota of 50 until the last one ends, in 12 runs of 12."""
    jobs = [_job(seed) for seed in range(12)]
    goodput, waste = sorted(job.goodput for job in jobs), sorted(job.waste for job in jobs)

    assert ({job.answered for job in jobs}, goodput[0] >= 0.88, waste[-1] <= 0.12) == (
        {1_000},
        True,
        True,
    ), (goodput, waste)


@pytest.mark.full
@pytest.mark.timeout(300)
def test_work_that_ends_nearly_always_ends_well() -> None:
    """In 95 % of 200 runs, clients use 88 % of the quota; in 95 %, they waste at most 12 %."""
    jobs = [_job(seed) for seed in range(200)]
    goodput, waste = sorted(job.goodput for job in jobs), sorted(job.waste for job in jobs)

    assert (goodput[10] >= 0.88, waste[-11] <= 0.12) == (True, True), (goodput[10], waste[-11])
