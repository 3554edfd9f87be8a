"""What the client makes of faults: throttling, outages, cut answers.

Nothing is lost and nothing is guessed.
"""

from __future__ import annotations

import asyncio
import pickle
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import (
    AccessDeniedError,
    CallError,
    ClockSkewError,
    CredentialsError,
    InvalidParameterError,
    LayerFailureCode,
    OperationTimeoutError,
    RepositoryNotFoundError,
    ResponseError,
    RetryPolicy,
    ServerError,
    ServiceError,
    ThrottledError,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractContextManager

    from ecr_layer_client import Repository
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

_OFF = RetryPolicy(max_attempts=1)


class Sent:
    """An observer that notes the requests by their number of digests."""

    def __init__(self) -> None:
        self.order: list[int] = []

    def attempt(
        # The protocol's.
        self,
        operation: str,
        repository: Repository,
        number: int,
        digests: int,
        /,
    ) -> AbstractContextManager[object]:
        """Note a request."""
        self.order.append(digests)
        return nullcontext()

    def operation(self, *_: object) -> AbstractContextManager[object]:
        """Note nothing."""
        return nullcontext()

    def retry(self, *_: object) -> None:
        """Note nothing."""

    def throttle(self, *_: object) -> None:
        """Note nothing."""


@pytest.fixture
def seeded(ecr: LocalECR, digests: list[str]) -> LocalECR:
    """Give a repository `app` that holds every other digest."""
    ecr.seed("app", [(digest, 1) for digest in digests[::2]])
    return ecr


TRANSIENT: list[Any] = [
    pytest.param({"error": "ServerException"}, id="ServerException"),
    pytest.param({"error": "InternalFailure"}, id="InternalFailure"),
    pytest.param({"error": "ServiceUnavailable"}, id="ServiceUnavailable"),
    pytest.param({"error": "RequestTimeout"}, id="RequestTimeout"),
    pytest.param({"status": 500}, id="500"),
    pytest.param({"status": 502}, id="502"),
    pytest.param({"status": 503}, id="503"),
    pytest.param({"status": 504}, id="504"),
    pytest.param({"reset": True}, id="reset"),
    pytest.param({"cut_at": 40}, id="cut"),
    pytest.param({"body": b""}, id="empty-200"),
    pytest.param({"body": b"<html>busy</html>"}, id="html-200"),
    pytest.param({"body": b"null"}, id="null"),
    pytest.param({"body": b"[]"}, id="list"),
    pytest.param({"body": b'{"layers": null, "failures": []}'}, id="null-list"),
    pytest.param({"body": b'{"layers": [], "failures": []}'}, id="settles-nothing"),
    pytest.param({"latency": 60.0}, id="slow"),
]
THROTTLING: list[Any] = [
    pytest.param({"error": "ThrottlingException"}, id="ThrottlingException"),
    pytest.param({"error": "TooManyRequestsException"}, id="TooManyRequestsException"),
    pytest.param({"error": "RequestLimitExceeded"}, id="RequestLimitExceeded"),
    pytest.param({"error": "SlowDown", "status": 503}, id="SlowDown-503"),
    pytest.param({"status": 429}, id="429"),
]
FINAL: list[Any] = [
    pytest.param(
        {"error": "AccessDeniedException"},
        AccessDeniedError,
        "ecr:BatchCheckLayerAvailability on arn:aws:ecr",
        id="AccessDenied",
    ),
    pytest.param(
        {"error": "InvalidParameterException"},
        InvalidParameterError,
        "InvalidParameterException",
        id="InvalidParameter",
    ),
    pytest.param(
        {"error": "LimitExceededException"},
        ServiceError,
        "LimitExceededException",
        id="LimitExceeded",
    ),
    pytest.param({"error": "KmsException"}, ServiceError, "KmsException", id="Kms"),
    pytest.param(
        {"error": "RepositoryNotFoundException", "status": 503},
        RepositoryNotFoundError,
        "Region us-east-1",
        id="by-code",
    ),
    pytest.param({"status": 404}, ServiceError, "HTTP 404", id="404"),
    pytest.param(
        {"error": "UnrecognizedClientException"},
        CredentialsError,
        "renew the credentials of your session",
        id="UnrecognizedClient",
    ),
    pytest.param(
        {"redirect_to": "http://127.0.0.1:2/"},
        ResponseError,
        "the endpoint returned HTTP 307: redirects are refused",
        id="redirect",
    ),
]


@pytest.mark.parametrize("fault", TRANSIENT + THROTTLING)
async def test_survives(seeded: LocalECR, digests: list[str], fault: dict[str, Any]) -> None:
    """A passing fault costs time and nothing else."""
    seeded.faults.add(times=3, **fault)
    async with seeded.client() as client:
        result = await client.check_layers("app", digests)
    assert (result.available, result.absent) == (tuple(digests[::2]), tuple(digests[1::2]))


@pytest.mark.parametrize("fault", TRANSIENT)
async def test_a_lasting_fault_is_an_error(
    seeded: LocalECR, digests: list[str], fault: dict[str, Any]
) -> None:
    """A fault that outlasts the retry policy is a retryable error, and what it could not answer is unanswered."""
    seeded.faults.add(**fault)
    async with seeded.client(retry=RetryPolicy(max_attempts=3)) as client:
        with pytest.raises(CallError) as raised:
            await client.check_layers("app", digests)
    assert raised.value.partial is not None
    assert (raised.value.retryable, raised.value.attempts, raised.value.partial.unanswered) == (
        True,
        3,
        tuple(digests),
    )


@pytest.mark.parametrize(("fault", "error", "match"), FINAL)
async def test_a_final_refusal_is_not_retried(
    seeded: LocalECR, digests: list[str], fault: dict[str, Any], error: type[CallError], match: str
) -> None:
    """What asking again can't cure is asked once, and the message says what to do."""
    seeded.faults.add(**fault)
    async with seeded.client() as client:
        with pytest.raises(error, match=match) as raised:
            await client.check_layers("app", digests[:1])
    assert (raised.value.retryable, raised.value.attempts, seeded.stats.requests) == (False, 1, 1)


async def test_every_error_survives_pickling(seeded: LocalECR, digests: list[str]) -> None:
    """An error crosses a process border with its facts and its partial result."""
    seeded.faults.add(error="AccessDeniedException", after=1)
    async with seeded.client(max_concurrency=1) as client:
        with pytest.raises(AccessDeniedError) as raised:
            await client.check_layers("app", digests)
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (str(copy), copy.partial, copy.code) == (
        str(raised.value),
        raised.value.partial,
        "AccessDeniedException",
    )


async def test_throttling_costs_no_attempt(seeded: LocalECR, digests: list[str]) -> None:
    """Throttled requests are not counted against `max_attempts`."""
    seeded.faults.add(error="ThrottlingException", times=20)
    async with seeded.client(retry=RetryPolicy(max_attempts=2)) as client:
        assert len(await client.check_layers("app", digests)) == 250


async def test_400_calls_throttled_300_times(seeded: LocalECR) -> None:
    """400 concurrent calls against an endpoint that throttles its first 300 requests lose nothing."""
    digests = [f"sha256:{number:064x}" for number in range(400)]
    seeded.faults.add(error="ThrottlingException", times=300)
    async with seeded.client(batch_size=1, max_concurrency=50) as client:
        results = await asyncio.gather(
            *(client.check_layers("app", [digest]) for digest in digests)
        )
    assert [result.outcomes[0].digest for result in results] == digests


async def test_throttled_for_good(seeded: LocalECR, digests: list[str]) -> None:
    """A call ends as throttled only when nothing has succeeded for `max_elapsed`."""
    seeded.faults.add(error="ThrottlingException")
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with seeded.client(retry=RetryPolicy(max_elapsed=60.0)) as client:
        with pytest.raises(ThrottledError, match="Rate exceeded") as raised:
            await client.check_layers("app", digests)
    assert raised.value.throttled
    assert 60 <= loop.time() - started < 120


class Unlucky:
    """A way to ECR on which checks of seven digests are throttled for three minutes, after five seconds each."""

    def __init__(self, way: Any) -> None:
        self._way = way
        self.throttled = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._way, name)

    async def send(self, operation: Any) -> Any:
        """Send a request, or be throttled."""
        if operation.count == 7 and asyncio.get_running_loop().time() < 180:
            await asyncio.sleep(5)
            self.throttled += 1
            msg = "Rate exceeded"
            raise ThrottledError(
                msg,
                code="ThrottlingException",
                message=msg,
                status=400,
                retryable=True,
                operation=operation.name,
            )
        return await self._way.send(operation)


