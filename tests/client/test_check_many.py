"""`check_many`: many repositories in one check. One that fails does not spoil the others."""

from __future__ import annotations

import asyncio
import gc
from contextlib import contextmanager, suppress
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from client.steps import QuietObserver, digests_of, now, one_by_one, partial_of, partials_of
from ecr_layer_client import (
    AccessDeniedError,
    CallError,
    ClientStateError,
    CredentialsError,
    InvalidInputError,
    LayerCheckResults,
    OperationTimeoutError,
    Progress,
    Repository,
    RepositoryNotFoundError,
    RetryPolicy,
    ServerError,
)
from ecr_layer_client._checks.operation import CHECK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

    from ecr_layer_client.local import LocalECR

pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("transport", ["signed"])]

ONCE = RetryPolicy(max_attempts=1)
A, B, GONE = (Repository(name=name) for name in ("team/a", "team/b", "team/gone"))


@pytest.fixture
def ecr(ecr: LocalECR, digests: list[str]) -> LocalECR:
    """Give two repositories: one holds what the other does not."""
    ecr.seed("team/a", [(digest, 1) for digest in digests[::2]])
    ecr.seed("team/b", [(digest, 1) for digest in digests[1::2]])
    return ecr


def _mapping(digests: list[str]) -> dict[str, list[str]]:
    return {"team/a": digests, "team/b": digests}


def _lazy_mapping(digests: list[str]) -> dict[str, Iterator[str]]:
    return {"team/a": iter(digests), "team/b": iter(digests)}


def _pairs(digests: list[str]) -> list[tuple[str, str]]:
    return [(name, digest) for digest in digests for name in ("team/a", "team/b")]


SHAPES: dict[str, Callable[[list[str]], Any]] = {
    "mapping": _mapping,
    "lazy-mapping": _lazy_mapping,
    "pairs": _pairs,
    "generator": lambda digests: iter(_pairs(digests)),
    "async-generator": lambda digests: one_by_one(_pairs(digests)),
}


@pytest.mark.parametrize("shaped", SHAPES.values(), ids=list(SHAPES))
async def test_the_results_of_check_layers(
    ecr: LocalECR, digests: list[str], shaped: Callable[[list[str]], Any]
) -> None:
    """Each repository has the result of `check_layers`, in full batches, for each kind of input."""
    async with ecr.client() as client:
        results = await client.check_many(shaped(digests))
        requests = ecr.stats.requests
        alone = {where: await client.check_layers(where, digests) for where in (A, B)}
    assert (dict(results), requests) == (alone, 6)


@pytest.mark.parametrize(("max_concurrency", "rounds"), [(6, 1), (2, 3)])
async def test_concurrency(
    ecr: LocalECR, digests: list[str], max_concurrency: int, rounds: int
) -> None:
    """Batches of all repositories are in flight at once, under one `max_concurrency`."""
    async with ecr.client(max_concurrency=max_concurrency) as client:
        await client.check_many(_mapping(digests))
    assert now() == pytest.approx(rounds * 0.05)


async def test_an_unknown_repository(ecr: LocalECR, digests: list[str]) -> None:
    """An unknown repository does not spoil the others, and its error keeps the unanswered."""
    async with ecr.client() as client:
        results = await client.check_many(
            {"team/a": digests, "team/gone": digests, "team/b": digests}
        )

    error = results.errors["team/gone"]
    assert [len(result) for result in results.values()] == [250, 250]
    assert (type(error), error.repository) == (RepositoryNotFoundError, GONE)
    assert partial_of(error).unanswered == tuple(digests)


async def test_a_repository_that_is_denied_later(ecr: LocalECR, digests: list[str]) -> None:
    """A repository that is denied after its first batch keeps that batch's outcomes."""
    ecr.faults.add(error="AccessDeniedException", after=1, times=1)
    async with ecr.client(max_concurrency=1) as client:
        results = await client.check_many(_mapping(digests))

    error = results.errors[A]
    partial = partial_of(error)
    assert (type(error), len(results[B])) == (AccessDeniedError, 250)
    assert (len(partial), len(partial.unanswered)) == (100, 150)


