"""Export traces and metrics with OpenTelemetry.

Needs the extra `otel`, and an OpenTelemetry SDK that your application sets up.

Names follow the semantic conventions 1.44.0, for AWS SDK client spans and for RPC metrics. Names
that the conventions do not define begin with `ecr_layer_client`.
"""

from __future__ import annotations

import asyncio
import re
from itertools import islice
from typing import TYPE_CHECKING

from ._models.call_errors import NO_CODE, CallError, ServiceError
from ._models.errors import ECRLayerError
from ._models.repository import service_of
from ._models.services import ECR
from ._models.version import __version__
from .protocols import CALLERS

try:
    from opentelemetry import context as contexts
    from opentelemetry import metrics, trace
except ImportError as _missing:
    _message = "traces and metrics need opentelemetry-api: pip install 'ecr-layer-client[otel]'"
    raise ImportError(_message) from _missing

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram, MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from ._models.repository import Repository

__all__ = ["OpenTelemetryObserver"]

_NAME = "ecr_layer_client"
_SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
# The conventions for AWS SDK client spans require `rpc.system` and `rpc.service`, although both are
# deprecated as attributes.
_AWS_API = {"rpc.system": "aws-api", "rpc.system.name": "aws-api"}

# The conventions for RPC metrics advise these buckets for requests. Operations take longer.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_LONG_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)

# A full batch of 100 digests is above the last bound.
_DIGESTS = (1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 99.0)

_CODE = re.compile(r"[A-Za-z0-9._]{1,100}")

# The conventions' value of `error.type` for errors that would add too many values.
_OTHER = "_OTHER"

_MAX_LINKS = 128  # the SDK's own limit
_OPERATION = contexts.create_key(f"{_NAME}.operation")
_CURRENT = contexts.create_key(f"{_NAME}.current")


