"""A cancellation may fall anywhere: nothing is left behind, and the client goes on working.

Each claim is swept: every task's steps are counted, and the work is cancelled after the first step,
after the second, and so on until it is done before it can be cancelled.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import ClientStateError, ECRLayerClient, LayerCheckResult, RetryPolicy
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator

    from ecr_layer_client.local import LocalECR

    Work = Callable[[ECRLayerClient], Coroutine[Any, Any, object]]

pytestmark = pytest.mark.asyncio

FEW = [f"sha256:{number:064x}" for number in range(6)]
NO_WAITING = RetryPolicy(max_attempts=4, initial_backoff=0.1)


class _Steps:
    """A coroutine that tells before each of its steps."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], tell: Callable[[], None]) -> None:
        self._coroutine = coroutine
        self._tell = tell

    def __await__(self) -> Generator[Any, None, Any]:
        error: BaseException | None = None
        while True:
            self._tell()
            try:
                awaited = (
                    self._coroutine.send(None) if error is None else self._coroutine.throw(error)
                )
            except StopIteration as end:
                return end.value
            error = None
            try:
                yield awaited
            except BaseException as raised:  # noqa: BLE001
                # Handed on to the coroutine, as a task does.
                error = raised


@contextmanager
def _counted(tell: Callable[[], None]) -> Generator[None, None, None]:
    """Tell before each step of every task that is made."""
    loop = asyncio.get_running_loop()

    def make(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        async def run() -> Any:
            return await _Steps(coroutine, tell)

        task = asyncio.Task(run(), loop=loop, **options)
        task.add_done_callback(
            lambda _: coroutine.close()
        )  # one that is cancelled before its first step was not begun
        return task

    loop.set_task_factory(make)
    try:
        yield
    finally:
        loop.set_task_factory(None)


async def _cancelled_after(steps: int, work: Coroutine[Any, Any, object]) -> bool:
    """Cancel the work after so many steps of it and of the tasks it makes.

    Return whether the cancellation came in time.
    """
    count = 0
    in_time = False

    def cancel() -> None:
        nonlocal in_time
        in_time = victim.cancel()

    def tell() -> None:
        nonlocal count
        count += 1
        if count == steps:
            asyncio.get_running_loop().call_soon(cancel)

    with _counted(tell):
        victim = asyncio.create_task(work)
        await asyncio.wait([victim])
    assert victim.cancelled() == in_time, "CancelledError did not pass"
    return in_time


def _left_on_the_loop() -> list[object]:
    """Return tasks and timers, but the test's own."""
    loop: Any = asyncio.get_running_loop()
    return [
        *(asyncio.all_tasks() - {asyncio.current_task()}),
        *(timer for timer in loop._scheduled if not timer.cancelled()),
    ]


def _held(client: ECRLayerClient, ecr: LocalECR) -> dict[str, int]:
    """Return what is held of slots, of turns and of requests."""
    resources = client._connection.resources_for(CHECK)
    rate_limiter, slots = resources.rate_limiter, resources.slots
    return {
        "slots": client._connection.config.max_concurrency - slots._value,
        "turns": rate_limiter.pacer._in_flight,
        "waiting": sum(not turn.done() for turn in rate_limiter._waiting),
        "requests": ecr.in_flight,
    }


NOTHING_HELD = {"slots": 0, "turns": 0, "waiting": 0, "requests": 0}


async def _sweep(
    ecr: LocalECR, client: ECRLayerClient, work: Work, faults: dict[str, Any] | None = None
) -> int:
    """Cancel the work at each of its steps, see after each that nothing is left, and return how many there were."""
    steps = 1
    while True:
        ecr.faults.clear()
        if faults is not None:
            ecr.faults.add(**faults)
        in_time = await _cancelled_after(steps, work(client))
        assert (steps, _left_on_the_loop(), _held(client, ecr)) == (steps, [], NOTHING_HELD)
        if not in_time:
            break
        steps += 1
    ecr.faults.clear()
    assert len(await client.check_layers("app", FEW)) == len(FEW)
    return steps


async def _one_by_one() -> AsyncIterator[str]:
    for digest in FEW:
        await asyncio.sleep(0.01)
        yield digest


async def _check(client: ECRLayerClient) -> LayerCheckResult:
    return await client.check_layers("app", FEW)


async def _check_in_time(client: ECRLayerClient) -> LayerCheckResult:
    return await client.check_layers("app", FEW, timeout=60)


async def _check_async(client: ECRLayerClient) -> LayerCheckResult:
    return await client.check_layers("app", _one_by_one())


async def _stream(client: ECRLayerClient) -> int:
    async with client.stream_layers("app", FEW) as stream:
        return len([outcome async for outcome in stream])


async def _break_out(client: ECRLayerClient) -> None:
    async with client.stream_layers("app", iter(FEW)) as stream:
        async for _ in stream:
            break


async def _break_out_async(client: ECRLayerClient) -> None:
    async with client.stream_layers("app", _one_by_one()) as stream:
        async for _ in stream:
            break


async def _check_each(client: ECRLayerClient) -> int:
    return len(await asyncio.gather(*(client.check_layer("app", digest) for digest in FEW)))


WORK = [
    pytest.param(_check, id="check_layers"),
    pytest.param(_check_in_time, id="timeout"),
    pytest.param(_check_async, id="async-generator"),
    pytest.param(_stream, id="stream"),
    pytest.param(_break_out, id="break"),
    pytest.param(_break_out_async, id="break-async-generator"),
]
SETTINGS: list[Any] = [
    pytest.param({}, None, id="plain"),
    pytest.param({"max_concurrency": 2}, None, id="slots"),
    pytest.param({"requests_per_second": 4.0}, None, id="line"),
    pytest.param({"retry": NO_WAITING}, {"status": 503, "times": 3}, id="backoff"),
    pytest.param(
        {"retry": NO_WAITING}, {"error": "ThrottlingException", "times": 3}, id="throttled"
    ),
    pytest.param({}, {"drop_rows": 1, "times": 2}, id="asked-again"),
    pytest.param({"attempt_timeout": 0.2}, {"latency": 1.0, "times": 2}, id="attempt-timeout"),
    pytest.param({}, {"drip": 2_000.0}, id="drip"),
]


@pytest.mark.parametrize(("options", "faults"), SETTINGS)
@pytest.mark.parametrize("work", WORK)
async def test_cancelled_at_each_step(
    ecr: LocalECR, work: Work, options: dict[str, Any], faults: dict[str, Any] | None
) -> None:
    """Wherever it is cancelled, CancelledError passes, no task, timer, slot, turn or request is left, and the client goes on."""
    ecr.seed("app", [])
    async with ecr.client(batch_size=1, **options) as client:
        assert await _sweep(ecr, client, work, faults) > len(FEW)


@pytest.mark.parametrize("transport", ["signed"])
@pytest.mark.parametrize(
    ("options", "faults"),
    [setting for setting in SETTINGS if setting.id in {"plain", "slots", "backoff", "asked-again"}],
)
async def test_single_checks_cancelled_at_each_step(
    ecr: LocalECR, options: dict[str, Any], faults: dict[str, Any] | None
) -> None:
    """So it is where single checks are cancelled together."""
    ecr.seed("app", [])
    async with ecr.client(batch_size=1, **options) as client:
        assert await _sweep(ecr, client, _check_each, faults) > len(FEW)


async def test_cancelled_while_failing(ecr: LocalECR) -> None:
    """Nothing is left where the cancellation meets a call that fails for good."""
    ecr.seed("app", [])

    async def fail(client: ECRLayerClient) -> object:
        result = await asyncio.gather(client.check_layers("app", FEW), return_exceptions=True)
        return result[0]

    async with ecr.client(batch_size=1, max_concurrency=3) as client:
        assert await _sweep(
            ecr, client, fail, {"error": "AccessDeniedException", "after": 2}
        ) > len(FEW)


async def test_cancelled_while_opening(ecr: LocalECR) -> None:
    """A client whose opening is cancelled is not open, holds no connection, and can be opened."""
    ecr.seed("app", [])
    client = ecr.client()
    steps = 1
    while await _cancelled_after(steps, client.open()):
        assert (steps, _left_on_the_loop(), ecr.connections, repr(client)[-10:]) == (
            steps,
            [],
            0,
            " not open>",
        )
        steps += 1
    assert len(await client.check_layers("app", FEW)) == len(FEW)
    await client.aclose()


async def test_cancelled_while_closing(ecr: LocalECR) -> None:
    """A client whose closing is cancelled is closed, and so is its connection.

    What was under way ends with an error, never as whole.
    """
    ecr.seed("app", [])
    steps = 1
    in_time = True
    while in_time:
        client = await ecr.client(batch_size=1).open()
        reader = asyncio.create_task(client.check_layers("app", FEW))
        await asyncio.sleep(0.01)
        in_time = await _cancelled_after(steps, client.aclose())
        await asyncio.wait([reader])
        assert (steps, _left_on_the_loop(), ecr.connections, repr(client)[-10:]) == (
            steps,
            [],
            0,
            " not open>",
        )
        assert isinstance(reader.exception(), ClientStateError)
        steps += 1


async def test_cancelled_amid_others(ecr: LocalECR) -> None:
    """A cancelled check takes nothing from the others that wait in the same line."""
    ecr.seed("app", [])
    async with ecr.client(batch_size=1, requests_per_second=10.0) as client:
        checks = [asyncio.create_task(client.check_layers("app", [digest])) for digest in FEW]
        await asyncio.sleep(0.15)
        for check in checks[1::2]:
            check.cancel()
        results = await asyncio.gather(*checks, return_exceptions=True)
    assert [isinstance(result, LayerCheckResult) for result in results] == [
        True,
        True,
        True,
        False,
        True,
        False,
    ]


async def test_a_finally_that_waits_is_waited_for(ecr: LocalECR) -> None:
    """Leaving a stream early waits until the caller's own async generator has finished what it began."""
    ecr.seed("app", [])
    ended: list[float] = []

    async def tidy() -> AsyncIterator[str]:
        try:
            yield FEW[0]
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(1)
            ended.append(asyncio.get_running_loop().time())

    async with ecr.client(batch_size=1) as client:
        async with client.stream_layers("app", tidy()) as stream:
            await anext(stream)
        assert len(ended) == 1
