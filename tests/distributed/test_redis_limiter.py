"""`RedisLimiter`: arguments and pickles, without its server, and on a real one."""

from __future__ import annotations

import asyncio
import importlib
import logging
import pickle
import time
from typing import TYPE_CHECKING, Any

import pytest
from redis_server import redis_server

from distributed.steps import column, digest, table
from ecr_layer_client import InvalidInputError, Quota
from ecr_layer_client.distributed import RedisLimiter
from virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ecr_layer_client.distributed import TableChecker
    from ecr_layer_client.local import LocalECR

NOBODY = "redis://127.0.0.1:1"
CHECK = Quota("BatchCheckLayerAvailability", "123456789012", "us-east-1")


async def _acquire(limiter: RedisLimiter, quota: Quota, count: int) -> float:
    """Acquire at once, and return the seconds that it took."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await asyncio.gather(*(limiter.acquire(quota) for _ in range(count)))
    seconds = loop.time() - begin
    await limiter.aclose()
    return seconds


def _in_virtual_time(limiter: RedisLimiter, quota: Quota, count: int) -> float:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(_acquire(limiter, quota, count))


def _not_found(_: str) -> None:
    """Find no module."""


def _url() -> str:
    return NOBODY


def test_unreachable(caplog: pytest.LogCaptureFixture) -> None:
    """Without its server, a limiter paces the requests of its process, and logs it once."""
    seconds = _in_virtual_time(RedisLimiter(_url, 10), CHECK, 101)
    assert seconds == pytest.approx(10.0)
    logged = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    words = "ConnectionError; 10 requests per second from now on"
    assert logged == [f"the Redis server of the limiter can't be reached: {words}"]


def _no_url() -> str:
    msg = "REDIS_URL"
    raise LookupError(msg)


def test_no_url(caplog: pytest.LogCaptureFixture) -> None:
    """A function that can't return the URL is as a server that can't be reached."""
    seconds = _in_virtual_time(RedisLimiter(_no_url, 10), CHECK, 11)
    assert seconds == pytest.approx(1.0)
    assert "LookupError; 10 requests per second" in caplog.messages[-1]


class Windows:
    """A server that answers after a second: it gives windows that begin at once, and then fails."""

    answers = 2

    def __init__(self, url: str, worker: str) -> None:
        """Take the arguments of `RedisWindows`."""

    async def next(self, quota: str, count: int, spacing: float) -> tuple[float, int]:
        """Return that a window begins now, and that there are four processes."""
        await asyncio.sleep(1.0)
        if not self.answers:
            raise ConnectionError
        self.answers -= 1
        return 0.0, 4

    async def aclose(self) -> None:
        """Close nothing."""


def test_share_of_the_processes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without its server, a limiter goes on at its share, asks again, and logs it once."""
    monkeypatch.setattr("ecr_layer_client.distributed._redis_windows.RedisWindows", Windows)

    async def main() -> list[float]:
        limiter, times = RedisLimiter(NOBODY, 4), list[float]()
        for _ in range(9):
            await limiter.acquire(CHECK)
            times.append(asyncio.get_running_loop().time())
        await limiter.aclose()
        return times

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        times = runner.run(main())
    logged = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    # Two turns of the server; then one in a second, but for the second that the server takes.
    assert times == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert len([each for each in logged if "1 requests per second from now on" in each]) == 1


def test_operations_without_a_ceiling() -> None:
    """A mapping limits the operations that it names, and no other."""
    limiter = RedisLimiter(NOBODY, {CHECK.operation: 1})
    seconds = [
        _in_virtual_time(limiter, quota, 3) for quota in (CHECK, CHECK._replace(operation="Other"))
    ]
    assert seconds == [pytest.approx(2.0), 0.0]


def test_other_loops() -> None:
    """A limiter serves one event loop after another, also where one was not closed for it."""
    limiter = RedisLimiter(NOBODY, 1000)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as open_one:
        open_one.run(limiter.acquire(CHECK))
        for _ in range(3):
            with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
                runner.run(limiter.acquire(CHECK))
        assert len(limiter._of_loop) == 2


