"""Typed code that uses the library: mypy and pyright check it, and nothing runs it.

A line that must not type-check has a `type: ignore` comment. If a type checker accepts the line, it
reports the comment as unused.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, assert_type

import pandas as pd
import polars as pl
from aiobotocore.session import get_session

from ecr_layer_client import (
    AWSKeys,
    CallError,
    ClientConfig,
    CredentialsProvider,
    ECRLayerClient,
    ECRPublicLayerClient,
    Layer,
    LayerAvailability,
    LayerChecker,
    LayerCheckResult,
    LayerCheckResults,
    LayerFailure,
    LayerFailureCode,
    LayerFailuresError,
    LayerOutcome,
    LayerStream,
    Observer,
    OutcomeStream,
    Progress,
    PublicRepository,
    Repository,
    RetryPolicy,
    ServiceError,
)
from ecr_layer_client.otel import OpenTelemetryObserver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractContextManager

    from aiobotocore.session import AioSession

    from ecr_layer_client.images import PushPlan
    from ecr_layer_client.transfers import ImagePusher


def generated() -> Iterator[str]:
    """Yield digests."""
    yield "sha256:aa"


async def generated_async() -> AsyncIterator[str]:
    """Yield digests."""
    yield "sha256:aa"


async def check(client: ECRLayerClient, frame: pd.DataFrame, series: pd.Series[str]) -> None:
    """Check digests in every kind of iterable."""
    assert_type(await client.check_layers("team/app", ["sha256:aa"]), LayerCheckResult)

    await client.check_layers(Repository(name="team/app"), ("sha256:aa",))
    await client.check_layers("team/app", {"sha256:aa"})
    await client.check_layers("team/app", frozenset({"sha256:aa"}))
    await client.check_layers("team/app", {"sha256:aa": 1})
    await client.check_layers("team/app", {"sha256:aa": 1}.keys())
    await client.check_layers("team/app", generated())
    await client.check_layers("team/app", generated_async())
    await client.check_layers("team/app", series)
    await client.check_layers("team/app", series.unique())
    await client.check_layers("team/app", frame["digest"])
    await client.check_layers("team/app", map(str, [1]), timeout=60, progress=True)
    await client.check_layers("team/app", [], timeout=0.5, progress=shown)

    await client.check_layers("team/app", [1])  # type: ignore[list-item]
    await client.check_layers("team/app", [b"sha256:aa"])  # type: ignore[list-item]
    await client.check_layers("team/app", None)  # type: ignore[arg-type]
    await client.check_layers(None, [])  # type: ignore[arg-type]
    await client.check_layers("team/app", [], 60)  # type: ignore[call-arg]
    await client.check_layers("team/app", [], timeout="60")  # type: ignore[arg-type]


def shown(progress: Progress) -> None:
    """Show progress."""
    assert_type(progress.pulled, int)
    assert_type(progress.total, int | None)


async def stream(client: ECRLayerClient) -> None:
    """Read a stream, or collect it."""
    assert_type(client.stream_layers("team/app", generated_async(), timeout=60.0), LayerStream)

    async with client.stream_layers("team/app", generated()) as outcomes:
        assert_type(outcomes, LayerStream)
        assert_type(outcomes.progress, Progress)
        async for outcome in outcomes:
            assert_type(outcome, Layer | LayerFailure)

    async with client.stream_layers("team/app", generated()) as outcomes:
        assert_type(await outcomes.collect(), LayerCheckResult)


def read(result: LayerCheckResult) -> None:
    """Read a result."""
    assert_type(result.repository, Repository)
    assert_type(result.outcomes, Sequence[Layer | LayerFailure])
    assert_type(result.layers, tuple[Layer, ...])
    assert_type(result.failures, tuple[LayerFailure, ...])
    assert_type(result.available, tuple[str, ...])
    assert_type(result.archived, tuple[str, ...])
    assert_type(result.absent, tuple[str, ...])
    assert_type(result.undetermined, tuple[str, ...])
    assert_type(result.not_available, tuple[str, ...])
    assert_type(result.unanswered, tuple[str, ...])
    assert_type(result.all_available, bool)

    assert_type(result["sha256:aa"], Layer | LayerFailure)
    assert_type(result.by_digest.get("sha256:aa"), Layer | LayerFailure | None)
    assert_type("sha256:aa" in result, bool)
    assert_type(len(result), int)
    assert_type([outcome.digest for outcome in result], list[str])
    assert_type({result.repository: 1, Repository.parse("app"): 2}, dict[Repository, int])
    assert_type({*result.outcomes}, set[Layer | LayerFailure])
    assert_type(result.raise_for_failures().raise_if_not_available(), LayerCheckResult)

    result.outcomes = ()  # type: ignore[misc]
    result.layers[0].size = 1  # type: ignore[misc]
    result.repository.name = "app"  # type: ignore[misc]


def narrow(outcome: LayerOutcome) -> int | str | None:
    """Narrow an outcome to one of its two classes by the value of `outcome`."""
    assert_type(outcome.is_available, bool)
    assert_type(outcome.is_absent, bool)

    if outcome.outcome == "layer":
        assert_type(outcome, Layer)
        return outcome.size
    assert_type(outcome, LayerFailure)
    return outcome.reason


def match(outcome: LayerOutcome) -> LayerAvailability | LayerFailureCode:
    """Match every class of outcome."""
    match outcome:
        case Layer(availability=availability):
            return availability
        case LayerFailure(code=code):
            return code


def make() -> None:
    """Make results and repositories without a client."""
    made = LayerCheckResult.of(
        "team/app",
        {
            "sha256:aa": LayerAvailability.AVAILABLE,
            "sha256:bb": LayerFailureCode.NOT_REPORTED,
            "sha256:cc": Layer(digest="sha256:cc", availability=LayerAvailability.ARCHIVED, size=1),
            "sha256:dd": LayerFailure(
                digest="sha256:dd", code=LayerFailureCode.UNKNOWN, raw_code="Tired"
            ),
        },
    )
    assert_type(made, LayerCheckResult)
    LayerCheckResult.of("team/app", {"sha256:aa": LayerAvailability.AVAILABLE})
    LayerCheckResult.of("team/app", {"sha256:aa": "AVAILABLE"})  # type: ignore[dict-item]

    assert_type(Repository.parse("team/app"), Repository)
    assert_type(Repository(name="team/app", registry_id="123456789012").uri, str | None)
    Repository("team/app")  # type: ignore[call-arg]
    Repository(name="team/app", registry_id=123456789012)  # type: ignore[arg-type]


def configure(client: ECRLayerClient) -> None:
    """Configure a client and its views."""
    ClientConfig(batch_size=7, requests_per_second=None, retry=RetryPolicy(max_attempts=1))
    ClientConfig(max_retries=3)  # type: ignore[call-arg]
    ClientConfig(batch_size="7")  # type: ignore[arg-type]
    assert_type({ClientConfig(): 1}, dict[ClientConfig, int])
    ClientConfig().batch_size = 7  # type: ignore[misc]

    assert_type(
        client.with_config(batch_size=7, retry=RetryPolicy(), requests_per_second=None),
        ECRLayerClient,
    )
    client.with_config(max_retries=3)  # type: ignore[call-arg]
    client.with_config(batch_size="7")  # type: ignore[arg-type]
    client.with_config(transport="fast")  # type: ignore[arg-type]
    assert_type(client.for_region("eu-west-1"), ECRLayerClient)
    ECRLayerClient("eu-west-1")  # type: ignore[call-arg]


def borrow(session: AioSession, client: Any) -> None:
    """Use the caller's session or client."""
    ECRLayerClient(session=session)
    assert_type(ECRLayerClient.from_client(client, config=ClientConfig()), ECRLayerClient)
    ECRLayerClient.from_client(session)  # type: ignore[arg-type]


