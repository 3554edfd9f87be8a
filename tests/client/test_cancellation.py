"""A cancellation may come at any moment: nothing is left behind, and the client still works.

Each claim is swept. The steps of all tasks are counted, and the work is cancelled after its first
step, after its second step, and so on, until it ends before it can be cancelled.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from client.steps import CHECK_LAYER, CHECKS, one_by_one, pending_timers
from ecr_layer_client import ClientStateError, ECRLayerClient, RetryPolicy
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator

    from client.steps import Work
    from ecr_layer_client.local import LocalECR

    Options = dict[str, Any]

pytestmark = pytest.mark.asyncio

FEW = [f"sha256:{number:064x}" for number in range(6)]
SHORT_BACKOFF = RetryPolicy(max_attempts=4, initial_backoff=0.1)


class _Steps:
    """A coroutine that calls `notify` before each of its steps."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], notify: Callable[[], None]) -> None:
        self._coroutine = coroutine
        self._notify = notify

    def __await__(self) -> Generator[Any, None, Any]:
        error: BaseException | None = None
        while True:
            self._notify()
            try:
                step = self._coroutine
                awaited = step.send(None) if error is None else step.throw(error)
            except StopIteration as end:
                return end.value

            error = None
            try:
                yield awaited
            except BaseException as raised:  # noqa: BLE001
                # The coroutine gets it, as it does from a task.
                error = raised