async def test_throttled_while_others_pass(seeded: LocalECR, digests: list[str]) -> None:
    """A call is throttled for longer than `max_elapsed` and goes on, as long as the account accepts others."""
    async with seeded.client(retry=RetryPolicy(max_elapsed=20.0)) as client:
        way: Any = client._connection
        unlucky = Unlucky(way._opened.transport)
        way._opened = way._opened._replace(transport=unlucky)
        checking = asyncio.create_task(client.check_layers("app", digests[:7]))
        while not checking.done():
            await client.check_layers("app", digests[:1])
            await asyncio.sleep(0.5)
        assert (len(await checking), unlucky.throttled > 5) == (7, True)


async def test_starving_before_it_began(seeded: LocalECR, digests: list[str]) -> None:
    """A call that begins where nothing has succeeded for long has its own `max_elapsed` to be throttled."""
    fault = seeded.faults.add(error="ThrottlingException")
    loop = asyncio.get_running_loop()
    async with seeded.client(retry=RetryPolicy(max_elapsed=60.0)) as client:
        first = asyncio.create_task(client.check_layers("app", digests[:1]))
        await asyncio.sleep(55.0)
        second = asyncio.create_task(client.check_layers("app", digests[:1]))
        with pytest.raises(ThrottledError):
            await first
        started = loop.time()
        await asyncio.sleep(20.0)
        fault.remove()
        assert (len(await second), loop.time() - started < 50) == (1, True)


