"""`check_many`: many repositories in one check. One that fails does not spoil the others."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import (
    AccessDeniedError,
    CallError,
    ClientStateError,
    CredentialsError,
    InvalidInputError,
    LayerCheckResult,
    LayerCheckResults,
    OperationTimeoutError,
    Progress,
    Repository,
    RepositoryNotFoundError,
    RetryPolicy,
    ServerError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

ONCE = RetryPolicy(max_attempts=1)
A, B, GONE = (Repository(name=name) for name in ("team/a", "team/b", "team/gone"))


@pytest.fixture
def transport() -> TransportName:
    """Give one transport: how a request travels does not matter here."""
    return "signed"


@pytest.fixture
def seeded(ecr: LocalECR, digests: list[str]) -> LocalECR:
    """Give two repositories: what one holds the other does not."""
    ecr.seed("team/a", [(digest, 1) for digest in digests[::2]])
    ecr.seed("team/b", [(digest, 1) for digest in digests[1::2]])
    return ecr


def _as_mapping(digests: list[str]) -> dict[str, list[str]]:
    return {"team/a": digests, "team/b": digests}


def _as_lazy_mapping(digests: list[str]) -> dict[str, Iterator[str]]:
    return {"team/a": iter(digests), "team/b": iter(digests)}


def _as_pairs(digests: list[str]) -> list[tuple[str, str]]:
    return [(name, digest) for digest in digests for name in ("team/a", "team/b")]


def _as_generator(digests: list[str]) -> Iterator[tuple[str, str]]:
    return iter(_as_pairs(digests))


async def _as_async_generator(digests: list[str]) -> AsyncIterator[tuple[str, str]]:
    for pair in _as_pairs(digests):
        yield pair


def _partial(error: CallError) -> LayerCheckResult:
    assert error.partial is not None
    return error.partial


SHAPES = [_as_mapping, _as_lazy_mapping, _as_pairs, _as_generator, _as_async_generator]


@pytest.mark.parametrize("shaped", SHAPES, ids=lambda shaped: shaped.__name__[4:])
async def test_the_answers_of_check_layers(
    seeded: LocalECR, digests: list[str], shaped: Callable[[list[str]], Any]
) -> None:
    """Whatever the shape of the input, each repository has the result that `check_layers` gives, in full batches."""
    async with seeded.client() as client:
        results = await client.check_many(shaped(digests))
        asked = seeded.stats.requests
        assert dict(results) == {
            where: await client.check_layers(name, digests)
            for where, name in zip((A, B), ("team/a", "team/b"), strict=True)
        }
    assert asked == 6


async def test_many_at_once(seeded: LocalECR, digests: list[str]) -> None:
    """Batches of many repositories are in flight at once."""
    async with seeded.client(max_concurrency=6) as client:
        await client.check_many(_as_mapping(digests))
    assert asyncio.get_running_loop().time() == pytest.approx(0.05)


async def test_one_limit(seeded: LocalECR, digests: list[str]) -> None:
    """All repositories share `max_concurrency`."""
    async with seeded.client(max_concurrency=2) as client:
        await client.check_many(_as_mapping(digests))
    assert asyncio.get_running_loop().time() == pytest.approx(3 * 0.05)


async def test_a_repository_that_is_unknown(seeded: LocalECR, digests: list[str]) -> None:
    """A repository that is unknown does not spoil the others.

    Its error keeps what was not answered.
    """
    async with seeded.client() as client:
        results = await client.check_many(
            {"team/a": digests, "team/gone": digests, "team/b": digests}
        )
    error = results.errors["team/gone"]
    assert (type(error), [len(result) for result in results.values()]) == (
        RepositoryNotFoundError,
        [250, 250],
    )
    assert (error.repository, _partial(error).unanswered) == (
        Repository(name="team/gone"),
        tuple(digests),
    )


async def test_a_repository_that_is_denied(seeded: LocalECR, digests: list[str]) -> None:
    """So it is with one that is denied in the middle: what it answered before is in its error."""
    seeded.faults.add(error="AccessDeniedException", after=1, times=1)
    async with seeded.client(max_concurrency=1) as client:
        results = await client.check_many({"team/a": digests, "team/b": digests})
    error = results.errors[A]
    assert (
        type(error),
        len(_partial(error)),
        len(_partial(error).unanswered),
        len(results[B]),
    ) == (AccessDeniedError, 100, 150, 250)


async def test_a_failed_repository_is_asked_no_more(seeded: LocalECR, digests: list[str]) -> None:
    """Of a repository that failed, nothing more is asked, whatever is still given."""
    async with seeded.client(max_concurrency=1) as client:
        results = await client.check_many((("team/gone", digest) for digest in digests), timeout=60)
    error = results.errors["team/gone"]
    assert (seeded.stats.requests, len(_partial(error).unanswered)) == (1, 250)


async def test_what_waits_of_a_failed_repository_is_given_up(
    seeded: LocalECR, digests: list[str]
) -> None:
    """Calls of a failed repository that wait for their turn or to be retried are given up.

    Attempts under way finish.
    """
    seeded.faults.add(status=503, times=1)
    seeded.faults.add(error="AccessDeniedException", after=1, times=1)
    async with seeded.client(max_concurrency=2, retry=RetryPolicy(initial_backoff=20.0)) as client:
        results = await client.check_many({"team/a": digests[:200], "team/b": digests})
    assert (list(results), asyncio.get_running_loop().time() < 1) == ([B], True)


async def test_attempts_under_way_finish(seeded: LocalECR, digests: list[str]) -> None:
    """What is under way when a repository fails comes to its end, and its answer is kept."""
    seeded.faults.add(error="AccessDeniedException", times=1)
    seeded.faults.add(latency=1.0, after=1, times=1)
    async with seeded.client(max_concurrency=2) as client:
        results = await client.check_many({"team/a": digests[:200], "team/b": digests})
    partial = _partial(results.errors[A])
    assert (len(partial), len(partial.unanswered), len(results[B])) == (100, 100, 250)
    assert asyncio.get_running_loop().time() > 1


async def test_two_calls_of_a_repository_fail(seeded: LocalECR, digests: list[str]) -> None:
    """When several calls of one repository fail, the first error is kept, and the others are its notes."""
    async with seeded.client() as client:
        results = await client.check_many({"team/gone": digests})
    notes: list[str] = getattr(results.errors[GONE], "__notes__", [])
    assert [note.partition(":")[2].partition(":")[0] for note in notes] == [
        " RepositoryNotFoundError"
    ] * 2


async def test_a_malformed_digest_of_a_failed_repository(
    seeded: LocalECR, digests: list[str]
) -> None:
    """What needs no request is answered even for a repository that failed."""
    async with seeded.client(max_concurrency=1, batch_size=2) as client:
        results = await client.check_many({"team/gone": [*digests[:2], "latest", digests[2]]})
    partial = _partial(results.errors[GONE])
    assert ([outcome.digest for outcome in partial], partial.unanswered) == (
        ["latest"],
        tuple(digests[:3]),
    )


async def test_two_spellings_are_one(seeded: LocalECR, digests: list[str]) -> None:
    """Two spellings of one repository are one: its digests are asked once, under the first spelling."""
    uri = f"{seeded.account}.dkr.ecr.{seeded.region}.amazonaws.com/team/a"
    arn = f"arn:aws:ecr:{seeded.region}:{seeded.account}:repository/team/a"
    named = Repository(name="team/a", region=seeded.region)
    async with seeded.client() as client:
        results = await client.check_many(
            [(uri, digests[0]), ("team/a", digests[0]), (named, digests[1]), (arn, digests[0])]
        )
    assert [(where, len(result)) for where, result in results.items()] == [
        (Repository.parse(uri), 1),
        (A, 2),
    ]


async def test_letter_cases_are_one(seeded: LocalECR, digests: list[str]) -> None:
    """Two letter cases of one digest are one, answered in the first spelling, in each repository by itself."""
    upper = digests[10].upper()
    async with seeded.client() as client:
        results = await client.check_many({"team/a": [upper, digests[10]], "team/b": [digests[10]]})
    assert [result.outcomes[0].digest for result in results.values()] == [upper, digests[10]]


async def test_nothing(seeded: LocalECR) -> None:
    """Nothing at all is an empty result, and no digests of a repository are an empty result of it, without a request."""
    async with seeded.client() as client:
        assert dict(await client.check_many({})) == {}
        results = await client.check_many({"team/a": []})
    assert ({where: len(result) for where, result in results.items()}, seeded.stats.requests) == (
        {A: 0},
        0,
    )


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (
            "team/app",
            "digests is one str, 'team/app': pass a mapping of repositories to digests, or",
        ),
        (3, "a mapping of repositories to digests"),
        ({"team/a": "sha256:aa"}, r"digests\['team/a'\] is one str"),
        (
            {"team/a": 3},
            r"digests\['team/a'\] is 3: pass a list, or any iterable, of digests",
        ),
        (["sha256:aa"], r"digests\[0\] is 'sha256:aa': every item is a pair"),
        ([("team/a", "sha256:aa", 1)], "every item is a pair"),
        (
            [("team/a", "sha256:aa"), ("team/a", None)],
            r"digests\['team/a'\]\[1\] is None, of type NoneType",
        ),
        ([("Team/A", "sha256:aa")], "no ECR repository name"),
        ({3: ["sha256:aa"]}, "a repository is a str or a Repository"),
        ([(Repository(name="team/a", region="eu-west-3"), "sha256:aa")], "for_region"),
    ],
)
async def test_refused(seeded: LocalECR, given: Any, match: str) -> None:
    """What breaks its rule is refused before any request."""
    async with seeded.client() as client:
        with pytest.raises(InvalidInputError, match=match):
            await client.check_many(given)
    assert seeded.stats.requests == 0


async def test_async_digests_of_a_mapping(seeded: LocalECR) -> None:
    """A mapping's digests are plain iterables; the message says what to pass instead."""

    async def none() -> AsyncIterator[str]:
        return
        yield

    async with seeded.client() as client:
        with pytest.raises(InvalidInputError, match="pass an async iterable of pairs"):
            await client.check_many({"team/a": none()})  # type: ignore[arg-type]


