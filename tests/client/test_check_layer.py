"""`check_layer`: single checks of many callers share batches and requests, and nothing else."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from client.steps import QuietObserver, now, on_request, partial_of, pending_timers
from ecr_layer_client import AccessDeniedError, CallError, Repository, RetryPolicy, ServerError
from ecr_layer_client._checks.operation import CHECK
from ecr_layer_client.protocols import CALLERS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable
    from contextlib import AbstractContextManager

    from ecr_layer_client import ECRLayerClient, LayerOutcome
    from ecr_layer_client.local import LocalECR

pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("transport", ["signed"])]

ROUND_TRIP = 50  # ms
WINDOW = 2  # ms
ONCE = RetryPolicy(max_attempts=1)
AA, BB, CC = "sha256:aa", "sha256:bb", "sha256:cc"


@pytest.fixture
def ecr(ecr: LocalECR) -> LocalECR:
    """Give a local ECR with two empty repositories, `app` and `other`."""
    ecr.seed("other", [])
    return ecr


def _now() -> int:
    """Return the virtual milliseconds since the test began."""
    return round(1000 * now())


def _check(
    client: ECRLayerClient, digest: str, repository: str | Repository = "app"
) -> asyncio.Task[LayerOutcome]:
    return asyncio.create_task(client.check_layer(repository, digest))


async def _all(client: ECRLayerClient, digests: Iterable[str]) -> list[LayerOutcome]:
    return await asyncio.gather(*(client.check_layer("app", digest) for digest in digests))


async def _ended(*waiting: Awaitable[object]) -> list[Any]:
    return await asyncio.gather(*waiting, return_exceptions=True)


async def _kinds(*waiting: Awaitable[object]) -> list[str]:
    """Return the names of the types of results and errors."""
    return [type(ending).__name__ for ending in await _ended(*waiting)]


async def _cancel(*checks: asyncio.Task[LayerOutcome]) -> None:
    for check in checks:
        check.cancel()
    await _ended(*checks)


class _AtTheEnd(QuietObserver):
    """An observer that counts operations, and calls a function when an attempt ends."""

    def __init__(self, do: Callable[[], object]) -> None:
        self.operations = 0
        self._do = do

    @contextmanager
    def operation(self, *_: object) -> Generator[None]:
        self.operations += 1
        yield

    @contextmanager
    def attempt(self, *_: object) -> Generator[None]:
        yield
        self._do()


@pytest.mark.parametrize(
    ("digest", "requests"),
    [
        *((AA, 2), (BB, 2), (CC, 2), ("SHA256:AA", 2)),
        *(
            ("latest", 0),
            ("", 0),
            ("sha256:", 0),
            ("sha256:" + "a" * 1000, 0),
            ("sha256:\u212a", 0),
        ),
    ],
    ids=lambda value: ascii(value)[:20],
)
async def test_the_outcome_of_check_layers(ecr: LocalECR, digest: str, requests: int) -> None:
    """A single check has the outcome of `check_layers`; a malformed digest needs no request."""
    ecr.seed("app", [(AA, 1), (BB, 2)])
    ecr.archive("app", BB)
    async with ecr.client() as client:
        alone = await client.check_layer("app", digest)
        result = await client.check_layers("app", [digest])
    assert (alone, ecr.stats.requests) == (result[digest], requests)


async def test_ten_thousand_callers(ecr: LocalECR) -> None:
    """10,000 callers of 1,000 digests need ten requests, and each has its own digest's outcome."""
    digests = [f"sha256:{number % 1000:064x}" for number in range(10_000)]
    ecr.seed("app", [(digest, 1) for digest in digests[:1000:2]])
    async with ecr.client() as client:
        outcomes = await _all(client, digests)

    found = [(outcome.digest, outcome.is_available) for outcome in outcomes]
    assert found == [(digest, digest[-1] in "02468ace") for digest in digests]
    assert ecr.stats.requests == 10


