"""`check_layer`: single checks of many callers share batches and questions, and nothing else."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import (
    AccessDeniedError,
    CallError,
    ClientStateError,
    InvalidInputError,
    LayerFailureCode,
    Repository,
    RepositoryNotFoundError,
    RetryPolicy,
    ServerError,
)
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable
    from contextlib import AbstractContextManager

    from ecr_layer_client import ECRLayerClient, LayerOutcome
    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

ROUND_TRIP = 50  # ms
WINDOW = 2
ONCE = RetryPolicy(max_attempts=1)
AA, BB, CC = "sha256:aa", "sha256:bb", "sha256:cc"


@pytest.fixture
def transport() -> TransportName:
    """Give one transport: how a request travels does not matter here."""
    return "signed"


def _now() -> int:
    """Return the virtual milliseconds since the test began."""
    return round(1000 * asyncio.get_running_loop().time())


def _check(
    client: ECRLayerClient, digest: str, repository: str | Repository = "app"
) -> asyncio.Task[LayerOutcome]:
    return asyncio.create_task(client.check_layer(repository, digest))


async def _all(client: ECRLayerClient, digests: Iterable[str]) -> list[LayerOutcome]:
    return await asyncio.gather(*(client.check_layer("app", digest) for digest in digests))


async def _ended(*waiting: Awaitable[object]) -> list[Any]:
    return await asyncio.gather(*waiting, return_exceptions=True)


class _AtTheEnd:
    """An observer that does something when an attempt has its answer, and notes operations."""

    def __init__(self, do: Callable[[], object]) -> None:
        self.operations = 0
        self._do = do

    def operation(self, *_: object) -> AbstractContextManager[object]:
        self.operations += 1
        return nullcontext()

    @contextmanager
    def attempt(self, *_: object) -> Generator[None]:
        yield
        self._do()

    def retry(self, *_: object) -> None: ...

    def throttle(self, *_: object) -> None: ...


@pytest.mark.parametrize("digest", [AA, BB, CC, "SHA256:AA", "latest", "", "sha256:\u212a"])
async def test_the_answer_of_check_layers(ecr: LocalECR, digest: str) -> None:
    """A single check gives the outcome that `check_layers` gives, in the caller's spelling."""
    ecr.seed("app", [(AA, 1), (BB, 2)])
    ecr.archive("app", BB)
    async with ecr.client() as client:
        assert (
            await client.check_layer("app", digest)
            == (await client.check_layers("app", [digest]))[digest]
        )


async def test_ten_thousand_callers(ecr: LocalECR) -> None:
    """10,000 concurrent checks of 1,000 digests are ten requests, and each caller has the answer for its digest."""
    digests = [f"sha256:{number % 1000:064x}" for number in range(10_000)]
    ecr.seed("app", [(digest, 1) for digest in digests[:1000:2]])
    async with ecr.client() as client:
        outcomes = await _all(client, digests)
    assert [(outcome.digest, outcome.is_available) for outcome in outcomes] == [
        (digest, digest[-1] in "02468ace") for digest in digests
    ]
    assert ecr.stats.requests == 10


async def test_a_lone_caller(ecr: LocalECR) -> None:
    """A lone caller waits for the window and its round trip."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        await client.check_layer("app", AA)
    assert _now() == WINDOW + ROUND_TRIP


async def test_a_full_batch_leaves_at_once(ecr: LocalECR) -> None:
    """Callers that fill a batch wait for no window."""
    ecr.seed("app", [])
    async with ecr.client(batch_size=2, coalesce_window=60.0) as client:
        await _all(client, [AA, BB])
    assert _now() == ROUND_TRIP


async def test_within_the_window(ecr: LocalECR) -> None:
    """Callers that come within the window of the first share its batch."""
    ecr.seed("app", [])
    async with ecr.client(coalesce_window=1.0) as client:
        first = _check(client, AA)
        await asyncio.sleep(0.9)
        await client.check_layer("app", BB)
        assert (first.done(), _now(), ecr.stats.requests) == (True, 1000 + ROUND_TRIP, 1)


async def test_no_window(ecr: LocalECR) -> None:
    """Without a window a batch leaves at the loop's next turn, with all who came in this one."""
    ecr.seed("app", [])
    async with ecr.client(coalesce_window=0.0) as client:
        await _all(client, [AA, BB])
        assert (_now(), ecr.stats.requests) == (ROUND_TRIP, 1)