async def test_trouble_that_concerns_all(seeded: LocalECR, digests: list[str]) -> None:
    """Passing trouble that outlasts the retries ends the whole check, with all that was answered, by repository."""
    seeded.faults.add(status=503, after=4)
    async with seeded.client(max_concurrency=1, retry=ONCE) as client:
        with pytest.raises(ServerError) as raised:
            await client.check_many(_as_mapping(digests))
    partials = raised.value.partials
    assert partials is not None
    error = partials.errors[B]
    assert (len(partials[A]), type(error), error.repository) == (250, ServerError, B)
    assert (_partial(error).unanswered, len(_partial(error))) == (tuple(digests[100:]), 100)


async def test_credentials_concern_all(seeded: LocalECR, digests: list[str]) -> None:
    """Credentials that are refused end the whole check."""
    seeded.faults.add(error="ExpiredTokenException")
    async with seeded.client() as client:
        with pytest.raises(CredentialsError) as raised:
            await client.check_many(_as_mapping(digests))
    assert raised.value.partials is not None
    assert list(raised.value.partials.errors) == [A, B]


async def test_timeout(seeded: LocalECR, digests: list[str]) -> None:
    """When the time runs out, `.partials` tells what was answered of each repository, failed ones included."""
    async with seeded.client(max_concurrency=1) as client:
        with pytest.raises(
            OperationTimeoutError,
            match=r"on 3 repositories: not done within timeout=0.22 s; .partials keeps",
        ) as raised:
            await client.check_many(
                {"team/gone": digests[:1], "team/a": digests, "team/b": digests}, timeout=0.22
            )
    partials = raised.value.partials
    assert partials is not None
    assert [(where.name, type(error)) for where, error in partials.errors.items()] == [
        ("team/gone", RepositoryNotFoundError),
        ("team/b", OperationTimeoutError),
    ]
    assert len(partials[A]) == 250