async def test_a_lone_caller(ecr: LocalECR) -> None:
    """A lone caller waits for the window and its round trip."""
    async with ecr.client() as client:
        await client.check_layer("app", AA)
    assert _now() == WINDOW + ROUND_TRIP


@pytest.mark.parametrize(
    "options",
    [{"batch_size": 2, "coalesce_window": 60.0}, {"coalesce_window": 0.0}],
    ids=["full", "no-window"],
)
async def test_a_batch_that_does_not_wait(ecr: LocalECR, options: Any) -> None:
    """A full batch, and each batch without a window, is sent at once with all who came by then."""
    async with ecr.client(**options) as client:
        await _all(client, [AA, BB])
    assert (_now(), ecr.stats.requests) == (ROUND_TRIP, 1)


async def test_within_the_window(ecr: LocalECR) -> None:
    """Callers that come within the window of the first one share its batch."""
    async with ecr.client(coalesce_window=1.0) as client:
        first = _check(client, AA)
        await asyncio.sleep(0.9)
        await client.check_layer("app", BB)
        assert (first.done(), _now(), ecr.stats.requests) == (True, 1000 + ROUND_TRIP, 1)


@pytest.mark.parametrize(
    ("repository", "window"), [("app", 0), ("other", WINDOW)], ids=["no-window", "other-repository"]
)
async def test_a_batch_that_waits_for_no_other(ecr: LocalECR, repository: str, window: int) -> None:
    """A batch does not wait for one of another repository, nor for any without a window."""
    async with ecr.client(coalesce_window=window / 1000) as client:
        first = _check(client, AA, repository)
        await asyncio.sleep(0.01)
        await client.check_layer("app", BB)
        assert (_now(), first.done()) == (10 + window + ROUND_TRIP, True)


async def test_waiting_for_company(ecr: LocalECR) -> None:
    """A partial batch waits for one in flight and a window after it, and takes late callers."""

    async def one_after_the_other() -> None:
        await client.check_layer("app", AA)
        await client.check_layer("app", CC)

    async with ecr.client(coalesce_window=0.01) as client:
        first = asyncio.create_task(one_after_the_other())
        await asyncio.sleep(0.02)
        await client.check_layer("app", BB)
        await first
        assert (_now(), ecr.stats.requests) == (10 + ROUND_TRIP + 10 + ROUND_TRIP, 2)


async def test_waiting_for_company_has_an_end(ecr: LocalECR) -> None:
    """A partial batch waits at most 25 windows, however slow the batch in flight is."""
    ecr.faults.add(latency=8.0, times=1)
    async with ecr.client() as client:
        slow = _check(client, AA)
        await asyncio.sleep(1.0)
        await client.check_layer("app", BB)
        assert (_now(), slow.done()) == (1000 + 25 * WINDOW + ROUND_TRIP, False)
        await slow


@pytest.mark.parametrize(
    ("late", "requests", "checked"),
    [pytest.param([BB], 2, 3, id="takes-more"), pytest.param([BB, CC], 3, 4, id="fills-up")],
)
async def test_a_batch_that_waits_for_a_slot(
    ecr: LocalECR, late: list[str], requests: int, checked: int
) -> None:
    """A batch that waits for its slot takes late callers until it is full."""
    async with ecr.client(max_concurrency=1, coalesce_window=0.0, batch_size=2) as client:
        holding = _check(client, AA, "other")
        await asyncio.sleep(0.01)
        early = _check(client, AA)
        await asyncio.sleep(0.01)
        await _all(client, late)
        await _ended(holding, early)
    assert (ecr.stats.requests, ecr.stats.digests_checked) == (requests, checked)
    assert _now() == requests * ROUND_TRIP


async def test_a_digest_in_flight(ecr: LocalECR) -> None:
    """Callers of a digest in flight share its outcome, each in the caller's own spelling."""
    async with ecr.client() as client:
        first = _check(client, AA)
        await asyncio.sleep(0.04)
        second = await client.check_layer("app", AA.upper())
        assert (second.digest, (await first).digest) == (AA.upper(), AA)
    assert (_now(), ecr.stats.digests_checked) == (WINDOW + ROUND_TRIP, 1)


