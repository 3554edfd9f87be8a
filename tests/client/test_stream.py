"""`LayerStream`: outcomes as they come, in bounded memory, read by one."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING

import pytest

from ecr_layer_client import (
    ClientStateError,
    InvalidInputError,
    OperationTimeoutError,
    Progress,
    RepositoryNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


def _numbered() -> Iterator[str]:
    return (f"sha256:{number:064x}" for number in count())


async def test_yields_every_outcome(ecr: LocalECR, digests: list[str]) -> None:
    """A stream yields one outcome for each distinct digest."""
    ecr.seed("app", [])
    async with ecr.client() as client, client.stream_layers("app", digests * 2) as stream:
        outcomes = [outcome async for outcome in stream]
    assert sorted(outcome.digest for outcome in outcomes) == digests


async def test_collect(ecr: LocalECR, digests: list[str]) -> None:
    """A stream can be collected into the result that `check_layers` gives."""
    ecr.seed("app", [(digests[1], 1)])
    async with ecr.client() as client:
        expected = await client.check_layers("app", digests)
        async with client.stream_layers("app", digests) as stream:
            assert await stream.collect() == expected


async def test_nothing_before_the_first_pull(ecr: LocalECR) -> None:
    """Nothing is pulled from the input and nothing is asked before the first pull."""
    ecr.seed("app", [])
    numbers = _numbered()
    async with ecr.client() as client, client.stream_layers("app", numbers):
        await asyncio.sleep(1)
    assert (ecr.stats.requests, next(numbers)) == (0, f"sha256:{0:064x}")


async def test_back_pressure(ecr: LocalECR) -> None:
    """A reader that stops reading stops the asking: beyond the batch it reads, `max_concurrency` are ahead of it."""
    ecr.seed("app", [])
    async with (
        ecr.client(max_concurrency=4) as client,
        client.stream_layers("app", _numbered()) as stream,
    ):
        await anext(stream)
        await asyncio.sleep(60)
        assert (ecr.stats.requests, stream.progress) == (
            5,
            Progress(pulled=500, answered=500, total=None),
        )


async def test_back_pressure_on_an_async_generator(ecr: LocalECR) -> None:
    """An async input is pulled no further ahead than a plain one."""
    ecr.seed("app", [])

    async def numbers() -> AsyncIterator[str]:
        for digest in _numbered():
            yield digest

    async with (
        ecr.client(max_concurrency=4) as client,
        client.stream_layers("app", numbers()) as stream,
    ):
        await anext(stream)
        await asyncio.sleep(60)
        assert stream.progress == Progress(pulled=500, answered=500, total=None)


async def test_breaking_out_early(ecr: LocalECR) -> None:
    """Leaving the block stops the work and leaves nothing behind.

    The rest stays in the caller's iterator.
    """
    ecr.seed("app", [])
    numbers = _numbered()
    async with ecr.client(max_concurrency=2) as client:
        async with client.stream_layers("app", numbers) as stream:
            async for _ in stream:
                break
        asked = ecr.stats.requests
        await asyncio.sleep(60)
    assert ecr.stats.requests == asked
    assert next(numbers) == f"sha256:{300:064x}"


async def test_breaking_and_going_on(ecr: LocalECR, digests: list[str]) -> None:
    """A reader that leaves its loop and comes back goes on where it stopped."""
    ecr.seed("app", [])
    seen: list[str] = []
    async with ecr.client() as client, client.stream_layers("app", digests) as stream:
        async for outcome in stream:
            seen.append(outcome.digest)
            if len(seen) == 42:
                break
        seen += [outcome.digest async for outcome in stream]
    assert sorted(seen) == digests


async def test_a_repeat_within_the_window(ecr: LocalECR) -> None:
    """A stream asks a repeat once among the last 10,000 distinct digests, and again when it is farther apart."""
    ecr.seed("app", [])
    first = f"sha256:{0:064x}"
    others = [f"sha256:{number:064x}" for number in range(1, 10_001)]
    async with (
        ecr.client() as client,
        client.stream_layers("app", [first, *others[:5000], first, *others, first]) as stream,
    ):
        outcomes = [outcome.digest async for outcome in stream]
    assert (outcomes.count(first), len(outcomes)) == (2, 10_002)


async def test_collected_over_the_whole_input(ecr: LocalECR) -> None:
    """Collected, a repeat is asked once however far apart."""
    ecr.seed("app", [])
    digests = [f"sha256:{number:064x}" for number in range(10_001)]
    async with ecr.client() as client:
        result = await client.check_layers("app", iter([*digests, digests[0]]))
    assert len(result) == 10_001


async def test_outside_its_block(ecr: LocalECR, digests: list[str]) -> None:
    """A stream is read inside its own block: not before, not after."""
    async with ecr.client() as client:
        stream = client.stream_layers("app", digests)
        with pytest.raises(ClientStateError, match="async with"):
            await anext(stream)
        with pytest.raises(ClientStateError, match="async with"):
            await stream.collect()
        async with stream:
            pass
        with pytest.raises(ClientStateError, match="async with"):
            await anext(stream)


async def test_entered_twice(ecr: LocalECR) -> None:
    """A stream is entered once."""
    async with ecr.client() as client:
        stream = client.stream_layers("app", [])
        async with stream:
            pass
        with pytest.raises(ClientStateError, match="once"):
            await stream.__aenter__()


async def test_collected_after_iterating(ecr: LocalECR, digests: list[str]) -> None:
    """A stream that was iterated can't be collected."""
    ecr.seed("app", [])
    async with ecr.client() as client, client.stream_layers("app", digests) as stream:
        await anext(stream)
        with pytest.raises(ClientStateError, match="iterated or collected"):
            await stream.collect()