async def test_a_throttled_call_leaves_next(seeded: LocalECR, digests: list[str]) -> None:
    """A throttled call goes back to the front of the line: those that wait behind it leave later."""
    seeded.faults.add(error="ThrottlingException", times=1)
    sent = Sent()
    async with seeded.client(requests_per_second=1.0, observer=sent) as client:
        await asyncio.gather(
            *(client.check_layers("app", digests[:count]) for count in (1, 2, 3, 4))
        )
    assert sent.order == [1, 1, 2, 3, 4]


async def test_what_the_budget_adds_counts_against_nothing(seeded: LocalECR) -> None:
    """Calls that the retry budget holds back for longer than `max_elapsed` are tried again all the same."""
    seeded.faults.add(status=503, times=800)
    async with seeded.client(max_concurrency=400, retry=RetryPolicy(max_elapsed=20.0)) as client:
        results = await asyncio.gather(
            *(client.check_layers("app", [f"sha256:{number:064x}"]) for number in range(400))
        )
    assert len(results) == 400


async def test_retries_off(seeded: LocalECR, digests: list[str]) -> None:
    """With `max_attempts=1` nothing is tried again, throttling included."""
    seeded.faults.add(error="ThrottlingException", times=1)
    async with seeded.client(retry=_OFF) as client:
        with pytest.raises(ThrottledError):
            await client.check_layers("app", digests[:1])
        seeded.faults.add(status=503, times=1)
        with pytest.raises(ServerError):
            await client.check_layers("app", digests[:1])
    assert seeded.stats.requests == 2


async def test_max_elapsed(seeded: LocalECR, digests: list[str]) -> None:
    """A call is not tried again after `max_elapsed`."""
    seeded.faults.add(status=503)
    policy = RetryPolicy(max_attempts=1000, max_backoff=5.0, max_elapsed=30.0)
    async with seeded.client(retry=policy) as client:
        with pytest.raises(ServerError) as raised:
            await client.check_layers("app", digests[:1])
    assert 20 < raised.value.elapsed < 30.1


async def test_an_attempt_has_a_deadline(seeded: LocalECR, digests: list[str]) -> None:
    """One attempt ends after `attempt_timeout`, though the answer keeps dripping."""
    seeded.faults.add(drip=1)
    async with seeded.client(retry=_OFF, attempt_timeout=2.0) as client:
        with pytest.raises(TransportError, match=r"attempt_timeout=2\.0") as raised:
            await client.check_layers("app", digests)
    assert raised.value.elapsed == pytest.approx(2.0)


async def test_a_body_beyond_the_bound(seeded: LocalECR, digests: list[str]) -> None:
    """An answer larger than `max_response_bytes` is refused."""
    async with seeded.client(retry=_OFF, max_response_bytes=1000) as client:
        with pytest.raises(ResponseError, match="max_response_bytes=1000"):
            await client.check_layers("app", digests)