async def test_nothing_is_remembered(ecr: LocalECR) -> None:
    """A digest that has an outcome is checked again for a later caller."""
    async with ecr.client() as client:
        before = await client.check_layer("app", AA)
        ecr.seed("app", [(AA, 1)])
        after = await client.check_layer("app", AA)
    assert (before.is_available, after.is_available) == (False, True)


async def test_views_share_no_batch(ecr: LocalECR) -> None:
    """Checks through a view with other options have batches of their own."""
    async with ecr.client() as client:
        await _ended(_check(client, AA), _check(client.with_config(retry=ONCE), AA))
    assert ecr.stats.requests == 2


async def test_repositories_share_no_batch(ecr: LocalECR) -> None:
    """Each repository has batches and outcomes of its own."""
    ecr.seed("app", [(AA, 1)])
    async with ecr.client() as client:
        held, absent = await asyncio.gather(_check(client, AA), _check(client, AA, "other"))
    assert (held.is_available, absent.is_available, ecr.stats.requests) == (True, False, 2)


async def test_spellings_of_a_repository_share_a_batch(ecr: LocalECR) -> None:
    """A URI and an ARN share a batch; so do a name and the same name with the client's Region."""
    spellings: list[str | Repository] = [
        f"{ecr.account}.dkr.ecr.{ecr.region}.amazonaws.com/app",
        f"arn:aws:ecr:{ecr.region}:{ecr.account}:repository/app",
        "app",
        Repository(name="app", region=ecr.region),
    ]
    async with ecr.client() as client:
        await asyncio.gather(*(client.check_layer(spelling, AA) for spelling in spellings))
    assert ecr.stats.requests == 2


async def test_a_digest_that_responses_leave_out(ecr: LocalECR) -> None:
    """A digest that two responses leave out is NOT_REPORTED, and the others do not wait for it."""
    ecr.faults.add(drop_rows=1, times=2)
    async with ecr.client() as client:
        first, second = _check(client, AA), _check(client, BB)
        done, left_out = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        assert (len(done), _now()) == (1, WINDOW + ROUND_TRIP)
        (outcome,) = await asyncio.gather(*left_out)
    assert (getattr(outcome, "code", None), ecr.stats.requests) == ("NotReported", 2)


@pytest.mark.parametrize("seconds", [0.001, 0.01], ids=["before", "after"])
async def test_cancelling_one_caller(ecr: LocalECR, seconds: float) -> None:
    """Cancelling one caller, before or after its request leaves, does not affect the others."""
    async with ecr.client() as client:
        checks = [_check(client, digest) for digest in (AA, AA, BB)]
        await asyncio.sleep(seconds)
        checks[0].cancel()
        assert await _kinds(*checks) == ["CancelledError", "Layer", "Layer"]


async def test_a_digest_without_callers(ecr: LocalECR) -> None:
    """A digest whose callers are all cancelled before its batch is sent is not checked."""
    async with ecr.client() as client:
        one, two, other = (_check(client, digest) for digest in (AA, AA, BB))
        await asyncio.sleep(0.001)
        await _cancel(one, two)
        await other
    assert (ecr.stats.requests, ecr.stats.digests_checked) == (1, 1)


async def test_a_batch_without_callers(ecr: LocalECR) -> None:
    """A batch whose callers are all cancelled within the window sends nothing and has no timer."""
    async with ecr.client(coalesce_window=60.0) as client:
        checks = [_check(client, digest) for digest in (AA, BB)]
        await asyncio.sleep(1.0)
        await _cancel(*checks)
        assert (pending_timers(), ecr.stats.requests) == ([], 0)


async def test_a_caller_after_a_batch_without_callers(ecr: LocalECR) -> None:
    """A caller that comes when all others were cancelled has a window of its own."""
    async with ecr.client(coalesce_window=1.0) as client:
        gone = _check(client, AA)
        await asyncio.sleep(0.5)
        await _cancel(gone)
        await client.check_layer("app", AA)
    assert _now() == 500 + 1000 + ROUND_TRIP