async def test_a_failed_repository_is_checked_no_more(ecr: LocalECR, digests: list[str]) -> None:
    """No more requests are sent for a repository that failed, whatever the input still gives."""
    async with ecr.client(max_concurrency=1) as client:
        results = await client.check_many((("team/gone", digest) for digest in digests), timeout=60)
    unanswered = partial_of(results.errors["team/gone"]).unanswered
    assert (ecr.stats.requests, len(unanswered)) == (1, 250)


async def test_a_failed_repository_of_an_async_input(ecr: LocalECR, digests: list[str]) -> None:
    """An async input is read to its end although one of its repositories failed."""

    async def pairs() -> AsyncIterator[tuple[str, str]]:
        for digest in digests:
            yield "team/gone", digest
        await asyncio.sleep(0.1)
        for digest in digests:
            yield "team/gone", digest[:-1]
        yield "team/a", digests[0]

    async with ecr.client(batch_size=10) as client:
        results = await client.check_many(pairs())
    assert (list(results), len(partial_of(results.errors[GONE]).unanswered)) == ([A], 250 + 16)


async def test_waiting_calls_of_a_failed_repository(ecr: LocalECR, digests: list[str]) -> None:
    """Calls of a failed repository that wait to be sent or retried are cancelled."""
    ecr.faults.add(status=503, times=1)
    ecr.faults.add(error="AccessDeniedException", after=1, times=1)
    async with ecr.client(max_concurrency=2, retry=RetryPolicy(initial_backoff=20.0)) as client:
        results = await client.check_many({"team/a": digests[:200], "team/b": digests})
    assert (list(results), now() < 1) == ([B], True)


async def test_waiting_calls_of_other_repositories(ecr: LocalECR, digests: list[str]) -> None:
    """A call that waits to be retried goes on when another repository fails."""
    ecr.faults.add(status=503, times=1)
    ecr.faults.add(error="AccessDeniedException", after=1, times=1)
    async with ecr.client() as client:
        results = await client.check_many({"team/b": digests[:1], "team/a": digests[:1]})
    assert (len(results[B]), list(results.errors)) == (1, [A])


async def test_running_attempts_of_a_failed_repository(ecr: LocalECR, digests: list[str]) -> None:
    """An attempt that runs when its repository fails ends, and its outcomes are kept."""
    ecr.faults.add(error="AccessDeniedException", times=1)
    ecr.faults.add(latency=1.0, after=1, times=1)
    async with ecr.client(max_concurrency=2) as client:
        results = await client.check_many({"team/a": digests[:200], "team/b": digests})

    partial = partial_of(results.errors[A])
    assert (len(partial), len(partial.unanswered), len(results[B])) == (100, 100, 250)
    assert now() > 1


async def test_several_errors_of_a_repository(ecr: LocalECR, digests: list[str]) -> None:
    """The first error of a repository is kept, and the others are its notes."""
    async with ecr.client() as client:
        results = await client.check_many({"team/gone": digests})
    notes: list[str] = getattr(results.errors[GONE], "__notes__", [])
    assert [note.split(": ")[1] for note in notes] == ["RepositoryNotFoundError"] * 2


async def test_left_out_digests_of_a_failed_repository(ecr: LocalECR, digests: list[str]) -> None:
    """Digests that a response leaves out are not checked again if their repository has failed."""
    ecr.faults.add(error="AccessDeniedException", times=1)
    ecr.faults.add(drop_rows=1, latency=1.0, after=1, times=1)
    async with ecr.client(batch_size=10, max_concurrency=2) as client:
        results = await client.check_many([("team/a", digest) for digest in digests[:20]])
    assert len(partial_of(results.errors[A]).unanswered) == 11
    assert ecr.stats.requests == 2