async def test_no_window_waits_for_nothing(ecr: LocalECR) -> None:
    """Without a window a batch leaves even while another is on its way."""
    ecr.seed("app", [])
    async with ecr.client(coalesce_window=0.0) as client:
        first = _check(client, AA)
        await asyncio.sleep(0.01)
        await client.check_layer("app", BB)
        assert (first.done(), _now()) == (True, 10 + ROUND_TRIP)


async def test_waiting_for_company(ecr: LocalECR) -> None:
    """A partial batch waits on while another is on its way, and leaves a window after that is answered, with those who came back."""
    ecr.seed("app", [])

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
    """A partial batch waits no longer than 25 windows, however slow the other is."""
    ecr.seed("app", [])
    ecr.faults.add(latency=8.0, times=1)
    async with ecr.client() as client:
        slow = _check(client, AA)
        await asyncio.sleep(1.0)
        await client.check_layer("app", BB)
        assert (_now(), slow.done()) == (1000 + 25 * WINDOW + ROUND_TRIP, False)
        await slow


async def test_another_repository_is_not_waited_for(ecr: LocalECR) -> None:
    """A partial batch does not wait for one of another repository."""
    ecr.seed("app", [])
    ecr.seed("other", [])
    async with ecr.client() as client:
        first = _check(client, AA, "other")
        await asyncio.sleep(0.01)
        await client.check_layer("app", BB)
        assert (_now(), first.done()) == (10 + WINDOW + ROUND_TRIP, True)


async def test_a_batch_that_waits_for_a_slot_takes_more_in(ecr: LocalECR) -> None:
    """What comes while a batch waits for its slot goes along with it."""
    for name in ("app", "other"):
        ecr.seed(name, [])
    async with ecr.client(max_concurrency=1, coalesce_window=0.0) as client:
        holding = _check(client, AA, "other")
        await asyncio.sleep(0.01)
        early = _check(client, AA)
        await asyncio.sleep(0.01)
        await client.check_layer("app", BB)
        await _ended(holding, early)
        assert (ecr.stats.requests, _now()) == (2, 2 * ROUND_TRIP)


async def test_a_batch_that_waits_for_a_slot_may_fill_up(ecr: LocalECR) -> None:
    """A batch that is filled while it waits for its slot takes no more in, and the next digest begins another."""
    for name in ("app", "other"):
        ecr.seed(name, [])
    async with ecr.client(max_concurrency=1, coalesce_window=0.0, batch_size=2) as client:
        holding = _check(client, AA, "other")
        await asyncio.sleep(0.01)
        early = _check(client, AA)
        await asyncio.sleep(0.01)
        await _all(client, [BB, CC])
        await _ended(holding, early)
    assert (ecr.stats.requests, ecr.stats.digests_checked) == (3, 4)


async def test_single_flight(ecr: LocalECR) -> None:
    """Callers for a digest that is on its way share its answer, each in its own spelling."""
    ecr.seed("app", [(AA, 1)])
    async with ecr.client() as client:
        first = _check(client, AA)
        await asyncio.sleep(0.04)
        second = await client.check_layer("app", AA.upper())
        assert (second.digest, (await first).digest, _now(), ecr.stats.digests_checked) == (
            AA.upper(),
            AA,
            WINDOW + ROUND_TRIP,
            1,
        )


async def test_nothing_is_remembered(ecr: LocalECR) -> None:
    """A digest that was answered is asked anew."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        before = await client.check_layer("app", AA)
        ecr.seed("app", [(AA, 1)])
        after = await client.check_layer("app", AA)
    assert (before.is_available, after.is_available) == (False, True)


async def test_views_share_no_batch(ecr: LocalECR) -> None:
    """Checks through a view with other options go their own way."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        await _ended(_check(client, AA), _check(client.with_config(retry=ONCE), AA))
    assert ecr.stats.requests == 2


async def test_repositories_share_no_batch(ecr: LocalECR) -> None:
    """Each repository is asked by itself, and answers for itself."""
    ecr.seed("app", [(AA, 1)])
    ecr.seed("other", [])
    async with ecr.client() as client:
        held, absent = await asyncio.gather(_check(client, AA), _check(client, AA, "other"))
    assert (held.is_available, absent.is_available, ecr.stats.requests) == (True, False, 2)