async def test_collected_twice(ecr: LocalECR) -> None:
    """A stream is collected once."""
    async with ecr.client() as client, client.stream_layers("app", []) as stream:
        await stream.collect()
        with pytest.raises(ClientStateError, match="iterated or collected"):
            await stream.collect()


async def test_one_reader(ecr: LocalECR) -> None:
    """A second reader is refused while one waits."""
    ecr.seed("app", [])
    async with (
        ecr.client() as client,
        client.stream_layers("app", _numbered()) as stream,
        asyncio.TaskGroup() as readers,
    ):
        first = readers.create_task(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(ClientStateError, match="one reader"):
            await anext(stream)
    assert first.result().is_absent


async def test_error_of_the_callers_iterator(ecr: LocalECR, digests: list[str]) -> None:
    """What the caller's iterator raises passes unchanged, after the outcomes of what it gave before."""
    ecr.seed("app", [])

    def numbers() -> Iterator[str]:
        yield from digests[:150]
        raise LookupError("the disk is gone")

    seen: list[str] = []
    async with ecr.client() as client, client.stream_layers("app", numbers()) as stream:
        with pytest.raises(LookupError, match="the disk is gone"):
            async for outcome in stream:
                seen.append(outcome.digest)  # noqa: PERF401 (what came before the error counts)
    assert sorted(seen) == digests[:150]


class Ending(list[str]):
    """A list whose iterator raises what ends async iteration."""

    def __iter__(self) -> Iterator[str]:
        """Give what it holds, and raise."""
        yield from super().__iter__()
        raise StopAsyncIteration


@pytest.mark.parametrize("is_sized", [True, False], ids=["list", "iterator"])
async def test_an_iterator_that_raises_stop_async_iteration(
    ecr: LocalECR, digests: list[str], *, is_sized: bool
) -> None:
    """What a plain iterator raises is never taken for the end of the stream."""
    ecr.seed("app", [])
    given = Ending(digests) if is_sized else iter(Ending(digests))
    async with ecr.client() as client, client.stream_layers("app", given) as stream:
        with pytest.raises(RuntimeError, match="the input raised StopAsyncIteration") as raised:
            async for _ in stream:
                pass
    assert isinstance(raised.value.__cause__, StopAsyncIteration)


async def test_error_of_an_async_iterator(ecr: LocalECR, digests: list[str]) -> None:
    """What an async iterator raises passes unchanged, too."""
    ecr.seed("app", [])

    async def numbers() -> AsyncIterator[str]:
        for digest in digests[:150]:
            yield digest
        raise LookupError("the disk is gone")

    async with ecr.client() as client:
        with pytest.raises(LookupError, match="the disk is gone"):
            await client.check_layers("app", numbers())
    assert ecr.stats.digests_checked == 150


async def test_a_slow_source_holds_no_answer_back(ecr: LocalECR, digests: list[str]) -> None:
    """Answers are yielded while the input is still waited for."""
    ecr.seed("app", [])
    loop = asyncio.get_running_loop()

    async def slowly() -> AsyncIterator[str]:
        for number, digest in enumerate(digests):
            if number == 100:
                await asyncio.sleep(3600)
            yield digest

    async with ecr.client() as client, client.stream_layers("app", slowly()) as stream:
        await anext(stream)
        assert loop.time() < 60


async def test_an_async_source_is_pulled_by_one_task(ecr: LocalECR, digests: list[str]) -> None:
    """An async generator may hold what is bound to a task, such as a timeout: one task pulls all of it."""
    ecr.seed("app", [])

    async def bound() -> AsyncIterator[str]:
        async with asyncio.timeout(60):
            for digest in digests:
                await asyncio.sleep(0)
                yield digest

    async with ecr.client() as client:
        assert len(await client.check_layers("app", bound())) == 250


async def test_a_million_digests_in_bounded_work(ecr: LocalECR) -> None:
    """A stream holds no more than its window and the batches in flight, whatever the length of the input."""
    ecr.seed("app", [])
    async with ecr.client() as client, client.stream_layers("app", _numbered()) as stream:
        for _ in range(25_000):
            await anext(stream)
        held = len(stream._source.seen)  # what a stream remembers
    assert held == 10_000


async def test_a_reader_works_while_others_are_asked(ecr: LocalECR) -> None:
    """The window is refilled as the reader takes from it: asking and the reader's own work overlap."""
    ecr.seed("app", [])
    digests = [f"sha256:{number:064x}" for number in range(2000)]
    loop = asyncio.get_running_loop()
    async with (
        ecr.client(max_concurrency=2) as client,
        client.stream_layers("app", digests) as stream,
    ):
        async for outcome in stream:
            if outcome.digest.endswith("00"):
                await asyncio.sleep(0.05)
    assert loop.time() < 20 * 0.05 + 10 * 0.05


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError, GeneratorExit], ids=lambda error: error.__name__
)
async def test_a_source_that_ends_otherwise(
    ecr: LocalECR, digests: list[str], error: type[BaseException]
) -> None:
    """What is no Exception passes unchanged from an async input, too."""
    ecr.seed("app", [])

    async def ending() -> AsyncIterator[str]:
        for digest in digests[:150]:
            yield digest
        raise error

    async with ecr.client() as client:
        with pytest.raises(error):
            await client.check_layers("app", ending())