async def test_a_malformed_digest_of_a_failed_repository(ecr: LocalECR, digests: list[str]) -> None:
    """A malformed digest has its outcome even if its repository failed."""
    async with ecr.client(max_concurrency=1, batch_size=2) as client:
        results = await client.check_many({"team/gone": [*digests[:2], "latest", digests[2]]})
    partial = partial_of(results.errors[GONE])
    assert (digests_of(partial), partial.unanswered) == (["latest"], tuple(digests[:3]))


async def test_a_malformed_digest_when_all_fail(ecr: LocalECR, digests: list[str]) -> None:
    """A malformed digest has its outcome although its batch fails for all repositories."""
    ecr.faults.add(error="InvalidSignatureException", times=1)
    async with ecr.client(batch_size=2) as client:
        with pytest.raises(CallError) as raised:
            await client.check_many([("team/a", "bad"), ("team/a", digests[0])])
    partial = partial_of(partials_of(raised.value).errors[A])
    assert (digests_of(partial), partial.unanswered) == (["bad"], (digests[0],))


async def test_two_spellings_are_one_repository(ecr: LocalECR, digests: list[str]) -> None:
    """Two spellings of a repository have one result, under the first spelling."""
    uri = f"{ecr.account}.dkr.ecr.{ecr.region}.amazonaws.com/team/a"
    arn = f"arn:aws:ecr:{ecr.region}:{ecr.account}:repository/team/a"
    named = Repository(name="team/a", region=ecr.region)
    async with ecr.client() as client:
        results = await client.check_many(
            [(uri, digests[0]), ("team/a", digests[0]), (named, digests[1]), (arn, digests[0])]
        )
    lengths = [(where, len(result)) for where, result in results.items()]
    assert lengths == [(Repository.parse(uri), 1), (A, 2)]


async def test_two_spellings_in_a_mapping(ecr: LocalECR, digests: list[str]) -> None:
    """Two spellings of a repository in a mapping share a batch and a result."""
    named = Repository(name="team/a", region=ecr.region)
    given: dict[str | Repository, list[str]] = {"team/a": digests[:2], named: digests[1:3]}
    async with ecr.client() as client:
        results = await client.check_many(given)
    assert (digests_of(results[A]), ecr.stats.requests) == (digests[:3], 1)


