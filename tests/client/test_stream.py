"""`LayerStream`: outcomes as they come, in bounded memory, for one reader."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from client.steps import digests_of, now, one_by_one, partial_of, read
from ecr_layer_client import (
    ClientStateError,
    InvalidInputError,
    LayerStream,
    OperationTimeoutError,
    Progress,
    RepositoryNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from ecr_layer_client.local import LocalECR

pytestmark = [pytest.mark.asyncio, pytest.mark.parametrize("transport", ["signed"])]

PLAIN_AND_ASYNC = pytest.mark.parametrize("shaped", [iter, one_by_one], ids=["plain", "async"])


def _endless() -> Iterator[str]:
    return (f"sha256:{number:064x}" for number in count())


async def test_yields_every_outcome(ecr: LocalECR, digests: list[str]) -> None:
    """A stream yields one outcome for each distinct digest of its repository."""
    async with ecr.client() as client:
        stream = client.stream_layers("app", digests * 2)
        outcomes = await read(stream)
    assert (sorted(digests_of(outcomes)), stream.repository.name) == (digests, "app")


async def test_a_repeat_after_the_window(ecr: LocalECR, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is iterated forgets digests after its window, and checks a repeat again."""
    monkeypatch.setattr("ecr_layer_client._checks.stream.STREAM_WINDOW", 10)
    given = [f"sha256:{number:064x}" for number in (*range(25), 24, 0)]
    async with ecr.client(batch_size=5) as client:
        await read(client.stream_layers("app", iter(given)))
    assert ecr.stats.digests_checked == 26


async def test_others_run_beside_an_input_of_repeats(ecr: LocalECR) -> None:
    """Other tasks run while a stream reads an input that needs no request."""
    others: list[str] = []

    def repeats() -> Iterator[str]:
        asyncio.get_running_loop().call_soon(others.append, "another task")
        yield from ["sha256:aa"] * 12_000
        others.append("end of the input")

    async with ecr.client() as client:
        await read(client.stream_layers("app", repeats()))
    assert others == ["another task", "end of the input"]


async def test_nothing_before_the_first_pull(ecr: LocalECR) -> None:
    """A stream reads no input and sends no request before the first pull."""
    digests = _endless()
    async with ecr.client() as client, client.stream_layers("app", digests):
        await asyncio.sleep(1)
    assert (ecr.stats.requests, next(digests)) == (0, f"sha256:{0:064x}")


@PLAIN_AND_ASYNC
async def test_back_pressure(ecr: LocalECR, shaped: Callable[[Iterable[str]], Any]) -> None:
    """A reader that pauses stops the requests: at most `max_concurrency` batches are unread."""
    async with (
        ecr.client(max_concurrency=4) as client,
        client.stream_layers("app", shaped(_endless())) as stream,
    ):
        await anext(stream)
        await asyncio.sleep(60)
        assert (ecr.stats.requests, stream.progress) == (5, Progress(500, 500, None))


async def test_breaking_out_early(ecr: LocalECR) -> None:
    """Leaving the block ends all work, and the rest stays in the caller's iterator."""
    digests = _endless()
    async with ecr.client(max_concurrency=2) as client:
        async with client.stream_layers("app", digests) as stream:
            async for _ in stream:
                break
        requests = ecr.stats.requests
        await asyncio.sleep(60)
    assert (ecr.stats.requests, next(digests)) == (requests, f"sha256:{300:064x}")


async def test_breaking_and_going_on(ecr: LocalECR, digests: list[str]) -> None:
    """A reader that leaves its loop and comes back goes on where it stopped."""
    async with ecr.client() as client, client.stream_layers("app", digests) as stream:
        seen = [await anext(stream) for _ in range(42)]
        seen += [outcome async for outcome in stream]
    assert sorted(digests_of(seen)) == digests


async def test_repeats_of_a_stream(ecr: LocalECR) -> None:
    """A stream ignores a repeat among 10,000 distinct digests, and none after 20,000 others."""
    first = f"sha256:{0:064x}"
    others = [f"sha256:{number:064x}" for number in range(1, 20_001)]
    async with ecr.client() as client:
        given = [first, *others[:9_999], first, *others[9_999:], first]
        outcomes = digests_of(await read(client.stream_layers("app", given)))
    assert (outcomes.count(first), len(outcomes)) == (2, 20_002)