async def test_timeout_of_a_lazy_input(seeded: LocalECR, digests: list[str]) -> None:
    """Of an input that was not read to its end no repository passes for a whole."""
    async with seeded.client(max_concurrency=1) as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.check_many(_as_generator(digests), timeout=0.12)
    partials = raised.value.partials
    assert partials is not None
    assert (len(partials), [len(_partial(error)) for error in partials.errors.values()]) == (
        0,
        [100, 100],
    )


async def test_closing_ends_it(seeded: LocalECR, digests: list[str]) -> None:
    """Closing the client ends a check of many repositories."""
    client = await seeded.client().open()
    checking = asyncio.create_task(client.check_many(_as_mapping(digests)))
    await asyncio.sleep(0.02)
    await client.aclose()
    with pytest.raises(ClientStateError):
        await checking


async def test_progress(seeded: LocalECR, digests: list[str]) -> None:
    """Progress counts the distinct digests of all repositories."""
    told: list[Progress] = []
    async with seeded.client(max_concurrency=1) as client:
        await client.check_many(_as_mapping(digests), progress=told.append)
    assert (told[0], told[-1]) == (Progress(100, 100, 500), Progress(500, 500, 500))


async def test_an_async_stream_of_a_failed_repository(seeded: LocalECR, digests: list[str]) -> None:
    """So it is with an async input."""

    async def pairs() -> AsyncIterator[tuple[str, str]]:
        for digest in digests:
            yield "team/gone", digest
        await asyncio.sleep(0.1)
        for digest in digests:
            yield "team/gone", digest[:-1]
        yield "team/a", digests[0]

    async with seeded.client(batch_size=10) as client:
        results = await client.check_many(pairs())
    assert (list(results), len(_partial(results.errors[GONE]).unanswered)) == ([A], 250 + 16)