@pytest.mark.parametrize(
    ("given", "lengths"), [({}, {}), ([], {}), ({"team/a": []}, {A: 0})], ids=repr
)
async def test_nothing(ecr: LocalECR, given: Any, lengths: dict[Repository, int]) -> None:
    """An empty input, and a repository without digests, have an empty result and no request."""
    async with ecr.client() as client:
        results = await client.check_many(given)
    assert {where: len(result) for where, result in results.items()} == lengths
    assert (type(results), ecr.stats.requests) == (LayerCheckResults, 0)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("team/app", "one str, 'team/app': pass a mapping of repositories to digests, or"),
        (3, "a mapping of repositories to digests"),
        ({"team/a": 3}, r"digests\['team/a'\] is 3: pass a list, or any iterable, of digests"),
        (["sha256:aa"], r"digests\[0\] is 'sha256:aa': every item must be a pair"),
        ([("team/a", "sha256:aa", 1)], "every item must be a pair"),
        ([("team/a", "sha256:aa"), ("team/a", None)], r"digests\['team/a'\]\[1\] is None, of type"),
        ([("Team/A", "sha256:aa")], "ECR repository name"),
        ({3: ["sha256:aa"]}, "a repository must be a str or a Repository"),
    ],
)
async def test_malformed_input(ecr: LocalECR, given: Any, match: str) -> None:
    """An input of a wrong shape is refused before any request."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=match):
            await client.check_many(given)
    assert ecr.stats.requests == 0


async def test_a_transient_error_that_lasts(ecr: LocalECR, digests: list[str]) -> None:
    """A transient error that outlasts the retries ends the check, and keeps what was answered."""
    ecr.faults.add(status=503, after=4)
    async with ecr.client(max_concurrency=1, retry=ONCE) as client:
        with pytest.raises(ServerError) as raised:
            await client.check_many(_mapping(digests))

    partials = partials_of(raised.value)
    error = partials.errors[B]
    assert (len(partials[A]), type(error), error.repository) == (250, ServerError, B)
    assert (partial_of(error).unanswered, len(partial_of(error))) == (tuple(digests[100:]), 100)


async def test_expired_credentials(ecr: LocalECR, digests: list[str]) -> None:
    """Credentials that ECR refuses end the check of all repositories."""
    ecr.faults.add(error="ExpiredTokenException")
    async with ecr.client() as client:
        with pytest.raises(CredentialsError) as raised:
            await client.check_many(_mapping(digests))
    assert list(partials_of(raised.value).errors) == [A, B]


async def test_timeout(ecr: LocalECR, digests: list[str]) -> None:
    """When the timeout expires, `.partials` has the part of each repository, failed ones too."""
    given = {"team/gone": digests[:1], "team/a": digests, "team/b": digests}
    message = r"on 3 repositories: not done within timeout=0.22 s: allow more time; .partials has"
    async with ecr.client(max_concurrency=1) as client:
        with pytest.raises(OperationTimeoutError, match=message) as raised:
            await client.check_many(given, timeout=0.22)

    partials = partials_of(raised.value)
    assert [(where.name, type(error)) for where, error in partials.errors.items()] == [
        ("team/gone", RepositoryNotFoundError),
        ("team/b", OperationTimeoutError),
    ]
    assert len(partials[A]) == 250


async def test_timeout_of_a_lazy_input(ecr: LocalECR, digests: list[str]) -> None:
    """No repository has a complete result when the input was not read to its end."""
    async with ecr.client(max_concurrency=1) as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.check_many(iter(_pairs(digests)), timeout=0.12)
    partials = partials_of(raised.value)
    parts = [len(partial_of(error)) for error in partials.errors.values()]
    assert (len(partials), parts) == (0, [100, 100])


async def test_timeout_while_the_input_is_awaited(ecr: LocalECR, digests: list[str]) -> None:
    """A repository of which all was answered is not complete while more of it may come."""

    async def pairs() -> AsyncIterator[tuple[str, str]]:
        for digest in digests[:100]:
            yield "team/a", digest
        await asyncio.sleep(3600)

    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.check_many(pairs(), timeout=1.0)
    partials = partials_of(raised.value)
    assert (list(partials), len(partial_of(partials.errors[A]))) == ([], 100)


async def test_timeout_after_a_repository_failed(ecr: LocalECR, digests: list[str]) -> None:
    """A timeout does not name the error of a repository that had failed before."""
    ecr.faults.add(latency=60.0, after=1)
    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.check_many({"team/gone": digests[:1], "team/a": digests[:1]}, timeout=1.0)
    assert (raised.value.__cause__, "team/gone" in str(raised.value)) == (None, False)


async def test_a_refusal_at_the_moment_of_the_timeout(
    ecr: LocalECR, digests: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository that is refused just when the timeout expires has that error."""

    async def refuse(_: object) -> None:
        await asyncio.sleep(1.0)
        raise AccessDeniedError("denied", code="AccessDeniedException", status=400)

    async with ecr.client() as client:
        transport = client._connection.resources_for(CHECK).transport
        monkeypatch.setattr(transport, "send", refuse)
        results = await client.check_many({"team/a": digests[:1]}, timeout=1.0)
    assert type(results.errors[A]) is AccessDeniedError


async def test_timeout_while_attempts_finish(ecr: LocalECR, digests: list[str]) -> None:
    """An error of all repositories is raised at the timeout even if attempts are still running."""
    ecr.faults.add(status=503, times=1)
    ecr.faults.add(latency=60.0, after=1)
    async with ecr.client(retry=ONCE) as client:
        with pytest.raises(ServerError) as raised:
            await client.check_many(_mapping(digests), timeout=5.0)
    assert now() == pytest.approx(5.0)
    assert list(partials_of(raised.value).errors) == [A, B]


async def test_progress(ecr: LocalECR, digests: list[str]) -> None:
    """Progress counts the distinct digests of all repositories."""
    reports: list[Progress] = []
    async with ecr.client(max_concurrency=1) as client:
        await client.check_many(_mapping(digests), progress=reports.append)
    assert (reports[0], reports[-1]) == (Progress(100, 100, 500), Progress(500, 500, 500))