@contextmanager
def _counted(notify: Callable[[], None]) -> Generator[None, None, None]:
    """Call `notify` before each step of every task that is made."""
    loop = asyncio.get_running_loop()

    def make(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        async def run() -> Any:
            return await _Steps(coroutine, notify)

        task = asyncio.Task(run(), loop=loop, **options)
        # A task that is cancelled before its first step has not begun its coroutine.
        task.add_done_callback(lambda _: coroutine.close())
        return task

    loop.set_task_factory(make)
    try:
        yield
    finally:
        loop.set_task_factory(None)


async def _cancelled_after(steps: int, work: Coroutine[Any, Any, object]) -> bool:
    """Cancel the work after so many steps of it and of its tasks; return whether it still ran."""
    count = 0
    in_time = False

    def cancel() -> None:
        nonlocal in_time
        in_time = victim.cancel()

    def notify() -> None:
        nonlocal count
        count += 1
        if count == steps:
            asyncio.get_running_loop().call_soon(cancel)

    with _counted(notify):
        victim = asyncio.create_task(work)
        await asyncio.wait([victim])
    assert victim.cancelled() == in_time, "CancelledError did not pass"
    return in_time


def _left_on_the_loop() -> list[object]:
    """Return the tasks and timers that are not the test's own."""
    return [*(asyncio.all_tasks() - {asyncio.current_task()}), *pending_timers()]


def _held(client: ECRLayerClient, ecr: LocalECR) -> dict[str, int]:
    """Return what is held of the connection and of the local ECR."""
    resources = client._connection.resources_for(CHECK)
    rate_limiter, slots = resources.rate_limiter, resources.slots
    return {
        "slots": client._connection.config.max_concurrency - slots._value,
        "in flight": rate_limiter.pacer._in_flight,
        "waiting": sum(not turn.done() for turn in rate_limiter._waiting),
        "requests": ecr.in_flight,
    }


NOTHING_HELD = {"slots": 0, "in flight": 0, "waiting": 0, "requests": 0}


async def _sweep(ecr: LocalECR, client: ECRLayerClient, work: Work, faults: Options | None) -> int:
    """Cancel the work at each step, check that nothing is left, and return the number of steps."""
    steps, in_time = 0, True
    while in_time:
        steps += 1
        ecr.faults.clear()
        if faults is not None:
            ecr.faults.add(**faults)
        in_time = await _cancelled_after(steps, work(client, FEW))
        assert (steps, _left_on_the_loop(), _held(client, ecr)) == (steps, [], NOTHING_HELD)

    ecr.faults.clear()
    assert len(await client.check_layers("app", FEW)) == len(FEW)
    return steps


async def _break_out(client: ECRLayerClient, digests: Any) -> None:
    async with client.stream_layers("app", digests) as stream:
        async for _ in stream:
            break


async def _check_each(client: ECRLayerClient, digests: list[str]) -> None:
    await asyncio.gather(*(client.check_layer("app", digest) for digest in digests))


async def _fail(client: ECRLayerClient, digests: list[str]) -> None:
    await asyncio.gather(client.check_layers("app", digests), return_exceptions=True)


WORK: dict[str, Work] = {
    "check_layers": CHECKS["check_layers"],
    "timeout": lambda client, few: client.check_layers("app", few, timeout=60),
    "async-generator": lambda client, few: client.check_layers("app", one_by_one(few, 0.01)),
    "stream": CHECKS["stream_layers"],
    "break": lambda client, few: _break_out(client, iter(few)),
    "break-async-generator": lambda client, few: _break_out(client, one_by_one(few, 0.01)),
}
SETTINGS: dict[str, tuple[Options, Options | None]] = {
    "plain": ({}, None),
    "slots": ({"max_concurrency": 2}, None),
    "backoff": ({"retry": SHORT_BACKOFF}, {"status": 503, "times": 3}),
    "checked-again": ({}, {"drop_rows": 1, "times": 2}),
    "rate": ({"requests_per_second": 4.0}, None),
    "throttled": ({"retry": SHORT_BACKOFF}, {"error": "ThrottlingException", "times": 3}),
    "attempt-timeout": ({"attempt_timeout": 0.2}, {"latency": 1.0, "times": 2}),
    "drip": ({}, {"drip": 2_000.0}),
}
CASES = [
    *((f"{name}-{setting}", WORK[name], setting) for name in WORK for setting in SETTINGS),
    *((f"check_layer-{setting}", _check_each, setting) for setting in list(SETTINGS)[:4]),
]


@pytest.mark.parametrize(
    ("work", "options", "faults"),
    [
        *(pytest.param(work, *SETTINGS[setting], id=name) for name, work, setting in CASES),
        pytest.param(
            _fail, {"max_concurrency": 3}, {"error": "AccessDeniedException", "after": 2}, id="fail"
        ),
    ],
)
async def test_cancelled_at_each_step(
    ecr: LocalECR, work: Work, options: Options, faults: Options | None
) -> None:
    """A cancellation at any step leaves no task, timer, slot or request, and the client works."""
    async with ecr.client(batch_size=1, **options) as client:
        assert await _sweep(ecr, client, work, faults) > len(FEW)


def _assert_closed(steps: int, ecr: LocalECR, client: ECRLayerClient) -> None:
    state = steps, _left_on_the_loop(), ecr.connections, repr(client)[-10:]
    assert state == (steps, [], 0, " not open>")


async def test_cancelled_while_opening(ecr: LocalECR) -> None:
    """A client whose opening is cancelled is not open, has no connection and can be opened."""
    client = ecr.client()
    steps = 1
    while await _cancelled_after(steps, client.open()):
        _assert_closed(steps, ecr, client)
        steps += 1

    assert len(await client.check_layers("app", FEW)) == len(FEW)
    await client.aclose()


async def test_cancelled_while_closing(ecr: LocalECR) -> None:
    """A client whose closing is cancelled is closed, and a check that was running is an error."""
    steps, in_time = 0, True
    while in_time:
        steps += 1
        client = await ecr.client(batch_size=1).open()
        check = asyncio.create_task(client.check_layers("app", FEW))
        await asyncio.sleep(0.01)
        in_time = await _cancelled_after(steps, client.aclose())
        await asyncio.wait([check])

        _assert_closed(steps, ecr, client)
        assert isinstance(check.exception(), ClientStateError)


async def test_an_input_that_cleans_up(ecr: LocalECR) -> None:
    """Leaving a stream early waits until the caller's own async generator has finished."""
    ended: list[float] = []

    async def cleans_up() -> AsyncIterator[str]:
        try:
            yield FEW[0]
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(1)
            ended.append(asyncio.get_running_loop().time())

    async with ecr.client(batch_size=1) as client:
        async with client.stream_layers("app", cleans_up()) as stream:
            await anext(stream)
        assert len(ended) == 1


@pytest.mark.parametrize("transport", ["signed"])
@pytest.mark.parametrize(
    "work", [CHECKS["check_layers"], CHECKS["check_many"], CHECK_LAYER], ids=["one", "many", "each"]
)
async def test_a_task_that_others_cancel(ecr: LocalECR, digests: list[str], work: Work) -> None:
    """A check whose own task is cancelled by other code is cancelled, and has no result."""
    async with ecr.client() as client:
        checking = asyncio.create_task(work(client, digests))
        await asyncio.sleep(0.02)
        names = "check_batch", "ManyCheck._check"
        every = {task: getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}
        (batch, *_) = (task for task, name in every.items() if name.endswith(names))
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking
