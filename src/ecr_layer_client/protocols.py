"""The protocols of this library's arguments and results, to annotate with and to fake."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, runtime_checkable

from ecr_layer_client._models.keys import AWSKeys
from ecr_layer_client._models.progress import Progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from types import TracebackType

    from ._models.call_errors import CallError
    from ._models.layer import LayerOutcome
    from ._models.repository import Repository
    from ._models.result import LayerCheckResult
    from ._models.services import ServiceName

__all__ = [
    "CALLERS",
    "AWSKeys",
    "CredentialsProvider",
    "ECRApi",
    "LayerChecker",
    "Limiter",
    "Observer",
    "OutcomeStream",
    "Progress",
    "Quota",
    "SessionLike",
]


class ECRApi(Hashable, Protocol):
    """An open aiobotocore ECR client, with only what this library uses."""

    @property
    def meta(self) -> Any:
        """The metadata of the client: Region, endpoint, configuration and events."""
        ...

    @property
    def batch_check_layer_availability(self) -> Callable[..., Awaitable[Any]]:
        """The method that checks which of at most 100 layers a repository holds."""
        ...


class SessionLike(Hashable, Protocol):
    """An aiobotocore session (`aiobotocore.session.AioSession`), with only what is used here."""

    @property
    def create_client(self) -> Callable[..., AbstractAsyncContextManager[Any]]:
        """The method that makes a client of an AWS service. Entering the client opens it."""
        ...


class CredentialsProvider(Protocol):
    """An async function that returns keys to sign with, such as those of an assumed role."""

    async def __call__(self) -> AWSKeys:
        """Return the keys."""
        ...


class Quota(NamedTuple):
    """The key by which ECR counts requests.

    Attributes:
        operation: The API operation.
        account: The account of the repository, or the client's `limiter_scope`. None if neither is
            known.
        region: The Region.
        service: `"ecr"`, or `"ecr-public"` for ECR Public. Default `"ecr"`.
    """

    operation: str
    account: str | None
    region: str
    service: ServiceName = "ecr"


class Limiter(Protocol):
    """An object that says when a request may be sent, so that many processes share one limit."""

    async def acquire(self, quota: Quota, /) -> None:
        """Wait until one more request may be sent.

        It is called before each request, also before retries. If it raises an exception, this is
        logged once, and the request is sent.
        """


class OutcomeStream(Protocol):
    """The return type of `LayerChecker.stream_layers`: outcomes as they arrive, or one result."""

    async def __aenter__(self) -> Self:
        """Enter the stream, at most once."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Cancel the work that is running."""

    def __aiter__(self) -> Self:
        """Iterate over the outcomes."""
        ...

    async def __anext__(self) -> LayerOutcome:
        """Return the next outcome."""
        ...

    async def collect(self) -> LayerCheckResult:
        """Return the result of all digests."""
        ...


@runtime_checkable
class LayerChecker(Protocol):
    """An object that can check which layers a repository holds, such as an `ECRLayerClient`."""

    async def check_layers(
        self,
        repository: str | Repository,
        digests: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 (it keeps what was answered)
        progress: bool | Callable[[Progress], None] = False,
    ) -> LayerCheckResult:
        """Check digests and return the outcome of each, in input order."""
        ...

    async def check_layer(self, repository: str | Repository, digest: str) -> LayerOutcome:
        """Check one digest and return its outcome."""
        ...

    def stream_layers(
        self,
        repository: str | Repository,
        digests: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
    ) -> OutcomeStream:
        """Check digests and yield outcomes as they arrive."""
        ...


CALLERS: ContextVar[Collection[Context]] = ContextVar("ecr_layer_client.callers", default=())
"""The contexts of the callers whose single checks share an attempt, in the order of the calls.

Empty for any other attempt.
"""


class Observer(Protocol):
    """An object that a client notifies of its operations, attempts, retries and throttling.

    The client calls the methods on the event loop, so they must return quickly. If a method raises
    an exception, the client logs it and continues. No argument contains a secret. Each repository
    has the Region in which the client looks for it.

    The methods about an attempt run in a copy of the context in which the operation was started or
    read. If several single checks share an attempt, its methods run in an empty context. In this
    context, `ecr_layer_client.protocols.CALLERS` has the contexts of the callers.
    """

    def operation(
        self, operation: str, repository: Repository, /
    ) -> AbstractContextManager[object]:
        """Return a context manager that spans one operation, such as a whole `check_layers`."""
        ...

    def attempt(
        self, operation: str, repository: Repository, number: int, digests: int, /
    ) -> AbstractContextManager[object]:
        """Return a context manager that spans one attempt.

        `number` is 1 for the first request of a call. `digests` is the number of digests or images
        in the request.
        """
        ...

    def retry(
        self, operation: str, repository: Repository, error: CallError, delay: float, /
    ) -> None:
        """Note that a call failed with `error` and is retried after `delay` seconds."""

    def throttle(self, operation: str, rate: float, share: float, /) -> None:
        """Note that a request was throttled.

        `rate` is the new limit, in requests per second. `share` is the share of recent requests
        that were throttled, 0 to 1.
        """
