"""How the client handles failures: throttling, outages, truncated responses. Nothing is lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from client.steps import QuietObserver, digests_of, now, partial_of
from ecr_layer_client import (
    AccessDeniedError,
    CallError,
    CredentialsError,
    LayerFailureCode,
    OperationTimeoutError,
    ResponseError,
    RetryPolicy,
    ServerError,
    ThrottledError,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from client.steps import Work
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def ecr(ecr: LocalECR, digests: list[str]) -> LocalECR:
    """Give a repository `app` that holds every other digest."""
    ecr.seed("app", [(digest, 1) for digest in digests[::2]])
    return ecr


# A wrong row in a response that is not a result.
WRONG = b'{"layers": [{"layerDigest": "sha256:%064x", "layerAvailability": "AVAILABLE"}]}' % 1
TRANSIENT: dict[str, dict[str, Any]] = {
    "code": {"error": "ServerException"},
    "status": {"status": 503},
    "other-2xx": {"body": WRONG, "status": 206},
    "reset": {"reset": True},
    "truncated": {"cut_at": 40},
    "empty": {"body": b""},
    "settles-nothing": {"body": b'{"layers": [], "failures": []}'},
    "slow": {"latency": 60.0},
}
THROTTLED: dict[str, dict[str, Any]] = {
    "throttling-code": {"error": "ThrottlingException"},
    "throttling-status": {"status": 429},
}
FINAL: list[Any] = [
    pytest.param(
        {"error": "AccessDeniedException"},
        AccessDeniedError,
        "ecr:BatchCheckLayerAvailability on arn:aws:ecr",
        id="denied",
    ),
    pytest.param(
        {"error": "UnrecognizedClientException"},
        CredentialsError,
        "renew the credentials",
        id="keys",
    ),
    pytest.param(
        {"redirect_to": "http://127.0.0.1:2/"},
        ResponseError,
        "redirects are refused",
        id="redirect",
    ),
]


@pytest.mark.parametrize(
    "fault", [*TRANSIENT.values(), *THROTTLED.values()], ids=[*TRANSIENT, *THROTTLED]
)
async def test_a_transient_error(ecr: LocalECR, digests: list[str], fault: dict[str, Any]) -> None:
    """A transient error costs time and nothing else."""
    ecr.faults.add(times=3, **fault)
    async with ecr.client() as client:
        result = await client.check_layers("app", digests)
    assert (result.available, result.absent) == (tuple(digests[::2]), tuple(digests[1::2]))


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=list(TRANSIENT))
async def test_a_transient_error_that_lasts(
    ecr: LocalECR, digests: list[str], fault: dict[str, Any]
) -> None:
    """A transient error that outlasts the retries is retryable, and keeps the unanswered."""
    ecr.faults.add(**fault)
    async with ecr.client(retry=RetryPolicy(max_attempts=3)) as client:
        with pytest.raises(CallError) as raised:
            await client.check_layers("app", digests)
    assert (raised.value.retryable, raised.value.attempts) == (True, 3)
    assert partial_of(raised.value).unanswered == tuple(digests)


@pytest.mark.parametrize(("fault", "error", "match"), FINAL)
async def test_a_final_error(
    ecr: LocalECR, digests: list[str], fault: dict[str, Any], error: type[CallError], match: str
) -> None:
    """An error that another attempt cannot fix costs one request, and says what to do."""
    ecr.faults.add(**fault)
    async with ecr.client() as client:
        with pytest.raises(error, match=match) as raised:
            await client.check_layers("app", digests[:1])
    assert (raised.value.retryable, raised.value.attempts, ecr.stats.requests) == (False, 1, 1)


async def test_400_calls_throttled_300_times(ecr: LocalECR) -> None:
    """300 throttled requests fail none of 400 calls, because they count as no attempts."""
    digests = [f"sha256:{number:064x}" for number in range(400)]
    ecr.faults.add(error="ThrottlingException", times=300)
    options: Any = {"batch_size": 1, "max_concurrency": 50, "retry": RetryPolicy(max_attempts=2)}
    async with ecr.client(**options) as client:
        results = await asyncio.gather(
            *(client.check_layers("app", [digest]) for digest in digests)
        )
    assert [digests_of(result) for result in results] == [[digest] for digest in digests]


async def test_throttled_for_good(ecr: LocalECR, digests: list[str]) -> None:
    """A call fails as throttled when nothing has succeeded for `max_elapsed`."""
    ecr.faults.add(error="ThrottlingException")
    async with ecr.client(retry=RetryPolicy(max_elapsed=60.0)) as client:
        with pytest.raises(ThrottledError, match="Rate exceeded") as raised:
            await client.check_layers("app", digests)
    assert (raised.value.throttled, 60 <= now() < 120) == (True, True)


class Unlucky:
    """A transport that throttles checks of seven digests for three minutes, after 5 s each."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.throttled = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    async def send(self, operation: Any) -> Any:
        """Send a request, or be throttled."""
        if operation.count == 7 and now() < 180:
            await asyncio.sleep(5)
            self.throttled += 1
            raise ThrottledError(
                "Rate exceeded", code="ThrottlingException", status=400, retryable=True
            )
        return await self._transport.send(operation)


