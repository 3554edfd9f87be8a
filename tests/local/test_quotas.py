"""Quotas are token buckets on the loop's time, and the latency of the registry is its option."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from botocore.config import Config

from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._quotas import Bucket
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

CHECK = "BatchCheckLayerAvailability"
T = TypeVar("T")


def in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop whose clock begins at 0 and jumps."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


async def outcomes(
    client: Any, times: int, operation: str = "describe_repositories", **members: Any
) -> str:
    """Send this many requests in turn, and return a letter for each: o (ok) or T (throttled)."""

    async def once() -> str:
        try:
            await getattr(client, operation)(**members)
        except client.exceptions.ClientError as error:
            return {(400, "ThrottlingException", "Rate exceeded"): "T"}[facts(error)]
        return "o"

    return "".join([await once() for _ in range(times)])


def facts(error: Any) -> tuple[int, str, str]:
    """Return the status, the code and the message of an error."""
    return (
        error.response["ResponseMetadata"]["HTTPStatusCode"],
        error.response["Error"]["Code"],
        error.response["Error"]["Message"],
    )


def scenario(play: Callable[[LocalECR, Any], Coroutine[Any, Any, T]], **options: Any) -> T:
    """Run a scenario in memory and in virtual time, with a client that does not retry."""

    async def main() -> T:
        async with LocalECR(in_memory=True, **options) as ecr:
            session: Any = ecr.session()
            config = Config(retries={"total_max_attempts": 1})
            async with session.create_client(
                "ecr", endpoint_url=ecr.endpoint_url, config=config
            ) as client:
                return await play(ecr, client)

    return in_virtual_time(main())


# -- the bucket


def test_a_bucket_starts_full() -> None:
    """A bucket accepts a burst at once, and no more."""
    bucket = Bucket(rate=10, burst=3)
    assert [bucket.take(5.0) for _ in range(5)] == [True, True, True, False, False]


def test_a_rejection_costs_nothing() -> None:
    """A bucket that rejected 100 requests accepts as soon as one without requests."""
    bucket = Bucket(rate=10, burst=1)
    bucket.take(0.0)
    assert [bucket.take(0.0999 * number / 100) for number in range(101)] == [False] * 101
    assert bucket.take(0.1)


def test_a_bucket_accepts_its_rate() -> None:
    """With 1,000 requests per second for 10 seconds, a bucket of 50 accepts 499 and its burst."""
    bucket = Bucket(rate=50, burst=7)
    assert sum(bucket.take(number / 1000) for number in range(10_000)) == 7 + 499


def test_rounding_rejects_nothing() -> None:
    """One request each 0.1 s is within 10 per second, whatever the rounding of 0.1."""
    bucket = Bucket(rate=10, burst=1)
    at, taken = 0.0, True
    for _ in range(10_000):
        taken = taken and bucket.take(at)
        at += 0.1
    assert taken


def test_a_clock_that_is_behind_changes_nothing() -> None:
    """A registry opened on another loop, whose clock is behind, continues from there."""
    bucket = Bucket(rate=10, burst=2)
    assert [bucket.take(at) for at in (100.0, 0.0, 0.0, 0.1)] == [True, True, False, True]


# -- in the registry


def test_above_the_quota_is_throttled() -> None:
    """Requests beyond the burst are rejected as in ECR, and counted under their code."""

    async def play(ecr: LocalECR, client: Any) -> tuple[str, Any]:
        return await outcomes(client, 5), ecr.stats.by_operation

    assert scenario(play, quota=3) == (
        "oooTT",
        {"DescribeRepositories": {"ok": 3, "ThrottlingException": 2}},
    )


@pytest.mark.parametrize(
    ("options", "steps", "expected"),
    [
        ({}, [50], "o" * 50),
        ({"quota": 3}, [4, 1.0, 4], "oooToooT"),
        ({"quota": 1, "burst": 4}, [100.0, 5], "ooooT"),
        ({"quota": 0.5}, [2, 2.0, 2], "oToT"),
    ],
    ids=["no-quota", "refill", "burst", "below-one"],
)
def test_tokens_come_back_with_time(
    options: dict[str, Any], steps: list[float], expected: str
) -> None:
    """A second gives `quota` tokens, and a long pause saves `burst`. Steps are requests, pauses."""

    async def play(_ecr: LocalECR, client: Any) -> str:
        found = ""
        for step in steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
            else:
                found += await outcomes(client, step)
        return found

    assert scenario(play, **options) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"quota": 1}, "oTToTT"), ({"quota": {CHECK: 1}, "burst": {CHECK: 2}}, "ooTooo")],
    ids=["number", "mapping"],
)
def test_each_operation_has_its_bucket(options: dict[str, Any], expected: str) -> None:
    """Operations don't share a bucket, and a mapping limits only what it names."""

    async def play(ecr: LocalECR, client: Any) -> str:
        ecr.create_repository("app")
        members: dict[str, Any] = {"repositoryName": "app", "layerDigests": ["sha256:00"]}
        check = await outcomes(client, 3, "batch_check_layer_availability", **members)
        return check + await outcomes(client, 3)

    assert scenario(play, **options) == expected


