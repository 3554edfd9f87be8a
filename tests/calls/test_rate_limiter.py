"""RateLimiter: who asks first leaves first, one pacer for an account, ceilings that hold, retries within a budget."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest

from ecr_layer_client import CallError, ClientConfig, ECRLayerClient, RetryPolicy
from ecr_layer_client._calls.rate_limiter import RateLimiter, rate_limiter_for
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ecr_layer_client import SessionLike
    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


@pytest.fixture
def transport() -> TransportName:
    """Give one transport: what is tested here lies above them."""
    return "signed"


MANY = [f"sha256:{number:064x}" for number in range(10_000)]


def _client(ecr: LocalECR, session: SessionLike, **options: Any) -> ECRLayerClient:
    return ECRLayerClient(
        region_name=ecr.region,
        endpoint_url=ecr.endpoint_url,
        session=session,
        config=ClientConfig(**options),
    )


def _arrivals(ecr: LocalECR) -> list[float]:
    """Return a list that grows by the time at which each request arrives."""
    times: list[float] = []
    plain: Any = ecr._service.answer

    async def answer(request: Any) -> Any:
        times.append(asyncio.get_running_loop().time())
        return await plain(request)

    service: Any = ecr._service
    service.answer = answer
    return times


def _most_within(times: Sequence[float], seconds: float) -> int:
    """Return the most requests of any window that is open at its end."""
    most = start = 0
    for end, time in enumerate(times):
        while times[start] <= time - seconds + 1e-9:
            start += 1
        most = max(most, end - start + 1)
    return most


async def _in_order(
    rate_limiter: RateLimiter, count: int, order: list[int], *, at_front: int | None = None
) -> list[asyncio.Task[None]]:
    async def wait(number: int) -> None:
        await rate_limiter.acquire(at_front=number == at_front)
        order.append(number)

    tasks = [asyncio.create_task(wait(number)) for number in range(count)]
    await asyncio.sleep(0)
    return tasks


def _one_a_second() -> RateLimiter:
    rate_limiter = RateLimiter()
    rate_limiter.set_ceiling(rate_limiter, 1.0)
    return rate_limiter


async def test_a_ceiling_ends_with_its_owner() -> None:
    """The lowest ceiling of the owners that live holds, and no owner keeps a rate limiter alive."""

    class Owner:
        """A connection."""

    rate_limiter = RateLimiter()
    lasting, passing = Owner(), Owner()
    rate_limiter.set_ceiling(lasting, 100.0)
    rate_limiter.set_ceiling(passing, 1.0)
    await rate_limiter.acquire()
    held = rate_limiter.pacer.ceiling
    del passing
    await rate_limiter.acquire()
    assert (held, rate_limiter.pacer.ceiling) == (1.0, 100.0)
    line = ref(rate_limiter)
    del rate_limiter
    assert line() is None
    del lasting


async def test_first_come_first_served() -> None:
    """Calls leave in the order in which they came."""
    order: list[int] = []
    await asyncio.gather(*await _in_order(_one_a_second(), 10, order))
    assert order == list(range(10))


async def test_a_throttled_call_goes_to_the_front() -> None:
    """A call that was throttled leaves before all that wait."""
    order: list[int] = []
    await asyncio.gather(*await _in_order(_one_a_second(), 5, order, at_front=4))
    assert order == [0, 4, 1, 2, 3]


async def test_one_that_gives_up_in_the_line_is_passed_over() -> None:
    """A call that is cancelled while it waits takes no turn."""
    order: list[int] = []
    loop = asyncio.get_running_loop()
    tasks = await _in_order(_one_a_second(), 5, order)
    for number in (1, 3):
        tasks[number].cancel()
    await asyncio.wait(tasks)
    assert (order, round(loop.time(), 1)) == ([0, 2, 4], 2.0)


async def test_a_turn_that_comes_with_the_cancellation_is_given_back() -> None:
    """A turn handed to a call that is cancelled at the same moment is not lost."""
    rate_limiter = RateLimiter()
    for _ in range(10):
        await rate_limiter.acquire()
    waiting = asyncio.create_task(rate_limiter.acquire())
    await asyncio.sleep(0)
    rate_limiter.abandoned()
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (waiting.cancelled(), rate_limiter.pacer._in_flight) == (True, 9)


async def test_the_next_takes_the_turn_that_is_given_back() -> None:
    """What one gives back in its cancellation, the next one in the line takes."""
    rate_limiter = RateLimiter()
    order: list[int] = []
    for _ in range(10):
        await rate_limiter.acquire()
    first, second = await _in_order(rate_limiter, 2, order)
    rate_limiter.abandoned()
    first.cancel()
    await second
    assert order == [1]


async def test_one_line_for_an_account() -> None:
    """The same account has the same line, another one has another."""
    line = rate_limiter_for(CHECK, "endpoint", "source")
    assert (
        rate_limiter_for(CHECK, "endpoint", "source") is line,
        rate_limiter_for(CHECK, "endpoint", "other") is line,
    ) == (
        True,
        False,
    )


async def test_clients_of_a_session_share_a_pacer(ecr: LocalECR) -> None:
    """Two clients of one session share one pacer; a client of another session has its own."""
    session = ecr.session()
    async with (
        _client(ecr, session) as one,
        _client(ecr, session) as two,
        _client(ecr, ecr.session()) as other,
    ):
        lines = [
            client._connection.resources_for(CHECK).rate_limiter for client in (one, two, other)
        ]
    assert (lines[0] is lines[1], lines[0] is lines[2]) == (True, False)


async def test_a_ceiling_that_ends_lets_those_go_who_wait() -> None:
    """Calls that wait already are held back no more when the lowest ceiling ends."""
    limiter, owner = RateLimiter(), RateLimiter()
    limiter.set_ceiling(limiter, 100.0)
    limiter.set_ceiling(owner, 0.01)
    waiting = [asyncio.create_task(limiter.acquire()) for _ in range(6)]
    await asyncio.sleep(1.0)
    limiter.drop_ceiling(owner)
    await asyncio.gather(*waiting)
    assert asyncio.get_running_loop().time() < 2


async def test_the_lowest_ceiling_holds(ecr: LocalECR) -> None:
    """The lowest ceiling among all clients of an account holds for each of them."""
    ecr.seed("app", [])
    session = ecr.session()
    times = _arrivals(ecr)
    async with (
        _client(ecr, session, batch_size=1) as one,
        _client(ecr, session, requests_per_second=5.0) as two,
    ):
        await two.check_layers("app", MANY[:1])
        await one.check_layers("app", MANY[:50])
    assert _most_within(times, 1.0) <= 6


async def test_a_ceiling_ends_with_its_client(ecr: LocalECR) -> None:
    """When a client closes, its ceiling holds the others back no more."""
    ecr.seed("app", [])
    session = ecr.session()
    loop = asyncio.get_running_loop()
    slow = _client(ecr, session, requests_per_second=1.0)
    async with _client(ecr, session, batch_size=1) as one:
        async with slow:
            await slow.check_layers("app", MANY[:1])
        await asyncio.sleep(2)
        started = loop.time()
        await one.check_layers("app", MANY[:20])
    assert loop.time() - started < 1


@pytest.mark.parametrize(
    "seconds", [pytest.param(2, id="2-s"), pytest.param(10, id="10-s", marks=pytest.mark.full)]
)
async def test_default_ceiling(ecr: LocalECR, seconds: int) -> None:
    """Without a word, 800 requests a second are not exceeded, beyond the ten that may leave at once, and are nearly reached."""
    ecr.seed("app", [])
    times = _arrivals(ecr)
    async with ecr.client(batch_size=1, max_concurrency=200) as client:
        await client.check_layers("app", MANY[: 850 * seconds])
    assert 750 * seconds < _most_within(times, float(seconds)) <= 800 * seconds + 10


@pytest.mark.parametrize("rate", [1, 5, 50])
async def test_requests_per_second(ecr: LocalECR, rate: int) -> None:
    """A ceiling is kept in every second, but for one request at its beginning."""
    ecr.seed("app", [])
    times = _arrivals(ecr)
    async with ecr.client(batch_size=1, requests_per_second=float(rate)) as client:
        await client.check_layers("app", MANY[: rate * 10])
    assert _most_within(times, 1.0) <= rate + 1


@pytest.mark.parametrize("batches", [1, 2, 10])
async def test_a_quiet_account_does_not_pay(ecr: LocalECR, batches: int) -> None:
    """Up to ten batches that meet no throttling take one round trip."""
    ecr.seed("app", [])
    loop = asyncio.get_running_loop()
    async with ecr.client() as client:
        started = loop.time()
        await client.check_layers("app", MANY[: batches * 100])
    assert loop.time() - started == pytest.approx(0.05)


async def test_concurrency_opens(ecr: LocalECR) -> None:
    """Ten requests leave at first, then five, and five, and ten for each answer from then on, as far as the slots and the ceiling go."""
    ecr.seed("app", [])
    times = _arrivals(ecr)
    async with ecr.client(batch_size=1, max_concurrency=100) as client:
        await client.check_layers("app", MANY[:60])
    rounds = [sum(int(time / 0.05 + 0.001) == number for time in times) for number in range(4)]
    assert rounds == [10, 5, 5, 40]


async def _outage(ecr: LocalECR, seconds: float, ask: Callable[[], Any]) -> tuple[int, int]:
    """Return the requests and the retries made in an outage of so many seconds."""
    fault = ecr.faults.add(status=503)
    asked = 0

    async def go_on() -> None:
        nonlocal asked
        while True:
            asked += 1
            try:
                await ask()
            except CallError:
                continue

    callers = [asyncio.create_task(go_on()) for _ in range(50)]
    await asyncio.sleep(seconds)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    fault.remove()
    return ecr.stats.requests, ecr.stats.requests - asked


async def test_an_outage_is_not_multiplied(ecr: LocalECR) -> None:
    """In an outage, retries are at most a tenth of the requests, ten a second, and ten."""
    ecr.seed("app", [])
    async with ecr.client(
        max_concurrency=50, retry=RetryPolicy(max_attempts=5, max_elapsed=60.0)
    ) as client:
        requests, retries = await _outage(ecr, 30.0, lambda: client.check_layers("app", MANY[:1]))
    assert 200 < retries <= requests * 0.1 + 30 * 10 + 10


async def test_an_empty_budget_fails_no_call(ecr: LocalECR) -> None:
    """An empty budget delays retries; no call fails of it."""
    ecr.seed("app", [])
    ecr.faults.add(status=503, times=400)
    async with ecr.client(max_concurrency=400, retry=RetryPolicy(max_elapsed=20.0)) as client:
        results = await asyncio.gather(
            *(client.check_layers("app", [digest]) for digest in MANY[:400]), return_exceptions=True
        )
    assert [type(result).__name__ for result in results] == ["LayerCheckResult"] * 400


async def test_one_throttled_answer_after_a_pause(ecr: LocalECR) -> None:
    """One throttled answer after an idle hour costs a moment, not hours."""
    ecr.seed("app", [])
    loop = asyncio.get_running_loop()
    async with ecr.client() as client:
        await client.check_layers("app", MANY[:1])
        await asyncio.sleep(3600)
        ecr.faults.add(error="ThrottlingException", times=1)
        started = loop.time()
        await client.check_layers("app", MANY[:1])
    assert loop.time() - started < 60


async def test_a_pause_is_not_starving(ecr: LocalECR) -> None:
    """A call that is throttled once is tried again, though an earlier one gave up after its throttled answer and long ago."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        ecr.faults.add(error="ThrottlingException", times=2)
        hasty = client.with_config(retry=RetryPolicy(max_attempts=1))
        with pytest.raises(CallError, match="Rate exceeded"):
            await hasty.check_layers("app", MANY[:1])
        await asyncio.sleep(600)
        assert len(await client.check_layers("app", MANY[:1])) == 1


async def test_throttled_for_a_day(ecr: LocalECR) -> None:
    """An account that accepts nothing for a day answers each call as throttled, in bounded time."""
    ecr.seed("app", [])
    ecr.faults.add(error="ThrottlingException")
    loop = asyncio.get_running_loop()
    took: list[float] = []
    async with ecr.client() as client:
        for _ in range(12):
            started = loop.time()
            with pytest.raises(CallError, match="Rate exceeded"):
                await client.check_layers("app", MANY[:1])
            took.append(loop.time() - started)
            await asyncio.sleep(7200)
    assert max(took) < 300