async def test_spellings_of_a_repository_share_a_batch(ecr: LocalECR) -> None:
    """A URI and an ARN of one repository share a batch, and so do a name and the same name with the client's Region."""
    ecr.seed("app", [])
    spellings: list[str | Repository] = [
        f"{ecr.account}.dkr.ecr.{ecr.region}.amazonaws.com/app",
        f"arn:aws:ecr:{ecr.region}:{ecr.account}:repository/app",
        "app",
        Repository(name="app", region=ecr.region),
    ]
    async with ecr.client() as client:
        await asyncio.gather(*(client.check_layer(spelling, AA) for spelling in spellings))
    assert ecr.stats.requests == 2


@pytest.mark.parametrize("digest", ["latest", "", "sha256:", "sha256:" + "a" * 1000])
async def test_a_malformed_digest(ecr: LocalECR, digest: str) -> None:
    """A malformed digest is answered without a request."""
    async with ecr.client() as client:
        outcome = await client.check_layer("app", digest)
    assert (getattr(outcome, "code", None), ecr.stats.requests) == (
        LayerFailureCode.INVALID_LAYER_DIGEST,
        0,
    )


@pytest.mark.parametrize("digest", [None, 3, b"sha256:aa", [AA]])
async def test_no_str(ecr: LocalECR, digest: Any) -> None:
    """A digest that is no str is refused."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="a digest is a str"):
            await client.check_layer("app", digest)


async def test_another_region(ecr: LocalECR) -> None:
    """A repository of another Region is refused, even while one of that name is asked here."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        here = _check(client, AA)
        await asyncio.sleep(0)
        with pytest.raises(InvalidInputError, match="for_region"):
            await client.check_layer(Repository(name="app", region="eu-west-3"), AA)
        await here


async def test_before_entry(ecr: LocalECR) -> None:
    """A client that is not open checks nothing."""
    with pytest.raises(ClientStateError, match="not open yet"):
        await ecr.client().check_layer("app", AA)


async def test_a_digest_that_answers_leave_out(ecr: LocalECR) -> None:
    """A digest that two answers leave out is NOT_REPORTED.

    The others have theirs with the first answer.
    """
    ecr.seed("app", [])
    ecr.faults.add(drop_rows=1, times=2)
    async with ecr.client() as client:
        first, second = _check(client, AA), _check(client, BB)
        done, left_out = await asyncio.wait([first, second], return_when=asyncio.FIRST_COMPLETED)
        assert (len(done), _now()) == (1, WINDOW + ROUND_TRIP)
        (outcome,) = await asyncio.gather(*left_out)
    assert (getattr(outcome, "code", None), ecr.stats.requests) == (
        LayerFailureCode.NOT_REPORTED,
        2,
    )


async def test_a_cancelled_caller_takes_nobody_with_it(ecr: LocalECR) -> None:
    """The others that wait for a digest, and for its batch, have their answers."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        checks = [_check(client, digest) for digest in (AA, AA, BB)]
        await asyncio.sleep(0.01)
        checks[0].cancel()
        outcomes = await _ended(*checks)
    assert [type(outcome).__name__ for outcome in outcomes] == ["CancelledError", "Layer", "Layer"]


async def test_the_last_to_go_takes_the_question_along(ecr: LocalECR) -> None:
    """A digest that nobody waits for any more when its batch leaves is not asked."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        checks = [_check(client, digest) for digest in (AA, AA, BB)]
        await asyncio.sleep(0.001)
        checks[0].cancel()
        checks[1].cancel()
        await _ended(*checks)
    assert (ecr.stats.requests, ecr.stats.digests_checked) == (1, 1)


async def test_a_batch_that_nobody_waits_for_does_not_leave(ecr: LocalECR) -> None:
    """When all have gone before the window's end there is no request, and no timer is left."""
    ecr.seed("app", [])
    async with ecr.client(coalesce_window=60.0) as client:
        checks = [_check(client, digest) for digest in (AA, BB)]
        await asyncio.sleep(1.0)
        for check in checks:
            check.cancel()
        await _ended(*checks)
        loop: Any = asyncio.get_running_loop()
        assert (
            [timer for timer in loop._scheduled if not timer.cancelled()],
            ecr.stats.requests,
        ) == ([], 0)