async def test_each_batch_is_an_operation(seeded: LocalECR, digests: list[str]) -> None:
    """The observer is told of each batch as an operation on its repository, with the error that ends it."""
    told: list[tuple[str, str | None]] = []

    class Noting:
        @contextmanager
        def operation(self, _: str, repository: Repository) -> Generator[None]:
            try:
                yield
            except CallError as error:
                told.append((repository.name, type(error).__name__))
                raise
            told.append((repository.name, None))

        @contextmanager
        def attempt(self, *_: object) -> Generator[None]:
            yield

        def retry(self, *_: object) -> None: ...

        def throttle(self, *_: object) -> None: ...

    async with seeded.client(observer=Noting()) as client:
        await client.check_many({"team/a": digests, "team/gone": digests[:1]})
    assert sorted(told, key=str) == [
        *[("team/a", None)] * 3,
        ("team/gone", "RepositoryNotFoundError"),
    ]


async def test_an_error_of_the_callers_iterator(seeded: LocalECR, digests: list[str]) -> None:
    """What the caller's iterator raises passes unchanged, and nothing stays in flight."""

    def pairs() -> Iterator[tuple[str, str]]:
        yield "team/a", digests[0]
        yield "team/b", digests[0]
        raise LookupError("the disk is gone")

    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    async with seeded.client(batch_size=1) as client:
        with pytest.raises(LookupError, match="the disk is gone"):
            await client.check_many(pairs())
    assert (seeded.in_flight, failures) == (0, [])


async def test_raise_for_errors(seeded: LocalECR, digests: list[str]) -> None:
    """`raise_for_errors` is one word away."""
    async with seeded.client() as client:
        whole = await client.check_many(_as_mapping(digests))
        assert whole.raise_for_errors() is whole
        with pytest.raises(RepositoryNotFoundError):
            (await client.check_many({"team/gone": digests})).raise_for_errors()


