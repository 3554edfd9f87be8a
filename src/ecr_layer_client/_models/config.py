"""`ClientConfig` and `RetryPolicy`: every option with its default and its rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypedDict

from pydantic import (
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import core_schema

from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.validation_errors import first_problem

from .errors import InvalidInputError
from .quotas import MAX_BATCH_SIZE, QUOTAS

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
TransportName = Literal["auto", "signed", "client"]


class _Rates(Mapping[str, float]):
    """Request rates by API operation, as an immutable value."""

    __slots__ = ("_rates",)

    def __init__(self, rates: Mapping[str, float]) -> None:
        self._rates = dict(rates)

    def __getitem__(self, operation: str) -> float:
        return self._rates[operation]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rates)

    def __len__(self) -> int:
        return len(self._rates)

    def __hash__(self) -> int:
        return hash(frozenset(self._rates.items()))

    def __repr__(self) -> str:
        return repr(self._rates)


def _checked(rates: Mapping[str, float]) -> _Rates:
    unknown = next((name for name in rates if name not in QUOTAS), None)
    if unknown is not None:
        msg = f"requests_per_second: {quoted(unknown)} is not an operation: use {', '.join(QUOTAS)}"
        raise ValueError(msg)
    return _Rates(rates)


class _CheckedRates:
    """Lets a model read a mapping as `_Rates`, and write a dict.

    The import of pydantic's `PlainSerializer` would take 2 ms.
    """

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        as_dict = core_schema.plain_serializer_function_ser_schema(dict)
        return core_schema.no_info_after_validator_function(
            _checked, handler(source), serialization=as_dict
        )


# A mapping of API operations, or one number for each operation. Messages leave the tags out.
_RATE_TAGS = ("number", "mapping")
_RateMapping = Annotated[Mapping[str, Positive], BeforeValidator(dict), _CheckedRates()]
RequestRates = Annotated[
    Annotated[Positive, Tag("number")] | Annotated[_RateMapping, Tag("mapping")],
    Discriminator(lambda rates: _RATE_TAGS[isinstance(rates, Mapping)]),
]


class _Options(BaseModel, frozen=True, extra="forbid", strict=True):
    if not TYPE_CHECKING:

        def __init__(self, **options: Any) -> None:
            try:
                super().__init__(**options)
            except ValidationError as error:
                raise InvalidInputError(_message(type(self), error)) from None

    def replace(self, changes: dict[str, Any]) -> Self:
        """Return a copy with some options changed, after the same checks."""
        return type(self)(**(dict(self) | changes))


class RetryPolicy(_Options, frozen=True):
    """How a failed API call is retried.

    Attributes:
        max_attempts: The most requests for one call, including the first. 1 turns retries off.
            Throttled requests do not count: `max_elapsed` limits how long a throttled call is
            retried. Default 10.
        initial_backoff: The upper bound of the first wait, in seconds. A wait is a random time
            between 0 and its bound. The bound doubles with each further wait. Default 0.05.
        max_backoff: The largest upper bound of a wait, in seconds. Default 20.0.
        max_elapsed: A call is retried for this many seconds after its first attempt. A throttled
            call is retried longer if other calls of this process succeed. Default 120.0.

    Raises:
        InvalidInputError: An option is unknown or breaks its rule.

    Example:
        >>> RetryPolicy(max_attempts=1).max_elapsed
        120.0
    """

    max_attempts: Count = 10
    initial_backoff: Positive = 0.05
    max_backoff: Positive = 20.0
    max_elapsed: Positive = 120.0

    @model_validator(mode="after")
    def _check_backoffs(self) -> Self:
        if self.initial_backoff > self.max_backoff:
            msg = (
                f"initial_backoff={self.initial_backoff} is longer than "
                f"max_backoff={self.max_backoff}: lower initial_backoff"
            )
            raise ValueError(msg)
        return self


class ClientConfig(_Options, frozen=True):
    """The options of a client.

    Attributes:
        batch_size: Digests in one request, 1 to 100 (ECR's limit). Default 100.
        max_concurrency: The largest number of requests in flight. The connection pool has the same
            size. Default 10.
        connect_timeout: Seconds to reach the endpoint. Default 3.0.
        attempt_timeout: Seconds for one request, from the wait for a connection to the end of the
            response. Default 10.0.
        max_response_bytes: The largest body of a response that is accepted, in bytes. Default 4 MiB
            (a response for 100 layers has about 20 KiB).
        requests_per_second: The highest request rate. All clients of the same account and endpoint
            in this process share it: one number that applies to every API operation, or a mapping
            with numbers for single operations, such as `{"BatchGetImage": 500}`. Default None: 80 %
            of the service's default quota of the operation (800 for the check, 1600 for
            `BatchGetImage`; in ECR Public, 160 for the check), and 80 for `ListImages`, for which
            AWS publishes no quota.
        coalesce_window: Seconds that a single check (`check_layer`) waits for other single checks
            to share its request. It waits up to 25 times as long while another batch of its
            repository is in flight. 0: until the next iteration of the event loop. Default 0.002.
        transport: How requests are sent.

            - `"client"`: Each request goes through aiobotocore's client method, with its events.
            - `"signed"`: The first request goes through the client method. Later requests are
              copies of it, which are sent on the same HTTP session for half the CPU time. They
              have no events.
            - `"auto"`: `"client"` if you pass a session or a client of your own, otherwise
              `"signed"`.

            Default `"auto"`.
        max_bytes_in_flight: The most bytes that all pushes and copies of the client together hold
            in memory. Parts of layers are held as base64 text, which has 4/3 of their bytes.
            Default 64 MiB.
        max_bandwidth: The most bytes per second that all transfers of the client together send or
            receive. Default None: no limit.
        allow_insecure_endpoint: Whether an `endpoint_url` on another machine may be plain http.
            Default False.
        retry: How failed calls are retried. Default `RetryPolicy()`.

    Raises:
        InvalidInputError: An option is unknown or breaks its rule.

    Example:
        >>> ClientConfig(max_concurrency=50).batch_size
        100
        >>> ClientConfig(batch_size=101)
        Traceback (most recent call last):
        ...
        ecr_layer_client._models.errors.InvalidInputError: ClientConfig batch_size=101: Input should
            be less than or equal to 100
    """

    batch_size: Annotated[int, Field(ge=1, le=MAX_BATCH_SIZE)] = MAX_BATCH_SIZE
    max_concurrency: Count = 10
    connect_timeout: Positive = 3.0
    attempt_timeout: Positive = 10.0
    max_response_bytes: Count = 4 * 1024 * 1024
    requests_per_second: RequestRates | None = None
    coalesce_window: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.002
    transport: TransportName = "auto"
    max_bytes_in_flight: Count = 64 * 1024 * 1024
    max_bandwidth: Positive | None = None
    allow_insecure_endpoint: bool = False
    retry: RetryPolicy = RetryPolicy()


class ClientConfigChanges(TypedDict, total=False):
    """The keyword arguments of `with_config`: options of `ClientConfig`."""

    batch_size: int
    max_concurrency: int
    connect_timeout: float
    attempt_timeout: float
    max_response_bytes: int
    requests_per_second: float | Mapping[str, float] | None
    coalesce_window: float
    transport: TransportName
    max_bytes_in_flight: int
    max_bandwidth: float | None
    allow_insecure_endpoint: bool
    retry: RetryPolicy


def _message(options: type[_Options], error: ValidationError) -> str:
    where, message, value, kind = first_problem(error)
    name = ".".join(part for part in where.split(".") if part not in _RATE_TAGS)
    if kind == "extra_forbidden":
        known = ", ".join(options.model_fields)
        return f"{options.__name__} has no option {name!r}: it has {known}"
    if kind == "value_error":
        return f"{options.__name__}: {message}"

    is_short = value is None or isinstance(value, str | int | float)
    shown = quoted(value) if is_short else f"<{type(value).__name__}>"
    return f"{options.__name__} {name}={shown}: {message}"