@pytest.mark.parametrize("count", [200, 12_000])
async def test_a_list_is_valid_before_any_of_it_is_sent(ecr: LocalECR, count: int) -> None:
    """A wrong item at the end of a list, short or long, is refused before any request."""
    digests: list[Any] = [*(f"sha256:{number:064x}" for number in range(count)), None]
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=rf"digests\[{count}\] is None"):
            await client.check_layers("app", digests)
    assert ecr.stats.requests == 0


async def test_a_long_list_keeps_its_order(ecr: LocalECR) -> None:
    """A list that is taken in steps has each digest once, in order, and its total is known."""
    digests = [f"sha256:{number:064x}" for number in range(12_000)]
    seen: list[Progress] = []
    async with ecr.client() as client:
        result = await client.check_layers("app", [*digests, *digests], progress=seen.append)
    assert (*result.absent,) == (*digests,)
    assert {progress.total for progress in seen} == {12_000}


async def test_a_long_list_is_unanswered_after_a_timeout(ecr: LocalECR) -> None:
    """A timeout while a long list is checked names each digest of it, answered or not."""
    digests = [f"sha256:{number:064x}" for number in range(12_000)]
    async with ecr.client() as client:
        with pytest.raises(OperationTimeoutError) as raised:
            await client.check_layers("app", digests, timeout=0.5)
    partial = raised.value.partial
    assert partial is not None
    assert sorted([*partial.absent, *partial.unanswered]) == digests


async def test_repeats_of_a_collected_stream(ecr: LocalECR) -> None:
    """A collected stream checks each digest once, however far apart its repeats are."""
    digests = [f"sha256:{number:064x}" for number in range(10_001)]
    async with ecr.client() as client:
        result = await client.check_layers("app", iter([*digests, digests[0]]))
    assert len(result) == 10_001


@PLAIN_AND_ASYNC
async def test_many_repeats(
    ecr: LocalECR, digests: list[str], shaped: Callable[[Iterable[str]], Any]
) -> None:
    """An input that repeats one digest 25,000 times needs one check, and ends."""
    async with ecr.client() as client:
        result = await client.check_layers("app", shaped(digests[0] for _ in range(25_000)))
    assert (len(result), ecr.stats.digests_checked) == (1, 1)


async def test_an_input_that_needs_no_request(ecr: LocalECR) -> None:
    """Other tasks run between the batches of a list that needs no request."""
    rounds = 0

    async def count_rounds() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    async with ecr.client() as client:
        counting = asyncio.create_task(count_rounds())
        await client.check_layers("app", [f"latest-{number}" for number in range(5000)])
        counting.cancel()
    assert rounds >= 50


async def test_outside_its_block(ecr: LocalECR, digests: list[str]) -> None:
    """A stream cannot be read before its block or after it, and is entered once."""
    async with ecr.client() as client:
        stream = client.stream_layers("app", digests)
        with pytest.raises(ClientStateError) as raised:
            await anext(stream)
        assert str(raised.value) == (
            "a LayerStream can be read only inside its async with block: "
            "async with client.stream_layers(...) as stream"
        )
        with pytest.raises(ClientStateError, match="async with"):
            await stream.collect()

        async with stream:
            pass
        with pytest.raises(ClientStateError, match="async with"):
            await anext(stream)
        with pytest.raises(ClientStateError) as raised:
            await stream.__aenter__()
    assert (
        str(raised.value)
        == "a LayerStream can be entered only once: make another with stream_layers()"
    )


@pytest.mark.parametrize("read_first", [LayerStream.__anext__, LayerStream.collect])
async def test_collected_after_a_read(
    ecr: LocalECR, digests: list[str], read_first: Callable[[LayerStream], Awaitable[object]]
) -> None:
    """A stream that was iterated or collected cannot be collected."""
    async with ecr.client() as client, client.stream_layers("app", digests) as stream:
        await read_first(stream)
        with pytest.raises(ClientStateError) as raised:
            await stream.collect()
    assert str(raised.value) == (
        "a LayerStream can be read only once, by `async for` or by collect(): "
        "make another with stream_layers()"
    )