class Mine(ECRLayerClient):
    """A user's subclass of the client."""


async def inherit() -> None:
    """Get the subclass from `async with`, from its views and from `open`."""
    async with Mine(region_name="eu-west-1") as client:
        assert_type(client, Mine)
        assert_type(client.with_config(batch_size=7), Mine)
        assert_type(client.for_region("eu-west-2"), Mine)
    assert_type(await Mine().open(), Mine)


def pairs() -> Iterator[tuple[str, str]]:
    """Yield pairs."""
    yield "team/app", "sha256:aa"


async def pairs_async() -> AsyncIterator[tuple[Repository, str]]:
    """Yield pairs."""
    yield Repository(name="team/app"), "sha256:aa"


async def check_many(client: ECRLayerClient) -> None:
    """Check digests of many repositories in every kind of mapping and iterable."""
    where = Repository(name="team/app")
    lists: dict[str, list[str]] = {"team/app": ["sha256:aa"]}
    results = await client.check_many(lists)
    assert_type(results, LayerCheckResults)
    await client.check_many({where: ["sha256:aa"]})

    mixed: dict[str | Repository, tuple[str, ...]] = {where: ("sha256:aa",), "team/other": ()}
    await client.check_many(mixed)
    await client.check_many({"team/app": generated()})
    await client.check_many([("team/app", "sha256:aa"), (where, "sha256:aa")])
    await client.check_many(pairs(), timeout=60.0, progress=True)
    await client.check_many(pairs_async())
    await client.check_many({"team/app": generated_async()})  # type: ignore[arg-type]
    await client.check_many(["sha256:aa"])  # type: ignore[list-item]

    assert_type(results["team/app"], LayerCheckResult)
    assert_type(results.get(where), LayerCheckResult | None)
    assert_type([repository for repository, _ in results.items()], list[Repository])
    assert_type("team/app" in results, bool)
    assert_type(results.errors[where], CallError)
    assert_type(results.raise_for_errors(), LayerCheckResults)