async def test_a_batch_cancelled_by_somebody_else(seeded: LocalECR, digests: list[str]) -> None:
    """A task of the check that others cancel is no end, but a cancellation."""
    async with seeded.client() as client:
        checking = asyncio.create_task(client.check_many(_as_mapping(digests)))
        await asyncio.sleep(0.02)
        (batch, *_) = (task for task in asyncio.all_tasks() if "._check" in repr(task.get_coro()))
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking


async def test_the_type_of_results(seeded: LocalECR) -> None:
    """A check of many repositories gives `LayerCheckResults`."""
    async with seeded.client() as client:
        assert type(await client.check_many([])) is LayerCheckResults


async def test_malformed_digests_are_answered_when_all_fail(
    seeded: LocalECR, digests: list[str]
) -> None:
    """A malformed digest is answered, although the batch that it is in fails for all."""
    seeded.faults.add(error="InvalidSignatureException", times=1)
    async with seeded.client(batch_size=2) as client:
        with pytest.raises(CallError) as raised:
            await client.check_many([("team/a", "bad"), ("team/a", digests[0])])
    assert raised.value.partials is not None
    partial = _partial(raised.value.partials.errors[A])
    answered = [outcome.digest for outcome in partial]
    assert (answered, partial.unanswered) == (["bad"], (digests[0],))


async def test_rows_left_out_of_a_failed_repository(seeded: LocalECR, digests: list[str]) -> None:
    """Digests that a response leaves out are not checked again if their repository has failed."""
    seeded.faults.add(error="AccessDeniedException", times=1)
    seeded.faults.add(drop_rows=1, latency=1.0, after=1, times=1)
    pairs = [("team/a", digest) for digest in digests[:20]]
    async with seeded.client(batch_size=10, max_concurrency=2) as client:
        results = await client.check_many(pairs)
    assert len(_partial(results.errors[A]).unanswered) == 11
    assert seeded.stats.requests == 2


async def _shuffled(repositories: int, each: int) -> AsyncIterator[tuple[str, str]]:
    pairs = [
        (f"team/{name}", f"sha256:{n:064x}") for n in range(each) for name in range(repositories)
    ]
    Random(7).shuffle(pairs)  # noqa: S311 (an order, not a secret)
    for pair in pairs:
        yield pair


@pytest.mark.parametrize("is_list", [True, False], ids=["list", "async-generator"])
async def test_shuffled_pairs_make_full_batches(ecr: LocalECR, is_list: bool) -> None:
    """Pairs in random order need as many requests as pairs that are sorted by repository."""
    for name in range(20):
        ecr.seed(f"team/{name}", [])
    pairs: Any = _shuffled(20, 250)
    if is_list:
        pairs = [pair async for pair in pairs]
    async with ecr.client() as client:
        results = await client.check_many(pairs)
    assert ([len(result) for result in results.values()], ecr.stats.requests) == ([250] * 20, 60)


async def test_full_batches_do_not_wait_for_the_input(seeded: LocalECR, digests: list[str]) -> None:
    """A full batch is sent while the input is still waited for, and the rest at its end."""
    sent: list[int] = []

    async def pairs() -> AsyncIterator[tuple[str, str]]:
        for digest in digests[:150]:
            yield "team/a", digest
        await asyncio.sleep(1.0)
        sent.append(seeded.stats.requests)

    async with seeded.client() as client:
        await client.check_many(pairs())
    assert (sent, seeded.stats.requests) == ([1], 2)


async def test_a_failure_interrupts_the_input(seeded: LocalECR, digests: list[str]) -> None:
    """An error that concerns all repositories is raised without waiting for more of the input."""
    seeded.faults.add(status=503)

    async def pairs() -> AsyncIterator[tuple[str, str]]:
        for digest in digests[:100]:
            yield "team/a", digest
        await asyncio.sleep(1000.0)

    async with seeded.client(retry=ONCE) as client:
        with pytest.raises(ServerError):
            await client.check_many(pairs())
    assert asyncio.get_running_loop().time() < 1