async def test_partial(seeded: LocalECR, digests: list[str]) -> None:
    """A failed call keeps what was answered; asking for the rest completes the set."""
    fault = seeded.faults.add(error="AccessDeniedException", after=1)
    async with seeded.client(max_concurrency=1) as client:
        with pytest.raises(AccessDeniedError) as raised:
            await client.check_layers("app", digests)
        partial = raised.value.partial
        assert partial is not None
        assert [outcome.digest for outcome in partial] == digests[:100]
        assert partial.unanswered == tuple(digests[100:])
        fault.remove()
        rest = await client.check_layers("app", partial.unanswered)
    assert [outcome.digest for outcome in (*partial, *rest)] == digests


async def test_partial_of_a_generator(seeded: LocalECR, digests: list[str]) -> None:
    """Of a lazy input, the partial result holds what was pulled.

    The rest stays in the caller's iterator.
    """
    seeded.faults.add(error="AccessDeniedException", after=1)
    numbers = iter(digests)
    async with seeded.client(max_concurrency=1) as client:
        with pytest.raises(AccessDeniedError) as raised:
            await client.check_layers("app", numbers)
    partial = raised.value.partial
    assert partial is not None
    assert [*(outcome.digest for outcome in partial), *partial.unanswered, *numbers] == digests


async def test_partial_of_a_stream(seeded: LocalECR, digests: list[str]) -> None:
    """A stream yields all that was answered, then raises.

    Its partial result holds what was not yielded.
    """
    seeded.faults.add(error="AccessDeniedException", after=1)
    seen: list[str] = []
    async with (
        seeded.client(max_concurrency=1) as client,
        client.stream_layers("app", digests) as stream,
    ):
        with pytest.raises(AccessDeniedError) as raised:
            async for outcome in stream:
                seen.append(outcome.digest)  # noqa: PERF401 (what came before the error counts)
    partial = raised.value.partial
    assert partial is not None
    assert (seen, partial.outcomes, partial.unanswered) == (digests[:100], (), tuple(digests[100:]))


async def test_attempts_under_way_finish(seeded: LocalECR, digests: list[str]) -> None:
    """When a call fails for good, the attempts under way finish and count, and nothing is retried."""
    seeded.faults.add(error="AccessDeniedException", times=1)
    seeded.faults.add(status=503, after=1, times=1, latency=1.0)
    seeded.faults.add(latency=2.0, after=2, times=1)
    async with seeded.client() as client:
        with pytest.raises(AccessDeniedError) as raised:
            await client.check_layers("app", digests)
    partial = raised.value.partial
    assert partial is not None
    assert (len(partial), seeded.stats.requests) == (50, 3)
    assert [note.partition(":")[0] for note in raised.value.__notes__] == ["then"]


async def test_timeout(seeded: LocalECR, digests: list[str]) -> None:
    """`timeout=` bounds the whole operation, and its error keeps what was answered."""
    seeded.faults.add(latency=3600.0, after=1)
    loop = asyncio.get_running_loop()
    async with seeded.client(max_concurrency=1, attempt_timeout=7200.0) as client:
        started = loop.time()
        with pytest.raises(OperationTimeoutError, match="timeout=30") as raised:
            await client.check_layers("app", digests, timeout=30)
    assert loop.time() - started == pytest.approx(30)
    partial = raised.value.partial
    assert partial is not None
    assert (len(partial), len(partial.unanswered)) == (100, 150)
    assert isinstance(raised.value, TimeoutError)


async def test_timeout_names_the_last_failure(seeded: LocalECR, digests: list[str]) -> None:
    """When time runs out during retries, the message says what was being retried, and where."""
    seeded.faults.add(status=503)
    async with seeded.client() as client:
        with pytest.raises(
            OperationTimeoutError,
            match=r"us-east-1.*; an attempt had failed: the endpoint returned HTTP 503:",
        ) as raised:
            await client.check_layers("app", digests, timeout=1)
    assert isinstance(raised.value.__cause__, ServerError)