def test_closed_before_its_use() -> None:
    """A limiter that was not used has nothing to close."""
    limiter = RedisLimiter(NOBODY, 1000)
    assert [asyncio.run(limiter.aclose()) for _ in range(2)] == [None, None]


def test_pickle() -> None:
    """A limiter is a value that can be pickled."""
    limiter = RedisLimiter(_url, {CHECK.operation: 95.0})
    assert repr(pickle.loads(pickle.dumps(limiter))) == repr(limiter)


@pytest.mark.parametrize("url", ["redis://:a-secret@host", "redis://host/0?password=a-secret"])
def test_a_password_in_a_pickle(url: str) -> None:
    """A URL with a password is refused in what is pickled, and is not in the repr."""
    limiter = RedisLimiter(url, 95)
    with pytest.raises(TypeError, match="has a password, which a pickle would contain") as raised:
        pickle.dumps(limiter)
    assert "a-secret" not in f"{raised.value}{limiter!r}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("localhost", 1), "url must be the URL of a Redis server"),
        ((None, 1), "url must be the URL of a Redis server"),
        ((NOBODY, 0), "requests_per_second=0: Input should be greater than 0"),
        ((NOBODY, None), "requests_per_second=None must be a number"),
        ((NOBODY, {"Other": 1}), "'Other' is not an operation"),
    ],
    ids=["host", "none", "zero", "no-rate", "operation"],
)
def test_bad_arguments(arguments: Any, message: str) -> None:
    """Arguments that are not valid are refused where the limiter is made."""
    with pytest.raises(InvalidInputError, match=message):
        RedisLimiter(*arguments)


def test_without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error says what to install."""
    module = "ecr_layer_client.distributed._redis_limiter.find_spec"
    monkeypatch.setattr(module, _not_found)
    with pytest.raises(ImportError, match=r"pip install 'ecr-layer-client\[redis\]'"):
        RedisLimiter(NOBODY, 1)


def test_of_a_checker(ecr: LocalECR, checker_of: Callable[..., TableChecker]) -> None:
    """A checker asks its limiter, and closes it."""
    ecr.seed("team/app", [(digest(1), 1)])
    checker = checker_of(limiter=RedisLimiter(NOBODY, 1000))
    checked = checker.run(table(("team/app", digest(1))))
    assert column(checked, "availability") == ["AVAILABLE"]


@pytest.fixture
def redis_url() -> Iterator[str]:
    """Give the URL of a Redis server of this test."""
    try:
        with redis_server() as url:
            yield url
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.mark.full
def test_processes_share_a_server(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Two limiters of one server together stay under the ceiling; another quota is its own."""

    async def main() -> float:
        limiters = [RedisLimiter(redis_url, 100) for _ in range(3)]
        quotas = [CHECK, CHECK, CHECK._replace(region="eu-west-1")]
        begin = time.monotonic()
        await asyncio.gather(*map(_acquire, limiters[:2], quotas[:2], [50, 50]))
        seconds = time.monotonic() - begin
        await _acquire(limiters[2], quotas[2], 1)
        return seconds

    # A machine that is slow can only make it longer.
    assert asyncio.run(main()) >= 0.98
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


@pytest.mark.full
def test_server_that_ends(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """When its server ends, a limiter goes on with its share of the processes that it knew."""

    async def main() -> None:
        redis: Any = importlib.import_module("redis.asyncio").Redis.from_url(redis_url)
        limiters = [RedisLimiter(redis_url, 1000) for _ in range(2)]
        for limiter in limiters:
            await limiter.acquire(CHECK)
        async with redis:
            await redis.shutdown(nosave=True)
        for limiter in limiters:
            await asyncio.gather(*(limiter.acquire(CHECK) for _ in range(3)))
            await limiter.aclose()

    asyncio.run(main())
    logged = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    assert "500 requests per second from now on" in logged[-1]
