"""`Caller`: what it reports of each attempt, and when it makes another one."""

from __future__ import annotations

import asyncio
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from client.steps import QuietObserver, now
from ecr_layer_client import (
    CallError,
    ClientConfig,
    Repository,
    RetryPolicy,
    ServerError,
    ThrottledError,
    TransportError,
)
from ecr_layer_client._calls.caller import Caller, OperationState
from ecr_layer_client._calls.connection import Resources
from ecr_layer_client._calls.observer import SafeObserver
from ecr_layer_client._calls.rate_limiter import RateLimiter
from ecr_layer_client._checks.operation import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

pytestmark = pytest.mark.asyncio

APP = Repository(name="app")


def throttled() -> CallError:
    """Return the error of a throttled request."""
    return ThrottledError("Rate exceeded", code="ThrottlingException", status=400, request_id="1")


class Transport:
    """A transport that raises the errors it was given, one a request, and then succeeds."""

    def __init__(self, errors: Iterable[CallError]) -> None:
        self._errors = iter(errors)
        self.requests = 0
        self.seconds = 0.0

    async def send(self, _: object) -> Any:
        """Send a request, which takes `seconds`."""
        self.requests += 1
        await asyncio.sleep(self.seconds)
        for error in self._errors:
            raise error
        return "settled"


class Limiter(RateLimiter):
    """A rate limiter that records what is reported to it, and holds nothing back."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[str] = []

    async def acquire(self, *, at_front: bool = False) -> None:
        """Let every request leave."""

    def succeeded(self) -> None:
        """Record a success."""
        self.reports.append("succeeded")

    def throttled(self, round_trip: float) -> None:
        """Record a throttled request."""
        self.reports.append("throttled")

    def abandoned(self) -> None:
        """Record a request without a response."""
        self.reports.append("abandoned")


class Credentials:
    """Credentials that are always ready."""

    generation = 0

    async def ready(self) -> None:
        """Be ready."""


class Delays(QuietObserver):
    """An observer that records the wait before each retry."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def retry(self, *facts: Any) -> None:
        """Record the wait."""
        self.seconds.append(facts[-1])


class Calls:
    """A caller of a transport that fails, and what it reported."""

    def __init__(self, *errors: CallError, retry: RetryPolicy | None = None) -> None:
        self.transport = Transport(errors)
        self.limiter = Limiter()
        self.delays = Delays()
        self.state = OperationState()
        transport: Any = self.transport
        credentials: Any = Credentials()
        slots = asyncio.Semaphore(20)
        resources = Resources(transport, "us-east-1", credentials, self.limiter, slots)
        config = ClientConfig(retry=retry or RetryPolicy())
        self.caller = Caller(resources, config, SafeObserver(self.delays), max)

    async def call(self, on_attempt: Callable[[asyncio.Timeout], None] | None = None) -> Any:
        """Make a call."""
        return await self.caller.call(Check(APP, ["sha256:aa"]), self.state, on_attempt)


@pytest.mark.parametrize(
    ("error", "report"),
    [
        pytest.param(TransportError("reset"), "abandoned", id="no-response"),
        pytest.param(ServerError("503", status=503, request_id="1"), "succeeded", id="response"),
        pytest.param(throttled(), "throttled", id="throttled"),
    ],
)
async def test_an_attempt_is_reported(error: CallError, report: str) -> None:
    """An attempt without a response is no success, and an error response is none of the rate."""
    error.retryable = True
    calls = Calls(error)
    await calls.call()
    assert calls.limiter.reports == [report, "succeeded"]


async def test_backoff() -> None:
    """The bound of a wait doubles from wait to wait, up to `max_backoff`."""
    errors = [TransportError("reset", retryable=True) for _ in range(6)]
    calls = Calls(*errors, retry=RetryPolicy(initial_backoff=0.5, max_backoff=6.0))
    await calls.call()
    assert calls.delays.seconds == [0.5, 1.0, 2.0, 4.0, 6.0, 6.0]