async def test_a_request_that_nobody_waits_for_is_given_up(ecr: LocalECR) -> None:
    """When all have gone while the batch is on its way, its request is cancelled, and its slot is free for others."""
    ecr.seed("app", [])
    ecr.faults.add(latency=8.0, times=1)
    async with ecr.client(max_concurrency=1) as client:
        checks = [_check(client, digest) for digest in (AA, BB)]
        await asyncio.sleep(1.0)
        for check in checks:
            check.cancel()
        await _ended(*checks)
        await client.check_layer("app", AA)
        assert _now() == 1000 + WINDOW + ROUND_TRIP


async def test_a_late_caller_of_a_digest_nobody_waits_for(ecr: LocalECR) -> None:
    """A digest whose callers have gone may be waited for again while its batch is on its way for others."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        gone, other = _check(client, AA), _check(client, BB)
        await asyncio.sleep(0.01)
        gone.cancel()
        await _ended(gone)
        await client.check_layer("app", AA)
        await other
    assert ecr.stats.requests == 1


async def test_the_rest_is_not_asked_again_for_nobody(ecr: LocalECR) -> None:
    """What an answer left out is asked again only while somebody waits for it."""
    ecr.seed("app", [])
    ecr.faults.add(
        body=b'{"layers": [{"layerDigest": "sha256:aa", "layerAvailability": "UNAVAILABLE"}]}',
        times=1,
    )
    async with ecr.client() as client:
        checks = [_check(client, digest) for digest in (AA, BB)]
        await asyncio.sleep(0.01)
        checks[1].cancel()
        await _ended(*checks)
    assert ecr.stats.requests == 1


async def test_cancelled_just_before_the_answer(ecr: LocalECR) -> None:
    """A caller that is cancelled in the moment before its answer is settled is cancelled, and the others have theirs."""
    ecr.seed("app", [])

    # There is none yet.
    async with ecr.client(observer=_AtTheEnd(lambda: gone.cancel())) as client:  # noqa: PLW0108
        gone, other = _check(client, AA), _check(client, AA)
        outcomes = await _ended(gone, other)
    assert [type(outcome).__name__ for outcome in outcomes] == ["CancelledError", "Layer"]


async def test_cancelled_just_after_the_answer(ecr: LocalECR) -> None:
    """So it is with one that is cancelled before it comes to see its answer."""
    ecr.seed("app", [])

    async def cancel_the_other() -> LayerOutcome:
        outcome = await client.check_layer("app", AA)
        gone.cancel()
        return outcome

    async with ecr.client() as client:
        other = asyncio.create_task(cancel_the_other())
        gone = _check(client, AA)
        outcomes = await _ended(gone, other)
    assert [type(outcome).__name__ for outcome in outcomes] == ["CancelledError", "Layer"]


async def test_an_error_of_ones_own(ecr: LocalECR) -> None:
    """Each caller has an error of its own, which names its digest and keeps it in `.partial`."""
    ecr.faults.add(error="AccessDeniedException", times=1)
    async with ecr.client() as client:
        errors: list[CallError] = await _ended(
            *(_check(client, digest) for digest in (AA, AA.upper(), BB))
        )
    assert len({id(error) for error in errors}) == 3
    assert [(type(error), error.attempts) for error in errors] == [(AccessDeniedError, 1)] * 3
    assert [str(error).rpartition("; ")[2] for error in errors] == [
        f"it was to check {digest!r}" for digest in (AA, AA.upper(), BB)
    ]
    assert [error.partial.unanswered for error in errors if error.partial is not None] == [
        (AA,),
        (AA.upper(),),
        (BB,),
    ]


async def test_an_error_keeps_its_cause(ecr: LocalECR) -> None:
    """An error of one's own was caused by what caused the call's."""
    ecr.faults.add(reset=True)
    async with ecr.client(retry=ONCE) as client:
        (error,) = await _ended(_check(client, AA))
    assert type(error.__cause__).__module__.partition(".")[0] == "botocore"


async def test_an_error_is_not_remembered(ecr: LocalECR) -> None:
    """Who asks after a call failed asks anew."""
    ecr.seed("app", [])
    ecr.faults.add(status=503, times=1)
    async with ecr.client(retry=ONCE) as client:
        with pytest.raises(ServerError):
            await client.check_layer("app", AA)
        assert (await client.check_layer("app", AA)).is_absent


async def test_an_error_reaches_its_own_batch_alone(ecr: LocalECR) -> None:
    """Callers of other batches have their answers."""
    ecr.seed("app", [])
    ecr.faults.add(status=503, times=1)
    async with ecr.client(retry=ONCE, batch_size=1) as client:
        outcomes = await _ended(*(_check(client, digest) for digest in (AA, BB)))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Layer", "ServerError"]


async def test_an_error_after_an_answer(ecr: LocalECR) -> None:
    """Who was answered before the call for the rest failed keeps the answer."""
    ecr.seed("app", [])
    ecr.faults.add(drop_rows=1, times=1)
    ecr.faults.add(status=503, after=1)
    async with ecr.client(retry=ONCE) as client:
        outcomes = await _ended(_check(client, AA), _check(client, BB))
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Layer", "ServerError"]


async def test_one_repository_fails(ecr: LocalECR) -> None:
    """An unknown repository fails for its own callers."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        outcomes = await _ended(_check(client, AA), _check(client, AA, "nowhere"))
    assert [type(outcome) for outcome in outcomes][1] is RepositoryNotFoundError