async def test_a_full_batch_leaves_no_timer(ecr: LocalECR) -> None:
    """A batch that is sent because it is full has no timer any more."""
    async with ecr.client(batch_size=2, coalesce_window=60.0) as client:
        await _all(client, [AA, BB])
        assert pending_timers() == []


async def test_a_request_without_callers(ecr: LocalECR) -> None:
    """A request whose callers are all cancelled is cancelled, and its slot is free for others."""
    ecr.faults.add(latency=8.0, times=1)
    async with ecr.client(max_concurrency=1) as client:
        checks = [_check(client, digest) for digest in (AA, BB)]
        await asyncio.sleep(1.0)
        await _cancel(*checks)
        await client.check_layer("app", AA)
        assert _now() == 1000 + WINDOW + ROUND_TRIP


async def test_a_late_caller_of_a_digest_without_callers(ecr: LocalECR) -> None:
    """A digest whose callers are cancelled can have new ones while its batch is in flight."""
    async with ecr.client() as client:
        gone, other = _check(client, AA), _check(client, BB)
        await asyncio.sleep(0.01)
        await _cancel(gone)
        await client.check_layer("app", AA)
        await other
    assert ecr.stats.requests == 1


async def test_a_left_out_digest_without_callers(ecr: LocalECR) -> None:
    """A digest that a response leaves out is checked again only while somebody waits for it."""
    body = b'{"layers": [{"layerDigest": "sha256:aa", "layerAvailability": "UNAVAILABLE"}]}'
    ecr.faults.add(body=body, times=1)
    async with ecr.client() as client:
        here, gone = _check(client, AA), _check(client, BB)
        await asyncio.sleep(0.01)
        await _cancel(gone)
        await here
    assert ecr.stats.requests == 1


async def test_cancelled_just_before_the_response(ecr: LocalECR) -> None:
    """A caller cancelled in the moment before its outcome is cancelled; the others have theirs."""
    # There is no `gone` yet.
    async with ecr.client(observer=_AtTheEnd(lambda: gone.cancel())) as client:  # noqa: PLW0108
        gone, other = _check(client, AA), _check(client, AA)
        assert await _kinds(gone, other) == ["CancelledError", "Layer"]


async def test_cancelled_just_after_the_response(ecr: LocalECR) -> None:
    """A caller cancelled before it sees its outcome is cancelled; the others have theirs."""

    async def cancel_the_other() -> LayerOutcome:
        outcome = await client.check_layer("app", AA)
        gone.cancel()
        return outcome

    async with ecr.client() as client:
        other = asyncio.create_task(cancel_the_other())
        gone = _check(client, AA)
        assert await _kinds(gone, other) == ["CancelledError", "Layer"]


async def test_each_caller_has_its_own_error(ecr: LocalECR) -> None:
    """Each caller has an error of its own, which names its digest and keeps it in `.partial`."""
    ecr.faults.add(error="AccessDeniedException", times=1)
    digests = AA, AA.upper(), BB
    async with ecr.client() as client:
        errors: list[CallError] = await _ended(*(_check(client, digest) for digest in digests))

    assert len({id(error) for error in errors}) == 3
    assert [(type(error), error.attempts) for error in errors] == [(AccessDeniedError, 1)] * 3
    named = [str(error).rpartition("; ")[2] for error in errors]
    assert named == [f"the digest to check was {digest!r}" for digest in digests]
    assert [partial_of(error).unanswered for error in errors] == [(each,) for each in digests]


async def test_an_error_keeps_its_cause(ecr: LocalECR) -> None:
    """A caller's own error has the cause of the call's error."""
    ecr.faults.add(reset=True)
    async with ecr.client(retry=ONCE) as client:
        (error,) = await _ended(_check(client, AA))
    assert type(error.__cause__).__module__.partition(".")[0] == "botocore"