async def test_a_source_that_asks_itself(ecr: LocalECR, digests: list[str]) -> None:
    """An error of another stream that feeds this one keeps the other's partial result."""
    ecr.seed("app", [])

    async def feeding() -> AsyncIterator[str]:
        async with client.stream_layers("nowhere", digests[:3]) as other:
            async for outcome in other:
                yield outcome.digest

    async with ecr.client() as client:
        with pytest.raises(RepositoryNotFoundError) as raised:
            await client.check_layers("app", feeding())
    assert raised.value.partial is not None
    assert raised.value.partial.unanswered == tuple(digests[:3])


async def test_left_while_another_task_reads(ecr: LocalECR) -> None:
    """Leaving the block ends a reader in another task, and nothing is asked any more."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        async with client.stream_layers("app", _numbered()) as stream:
            reader = asyncio.create_task(stream.collect())
            await asyncio.sleep(0.2)
        asked = ecr.stats.requests
        with pytest.raises(ClientStateError, match="block was left"):
            await reader
        await asyncio.sleep(60)
    assert ecr.stats.requests == asked


async def test_after_a_refused_item(ecr: LocalECR) -> None:
    """A stream whose list was refused stays refused."""
    async with ecr.client() as client, client.stream_layers("app", ["sha256:aa", 3]) as stream:  # type: ignore[list-item]
        for _ in range(2):
            with pytest.raises(InvalidInputError, match=r"digests\[1\]"):
                await anext(stream)
    assert ecr.stats.requests == 0


async def test_an_error_of_the_source_while_iterating(ecr: LocalECR, digests: list[str]) -> None:
    """A CallError of the caller's own source passes with the partial result it came with, iterated as well as collected."""
    ecr.seed("app", [])

    def failing() -> Iterator[str]:
        yield digests[0]
        raise RepositoryNotFoundError("another's")

    seen: list[str] = []
    async with ecr.client() as client, client.stream_layers("app", failing()) as stream:
        with pytest.raises(RepositoryNotFoundError) as raised:
            async for outcome in stream:
                seen.append(outcome.digest)  # noqa: PERF401 (what came before the error counts)
    assert (seen, raised.value.partial) == (digests[:1], None)


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_repeats_alone_for_long(ecr: LocalECR, digests: list[str], *, is_async: bool) -> None:
    """An input that repeats one digest tens of thousands of times is asked once, and comes to its end."""
    ecr.seed("app", [])

    async def repeats() -> AsyncIterator[str]:
        for _ in range(25_000):
            yield digests[0]

    async with ecr.client() as client:
        result = await client.check_layers(
            "app", repeats() if is_async else (digests[0] for _ in range(25_000))
        )
    assert (len(result), ecr.stats.digests_checked) == (1, 1)


async def test_a_batch_cancelled_by_somebody_else(ecr: LocalECR, digests: list[str]) -> None:
    """A task of the stream that others cancel is no end, but a cancellation."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        checking = asyncio.create_task(client.check_layers("app", digests))
        await asyncio.sleep(0.02)
        (batch, *_) = (task for task in asyncio.all_tasks() if "._check" in repr(task.get_coro()))
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await checking


@pytest.mark.parametrize("collected", [True, False])
async def test_an_iterator_that_swallows_a_cancellation(
    ecr: LocalECR, digests: list[str], *, collected: bool
) -> None:
    """An async iterator that goes on after it was cancelled holds up neither a timeout nor an end.

    What it gave is unanswered.
    """
    ecr.seed("app", [])

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
            await (stream.collect() if collected else anext(stream))
    assert raised.value.partial is not None
    assert raised.value.partial.unanswered == (digests[0],)