async def test_a_retry_is_made_for_all(ecr: LocalECR) -> None:
    """A call is retried once for all who wait."""
    ecr.seed("app", [])
    ecr.faults.add(status=503, times=1)
    async with ecr.client() as client:
        assert len(await _all(client, [AA, BB, AA])) == 3
    assert ecr.stats.requests == 2


async def test_closing_ends_what_waits(ecr: LocalECR) -> None:
    """Closing the client ends a batch that gathers and one that is on its way.

    Their callers are told.
    """
    ecr.seed("app", [])
    ecr.seed("other", [])
    client = await ecr.client(coalesce_window=1.0).open()
    on_its_way = _check(client, AA, "other")
    await asyncio.sleep(1.01)
    gathering = _check(client, AA)
    await asyncio.sleep(0.01)
    await client.aclose()
    errors = await _ended(on_its_way, gathering)
    assert [(type(error), "closed while" in str(error)) for error in errors] == [
        (ClientStateError, True)
    ] * 2


async def test_open_again(ecr: LocalECR) -> None:
    """A client that is opened again checks again, whatever waited when it was closed."""
    ecr.seed("app", [])
    client = await ecr.client().open()
    waiting = _check(client, AA)
    await asyncio.sleep(0)
    await client.aclose()
    async with client:
        assert (await client.check_layer("app", AA)).is_absent
    assert isinstance((await _ended(waiting))[0], ClientStateError)


async def test_a_batch_cancelled_by_somebody_else(ecr: LocalECR) -> None:
    """A task of the loader that others cancel leaves nobody waiting."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        waiting = _check(client, AA)
        await asyncio.sleep(0.01)
        (batch,) = (
            task for task in asyncio.all_tasks() if "._check_batch" in repr(task.get_coro())
        )
        batch.cancel()
        await asyncio.wait([waiting])
    assert waiting.cancelled()


async def test_an_error_that_is_not_ours(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hook of the caller's session raises passes as it is."""
    error = LookupError("a hook of yours")

    async def fail(*_: object, **__: object) -> None:
        raise error

    async with ecr.client() as client:
        transport = client._connection.resources_for(CHECK).transport
        monkeypatch.setattr(transport, "send", fail)
        assert await _ended(_check(client, AA), _check(client, BB)) == [error, error]


async def test_each_check_is_an_operation(ecr: LocalECR) -> None:
    """The observer is told of each caller's check as an operation, around the one attempt that they share."""
    ecr.seed("app", [])
    attempts: list[int] = []
    observer = _AtTheEnd(lambda: attempts.append(observer.operations))
    async with ecr.client(observer=observer) as client:
        await _all(client, [AA, BB, AA])
    assert attempts == [3]


async def test_a_context_of_no_callers(ecr: LocalECR) -> None:
    """A request that many share runs in no caller's context: a trace of one is not charged with it."""
    ecr.seed("app", [])
    request_id: ContextVar[str] = ContextVar("request_id", default="none")
    seen: list[str] = []
    plain: Any = ecr._service.answer

    async def answer(request: Any) -> Any:
        seen.append(request_id.get())
        return await plain(request)

    service: Any = ecr._service
    service.answer = answer
    request_id.set("the caller's")
    async with ecr.client(coalesce_window=0.0) as client:
        await _all(client, [AA, BB])
    assert seen == ["none"]