@pytest.mark.parametrize(("shape", "total"), [("pairs", 500), ("generator", None)])
async def test_progress_of_pairs(
    ecr: LocalECR, digests: list[str], shape: str, total: int | None
) -> None:
    """The number of all digests is known from the beginning if the input has a length."""
    reports: list[Progress] = []
    async with ecr.client(max_concurrency=1) as client:
        await client.check_many(SHAPES[shape](digests), progress=reports.append)
    assert reports[0].total == total


async def test_each_batch_is_an_operation(ecr: LocalECR, digests: list[str]) -> None:
    """The observer is notified of each batch as an operation, with the error that ends it."""
    ended: list[tuple[str, str | None]] = []

    class Observer(QuietObserver):
        @contextmanager
        def operation(self, *facts: Any) -> Generator[None]:
            repository: Repository = facts[1]
            try:
                yield
            except CallError as error:
                ended.append((repository.name, type(error).__name__))
                raise
            ended.append((repository.name, None))

    async with ecr.client(observer=Observer()) as client:
        await client.check_many({"team/a": digests, "team/gone": digests[:1]})
    refused = ("team/gone", "RepositoryNotFoundError")
    assert sorted(ended, key=str) == [*[("team/a", None)] * 3, refused]


@pytest.mark.parametrize("is_list", [True, False], ids=["list", "async-generator"])
async def test_shuffled_pairs_make_full_batches(ecr: LocalECR, is_list: bool) -> None:
    """Pairs in random order need as many requests as pairs that are sorted by repository."""
    names = [f"team/{number}" for number in range(20)]
    for name in names:
        ecr.seed(name, [])
    pairs = [(name, f"sha256:{number:064x}") for number in range(250) for name in names]
    Random(7).shuffle(pairs)  # noqa: S311 (an order, not a secret)

    async with ecr.client() as client:
        results = await client.check_many(pairs if is_list else one_by_one(pairs))
    assert ([len(result) for result in results.values()], ecr.stats.requests) == ([250] * 20, 60)


async def test_full_batches_do_not_wait_for_the_input(ecr: LocalECR, digests: list[str]) -> None:
    """A full batch is sent while the input is still awaited, and the rest at its end."""
    sent: list[int] = []

    async def pairs() -> AsyncIterator[tuple[str, str]]:
        for digest in digests[:150]:
            yield "team/a", digest
        await asyncio.sleep(1.0)
        sent.append(ecr.stats.requests)

    async with ecr.client() as client:
        await client.check_many(pairs())
    assert (sent, ecr.stats.requests) == ([1], 2)


@pytest.mark.parametrize("shape", ["plain", "async", "mapping"])
async def test_many_repeats_let_other_tasks_run(ecr: LocalECR, shape: str) -> None:
    """An endless repetition of one pair does not keep other tasks from running."""
    rounds: list[int] = []

    def pairs() -> Iterator[tuple[str, str]]:
        while len(rounds) < 3:
            yield "team/a", "sha256:aa"

    async def async_pairs() -> AsyncIterator[tuple[str, str]]:
        for pair in pairs():
            yield pair

    async def count() -> None:
        for number in range(3):
            rounds.append(number)
            await asyncio.sleep(0)

    async with ecr.client() as client:
        mapping = {"team/a": (digest for _, digest in pairs())}
        given: Any = {"plain": pairs(), "async": async_pairs(), "mapping": mapping}[shape]
        results, _ = await asyncio.gather(client.check_many(given), count())
    assert len(results[A]) == 1


async def test_a_failure_interrupts_the_input(ecr: LocalECR, digests: list[str]) -> None:
    """An error of all repositories is raised without waiting for more of the input."""
    ecr.faults.add(status=503)

    async def pairs() -> AsyncIterator[tuple[str, str]]:
        for digest in digests[:100]:
            yield "team/a", digest
        await asyncio.sleep(1000.0)

    async with ecr.client(retry=ONCE) as client:
        with pytest.raises(ServerError):
            await client.check_many(pairs())
    assert now() < 1