async def test_timeout_while_the_source_is_waited_for(seeded: LocalECR, digests: list[str]) -> None:
    """The bound holds while the caller's own iterator is waited for, too.

    What it gave is accounted for.
    """

    async def stuck() -> AsyncIterator[str]:
        for digest in digests[:150]:
            yield digest
        await asyncio.sleep(3600)

    async with seeded.client() as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.check_layers("app", stuck(), timeout=10)
    partial = raised.value.partial
    assert partial is not None
    assert ([outcome.digest for outcome in partial], partial.unanswered) == (
        digests[:100],
        tuple(digests[100:150]),
    )


async def test_not_reported(seeded: LocalECR, digests: list[str]) -> None:
    """A digest that two answers do not mention is NOT_REPORTED; the others are answered."""
    seeded.faults.add(drop_rows=1)
    async with seeded.client() as client:
        result = await client.check_layers("app", digests[:10])
    assert [failure.code for failure in result.failures] == [LayerFailureCode.NOT_REPORTED]
    assert (len(result), seeded.stats.requests) == (10, 2)


async def test_reported_when_asked_again(seeded: LocalECR, digests: list[str]) -> None:
    """A digest that one answer leaves out is asked once more."""
    seeded.faults.add(drop_rows=3, times=1)
    async with seeded.client() as client:
        result = await client.check_layers("app", digests[:10])
    assert ([outcome.digest for outcome in result], result.failures) == (digests[:10], ())


async def test_doubled_and_shuffled_rows(seeded: LocalECR, digests: list[str]) -> None:
    """Rows in any order, and rows told twice, change nothing."""
    seeded.faults.add(shuffle=True, double_rows=10)
    async with seeded.client() as client:
        result = await client.check_layers("app", digests)
    assert (result.available, result.absent) == (tuple(digests[::2]), tuple(digests[1::2]))


async def test_an_answer_cut_at_each_byte(seeded: LocalECR, digests: list[str]) -> None:
    """An answer of three rows, cut at any byte, is never a result."""
    async with seeded.client() as client:
        whole = await client.check_layers("app", digests[:3])
        for length in range(330):
            seeded.faults.add(cut_at=length, times=1)
            assert await client.check_layers("app", digests[:3]) == whole


async def test_an_outage_of_five_minutes(seeded: LocalECR, digests: list[str]) -> None:
    """An outage loses nothing: the error carries what was answered, and asking again for the rest completes the set."""
    async with seeded.client(
        max_concurrency=1, retry=RetryPolicy(max_elapsed=60.0, max_attempts=100)
    ) as client:
        outage = seeded.faults.add(reset=True, after=1)
        answered: list[str] = []
        missing: tuple[str, ...] = tuple(digests)
        asyncio.get_running_loop().call_later(300, outage.remove)
        failed = 0
        while missing:
            try:
                result = await client.check_layers("app", missing)
            except TransportError as error:
                failed += 1
                assert error.partial is not None
                result = error.partial
            answered += [outcome.digest for outcome in result]
            missing = result.unanswered
    assert (sorted(answered), failed >= 4) == (digests, True)


async def test_clock_skew(ecr: LocalECR, digests: list[str]) -> None:
    """A clock that is off is an error of its own, with the skew, and is final."""
    ecr.faults.add(
        error="InvalidSignatureException",
        message="Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z",
    )
    async with ecr.client() as client:
        with pytest.raises(ClockSkewError, match="clock is off"):
            await client.check_layers("app", digests)


async def test_a_lost_source_error_keeps_the_first(seeded: LocalECR, digests: list[str]) -> None:
    """Of several calls that fail, the first is raised and the others are its notes."""
    seeded.faults.add(error="AccessDeniedException")
    async with seeded.client() as client:
        with pytest.raises(AccessDeniedError) as raised:
            await client.check_layers("app", digests)
    assert len(raised.value.__notes__) == 2


@pytest.mark.parametrize("status", [201, 202, 203, 206, 226, 299])
async def test_another_status_of_success(ecr: LocalECR, status: int) -> None:
    """A well-formed body under another status of success is not believed, but asked for again."""
    ecr.seed("app", [])
    body = b'{"layers": [{"layerDigest": "sha256:aa", "layerAvailability": "AVAILABLE", "layerSize": 5}], "failures": []}'
    ecr.faults.add(body=body, status=status, times=1)
    async with ecr.client() as client:
        result = await client.check_layers("app", ["sha256:aa"])
    assert (result.absent, ecr.stats.by_operation["BatchCheckLayerAvailability"]) == (
        ("sha256:aa",),
        {"body": 1, "ok": 1},
    )