class OpenTelemetryObserver:
    """An `Observer` that records spans and metrics of a client's work.

    Each operation, such as a whole `check_layers`, has a span. Each request has a span, which is a
    child of the operation's span, and the current span while the request runs. If several single
    checks share a request, its span is a child of the first check's span, and has links to the
    others. If the application has set up no SDK, nothing is recorded.

    Args:
        tracer_provider: Provides the tracer. Default None: the application's global provider.
        meter_provider: Provides the meter. Default None: the application's global provider.

    Example:
        >>> ECRLayerClient(region_name="eu-west-1", observer=OpenTelemetryObserver())
        <ECRLayerClient region_name='eu-west-1' endpoint_url=None, not open>
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider, _SCHEMA)
        meter = metrics.get_meter(_NAME, __version__, meter_provider, _SCHEMA)

        self._attempt_seconds = meter.create_histogram(
            "rpc.client.call.duration",
            "s",
            "Duration of a request to ECR.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )

        self._operation_seconds = meter.create_histogram(
            f"{_NAME}.operation.duration",
            "s",
            "Duration of an operation, including waits and retries.",
            explicit_bucket_boundaries_advisory=_LONG_SECONDS,
        )

        self._digests = meter.create_histogram(
            f"{_NAME}.attempt.digests",
            "{digest}",
            "Digests in a request.",
            explicit_bucket_boundaries_advisory=_DIGESTS,
        )

        self._retries = meter.create_counter(
            f"{_NAME}.retries", "{retry}", "Requests that failed and are sent again."
        )
        self._throttled = meter.create_counter(
            f"{_NAME}.throttled", "{attempt}", "Requests that ECR throttled."
        )

        self._rate = meter.create_gauge(
            f"{_NAME}.pacer.rate",
            "{request}/s",
            "Rate to which requests are limited since one was throttled.",
        )

        self._known: dict[tuple[str, str, str | None], dict[str, str]] = {}

    def operation(
        self, operation: str, repository: Repository, /
    ) -> AbstractContextManager[object]:
        """Return a span of kind INTERNAL for one operation."""
        # Without RPC attributes, backends do not count the span as a request.
        span = self._tracer.start_span(f"{_NAME}.{operation}", attributes=_where(repository))
        context = contexts.set_value(_OPERATION, span, trace.set_span_in_context(span))
        return _Current(
            span, context, self._operation_seconds, self._facts(operation, repository), {}
        )

    def attempt(
        self, operation: str, repository: Repository, number: int, digests: int, /
    ) -> AbstractContextManager[object]:
        """Return a span of kind CLIENT for one request."""
        facts = self._facts(operation, repository)
        parent, links = _parent_and_links()
        span = self._tracer.start_span(
            f"{facts['rpc.service']}.{operation}",
            parent,
            trace.SpanKind.CLIENT,
            facts
            | _where(repository)
            | {
                f"{_NAME}.attempt.number": number,
                f"{_NAME}.attempt.digests": digests,
            },
            links,
        )
        self._digests.record(digests, facts)

        context = trace.set_span_in_context(span, parent)
        return _Current(
            span, context, self._attempt_seconds, facts, {"http.response.status_code": 200}
        )

    def retry(
        self, operation: str, repository: Repository, error: CallError, delay: float, /
    ) -> None:
        """Count a retry, and add an event to the span of its operation."""
        failed = {"error.type": _type_of(error)}
        self._retries.add(1, self._facts(operation, repository) | failed)
        _add_event("retry", failed | {f"{_NAME}.retry.delay": delay})

    def throttle(self, operation: str, rate: float, share: float, /) -> None:
        """Count a throttled response, record the new rate, and add an event to the operation."""
        facts = self._facts(operation, None)
        self._throttled.add(1, facts)
        self._rate.set(rate, facts)
        _add_event("throttled", {f"{_NAME}.pacer.rate": rate, f"{_NAME}.throttled.share": share})

    def _facts(self, operation: str, repository: Repository | None) -> dict[str, str]:
        """Return the attributes of measurements.

        The repository is not among them, because it has too many values.
        """
        service, region = ECR.title, None
        if repository is not None:
            service, region = service_of(repository).title, repository.region
        facts = self._known.get((service, operation, region))
        if facts is None:
            called = {"rpc.service": service, "rpc.method": operation}
            where = {"cloud.region": region} if region else {}
            facts = self._known[service, operation, region] = _AWS_API | called | where
        return facts


class _Current:
    """Makes a span the current one, and ends it with its result.

    OpenTelemetry's own `use_span` logs an error if a stream is closed in another context than it
    was opened in.
    """

    __slots__ = (
        "_began",
        "_facts",
        "_seconds",
        "_span",
        "_succeeded",
        "before",
        "context",
        "has_ended",
    )

    def __init__(
        self,
        span: Span,
        context: Context,
        seconds: Histogram,
        facts: dict[str, str],
        succeeded: dict[str, int],
    ) -> None:
        self._span = span
        self.context = contexts.set_value(_CURRENT, self, context)
        self.has_ended = False
        self._seconds = seconds
        self._facts = facts
        self._succeeded = succeeded

    def __enter__(self) -> None:
        self._began = asyncio.get_running_loop().time()
        self.before = contexts.get_current()
        contexts.attach(self.context)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        facts = self._facts
        if error is None:
            self._span.set_attributes(self._succeeded)
        else:
            facts = facts | {"error.type": _type_of(error)}
            self._span.set_attributes(_failure(error))
            # A cancellation is not an Exception, and leaves the status unset.
            if isinstance(error, Exception):
                self._span.set_status(
                    trace.StatusCode.ERROR, str(error) if isinstance(error, ECRLayerError) else None
                )
        self._seconds.record(asyncio.get_running_loop().time() - self._began, facts)

        # When two streams are read in alternation, the one opened first may end first.
        self.has_ended = True
        while (
            isinstance(top := contexts.get_value(_CURRENT), _Current)
            and top.has_ended
            and contexts.get_current() is top.context
        ):
            contexts.attach(top.before)
        self._span.end()


def _where(repository: Repository) -> dict[str, str]:
    attributes = {
        f"{_NAME}.repository": repository.name,
        f"{_NAME}.registry_id": repository.registry_id,
        "cloud.region": repository.region,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _parent_and_links() -> tuple[Context | None, list[trace.Link]]:
    """Return the parent of an attempt's span and links to the other callers that share the attempt.

    None as the parent is the current span.
    """
    callers = [caller.run(contexts.get_current) for caller in islice(CALLERS.get(), _MAX_LINKS + 1)]
    if not callers:
        return None, []

    spans = [trace.get_current_span(caller).get_span_context() for caller in callers[1:]]
    return callers[0], [trace.Link(span) for span in spans if span.is_valid]


def _add_event(name: str, facts: dict[str, str | float] | dict[str, float]) -> None:
    """Add an event to the span of the running operation, if there is one."""
    caller = next(iter(CALLERS.get()), None)
    span = contexts.get_value(
        _OPERATION, None if caller is None else caller.run(contexts.get_current)
    )
    if isinstance(span, trace.Span):
        span.add_event(name, facts)


def _failure(error: BaseException) -> dict[str, str | int]:
    facts: dict[str, str | int] = {"error.type": _type_of(error)}
    if isinstance(error, ServiceError) and error.status:
        facts["http.response.status_code"] = error.status
    if isinstance(error, CallError) and error.request_id is not None:
        facts["aws.request_id"] = error.request_id
    return facts


def _type_of(error: BaseException) -> str:
    """Return the value of `error.type` for an error.

    For ECR's errors it is AWS's code, or the HTTP status without a code. For other errors it is the
    class.
    """
    if not isinstance(error, ServiceError):
        return type(error).__name__
    code = str(error.status) if error.code == NO_CODE else error.code
    return code if _CODE.fullmatch(code) else _OTHER
