"""Spans and metrics: names, attributes, parents across tasks, errors, retries and throttling."""

# The semantic conventions have no stubs.
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import asyncio
import importlib
import sys
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import (
    aws_attributes,
    cloud_attributes,
    rpc_attributes,
)
from opentelemetry.semconv._incubating.metrics import rpc_metrics
from opentelemetry.semconv.attributes import error_attributes, http_attributes
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import SpanKind, StatusCode

from ecr_layer_client import (
    AccessDeniedError,
    CredentialsError,
    Repository,
    RepositoryNotFoundError,
    ResponseError,
    RetryPolicy,
    ServiceError,
    TransportError,
)
from ecr_layer_client.otel import OpenTelemetryObserver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from ecr_layer_client.local import LocalECR

CHECK = "BatchCheckLayerAvailability"
_IMAGE = "application/vnd.oci.image.manifest.v1+json"
OPERATION, ATTEMPT = f"ecr_layer_client.{CHECK}", f"ECR.{CHECK}"
DIGESTS = [f"sha256:{number:064x}" for number in range(250)]


class Telemetry:
    """An SDK that keeps telemetry in memory, and an observer that uses it."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader])
        self.tracer = self.tracers.get_tracer("a test")
        self.observer = OpenTelemetryObserver(
            tracer_provider=self.tracers, meter_provider=self.meters
        )

    def spans(self, name: str | None = None) -> list[Any]:
        """Return the spans that ended, all or those with one name."""
        ended: tuple[ReadableSpan, ...] = self._exporter.get_finished_spans()
        return [span for span in ended if name in (None, span.name)]

    def span(self, name: str) -> Any:
        """Return the one span with a name."""
        (span,) = self.spans(name)
        return span

    def points(self, *names: str) -> list[Any]:
        """Return the measurements with these names, in their order.

        The SDK returns exemplars only once.
        """
        data: Any = self._reader.get_metrics_data()
        metrics = [
            metric
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        points = {metric.name: metric.data.data_points for metric in metrics}
        return [point for name in names for point in points[name]]


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Return an SDK for one test."""
    telemetry = Telemetry()
    yield telemetry
    telemetry.tracers.shutdown()
    telemetry.meters.shutdown()


@pytest_asyncio.fixture(autouse=True)
async def nothing_stays_current() -> AsyncIterator[None]:
    """Check that a test leaves no span as the current one."""
    yield
    assert trace.get_current_span() is trace.INVALID_SPAN


def parents(spans: list[Any]) -> list[Any]:
    """Return the contexts of the spans' parents."""
    return [span.parent for span in spans]


async def checked(ecr: LocalECR, telemetry: Telemetry, **options: Any) -> None:
    """Check one digest, given as a list."""
    async with ecr.client(observer=telemetry.observer, **options) as client:
        await client.check_layers("app", DIGESTS[:1])