async def test_the_first_retry_imports_tenacity(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first retry imports tenacity, in a thread, where the event loop does not wait."""
    threads: list[threading.Thread] = []

    def importing(name: str) -> object:
        threads.append(threading.current_thread())
        return import_module(name)

    monkeypatch.delitem(sys.modules, "tenacity", raising=False)
    monkeypatch.setattr("ecr_layer_client._calls.caller.import_module", importing)
    for _ in range(2):
        assert await Calls(TransportError("reset", retryable=True)).call() == "settled"
    assert [thread is threading.main_thread() for thread in threads] == [False]


@pytest.mark.parametrize(("backoff", "wait"), [(1.0, 1.0), (0.01, 0.2)], ids=["longer", "shorter"])
async def test_the_retry_budget_is_no_addition_to_a_backoff(backoff: float, wait: float) -> None:
    """A retry waits for its backoff or for the retry budget, whichever is longer."""
    calls = Calls(
        TransportError("reset", retryable=True), retry=RetryPolicy(initial_backoff=backoff)
    )
    for _ in range(11):
        calls.limiter.budget.spend(0.0)
    await calls.call()
    assert calls.delays.seconds == [pytest.approx(wait)]


async def test_a_throttled_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A throttled request is logged with the rate from then on."""
    caplog.set_level("INFO", "ecr_layer_client")
    calls = Calls(throttled())
    calls.limiter.pacer.ceiling = 5.0
    await calls.call()
    assert caplog.messages == ["throttled: 5 requests a second from now on"]


async def test_throttling_ends_at_the_bound() -> None:
    """A throttled call waits for no other turn once `max_elapsed` seconds brought no success."""
    calls = Calls(*(throttled() for _ in range(3)), retry=RetryPolicy(max_elapsed=1.0))
    calls.limiter.pacer.throttled(now(), 0.0)
    calls.transport.seconds = 0.5
    with pytest.raises(ThrottledError):
        await calls.call()
    assert (calls.transport.requests, now()) == (2, 1.0)


async def test_the_facts_of_an_error() -> None:
    """An error knows the operation, the repository, its attempts and its seconds."""
    errors = [TransportError("reset", retryable=True) for _ in range(2)]
    calls = Calls(*errors, retry=RetryPolicy(max_attempts=2, initial_backoff=0.5))
    with pytest.raises(TransportError) as raised:
        await calls.call()
    error = raised.value
    facts = error.operation, error.repository, error.attempts, error.elapsed
    assert facts == ("BatchCheckLayerAvailability", APP, 2, 0.5)


async def test_a_wait_that_ends_at_the_bound() -> None:
    """A call is not retried if `max_elapsed` seconds would have passed by then."""
    errors = [TransportError("reset", retryable=True) for _ in range(3)]
    policy = RetryPolicy(initial_backoff=0.5, max_backoff=0.5, max_elapsed=1.0)
    calls = Calls(*errors, retry=policy)
    with pytest.raises(TransportError):
        await calls.call()
    assert (calls.transport.requests, now()) == (2, 0.5)


async def test_an_attempt_that_may_move_its_deadline() -> None:
    """The time of a first attempt that may make progress is no part of `max_elapsed`."""
    calls = Calls(TransportError("reset", retryable=True), retry=RetryPolicy(max_elapsed=1.0))
    calls.transport.seconds = 5.0
    assert await calls.call(lambda _: None) == "settled"


async def test_an_attempt_with_a_fixed_deadline() -> None:
    """The time of other attempts is part of `max_elapsed`."""
    calls = Calls(TransportError("reset", retryable=True), retry=RetryPolicy(max_elapsed=1.0))
    calls.transport.seconds = 5.0
    with pytest.raises(TransportError):
        await calls.call()


async def test_the_retry_budget_counts_against_no_bound() -> None:
    """The seconds that the retry budget adds to the waits are no part of `max_elapsed`."""
    errors = [TransportError("reset", retryable=True) for _ in range(8)]
    policy = RetryPolicy(initial_backoff=0.01, max_backoff=0.01, max_elapsed=0.1)
    calls = Calls(*errors, retry=policy)
    for _ in range(11):
        calls.limiter.budget.spend(0.0)
    assert (await calls.call(), now() > 5 * policy.max_elapsed) == ("settled", True)


async def test_a_retry_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A retry is logged with its wait, the number of attempts, and the error."""
    caplog.set_level("INFO", "ecr_layer_client")
    await Calls(TransportError("reset", retryable=True)).call()
    assert caplog.messages == ["retry in 0.050 s, after attempt 1: reset"]


@pytest.mark.parametrize(
    "error", [throttled(), TransportError("reset", retryable=True)], ids=["throttled", "transient"]
)
async def test_an_operation_that_is_over(error: CallError) -> None:
    """Nothing is tried again once the operation is over, a throttled request neither."""
    calls = Calls(error)
    calls.state.is_over = True
    with pytest.raises(type(error)):
        await calls.call()
    assert calls.transport.requests == 1


async def test_a_success_ends_a_failure() -> None:
    """The last failure of an operation is forgotten when an attempt succeeds."""
    calls = Calls(TransportError("reset", retryable=True))
    await calls.call()
    assert calls.state == OperationState(has_begun=True)