async def test_throttled_while_others_succeed(ecr: LocalECR, digests: list[str]) -> None:
    """A call goes on after `max_elapsed` of throttling, as long as ECR accepts other calls."""
    async with ecr.client(retry=RetryPolicy(max_elapsed=20.0)) as client:
        connection: Any = client._connection
        unlucky = Unlucky(connection._opened.transport)
        connection._opened = connection._opened._replace(transport=unlucky)

        checking = asyncio.create_task(client.check_layers("app", digests[:7]))
        while not checking.done():
            await client.check_layers("app", digests[:1])
            await asyncio.sleep(0.5)
        assert (len(await checking), unlucky.throttled > 5) == (7, True)


async def test_throttled_before_it_began(ecr: LocalECR, digests: list[str]) -> None:
    """A call has its own `max_elapsed` to be throttled, however long nothing has succeeded."""
    fault = ecr.faults.add(error="ThrottlingException")
    async with ecr.client(retry=RetryPolicy(max_elapsed=60.0)) as client:
        first = asyncio.create_task(client.check_layers("app", digests[:1]))
        await asyncio.sleep(55.0)
        second = asyncio.create_task(client.check_layers("app", digests[:1]))
        with pytest.raises(ThrottledError):
            await first

        started = now()
        await asyncio.sleep(20.0)
        fault.remove()
        assert (len(await second), now() - started < 50) == (1, True)


async def test_a_throttled_call_is_next(ecr: LocalECR, digests: list[str]) -> None:
    """A throttled call goes back to the front of the line."""
    sent: list[int] = []

    class Observer(QuietObserver):
        def attempt(self, *facts: Any) -> Any:
            sent.append(facts[-1])
            return super().attempt()

    ecr.faults.add(error="ThrottlingException", times=1)
    async with ecr.client(requests_per_second=1.0, observer=Observer()) as client:
        await asyncio.gather(
            *(client.check_layers("app", digests[:count]) for count in (1, 2, 3, 4))
        )
    assert sent == [1, 1, 2, 3, 4]


async def test_an_empty_retry_budget(ecr: LocalECR) -> None:
    """An empty retry budget delays retries, even beyond `max_elapsed`, and fails no call."""
    ecr.faults.add(status=503, times=800)
    async with ecr.client(max_concurrency=400, retry=RetryPolicy(max_elapsed=20.0)) as client:
        results = await asyncio.gather(
            *(client.check_layers("app", [f"sha256:{number:064x}"]) for number in range(400))
        )
    assert len(results) == 400


@pytest.mark.parametrize(
    ("fault", "error"),
    [({"error": "ThrottlingException"}, ThrottledError), ({"status": 503}, ServerError)],
    ids=["throttled", "status"],
)
async def test_retries_off(
    ecr: LocalECR, digests: list[str], fault: dict[str, Any], error: type[CallError]
) -> None:
    """With `max_attempts=1` nothing is tried again, throttled requests neither."""
    ecr.faults.add(times=1, **fault)
    async with ecr.client(retry=ONCE) as client:
        with pytest.raises(error):
            await client.check_layers("app", digests[:1])
    assert ecr.stats.requests == 1


