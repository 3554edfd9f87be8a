"""`RateLimiter`: calls leave in order, one pacer for an account, ceilings that hold."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest

from client.steps import client_of, now, on_request
from ecr_layer_client import CallError, RetryPolicy
from ecr_layer_client._calls.rate_limiter import RateLimiter
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

MANY = [f"sha256:{number:064x}" for number in range(10_000)]


@pytest.fixture
def transport() -> TransportName:
    """Give one transport: how requests are sent does not matter here."""
    return "signed"


@pytest.fixture
def ecr(ecr: LocalECR) -> LocalECR:
    """Give a local ECR with an empty repository, `app`."""
    ecr.seed("app", [])
    return ecr


@pytest.fixture
def arrivals(ecr: LocalECR) -> list[float]:
    """Give a list that grows by the time at which each request arrives."""
    times: list[float] = []
    on_request(ecr, lambda _: times.append(now()))
    return times


def _most_within(times: Sequence[float], seconds: float) -> int:
    """Return the largest number of requests within a period, without its end."""
    most = start = 0
    for end, time in enumerate(times):
        while times[start] <= time - seconds + 1e-9:
            start += 1
        most = max(most, end - start + 1)
    return most


async def _in_order(
    limiter: RateLimiter, count: int, order: list[int], *, at_front: int | None = None
) -> list[asyncio.Task[None]]:
    """Start calls that add their number to `order` when they may leave."""

    async def wait(number: int) -> None:
        await limiter.acquire(at_front=number == at_front)
        order.append(number)

    tasks = [asyncio.create_task(wait(number)) for number in range(count)]
    await asyncio.sleep(0)
    return tasks


def _one_a_second() -> RateLimiter:
    limiter = RateLimiter()
    limiter.set_ceiling(limiter, 1.0)
    return limiter


async def _after_ten() -> RateLimiter:
    """Return a rate limiter of which ten requests have no response, so that no more may leave."""
    limiter = RateLimiter()
    for _ in range(10):
        await limiter.acquire()
    return limiter


async def test_a_ceiling_ends_with_its_owner() -> None:
    """The lowest ceiling of the living owners holds, and no owner keeps a rate limiter alive."""

    class Owner:
        """A connection."""

    limiter = RateLimiter()
    lasting, passing = Owner(), Owner()
    limiter.set_ceiling(lasting, 100.0)
    limiter.set_ceiling(passing, 1.0)
    await limiter.acquire()
    held = limiter.pacer.ceiling
    del passing
    await limiter.acquire()
    assert (held, limiter.pacer.ceiling) == (1.0, 100.0)

    weak = ref(limiter)
    del limiter
    assert weak() is None
    del lasting


@pytest.mark.parametrize(
    ("at_front", "expected"),
    [
        pytest.param(None, [0, 1, 2, 3, 4], id="first-come"),
        pytest.param(4, [0, 4, 1, 2, 3], id="front"),
    ],
)
async def test_order(at_front: int | None, expected: list[int]) -> None:
    """Calls leave in the order in which they came, after a call that was throttled."""
    order: list[int] = []
    await asyncio.gather(*await _in_order(_one_a_second(), 5, order, at_front=at_front))
    assert order == expected


async def test_a_call_that_is_cancelled_in_the_line() -> None:
    """A call that is cancelled while it waits takes no turn from the others."""
    order: list[int] = []
    tasks = await _in_order(_one_a_second(), 5, order)
    for number in (1, 3):
        tasks[number].cancel()
    await asyncio.wait(tasks)
    assert (order, round(now(), 1)) == ([0, 2, 4], 2.0)


async def test_a_turn_that_comes_with_the_cancellation() -> None:
    """A turn of a call that is cancelled at the same moment is not lost."""
    limiter = await _after_ten()
    waiting = asyncio.create_task(limiter.acquire())
    await asyncio.sleep(0)
    limiter.abandoned()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (waiting.cancelled(), limiter.pacer._in_flight) == (True, 9)


async def test_the_next_call_takes_a_turn_that_is_given_back() -> None:
    """The next call in the line takes the turn of a call that is cancelled."""
    limiter = await _after_ten()
    order: list[int] = []
    first, second = await _in_order(limiter, 2, order)
    limiter.abandoned()
    first.cancel()
    await second
    assert order == [1]


async def test_clients_of_an_account_share_a_rate_limiter(ecr: LocalECR) -> None:
    """Clients of one session share a rate limiter, and a client of another session has its own."""
    session = ecr.session()
    async with (
        client_of(ecr, session) as one,
        client_of(ecr, session) as two,
        client_of(ecr, ecr.session()) as other,
    ):
        limiters = [
            client._connection.resources_for(CHECK).rate_limiter for client in (one, two, other)
        ]
    assert [limiter is limiters[0] for limiter in limiters] == [True, True, False]


async def test_a_ceiling_that_ends_lets_those_go_who_wait() -> None:
    """Calls that wait already are held back no more when the lowest ceiling ends."""
    limiter, owner = RateLimiter(), RateLimiter()
    limiter.set_ceiling(limiter, 100.0)
    limiter.set_ceiling(owner, 0.01)
    waiting = [asyncio.create_task(limiter.acquire()) for _ in range(6)]
    await asyncio.sleep(1.0)
    limiter.drop_ceiling(owner)
    await asyncio.gather(*waiting)
    assert now() < 2


async def test_a_ceiling_ends_with_its_client(ecr: LocalECR) -> None:
    """The ceiling of a client that is closed does not hold any more."""
    session = ecr.session()
    slow = client_of(ecr, session, requests_per_second=1.0)
    async with client_of(ecr, session, batch_size=1) as one:
        async with slow:
            await slow.check_layers("app", MANY[:1])
        await asyncio.sleep(2)

        started = now()
        await one.check_layers("app", MANY[:20])
    assert now() - started < 1


async def test_default_ceiling(ecr: LocalECR, arrivals: list[float]) -> None:
    """The default ceiling is 800 requests a second, after ten at once, and is nearly reached."""
    async with ecr.client(batch_size=1, max_concurrency=200) as client:
        await client.check_layers("app", MANY[:1700])
    assert 1500 < _most_within(arrivals, 2.0) <= 1610


@pytest.mark.parametrize("as_mapping", [False, True], ids=["number", "mapping"])
@pytest.mark.parametrize("rate", [1, 50])
async def test_requests_per_second(
    ecr: LocalECR, arrivals: list[float], rate: int, as_mapping: bool
) -> None:
    """A ceiling holds in every second, apart from one request at its beginning."""
    given: Any = {CHECK: float(rate)} if as_mapping else float(rate)
    async with ecr.client(batch_size=1, requests_per_second=given) as client:
        await client.check_layers("app", MANY[: rate * 10])
    assert _most_within(arrivals, 1.0) <= rate + 1


async def test_requests_per_second_of_another_operation(ecr: LocalECR) -> None:
    """A ceiling of one operation does not hold for the others."""
    async with ecr.client(requests_per_second={"BatchGetImage": 1.0}) as client:
        await client.check_layers("app", MANY[:1000])
        limiter = client._connection.resources_for(CHECK).rate_limiter
        other = client._connection.resources_for("BatchGetImage").rate_limiter
        await other.acquire()
        assert (limiter.pacer.ceiling, other.pacer.ceiling) == (800.0, 1.0)
    assert now() == pytest.approx(0.05)


@pytest.mark.parametrize("batches", [1, 10])
async def test_a_quiet_account_does_not_wait(ecr: LocalECR, batches: int) -> None:
    """Up to ten batches without throttling take one round trip."""
    async with ecr.client() as client:
        started = now()
        await client.check_layers("app", MANY[: batches * 100])
    assert now() - started == pytest.approx(0.05)


async def test_concurrency_opens(ecr: LocalECR, arrivals: list[float]) -> None:
    """Ten requests leave at first, then five, then five, then ten for each response."""
    async with ecr.client(batch_size=1, max_concurrency=100) as client:
        await client.check_layers("app", MANY[:60])
    rounds = [sum(int(time / 0.05 + 0.001) == number for time in arrivals) for number in range(4)]
    assert rounds == [10, 5, 5, 40]


async def _outage(ecr: LocalECR, seconds: float, check: Callable[[], Any]) -> tuple[int, int]:
    """Return the requests and the retries of 50 callers in an outage of so many seconds."""
    fault = ecr.faults.add(status=503)
    calls = 0

    async def go_on() -> None:
        nonlocal calls
        while True:
            calls += 1
            try:
                await check()
            except CallError:
                continue

    callers = [asyncio.create_task(go_on()) for _ in range(50)]
    await asyncio.sleep(seconds)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)

    fault.remove()
    return ecr.stats.requests, ecr.stats.requests - calls


async def test_an_outage_is_not_multiplied(ecr: LocalECR) -> None:
    """The retries of an outage are at most a tenth of the requests, ten a second, and ten."""
    retry = RetryPolicy(max_attempts=5, max_elapsed=60.0)
    async with ecr.client(max_concurrency=50, retry=retry) as client:
        requests, retries = await _outage(ecr, 30.0, lambda: client.check_layers("app", MANY[:1]))
    assert 200 < retries <= requests * 0.1 + 30 * 10 + 10


async def test_one_throttled_response_after_a_pause(ecr: LocalECR) -> None:
    """One throttled response after an idle hour costs a moment."""
    async with ecr.client() as client:
        await client.check_layers("app", MANY[:1])
        await asyncio.sleep(3600)
        ecr.faults.add(error="ThrottlingException", times=1)
        started = now()
        await client.check_layers("app", MANY[:1])
    assert now() - started < 60


async def test_a_pause_does_not_count_as_throttled(ecr: LocalECR) -> None:
    """A throttled call is tried again although an earlier one failed as throttled long ago."""
    async with ecr.client() as client:
        ecr.faults.add(error="ThrottlingException", times=2)
        hasty = client.with_config(retry=RetryPolicy(max_attempts=1))
        with pytest.raises(CallError, match="Rate exceeded"):
            await hasty.check_layers("app", MANY[:1])

        await asyncio.sleep(600)
        assert len(await client.check_layers("app", MANY[:1])) == 1


async def test_throttled_for_a_day(ecr: LocalECR) -> None:
    """Each call of a day without success fails as throttled, in bounded time."""
    ecr.faults.add(error="ThrottlingException")
    seconds: list[float] = []
    async with ecr.client() as client:
        for _ in range(12):
            started = now()
            with pytest.raises(CallError, match="Rate exceeded"):
                await client.check_layers("app", MANY[:1])
            seconds.append(now() - started)
            await asyncio.sleep(7200)
    assert max(seconds) < 300