async def test_a_timeout_error_of_the_input(seeded: LocalECR) -> None:
    """A TimeoutError that the input raises is the caller's own, and not the operation's."""

    async def pairs() -> AsyncIterator[tuple[str, str]]:
        yield "team/a", "sha256:aa"
        msg = "the queue is empty"
        raise TimeoutError(msg)

    async with seeded.client() as client:
        with pytest.raises(TimeoutError, match=r"^the queue is empty$"):
            await client.check_many(pairs(), timeout=60)


async def test_a_timeout_blames_no_repository_that_had_failed_for_good(
    seeded: LocalECR, digests: list[str]
) -> None:
    """A bound that runs out while others are slow does not name the error of one that had failed before."""
    seeded.faults.add(latency=60.0, after=1)
    async with seeded.client() as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.check_many({"team/gone": digests[:1], "team/a": digests[:1]}, timeout=1.0)
    assert (raised.value.__cause__, "team/gone" in str(raised.value)) == (None, False)


async def _stubborn(digests: list[str]) -> AsyncIterator[tuple[str, str]]:
    """Give pairs without an end, and catch each cancellation."""
    for number in count():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.1)
        yield "team/a", digests[number % len(digests)]


async def test_a_timeout_of_an_input_that_swallows_it(seeded: LocalECR, digests: list[str]) -> None:
    """An input that catches its cancellation holds up no timeout, and what it gave is not lost."""
    async with seeded.client(batch_size=1) as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.check_many(_stubborn(digests), timeout=0.97)
    assert raised.value.partials is not None
    partial = _partial(raised.value.partials.errors[A])
    assert (len(partial), partial.unanswered) == (9, (digests[9],))
    assert asyncio.get_running_loop().time() < 1


async def test_a_failure_with_an_input_that_swallows_it(
    seeded: LocalECR, digests: list[str]
) -> None:
    """So it is with a failure: nothing is sent after it."""
    seeded.faults.add(status=503, after=3)
    async with seeded.client(batch_size=1, retry=ONCE) as client:
        with pytest.raises(ServerError):
            await client.check_many(_stubborn(digests))
    assert (seeded.stats.requests, asyncio.get_running_loop().time() < 1) == (4, True)


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "cancelled"])
async def test_ending_with_an_input_that_swallows_it(
    seeded: LocalECR, digests: list[str], is_closed: bool
) -> None:
    """So it is when the client is closed, and when the caller is cancelled."""
    async with seeded.client(batch_size=1) as client:
        checking = asyncio.create_task(client.check_many(_stubborn(digests)))
        await asyncio.sleep(0.95)
        if is_closed:
            await client.aclose()
        else:
            checking.cancel()
        with pytest.raises(ClientStateError if is_closed else asyncio.CancelledError):
            await checking
    assert asyncio.get_running_loop().time() < 1


@pytest.mark.parametrize("max_concurrency", [1, 10])
async def test_nothing_is_sent_after_a_failure_of_all(
    seeded: LocalECR, digests: list[str], max_concurrency: int
) -> None:
    """The places that failed calls leave are not taken again."""
    seeded.faults.add(status=503)
    async with seeded.client(batch_size=1, max_concurrency=max_concurrency, retry=ONCE) as client:
        with pytest.raises(ServerError):
            await client.check_many(_as_mapping(digests))
    assert seeded.stats.requests == max_concurrency


async def test_a_failure_while_the_input_is_interrupted(
    seeded: LocalECR, digests: list[str]
) -> None:
    """A call that fails while the input still cleans up after the timeout is no lost exception."""
    seeded.faults.add(status=503, latency=1.0)

    async def pairs() -> AsyncIterator[tuple[str, str]]:
        yield "team/a", digests[0]
        try:
            await asyncio.sleep(60.0)
        finally:
            await asyncio.sleep(1.0)

    lost: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    async with seeded.client(batch_size=1, retry=ONCE) as client:
        with pytest.raises(ServerError):
            await client.check_many(pairs(), timeout=0.9)
    assert lost == []