async def test_max_elapsed(ecr: LocalECR, digests: list[str]) -> None:
    """A call is not tried again after `max_elapsed`."""
    ecr.faults.add(status=503)
    policy = RetryPolicy(max_attempts=1000, max_backoff=5.0, max_elapsed=30.0)
    async with ecr.client(retry=policy) as client:
        with pytest.raises(ServerError) as raised:
            await client.check_layers("app", digests[:1])
    assert 20 < raised.value.elapsed < 30.1


async def test_an_attempt_has_a_deadline(ecr: LocalECR, digests: list[str]) -> None:
    """An attempt ends after `attempt_timeout`, even if the response keeps coming slowly."""
    ecr.faults.add(drip=1)
    async with ecr.client(retry=ONCE, attempt_timeout=2.0) as client:
        with pytest.raises(TransportError, match=r"attempt_timeout=2\.0") as raised:
            await client.check_layers("app", digests)
    assert raised.value.elapsed == pytest.approx(2.0)


async def test_a_body_beyond_the_bound(ecr: LocalECR, digests: list[str]) -> None:
    """A response larger than `max_response_bytes` is refused."""
    async with ecr.client(retry=ONCE, max_response_bytes=1000) as client:
        with pytest.raises(ResponseError, match="max_response_bytes=1000"):
            await client.check_layers("app", digests)


@pytest.mark.parametrize("shaped", [list, iter], ids=["list", "iterator"])
async def test_partial(
    ecr: LocalECR, digests: list[str], shaped: Callable[[list[str]], Any]
) -> None:
    """`.partial` has the answered and the unanswered; what was not pulled stays in an iterator."""
    ecr.faults.add(error="AccessDeniedException", after=1)
    given = shaped(digests)
    async with ecr.client(max_concurrency=1) as client:
        with pytest.raises(AccessDeniedError) as raised:
            await client.check_layers("app", given)

    partial = partial_of(raised.value)
    assert digests_of(partial) == digests[:100]
    not_pulled = [] if shaped is list else list(given)
    assert [*partial.unanswered, *not_pulled] == digests[100:]


async def test_partial_of_a_stream(ecr: LocalECR, digests: list[str]) -> None:
    """A stream yields everything answered before it raises; `.partial` has the unanswered."""
    ecr.faults.add(error="AccessDeniedException", after=1)
    seen: list[str] = []
    async with (
        ecr.client(max_concurrency=1) as client,
        client.stream_layers("app", digests) as stream,
    ):
        with pytest.raises(AccessDeniedError) as raised:
            async for outcome in stream:
                seen.append(outcome.digest)  # noqa: PERF401 (the error comes after some)

    partial = partial_of(raised.value)
    assert (seen, partial.outcomes, partial.unanswered) == (digests[:100], (), tuple(digests[100:]))


async def test_running_attempts_finish(ecr: LocalECR, digests: list[str]) -> None:
    """Attempts that run when a call fails finish and count; later errors are notes of the first."""
    ecr.faults.add(error="AccessDeniedException", times=1)
    ecr.faults.add(status=503, after=1, times=1, latency=1.0)
    ecr.faults.add(latency=2.0, after=2, times=1)
    async with ecr.client() as client:
        with pytest.raises(AccessDeniedError) as raised:
            await client.check_layers("app", digests)

    assert (len(partial_of(raised.value)), ecr.stats.requests) == (50, 3)
    notes = [note.split(": ")[:2] for note in raised.value.__notes__]
    assert notes == [["another error", "ServerError"]]


async def test_timeout(ecr: LocalECR, digests: list[str]) -> None:
    """`timeout=` bounds the whole operation, and its error keeps what was answered."""
    ecr.faults.add(latency=3600.0, after=1)
    async with ecr.client(max_concurrency=1, attempt_timeout=7200.0) as client:
        started = now()
        with pytest.raises(OperationTimeoutError, match="timeout=30") as raised:
            await client.check_layers("app", digests, timeout=30)

    partial = partial_of(raised.value)
    assert now() - started == pytest.approx(30)
    assert (len(partial), len(partial.unanswered)) == (100, 150)
    assert isinstance(raised.value, TimeoutError)