@pytest.mark.parametrize(
    "error", [LookupError("the disk is gone"), TimeoutError("the queue is empty")], ids=repr
)
async def test_an_error_of_the_input(ecr: LocalECR, digests: list[str], error: Exception) -> None:
    """An error of the input passes unchanged; nothing stays in flight, and no error is lost."""

    async def pairs() -> AsyncIterator[tuple[str, str]]:
        for digest in digests[:55]:
            yield "team/a", digest
        await asyncio.sleep(0.5)
        raise error

    lost: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    ecr.faults.add(status=503, latency=1.0)
    async with ecr.client(batch_size=10) as client:
        with pytest.raises(type(error)) as raised:
            await client.check_many(pairs(), timeout=60)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        gc.collect()
        assert (raised.value is error, ecr.in_flight, left, lost) == (True, 0, set(), [])


async def _stubborn(digests: list[str]) -> AsyncIterator[tuple[str, str]]:
    """Give pairs without an end, and catch each cancellation."""
    for number in count():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.1)
        yield "team/a", digests[number % len(digests)]


@pytest.mark.parametrize(("batch_size", "answered"), [(1, 9), (100, 0)])
async def test_a_timeout_of_an_input_that_swallows_it(
    ecr: LocalECR, digests: list[str], batch_size: int, answered: int
) -> None:
    """An input that catches its cancellation holds up no timeout, and what it gave is not lost."""
    async with ecr.client(batch_size=batch_size) as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.check_many(_stubborn(digests), timeout=0.97)
    assert raised.value.partials is not None
    partial = partial_of(raised.value.partials.errors[A])
    assert (len(partial), partial.unanswered) == (answered, tuple(digests[answered:10]))
    assert now() < 1


async def test_a_failure_with_an_input_that_swallows_it(ecr: LocalECR, digests: list[str]) -> None:
    """So it is with a failure: nothing is sent after it."""
    ecr.faults.add(status=503, after=3)
    async with ecr.client(batch_size=1, retry=ONCE) as client:
        with pytest.raises(ServerError):
            await client.check_many(_stubborn(digests))
    assert (ecr.stats.requests, now() < 1) == (4, True)


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "cancelled"])
async def test_ending_with_an_input_that_swallows_it(
    ecr: LocalECR, digests: list[str], is_closed: bool
) -> None:
    """So it is when the client is closed, and when the caller is cancelled."""
    async with ecr.client(batch_size=1) as client:
        checking = asyncio.create_task(client.check_many(_stubborn(digests)))
        await asyncio.sleep(0.95)
        if is_closed:
            await client.aclose()
        else:
            checking.cancel()
        with pytest.raises(ClientStateError if is_closed else asyncio.CancelledError):
            await checking
    assert now() < 1


@pytest.mark.parametrize("max_concurrency", [1, 10])
async def test_nothing_is_sent_after_a_failure_of_all(
    ecr: LocalECR, digests: list[str], max_concurrency: int
) -> None:
    """The places that failed calls leave are not taken again."""
    ecr.faults.add(status=503)
    async with ecr.client(batch_size=1, max_concurrency=max_concurrency, retry=ONCE) as client:
        with pytest.raises(ServerError):
            await client.check_many(_mapping(digests))
    assert ecr.stats.requests == max_concurrency


async def test_a_failure_while_the_input_is_interrupted(ecr: LocalECR, digests: list[str]) -> None:
    """The timeout stops the calls in flight while the input cleans up; no exception is lost."""
    ecr.faults.add(status=503, latency=1.0)

    async def pairs() -> AsyncIterator[tuple[str, str]]:
        yield "team/a", digests[0]
        try:
            await asyncio.sleep(60.0)
        finally:
            await asyncio.sleep(1.0)

    lost: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    async with ecr.client(batch_size=1, retry=ONCE) as client:
        with pytest.raises(OperationTimeoutError):
            await client.check_many(pairs(), timeout=0.9)
    assert lost == []