async def test_one_reader(ecr: LocalECR) -> None:
    """A second reader is refused while one waits."""
    async with (
        ecr.client() as client,
        client.stream_layers("app", _endless()) as stream,
        asyncio.TaskGroup() as readers,
    ):
        first = readers.create_task(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(ClientStateError) as raised:
            await anext(stream)
    assert first.result().is_absent
    assert str(raised.value) == (
        "another task is already reading this LayerStream: "
        "let one task read it and pass the outcomes to the others"
    )


@pytest.mark.parametrize(
    ("error", "is_async"),
    [
        pytest.param(LookupError("the disk is gone"), False, id="plain"),
        pytest.param(LookupError("the disk is gone"), True, id="async"),
        pytest.param(RepositoryNotFoundError("another one's"), False, id="CallError"),
        pytest.param(asyncio.CancelledError(), True, id="CancelledError"),
        pytest.param(GeneratorExit(), True, id="GeneratorExit"),
    ],
)
async def test_an_error_of_the_input(
    ecr: LocalECR, digests: list[str], error: BaseException, is_async: bool
) -> None:
    """An error of the input is raised unchanged, after the outcomes that came before it."""

    def failing() -> Iterator[str]:
        yield from digests[:150]
        raise error

    async def failing_async() -> AsyncIterator[str]:
        for digest in failing():
            yield digest

    given = failing_async() if is_async else failing()
    seen: list[str] = []
    async with ecr.client() as client, client.stream_layers("app", given) as stream:
        with pytest.raises(type(error)) as raised:
            async for outcome in stream:
                seen.append(outcome.digest)  # noqa: PERF401 (the error comes after some)

    assert sorted(seen) == digests[:150]
    assert (str(raised.value), getattr(raised.value, "partial", None)) == (str(error), None)


async def test_a_call_that_fails_after_the_input(ecr: LocalECR, digests: list[str]) -> None:
    """The error of the input stays the error, without a note, when a call in flight fails later."""
    ecr.faults.add(error="AccessDeniedException")

    def failing() -> Iterator[str]:
        yield from digests[:150]
        raise LookupError("the disk is gone")

    async with ecr.client() as client:
        with pytest.raises(LookupError) as raised:
            await client.check_layers("app", failing())
    assert getattr(raised.value, "__notes__", []) == []


class Ending(list[str]):
    """A list whose iterator raises StopAsyncIteration, which ends async iteration."""

    def __iter__(self) -> Iterator[str]:
        """Yield the items, and raise."""
        yield from super().__iter__()
        raise StopAsyncIteration


@pytest.mark.parametrize("shaped", [list, iter], ids=["list", "iterator"])
async def test_a_plain_input_that_raises_stop_async_iteration(
    ecr: LocalECR, digests: list[str], shaped: Callable[[Ending], Iterable[str]]
) -> None:
    """StopAsyncIteration from a plain iterator is an error, and does not end the stream."""
    given = Ending(digests) if shaped is list else iter(Ending(digests))
    async with ecr.client() as client:
        with pytest.raises(RuntimeError, match=r"^the input raised StopAsyncIteration$") as raised:
            await read(client.stream_layers("app", given))
    assert isinstance(raised.value.__cause__, StopAsyncIteration)


async def test_after_a_refused_item(ecr: LocalECR) -> None:
    """A stream whose list was refused is refused again."""
    given: Any = ["sha256:aa", 3]
    async with ecr.client() as client, client.stream_layers("app", given) as stream:
        for _ in range(2):
            with pytest.raises(InvalidInputError, match=r"digests\[1\]"):
                await anext(stream)
    assert ecr.stats.requests == 0


async def test_a_slow_input(ecr: LocalECR, digests: list[str]) -> None:
    """Outcomes are yielded while the input is still awaited."""

    async def slowly() -> AsyncIterator[str]:
        for number, digest in enumerate(digests):
            if number == 100:
                await asyncio.sleep(3600)
            yield digest

    async with ecr.client() as client, client.stream_layers("app", slowly()) as stream:
        await anext(stream)
        assert now() < 60


async def test_an_async_input_is_pulled_by_one_task(ecr: LocalECR, digests: list[str]) -> None:
    """One task pulls an async input, which may hold things bound to a task, such as a timeout."""

    async def bound() -> AsyncIterator[str]:
        async with asyncio.timeout(60):
            for digest in digests:
                await asyncio.sleep(0)
                yield digest

    async with ecr.client() as client:
        assert len(await client.check_layers("app", bound())) == 250


async def test_an_input_that_checks_itself(ecr: LocalECR, digests: list[str]) -> None:
    """An error of another stream that feeds this one keeps the other's partial result."""

    async def feeding() -> AsyncIterator[str]:
        async with client.stream_layers("nowhere", digests[:3]) as other:
            async for outcome in other:
                yield outcome.digest

    async with ecr.client() as client:
        with pytest.raises(RepositoryNotFoundError) as raised:
            await client.check_layers("app", feeding())
    assert partial_of(raised.value).unanswered == tuple(digests[:3])


@PLAIN_AND_ASYNC
async def test_other_tasks_run_while_an_input_repeats(
    ecr: LocalECR, digests: list[str], shaped: Callable[[Iterable[str]], Any]
) -> None:
    """Other tasks run while an input that needs neither a request nor an await is read."""
    ran, ran_before_end = list[bool](), list[bool]()

    def repeated() -> Iterator[str]:
        asyncio.get_running_loop().call_soon(ran.append, True)  # noqa: FBT003 (a value)
        yield from digests[:1] * 12_000
        ran_before_end.extend(ran)

    async with ecr.client() as client:
        await client.check_layers("app", shaped(repeated()))
    assert ran_before_end == [True]


async def test_bounded_memory(ecr: LocalECR) -> None:
    """A stream remembers fewer than 20,000 digests, however long its input is."""
    async with ecr.client() as client, client.stream_layers("app", _endless()) as stream:
        for _ in range(25_000):
            await anext(stream)
        seen = stream._source.seen
        assert len(seen.spellings) + len(seen._older) == 16_000


@pytest.mark.parametrize("shaped", [list, iter, one_by_one], ids=["list", "plain", "async"])
async def test_a_reader_that_works(ecr: LocalECR, shaped: Callable[[Iterable[str]], Any]) -> None:
    """Requests are sent while the reader works on the outcomes before."""
    digests = [f"sha256:{number:064x}" for number in range(2000)]
    async with (
        ecr.client(max_concurrency=2) as client,
        client.stream_layers("app", shaped(digests)) as stream,
    ):
        async for outcome in stream:
            if outcome.digest.endswith("00"):
                await asyncio.sleep(0.05)
    assert now() < 20 * 0.05 + 10 * 0.05


@PLAIN_AND_ASYNC
async def test_a_slow_reader(
    ecr: LocalECR, digests: list[str], shaped: Callable[[Iterable[str]], Any]
) -> None:
    """A reader that is slower than the requests still gets every outcome of a lazy input."""
    seen: list[str] = []
    async with (
        ecr.client(max_concurrency=1) as client,
        client.stream_layers("app", shaped(digests)) as stream,
    ):
        async for outcome in stream:
            seen.append(outcome.digest)
            await asyncio.sleep(1.0)
    assert seen == digests


async def test_left_while_another_task_reads(ecr: LocalECR) -> None:
    """Leaving the block ends a reader in another task, and no more requests are sent."""
    async with ecr.client() as client:
        async with client.stream_layers("app", _endless()) as stream:
            reader = asyncio.create_task(stream.collect())
            await asyncio.sleep(0.2)
        requests = ecr.stats.requests
        with pytest.raises(ClientStateError, match=r"^the 'async with' block ended"):
            await reader
        await asyncio.sleep(60)
    assert ecr.stats.requests == requests


@pytest.mark.parametrize("read_it", [LayerStream.__anext__, LayerStream.collect])
async def test_an_input_that_ignores_its_cancellation(
    ecr: LocalECR, digests: list[str], read_it: Callable[[LayerStream], Awaitable[object]]
) -> None:
    """An input that ignores its cancellation delays no timeout, and what it gave is unanswered."""

    async def stubborn() -> AsyncIterator[str]:
        try:
            await asyncio.sleep(10.0)
        except asyncio.CancelledError:
            yield digests[0]
        yield digests[1]

    async with (
        ecr.client(batch_size=1) as client,
        client.stream_layers("app", stubborn(), timeout=1.0) as stream,
    ):
        with pytest.raises(OperationTimeoutError) as raised:
            await read_it(stream)
    assert partial_of(raised.value).unanswered == (digests[0],)
