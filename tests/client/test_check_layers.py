"""`check_layers` and `stream_layers`: what comes back, for whatever goes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from ecr_layer_client import (
    InvalidInputError,
    LayerAvailability,
    LayerFailureCode,
    Progress,
    Repository,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio


async def _agen(digests: list[str]) -> AsyncIterator[str]:
    for digest in digests:
        yield digest


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(list, id="list"),
        pytest.param(tuple, id="tuple"),
        pytest.param(dict.fromkeys, id="dict"),
        pytest.param(pd.Series, id="series"),
        pytest.param(iter, id="iterator"),
        pytest.param(_agen, id="async-generator"),
    ],
)
async def test_any_iterable(
    ecr: LocalECR, digests: list[str], given: Callable[[list[str]], object]
) -> None:
    """Any iterable of digests gives the same answer, in input order."""
    ecr.seed("app", [(digest, 1) for digest in digests[::2]])
    async with ecr.client() as client:
        result = await client.check_layers("app", given(digests))  # type: ignore[arg-type]
    assert result.available == tuple(digests[::2])
    assert result.absent == tuple(digests[1::2])
    assert [outcome.digest for outcome in result] == digests


async def test_a_set(ecr: LocalECR, digests: list[str]) -> None:
    """A set has no order of its own, and each of its digests is answered."""
    ecr.seed("app", [(digest, 1) for digest in digests])
    async with ecr.client() as client:
        result = await client.check_layers("app", set(digests))
    assert set(result.available) == set(digests)


@pytest.mark.parametrize("batch_size", [1, 7, 100])
@pytest.mark.parametrize("max_concurrency", [1, 10, 50])
async def test_batching_changes_nothing(
    ecr: LocalECR, digests: list[str], batch_size: int, max_concurrency: int
) -> None:
    """The answer is the same for every batch size and concurrency."""
    ecr.seed("app", [(digest, 1) for digest in digests[:100]])
    async with ecr.client(batch_size=batch_size, max_concurrency=max_concurrency) as client:
        result = await client.check_layers("app", digests)
    assert (result.available, result.absent) == (tuple(digests[:100]), tuple(digests[100:]))


async def test_full_batches(ecr: LocalECR, digests: list[str]) -> None:
    """Duplicates are asked once, in batches of 100."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        await client.check_layers("app", digests * 3)
    assert (ecr.stats.requests, ecr.stats.digests_checked) == (3, 250)


async def test_empty(ecr: LocalECR) -> None:
    """No digests are an empty result and no request."""
    async with ecr.client() as client:
        result = await client.check_layers("app", [])
    assert (result.outcomes, ecr.stats.requests) == ((), 0)


async def test_letter_case(ecr: LocalECR) -> None:
    """Two letter cases of a digest are asked once, in lower case, and answered in the first spelling."""
    digest = "sha256:" + "ab" * 32
    ecr.seed("app", [(digest, 7)])
    async with ecr.client() as client:
        result = await client.check_layers("app", [digest.upper(), digest])
    assert [(layer.digest, layer.size) for layer in result.layers] == [(digest.upper(), 7)]
    assert ecr.stats.digests_checked == 1


async def test_malformed_digest(ecr: LocalECR, digests: list[str]) -> None:
    """A malformed digest is a failure of its own; the others are answered, in order."""
    ecr.seed("app", [(digests[0], 1)])
    async with ecr.client() as client:
        result = await client.check_layers("app", [digests[0], "latest", digests[1]])
    assert [failure.code for failure in result.failures] == [LayerFailureCode.INVALID_LAYER_DIGEST]
    assert (result.available, result.undetermined, result.absent) == (
        (digests[0],),
        ("latest",),
        (digests[1],),
    )
    assert [outcome.digest for outcome in result] == [digests[0], "latest", digests[1]]


async def test_only_malformed_digests(ecr: LocalECR) -> None:
    """Malformed digests alone need no request."""
    async with ecr.client() as client:
        result = await client.check_layers("app", ["latest"] * 3 + ["", "sha256:xyz"])
    assert (result.undetermined, ecr.stats.requests) == (("latest", "", "sha256:xyz"), 0)


async def test_missing_means_absent(digests: list[str]) -> None:
    """An endpoint that answers MissingLayerDigest for what it does not hold means absent, too."""
    from ecr_layer_client.local import LocalECR

    async with LocalECR(in_memory=True, absent="missing") as ecr:
        ecr.seed("app", [(digests[0], 1)])
        async with ecr.client() as client:
            result = await client.check_layers("app", digests)
    assert result.absent == tuple(digests[1:])
    assert result.raise_for_failures() is result


async def test_archived(ecr: LocalECR, digests: list[str]) -> None:
    """An archived layer is neither available nor absent."""
    ecr.seed("app", [(digests[0], 1)])
    ecr.archive("app", digests[0])
    async with ecr.client() as client:
        result = await client.check_layers("app", digests[:1])
    assert result.archived == (digests[0],)
    assert not result.all_available