async def wait(client: ECRLayerClient) -> None:
    """Wait for layers."""
    assert_type(
        await client.wait_until_available("team/app", generated(), timeout=60.0), LayerCheckResult
    )
    await client.wait_until_available("team/app", generated())  # type: ignore[call-arg]


def assumed(role_arn: str) -> CredentialsProvider:
    """Return a provider of the keys of a role."""

    async def provide() -> AWSKeys:
        # The stubs of STS are in another package.
        session: Any = get_session()
        async with session.create_client("sts") as sts:
            response = await sts.assume_role(RoleArn=role_arn, RoleSessionName="ecr-layers")

        keys = response["Credentials"]
        return AWSKeys(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], keys["Expiration"]
        )

    return provide


async def no_keys() -> str:
    """Return a value that is not AWSKeys."""
    return "keys"


def provide_keys() -> None:
    """Sign with the keys of a provider."""
    ECRLayerClient(credentials=assumed("arn:aws:iam::123456789012:role/layers"))
    ECRLayerClient(credentials=no_keys)  # type: ignore[arg-type]
    ECRLayerClient(credentials=AWSKeys("key", "secret"))  # type: ignore[arg-type]


async def gate(checker: LayerChecker) -> tuple[str, ...]:
    """Accept any LayerChecker."""
    stream = checker.stream_layers("team/app", ["sha256:aa"])
    assert_type(stream, OutcomeStream)

    async with stream as outcomes:
        async for outcome in outcomes:
            assert_type(outcome, Layer | LayerFailure)

    assert_type(await checker.check_layer("team/app", "sha256:aa"), Layer | LayerFailure)
    return (await checker.check_layers("team/app", generated(), timeout=60.0)).absent


async def satisfy(client: ECRLayerClient) -> None:
    """Use the client as a LayerChecker and its stream as an OutcomeStream."""
    checker: LayerChecker = client
    stream: OutcomeStream = client.stream_layers("team/app", [])
    await gate(checker)
    await stream.collect()
    await gate(object())  # type: ignore[arg-type]


class Tracer:
    """A user's observer."""

    def operation(self, operation: str, repository: Repository) -> AbstractContextManager[object]:
        """Open a span for an operation."""
        raise NotImplementedError(operation, repository)

    def attempt(
        self, operation: str, repository: Repository, number: int, digests: int
    ) -> AbstractContextManager[object]:
        """Open a span for an attempt."""
        raise NotImplementedError(operation, repository, number, digests)

    def retry(self, operation: str, repository: Repository, error: CallError, delay: float) -> None:
        """Record a retry."""

    def throttle(self, operation: str, rate: float, share: float) -> None:
        """Record a throttled request."""


def tables(result: LayerCheckResult, results: LayerCheckResults, plan: PushPlan) -> None:
    """Make tables of results and plans."""
    pl.DataFrame(result)
    pl.DataFrame(plan)
    assert_type(result.to_pandas(), pd.DataFrame)
    assert_type(results.to_pandas(), pd.DataFrame)
    assert_type(plan.to_pandas(), pd.DataFrame)


async def publish(client: ECRLayerClient, public: ECRPublicLayerClient) -> None:
    """Use a client of ECR Public."""
    pusher: ImagePusher = public
    checker: LayerChecker = public
    result = await checker.check_layers(PublicRepository(name="app"), [])
    assert_type(result.repository, Repository)
    copied = await client.copy("app", "latest", to=pusher)
    assert_type(copied.repository, Repository | None)
    await public.pull("app", "latest", "layout")  # type: ignore[attr-defined]


def observe() -> None:
    """Use an observer."""
    observer: Observer = Tracer()
    ECRLayerClient(observer=observer)
    traced: Observer = OpenTelemetryObserver()
    ECRLayerClient(observer=traced)
    ECRLayerClient(observer=object())  # type: ignore[arg-type]


async def recover(client: ECRLayerClient) -> LayerCheckResult | None:
    """Read the attributes of errors."""
    try:
        return await client.check_layers("team/app", [])
    except ServiceError as error:
        assert_type(error.code, str)
        assert_type(error.status, int)
        return error.partial
    except CallError as error:
        assert_type(error.retryable, bool)
        assert_type(error.request_id, str | None)
        assert_type(error.repository, Repository | None)
        assert_type(error.partial, LayerCheckResult | None)
        return error.partial
    except LayerFailuresError as error:
        assert_type(error.result, LayerCheckResult)
        return error.result