async def test_an_error_is_not_remembered(ecr: LocalECR) -> None:
    """A check after a failed call sends a new request."""
    ecr.faults.add(status=503, times=1)
    async with ecr.client(retry=ONCE) as client:
        with pytest.raises(ServerError):
            await client.check_layer("app", AA)
        assert (await client.check_layer("app", AA)).is_absent


async def test_an_error_concerns_its_batch_alone(ecr: LocalECR) -> None:
    """Callers of other batches have their outcomes when one batch fails."""
    ecr.faults.add(status=503, times=1)
    async with ecr.client(retry=ONCE, batch_size=1) as client:
        kinds = await _kinds(*(_check(client, digest) for digest in (AA, BB)))
    assert sorted(kinds) == ["Layer", "ServerError"]


async def test_an_error_after_an_outcome(ecr: LocalECR) -> None:
    """A caller that has its outcome keeps it when the second request of the batch fails."""
    ecr.faults.add(drop_rows=1, times=1)
    ecr.faults.add(status=503, after=1)
    async with ecr.client(retry=ONCE) as client:
        kinds = await _kinds(_check(client, AA), _check(client, BB))
    assert sorted(kinds) == ["Layer", "ServerError"]


async def test_a_retry_is_made_for_all(ecr: LocalECR) -> None:
    """A call is retried once for all who wait for it."""
    ecr.faults.add(status=503, times=1)
    async with ecr.client() as client:
        assert len(await _all(client, [AA, BB, AA])) == 3
    assert ecr.stats.requests == 2


async def test_an_error_that_is_not_ours(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that a hook of the caller's session raises is raised unchanged."""
    error = LookupError("a hook")

    async def fail(*_: object, **__: object) -> None:
        raise error

    async with ecr.client() as client:
        transport = client._connection.resources_for(CHECK).transport
        monkeypatch.setattr(transport, "send", fail)
        assert await _ended(_check(client, AA), _check(client, BB)) == [error, error]


async def test_each_check_is_an_operation(ecr: LocalECR) -> None:
    """The observer is notified of each check as an operation, around their shared attempt."""
    attempts: list[int] = []
    observer = _AtTheEnd(lambda: attempts.append(observer.operations))
    async with ecr.client(observer=observer) as client:
        await _all(client, [AA, BB, AA])
    assert attempts == [3]


async def test_a_context_of_no_callers(ecr: LocalECR) -> None:
    """A request that callers share runs in the context of none, so no caller's trace has it."""
    request_id: ContextVar[str] = ContextVar("request_id", default="none")
    seen: list[str] = []
    on_request(ecr, lambda _: seen.append(request_id.get()))

    request_id.set("the caller's")
    async with ecr.client(coalesce_window=0.0) as client:
        await _all(client, [AA, BB])
    assert seen == ["none"]


async def test_the_contexts_of_the_callers(ecr: LocalECR) -> None:
    """An attempt that callers share knows the contexts of those who wait for it, and no others."""
    request_id: ContextVar[str] = ContextVar("request_id")
    seen: list[list[str]] = []

    class Observer(QuietObserver):
        def attempt(self, *_: object) -> AbstractContextManager[object]:
            seen.append(sorted(context[request_id] for context in CALLERS.get()))
            return nullcontext()

    async def check(name: str, digest: str) -> None:
        request_id.set(name)
        await client.check_layer("app", digest)

    body = b'{"layers": [{"layerDigest": "sha256:aa", "layerAvailability": "UNAVAILABLE"}]}'
    ecr.faults.add(body=body, times=1)
    async with ecr.client(observer=Observer()) as client:
        given = ("one", AA), ("two", BB), ("gone", BB)
        *checks, gone = [asyncio.create_task(check(*each)) for each in given]
        await asyncio.sleep(0.001)
        gone.cancel()
        await _ended(*checks, gone)
    # The response leaves BB out, so that it is checked again, for its caller alone.
    assert seen == [["one", "two"], ["two"]]