def test_a_quota_can_be_set_and_removed() -> None:
    """`set_quota` applies from the next request on."""

    async def play(ecr: LocalECR, client: Any) -> str:
        ecr.set_quota(1, burst=2)
        limited = await outcomes(client, 3)
        ecr.set_quota(None)
        return limited + await outcomes(client, 3)

    assert scenario(play) == "ooTooo"


def test_another_quota_keeps_the_tokens() -> None:
    """Another quota gives no second burst, and keeps no more tokens than its burst."""

    async def play(ecr: LocalECR, client: Any) -> str:
        first = await outcomes(client, 10)
        ecr.set_quota(10)
        second = await outcomes(client, 1)
        await asyncio.sleep(0.5)
        ecr.set_quota(2)
        return f"{first} {second} {await outcomes(client, 3)}"

    assert scenario(play, quota=9) == "oooooooooT T ooT"


def test_waiting_faults_do_not_spend_tokens_early() -> None:
    """A request that a fault delays takes its token when it reaches the registry."""

    async def play(ecr: LocalECR, client: Any) -> str:
        await outcomes(client, 1)
        ecr.faults.add(latency=1)
        return await outcomes(client, 1)

    assert scenario(play, quota=1) == "o"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"quota": 0}, "quota must be above 0"),
        ({"quota": -1}, "quota must be a finite number of at least 0, not -1"),
        ({"quota": True}, "quota must be a finite number"),
        ({"quota": float("inf")}, "quota must be a finite number"),
        ({"quota": "5"}, "quota must be a finite number"),
        ({"quota": {"Nope": 1}}, "quota: 'Nope' is not one of BatchCheckLayerAvailability"),
        ({"quota": 5, "burst": 0.5}, "burst must be a finite number of at least 1, not 0.5"),
        ({"burst": 5}, "burst needs a quota"),
        (
            {"quota": {"CreateRepository": 1}, "burst": {"DescribeRepositories": 1}},
            "burst: 'DescribeRepositories' is not one of",
        ),
        ({"latency": -1}, "latency must be a finite number of at least 0, not -1"),
        ({"latency": float("nan")}, "latency must be a finite number"),
    ],
    ids=str,
)
def test_a_number_out_of_range_is_rejected(options: Any, says: str) -> None:
    """An invalid quota, burst or latency raises ValueError that names it."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (its text is compared)
        LocalECR(**options)
    assert str(caught.value)[: len(says)] == says


# -- latency


def test_a_round_trip_takes_the_latency() -> None:
    """Accepted and throttled requests take `latency` seconds."""

    async def play(_ecr: LocalECR, client: Any) -> list[float]:
        times: list[float] = []
        for _ in range(2):
            start = asyncio.get_running_loop().time()
            await outcomes(client, 1)
            times.append(asyncio.get_running_loop().time() - start)
        return times

    assert scenario(play, latency=0.5, quota=0.001) == pytest.approx([0.5, 0.5])


def test_a_request_arrives_half_a_round_trip_later() -> None:
    """A request takes its token when it arrives, half a round trip after it was sent."""

    async def play(ecr: LocalECR, client: Any) -> str:
        sent = asyncio.create_task(outcomes(client, 1))
        await asyncio.sleep(0.4)
        before = ecr.stats.digests_checked, ecr.in_flight
        assert before == (0, 1)
        ecr.set_quota(0.001)
        second = asyncio.create_task(outcomes(client, 1))
        return await sent + await second

    assert scenario(play, latency=1.0) == "oT"