async def test_repository_by_uri(ecr: LocalECR, digests: list[str]) -> None:
    """A repository is named by its URI, its ARN or its parts as well as by its name."""
    ecr.seed("team/app", [(digests[0], 1)])
    named: list[str | Repository] = [
        f"{ecr.account}.dkr.ecr.{ecr.region}.amazonaws.com/team/app",
        f"arn:aws:ecr:{ecr.region}:{ecr.account}:repository/team/app",
        Repository(name="team/app", registry_id=ecr.account),
    ]
    async with ecr.client() as client:
        results = [await client.check_layers(name, digests[:1]) for name in named]
    assert [result.all_available for result in results] == [True, True, True]


async def test_repository_of_another_region(ecr: LocalECR, digests: list[str]) -> None:
    """A repository of another Region is refused before any request, and the message names both."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=r"'eu-west-1'.*'us-east-1'"):
            await client.check_layers(Repository(name="app", region="eu-west-1"), digests)
    assert ecr.stats.requests == 0


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        pytest.param("sha256:aa", "one str, 'sha256:aa'", id="one-str"),
        pytest.param(None, "None", id="none"),
        pytest.param(7, "7", id="int"),
        pytest.param(["sha256:aa", None], r"digests\[1\] is None", id="item"),
        pytest.param([b"sha256:aa"], r"digests\[0\] is b'sha256:aa'", id="bytes-item"),
    ],
)
async def test_bad_digests(ecr: LocalECR, bad: object, match: str) -> None:
    """What is no iterable of str is refused before any request."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match=match):
            await client.check_layers("app", bad)  # type: ignore[arg-type]
    assert ecr.stats.requests == 0


async def test_bad_item_of_a_generator(ecr: LocalECR, digests: list[str]) -> None:
    """In a generator, an item that is no str is refused with its index when it is reached, after what came before is answered."""
    ecr.seed("app", [(digest, 1) for digest in digests])
    seen: list[str] = []
    given: Any = iter([*digests[:15], 15, *digests])
    async with (
        ecr.client(batch_size=10) as client,
        client.stream_layers("app", given) as stream,
    ):
        with pytest.raises(InvalidInputError, match=r"digests\[15\]"):
            async for outcome in stream:
                seen.append(outcome.digest)  # noqa: PERF401 (what came before the error counts)
    assert sorted(seen) == digests[:15]


@pytest.mark.parametrize(
    "timeout", [0, -1, float("inf"), float("nan"), "1", True, 10**400], ids=repr
)
async def test_bad_timeout(ecr: LocalECR, timeout: object) -> None:
    """A timeout is seconds, more than 0."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="timeout="):
            await client.check_layers("app", [], timeout=timeout)  # type: ignore[arg-type]


async def test_progress(ecr: LocalECR, digests: list[str]) -> None:
    """A progress callable sees each batch answered, of a total that is known."""
    ecr.seed("app", [])
    told: list[Progress] = []
    async with ecr.client(max_concurrency=1) as client:
        await client.check_layers("app", digests, progress=told.append)
    assert [(progress.answered, progress.total) for progress in told] == [
        (100, 250),
        (200, 250),
        (250, 250),
    ]


async def test_progress_of_a_generator(ecr: LocalECR, digests: list[str]) -> None:
    """The total of a generator is not known; what was pulled is."""
    ecr.seed("app", [])
    told: list[Progress] = []
    async with ecr.client(max_concurrency=1) as client:
        await client.check_layers("app", iter(digests), progress=told.append)
    assert told[-1] == Progress(pulled=250, answered=250, total=None)


async def test_progress_bar(
    ecr: LocalECR, digests: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """`progress=True` draws a bar on standard error."""
    ecr.seed("app", [])
    async with ecr.client() as client:
        await client.check_layers("app", digests, progress=True)
    assert "250/250" in capfd.readouterr().err


@pytest.mark.parametrize("progress", [None, 0, "x", []], ids=repr)
async def test_bad_progress(ecr: LocalECR, progress: Any) -> None:
    """A progress that is neither a bool nor a plain function is refused."""
    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="progress="):
            await client.check_layers("app", [], progress=progress)


async def test_an_async_progress(ecr: LocalECR) -> None:
    """An async function would never be awaited, and is refused."""

    async def told(_: Progress) -> None: ...

    async with ecr.client() as client:
        with pytest.raises(InvalidInputError, match="plain function"):
            await client.check_layers("app", [], progress=told)  # type: ignore[arg-type]


async def test_unknown_availability(ecr: LocalECR, digests: list[str]) -> None:
    """Asked digests are unavailable in a repository that holds nothing."""
    ecr.create_repository("app")
    async with ecr.client() as client:
        result = await client.check_layers("app", digests[:1])
    assert result.layers[0].availability is LayerAvailability.UNAVAILABLE