WITH_TIMEOUT: dict[str, Work] = {
    "check_layers": lambda client, given: client.check_layers("app", given, timeout=1),
    "check_many": lambda client, given: client.check_many({"app": given}, timeout=1),
    "wait": lambda client, given: client.wait_until_available("app", given, timeout=1),
}


@pytest.mark.parametrize("check", WITH_TIMEOUT.values(), ids=list(WITH_TIMEOUT))
async def test_timeout_while_a_call_is_retried(
    ecr: LocalECR, digests: list[str], check: Work
) -> None:
    """A timeout during retries names the last failed attempt, and is caused by it."""
    ecr.faults.add(status=503)
    message = r"; the last failed attempt before the timeout: .*the endpoint returned HTTP 503:"
    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError, match=message) as raised:
            await check(client, digests)
    assert isinstance(raised.value.__cause__, ServerError)


async def test_a_timeout_repeats_nothing(ecr: LocalECR, digests: list[str]) -> None:
    """A timeout names the operation once, although the failed attempt names it, too."""
    ecr.faults.add(status=503)
    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.check_layers("app", digests, timeout=1)
    assert str(raised.value).count("BatchCheckLayerAvailability") == 1


async def test_timeout_while_the_input_is_awaited(ecr: LocalECR, digests: list[str]) -> None:
    """The timeout holds while the caller's own iterator is awaited, and its digests are kept."""

    async def stuck() -> AsyncIterator[str]:
        for digest in digests[:150]:
            yield digest
        await asyncio.sleep(3600)

    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.check_layers("app", stuck(), timeout=10)
    partial = partial_of(raised.value)
    assert (digests_of(partial), partial.unanswered) == (digests[:100], tuple(digests[100:150]))


async def test_timeout_while_nobody_reads(ecr: LocalECR, digests: list[str]) -> None:
    """A stream yields what was answered after its timeout, sends nothing more, and raises."""
    async with (
        ecr.client(max_concurrency=1) as client,
        client.stream_layers("app", digests, timeout=1.0) as stream,
    ):
        seen = [await anext(stream)]
        await asyncio.sleep(2.0)
        with pytest.raises(OperationTimeoutError) as raised:
            async for outcome in stream:
                seen.append(outcome)  # noqa: PERF401 (the error comes after some)
    assert (digests_of(seen), ecr.stats.requests) == (digests[:200], 2)
    assert partial_of(raised.value).unanswered == tuple(digests[200:])


@pytest.mark.parametrize(
    ("times", "codes"), [(2, [LayerFailureCode.NOT_REPORTED]), (1, [])], ids=["twice", "once"]
)
async def test_a_digest_that_responses_leave_out(
    ecr: LocalECR, digests: list[str], times: int, codes: list[LayerFailureCode]
) -> None:
    """A digest that a response leaves out is checked again, and then it is NOT_REPORTED."""
    ecr.faults.add(drop_rows=1, times=times)
    async with ecr.client() as client:
        result = await client.check_layers("app", digests[:10])
    assert [failure.code for failure in result.failures] == codes
    assert (digests_of(result), ecr.stats.requests) == (digests[:10], 2)


async def test_an_outage_of_five_minutes(ecr: LocalECR, digests: list[str]) -> None:
    """An outage loses nothing: checks of the unanswered digests of errors complete the set."""
    policy = RetryPolicy(max_elapsed=60.0, max_attempts=100)
    outage = ecr.faults.add(reset=True, after=1)
    asyncio.get_running_loop().call_later(300, outage.remove)

    answered: list[str] = []
    missing: tuple[str, ...] = tuple(digests)
    failed = 0
    async with ecr.client(max_concurrency=1, retry=policy) as client:
        while missing:
            try:
                result = await client.check_layers("app", missing)
            except TransportError as error:
                failed += 1
                result = partial_of(error)
            answered += digests_of(result)
            missing = result.unanswered
    assert (sorted(answered), failed >= 4) == (digests, True)