@pytest.mark.asyncio
async def test_an_operation(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A check is one span of kind INTERNAL, which names the repository but no digest."""
    await checked(ecr, telemetry)
    span = telemetry.span(OPERATION)
    assert (span.kind, span.parent, dict(span.attributes), span.status.status_code) == (
        SpanKind.INTERNAL,
        None,
        {"ecr_layer_client.repository": "app", "cloud.region": "eu-west-1"},
        StatusCode.UNSET,
    )


@pytest.mark.asyncio
async def test_an_attempt(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A request is a span of kind CLIENT with the conventions' attributes and a digest count."""
    await checked(ecr, telemetry)

    span = telemetry.span(ATTEMPT)
    assert (span.kind, span.status.status_code, dict(span.attributes)) == (
        SpanKind.CLIENT,
        StatusCode.UNSET,
        {
            rpc_attributes.RPC_SYSTEM: "aws-api",
            rpc_attributes.RPC_SYSTEM_NAME: "aws-api",
            rpc_attributes.RPC_SERVICE: "ECR",
            rpc_attributes.RPC_METHOD: CHECK,
            cloud_attributes.CLOUD_REGION: "eu-west-1",
            http_attributes.HTTP_RESPONSE_STATUS_CODE: 200,
            "ecr_layer_client.repository": "app",
            "ecr_layer_client.attempt.number": 1,
            "ecr_layer_client.attempt.digests": 1,
        },
    )


@pytest.mark.asyncio
async def test_the_scope(ecr: LocalECR, telemetry: Telemetry) -> None:
    """Spans name this library and the version of the conventions."""
    await checked(ecr, telemetry)
    scope = telemetry.span(ATTEMPT).instrumentation_scope
    assert (scope.name, scope.schema_url) == ("ecr_layer_client", Schemas.V1_44_0.value)


@pytest.mark.asyncio
async def test_the_registry(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A repository with a known registry has it as an attribute."""
    async with ecr.client(observer=telemetry.observer) as client:
        await client.check_layers(Repository(name="app", registry_id=ecr.account), DIGESTS[:1])
    assert {span.attributes["ecr_layer_client.registry_id"] for span in telemetry.spans()} == {
        ecr.account
    }


async def lazily() -> AsyncIterator[str]:
    """Yield the digests one by one."""
    for digest in DIGESTS:
        yield digest


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "make", [lambda: DIGESTS, lambda: iter(DIGESTS), lazily], ids=["list", "iterator", "async"]
)
async def test_attempts_are_below_their_operation(
    ecr: LocalECR, telemetry: Telemetry, make: Callable[[], Any]
) -> None:
    """Requests are under their check's span, in any task, and that is under the caller's span."""
    with telemetry.tracer.start_as_current_span("mine") as mine:
        async with ecr.client(observer=telemetry.observer) as client:
            await client.check_layers("app", make())

    operation = telemetry.span(OPERATION)
    assert parents(telemetry.spans(ATTEMPT)) == [operation.context] * 3
    assert operation.parent == mine.get_span_context()


@pytest.mark.asyncio
async def test_two_checks_at_once(ecr: LocalECR, telemetry: Telemetry) -> None:
    """Concurrent checks each have their own requests under them."""
    async with ecr.client(observer=telemetry.observer) as client:
        await asyncio.gather(*(client.check_layers("app", DIGESTS) for _ in range(2)))
    operations = [span.context for span in telemetry.spans(OPERATION)]
    assert sorted(map(str, parents(telemetry.spans(ATTEMPT)))) == sorted(map(str, operations * 3))


@pytest.mark.asyncio
async def test_a_stream_is_current_in_its_block(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A stream's span is the current one in its block, and the caller's span is afterwards."""
    with telemetry.tracer.start_as_current_span("mine") as mine:
        async with (
            ecr.client(observer=telemetry.observer) as client,
            client.stream_layers("app", DIGESTS) as stream,
        ):
            with telemetry.tracer.start_as_current_span("inner"):
                pass
            async for _ in stream:
                pass
        assert trace.get_current_span() is mine

    operation = telemetry.span(OPERATION)
    assert (
        parents([*telemetry.spans("inner"), *telemetry.spans(ATTEMPT)]) == [operation.context] * 4
    )


@pytest.mark.asyncio
async def test_a_stream_closed_in_another_context(
    ecr: LocalECR, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream that another task closes ends its span without a log message."""
    async with ecr.client(observer=telemetry.observer) as client:
        stream = client.stream_layers("app", DIGESTS[:1])
        await asyncio.create_task(stream.__aenter__())
        await asyncio.create_task(stream.collect())
        await asyncio.create_task(stream.__aexit__(None, None, None))
    assert (
        len(telemetry.spans(OPERATION)),
        [record for record in caplog.records if record.levelname != "INFO"],
    ) == (1, [])


@pytest.mark.asyncio
async def test_overlapping_streams(ecr: LocalECR, telemetry: Telemetry) -> None:
    """After two overlapping streams in one task have ended, no ended span is current."""
    async with ecr.client(observer=telemetry.observer) as client:
        first, second = (client.stream_layers("app", DIGESTS[:1]) for _ in range(2))
        await first.__aenter__()
        await second.__aenter__()
        await first.__aexit__(None, None, None)
        await second.__aexit__(None, None, None)
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.asyncio
async def test_a_single_check(ecr: LocalECR, telemetry: Telemetry) -> None:
    """The request of a lone single check is under it, without links."""
    async with ecr.client(observer=telemetry.observer) as client:
        await client.check_layer("app", DIGESTS[0])
    attempt = telemetry.span(ATTEMPT)
    assert (attempt.parent, attempt.links) == (telemetry.span(OPERATION).context, ())


@pytest.mark.asyncio
async def test_single_checks_that_share_a_request(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A shared request is under the first check, and links to the others in their own traces."""

    async def asked(number: int) -> None:
        with telemetry.tracer.start_as_current_span(f"caller {number}"):
            await client.check_layer("app", DIGESTS[number])

    async with ecr.client(observer=telemetry.observer) as client:
        await asyncio.gather(*map(asked, range(3)))

    attempt = telemetry.span(ATTEMPT)
    callers = [telemetry.span(f"caller {number}").context for number in range(3)]
    checks = {span.parent.span_id: span.context for span in telemetry.spans(OPERATION)}
    first, *others = [checks[caller.span_id] for caller in callers]
    assert (attempt.parent, [link.context for link in attempt.links], attempt.context.trace_id) == (
        first,
        others,
        callers[0].trace_id,
    )


@pytest.mark.asyncio
async def test_a_caller_that_left(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A shared request is under the first check that still waits when it is sent."""
    async with ecr.client(observer=telemetry.observer, coalesce_window=0.01) as client:
        tasks = [asyncio.create_task(client.check_layer("app", digest)) for digest in DIGESTS[:2]]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.wait(tasks)

    left, waited = telemetry.spans(OPERATION)
    attempt = telemetry.span(ATTEMPT)
    assert (left.attributes["error.type"], attempt.parent, attempt.links) == (
        "CancelledError",
        waited.context,
        (),
    )


@pytest.mark.asyncio
async def test_a_caller_that_was_answered(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A repeated request belongs only to the callers that still wait for an answer."""
    ecr.faults.add(drop_rows=1, times=1)
    async with ecr.client(observer=telemetry.observer) as client:
        await asyncio.gather(*(client.check_layer("app", digest) for digest in DIGESTS[:3]))
    assert [len(span.links) for span in telemetry.spans(ATTEMPT)] == [2, 0]


@pytest.mark.asyncio
async def test_links_are_bounded(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A request that a thousand callers share has 128 links, the maximum of an SDK."""
    async with ecr.client(observer=telemetry.observer) as client:
        await asyncio.gather(*(client.check_layer("app", DIGESTS[0]) for _ in range(1_000)))
    assert len(telemetry.span(ATTEMPT).links) == 128


@pytest.mark.asyncio
async def test_many_repositories(ecr: LocalECR, telemetry: Telemetry) -> None:
    """Each batch of a check of many repositories is an operation under the caller's span."""
    ecr.seed("other", [])
    with telemetry.tracer.start_as_current_span("mine") as mine:
        async with ecr.client(observer=telemetry.observer) as client:
            await client.check_many({"app": DIGESTS[:1], "other": DIGESTS[:1]})
    operations = telemetry.spans(OPERATION)
    assert parents(operations) == [mine.get_span_context()] * 2
    assert {span.span_id for span in parents(telemetry.spans(ATTEMPT))} == {
        span.context.span_id for span in operations
    }


@pytest.mark.asyncio
async def test_image_operations(ecr: LocalECR, telemetry: Telemetry) -> None:
    """Fetching manifests and listing images are operations, beside the checks of the blobs."""
    [config, layer] = [ecr.put_layer("app", blob) for blob in (b"config", b"layer")]
    blobs = [
        {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest, "size": size}
        for kind, digest, size in (("config.v1+json", config, 6), ("layer.v1.tar", layer, 5))
    ]
    ecr.put_image(
        "app", {"schemaVersion": 2, "mediaType": _IMAGE, "config": blobs[0], "layers": blobs[1:]}
    )

    async with ecr.client(observer=telemetry.observer) as client:
        assert [report.defects async for report in client.audit("app")] == [()]

    names = {span.context.span_id: span.name for span in telemetry.spans()}
    told = [
        (span.name, span.parent and names[span.parent.span_id], span.status.status_code)
        for span in telemetry.spans()
    ]
    asked = ("ListImages", "BatchGetImage", CHECK)
    tree = [
        ((f"ECR.{name}", f"ecr_layer_client.{name}"), (f"ecr_layer_client.{name}", None))
        for name in asked
    ]
    assert told == [(*span, StatusCode.UNSET) for pair in tree for span in pair]


@pytest.mark.asyncio
async def test_an_image_operation_that_fails(ecr: LocalECR, telemetry: Telemetry) -> None:
    """The span of a failed image operation has its error, and a cancelled one ends too."""
    async with ecr.client(observer=telemetry.observer) as client:
        with pytest.raises(RepositoryNotFoundError):
            await client.get_image("gone", "latest")
        auditing = asyncio.ensure_future(anext(aiter(client.audit("app"))))
        await asyncio.sleep(0.01)
        auditing.cancel()
        await asyncio.wait([auditing])

    told = [
        (span.name, span.attributes["error.type"], span.status.status_code)
        for span in telemetry.spans()
        if span.parent is None
    ]
    assert told == [
        ("ecr_layer_client.BatchGetImage", "RepositoryNotFoundException", StatusCode.ERROR),
        ("ecr_layer_client.ListImages", "CancelledError", StatusCode.UNSET),
    ]


@pytest.mark.asyncio
async def test_a_retry(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A retry is counted and is an event of its operation, which then succeeds."""
    ecr.faults.add(error="ServerException", status=500, times=1)
    await checked(ecr, telemetry)

    failed, succeeded = telemetry.spans(ATTEMPT)
    operation = telemetry.span(OPERATION)
    (event,) = operation.events
    assert (
        failed.status.status_code,
        failed.attributes["error.type"],
        failed.attributes["http.response.status_code"],
    ) == (
        StatusCode.ERROR,
        "ServerException",
        500,
    )
    assert (
        succeeded.status.status_code,
        succeeded.attributes["ecr_layer_client.attempt.number"],
    ) == (StatusCode.UNSET, 2)
    assert (
        event.name,
        event.attributes["error.type"],
        0 <= event.attributes["ecr_layer_client.retry.delay"] <= 0.05,
    ) == (
        "retry",
        "ServerException",
        True,
    )

    assert operation.status.status_code == StatusCode.UNSET
    assert [
        (point.value, point.attributes["error.type"])
        for point in telemetry.points("ecr_layer_client.retries")
    ] == [(1, "ServerException")]


@pytest.mark.asyncio
async def test_a_throttled_answer(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A throttled response fails its request, is an event, is counted, and sets the rate gauge."""
    ecr.faults.add(error="ThrottlingException", times=1)
    await checked(ecr, telemetry)

    (event,) = telemetry.span(OPERATION).events
    assert (event.name, dict(event.attributes)) == (
        "throttled",
        {"ecr_layer_client.pacer.rate": 800.0, "ecr_layer_client.throttled.share": 0.04},
    )
    assert telemetry.spans(ATTEMPT)[0].attributes["error.type"] == "ThrottlingException"
    assert [
        point.value
        for point in telemetry.points("ecr_layer_client.throttled", "ecr_layer_client.pacer.rate")
    ] == [1, 800.0]


@pytest.mark.asyncio
async def test_events_of_a_shared_request(ecr: LocalECR, telemetry: Telemetry) -> None:
    """Events of a request that single checks share belong to the first check."""
    ecr.faults.add(error="ThrottlingException", times=1)
    ecr.faults.add(status=503, times=1)
    async with ecr.client(observer=telemetry.observer) as client:
        await asyncio.gather(*(client.check_layer("app", digest) for digest in DIGESTS[:2]))

    first = telemetry.spans(ATTEMPT)[0].parent
    told = {
        span.context.span_id: [event.name for event in span.events]
        for span in telemetry.spans(OPERATION)
    }
    assert (told.pop(first.span_id), list(told.values())) == (["throttled", "retry"], [[]])


def test_outside_an_operation(telemetry: Telemetry) -> None:
    """Throttling outside an operation is counted, and adds no event to the caller's span."""
    with telemetry.tracer.start_as_current_span("the caller's own"):
        telemetry.observer.throttle(CHECK, 70.0, 0.5)
    (counted,) = telemetry.points("ecr_layer_client.throttled")
    assert (counted.value, telemetry.span("the caller's own").events) == (1, ())


@pytest.mark.asyncio
async def test_an_error(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A final error is on operation and request, with AWS's code, the status and the request id."""
    ecr.faults.add(error="AccessDeniedException")
    async with ecr.client(observer=telemetry.observer) as client:
        with pytest.raises(AccessDeniedError) as raised:
            await client.check_layers("app", DIGESTS[:1])

    said = {
        error_attributes.ERROR_TYPE: "AccessDeniedException",
        http_attributes.HTTP_RESPONSE_STATUS_CODE: 400,
        aws_attributes.AWS_REQUEST_ID: raised.value.request_id,
    }
    for span in telemetry.spans():
        assert (
            span.status.status_code,
            span.status.description,
            said.items() - dict(span.attributes).items(),
        ) == (
            StatusCode.ERROR,
            str(raised.value),
            set(),
        )


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"status": 503}, "503"),
        ({"error": "Bad Code\n" + "x" * 200, "status": 503}, "_OTHER"),
        ({"body": b"<html>"}, "ResponseError"),
    ],
    ids=["no code", "malformed code", "not from ECR"],
)
async def test_error_types_are_few(
    ecr: LocalECR, telemetry: Telemetry, fault: Any, said: str
) -> None:
    """The error type is a valid code, else the status, `_OTHER` or the exception's class."""
    ecr.faults.add(**fault)
    async with ecr.client(observer=telemetry.observer, retry=RetryPolicy(max_attempts=1)) as client:
        with pytest.raises((ServiceError, ResponseError)):
            await client.check_layers("app", DIGESTS[:1])
    assert {span.attributes["error.type"] for span in telemetry.spans()} == {said}


@pytest.mark.asyncio
async def test_a_timeout_of_an_attempt(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A request that times out has a TimeoutError, and its operation has the final error."""
    ecr.faults.add(latency=60.0)
    async with ecr.client(
        observer=telemetry.observer, attempt_timeout=1.0, retry=RetryPolicy(max_attempts=1)
    ) as client:
        with pytest.raises(TransportError):
            await client.check_layers("app", DIGESTS[:1])

    attempt, operation = telemetry.spans()
    assert (
        attempt.attributes["error.type"],
        attempt.attributes.get("http.response.status_code"),
    ) == ("TimeoutError", None)
    assert (operation.attributes["error.type"], operation.status.status_code) == (
        "TransportError",
        StatusCode.ERROR,
    )


@pytest.mark.asyncio
async def test_a_cancellation(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A cancellation is recorded as the error type, but the status is not ERROR."""
    async with ecr.client(observer=telemetry.observer) as client:
        task = asyncio.create_task(client.check_layers("app", DIGESTS[:1]))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
    told = [(span.attributes["error.type"], span.status.status_code) for span in telemetry.spans()]
    assert told == [("CancelledError", StatusCode.UNSET)] * 2


@pytest.mark.asyncio
async def test_an_error_of_the_reader(ecr: LocalECR, telemetry: Telemetry) -> None:
    """An exception of a stream's reader fails the operation, without its message."""
    async with ecr.client(observer=telemetry.observer) as client:
        with pytest.raises(LookupError):
            async with client.stream_layers("app", DIGESTS):
                raise LookupError("a secret of the reader's")
    span = telemetry.span(OPERATION)
    assert (span.status.status_code, span.status.description, span.attributes["error.type"]) == (
        StatusCode.ERROR,
        None,
        "LookupError",
    )


@pytest.mark.asyncio
async def test_no_secrets_and_no_digests(ecr: LocalECR, telemetry: Telemetry) -> None:
    """Exported spans contain no keys and no digests."""
    ecr.faults.add(error="ThrottlingException", times=1)
    ecr.faults.add(error="InvalidSignatureException", times=1)
    async with ecr.client(observer=telemetry.observer) as client:
        with pytest.raises(CredentialsError):
            await client.check_layers("app", DIGESTS)

    exported = "".join(span.to_json() for span in telemetry.spans())
    secrets = [
        value
        for name, value in ecr.environment.items()
        if ("KEY" in name or "TOKEN" in name) and value
    ]
    assert [text for text in (*secrets, *DIGESTS) if text in exported] == []


@pytest.mark.asyncio
async def test_durations(ecr: LocalECR, telemetry: Telemetry) -> None:
    """Durations are in seconds, in the conventions' buckets, and without the repository."""
    ecr.faults.add(status=503, times=1)
    async with ecr.client(observer=telemetry.observer) as client:
        await client.check_layers("app", DIGESTS[:1])

    succeeded, failed = sorted(
        telemetry.points(rpc_metrics.RPC_CLIENT_CALL_DURATION),
        key=lambda point: len(point.attributes),
    )
    measured = {
        rpc_attributes.RPC_SYSTEM: "aws-api",
        rpc_attributes.RPC_SYSTEM_NAME: "aws-api",
        rpc_attributes.RPC_SERVICE: "ECR",
        rpc_attributes.RPC_METHOD: CHECK,
        cloud_attributes.CLOUD_REGION: "eu-west-1",
    }
    assert (dict(succeeded.attributes), dict(failed.attributes)) == (
        measured,
        measured | {"error.type": "503"},
    )
    assert (succeeded.count, round(succeeded.sum, 3), succeeded.explicit_bounds[:4]) == (
        1,
        0.05,
        (0.005, 0.01, 0.025, 0.05),
    )

    (operation,) = telemetry.points("ecr_layer_client.operation.duration")
    assert (
        operation.count,
        dict(operation.attributes),
        operation.sum >= succeeded.sum + failed.sum,
    ) == (1, measured, True)


@pytest.mark.asyncio
async def test_digests_of_a_request(ecr: LocalECR, telemetry: Telemetry) -> None:
    """The digests of requests are a histogram whose last bucket has the full batches."""
    async with ecr.client(observer=telemetry.observer) as client:
        await client.check_layers("app", DIGESTS)
    (point,) = telemetry.points("ecr_layer_client.attempt.digests")
    assert (
        point.sum,
        point.explicit_bounds[-1],
        point.bucket_counts[-1],
        point.bucket_counts[-4:],
    ) == (250, 99, 2, (1, 0, 0, 2))


@pytest.mark.asyncio
async def test_durations_lead_to_their_spans(ecr: LocalECR, telemetry: Telemetry) -> None:
    """A measured duration has its span as an exemplar."""
    await checked(ecr, telemetry)
    points = telemetry.points(
        rpc_metrics.RPC_CLIENT_CALL_DURATION, "ecr_layer_client.operation.duration"
    )
    spans = [telemetry.span(name).context.span_id for name in (ATTEMPT, OPERATION)]
    assert [exemplar.span_id for point in points for exemplar in point.exemplars] == spans


@pytest.mark.asyncio
async def test_without_an_sdk(ecr: LocalECR) -> None:
    """Without an SDK, a check gives the same results as without an observer."""
    ecr.faults.add(error="ThrottlingException", times=1)
    async with ecr.client(observer=OpenTelemetryObserver()) as client:
        result = await client.check_layers("app", DIGESTS)
        outcomes = await asyncio.gather(
            *(client.check_layer("app", digest) for digest in DIGESTS[:2])
        )
    assert (result.absent, [outcome.digest for outcome in outcomes]) == (
        tuple(DIGESTS),
        DIGESTS[:2],
    )


@pytest.mark.asyncio
async def test_what_its_user_left_current_stays(telemetry: Telemetry) -> None:
    """A span that ends leaves a context alone that the user attached and did not detach."""
    somebody_s = contexts.set_value("somebody's", "context")

    async def unbalanced() -> contexts.Context:
        with telemetry.observer.operation(CHECK, Repository(name="app")):
            contexts.attach(somebody_s)
        return contexts.get_current()

    assert await asyncio.create_task(unbalanced(), context=copy_context()) is somebody_s


def test_without_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, importing the module says what to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "ecr_layer_client.otel")
    message = r"^traces and metrics need opentelemetry-api: pip install 'ecr-layer-client\[otel\]'$"
    with pytest.raises(ImportError, match=message):
        importlib.import_module("ecr_layer_client.otel")


@pytest.mark.asyncio
async def test_ecr_public_is_another_service(ecr: LocalECR, telemetry: Telemetry) -> None:
    """The spans and metrics of a client of ECR Public name its service."""
    ecr.create_repository("public.ecr.aws/local/app")
    async with ecr.public_client(observer=telemetry.observer) as client:
        await client.check_layers("public.ecr.aws/local/app", DIGESTS[:1])
    attempt = telemetry.span(f"ECR Public.{CHECK}")
    (point,) = telemetry.points("rpc.client.call.duration")
    service = rpc_attributes.RPC_SERVICE
    assert attempt.attributes[service] == point.attributes[service] == "ECR Public"
