"""The shapes this library takes and offers: annotate with them, fake them in tests."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from contextvars import Context, ContextVar
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

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

__all__ = [
    "CALLERS",
    "AWSKeys",
    "CredentialsProvider",
    "ECRApi",
    "LayerChecker",
    "Observer",
    "OutcomeStream",
    "Progress",
    "SessionLike",
]


class ECRApi(Hashable, Protocol):
    """An open aiobotocore ECR client, as far as this library uses one."""

    @property
    def meta(self) -> Any:
        """The client's meta: Region, endpoint, configuration and events."""
        ...

    @property
    def batch_check_layer_availability(self) -> Callable[..., Awaitable[Any]]:
        """Asks ECR which of at most 100 layers a repository holds."""
        ...


class SessionLike(Hashable, Protocol):
    """An aiobotocore session (`aiobotocore.session.AioSession`), as far as this library uses one."""

    @property
    def create_client(self) -> Callable[..., AbstractAsyncContextManager[Any]]:
        """Makes a client of an AWS service; entering it opens it."""
        ...


class CredentialsProvider(Protocol):
    """Gives keys to sign with, such as those of an assumed role.

    Asked once for all callers, and again ahead of their expiry.
    """

    async def __call__(self) -> AWSKeys:
        """Return the keys."""
        ...


class OutcomeStream(Protocol):
    """What `LayerChecker.stream_layers` gives: outcomes as they come, or the whole result."""

    async def __aenter__(self) -> Self:
        """Enter once."""
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Stop what is under way."""
        ...

    def __aiter__(self) -> Self:
        """Iterate over the outcomes."""
        ...

    async def __anext__(self) -> LayerOutcome:
        """Return the next outcome."""
        ...

    async def collect(self) -> LayerCheckResult:
        """Return the whole result."""
        ...


@runtime_checkable
class LayerChecker(Protocol):
    """What other libraries annotate and fake: something that can say which layers a repository holds.

    `ECRLayerClient` is one.
    """

    async def check_layers(
        self,
        repository: str | Repository,
        digests: Iterable[str] | AsyncIterable[str],
        *,
        # A bound that keeps what was answered, not a cancellation.
        timeout: float | None = None,  # noqa: ASYNC109
        progress: bool | Callable[[Progress], None] = False,
    ) -> LayerCheckResult:
        """Check digests and return what became of each."""
        ...

    async def check_layer(self, repository: str | Repository, digest: str) -> LayerOutcome:
        """Check one digest and return what became of it."""
        ...

    def stream_layers(
        self,
        repository: str | Repository,
        digests: Iterable[str] | AsyncIterable[str],
        *,
        timeout: float | None = None,
    ) -> OutcomeStream:
        """Check digests and yield outcomes as they come."""
        ...


CALLERS: ContextVar[Collection[Context]] = ContextVar("ecr_layer_client.callers", default=())
"""Of an attempt that single checks share: the context of each, the first caller's first.

Empty for any other attempt.
"""


class Observer(Protocol):
    """Told what a client does, synchronously, on the event loop: keep it quick.

    What it raises is logged, never fatal.

    Nothing it is told holds a secret. Each repository says the Region it is asked in. An attempt,
    and what is told of it, comes in a copy of the context in which its operation was begun or read;
    that of single checks which share a request belongs to none of them and comes in an empty
    context, where `ecr_layer_client.protocols.CALLERS` holds those of its callers.
    """

    def operation(
        self, operation: str, repository: Repository, /
    ) -> AbstractContextManager[object]:
        """Return a context that spans one operation, such as a whole `check_layers`.

        An error that ends it passes through.
        """
        ...

    def attempt(
        self, operation: str, repository: Repository, number: int, digests: int, /
    ) -> AbstractContextManager[object]:
        """Return a context that spans one request: the call's `number`-th, for so many digests."""
        ...

    def retry(
        self, operation: str, repository: Repository, error: CallError, delay: float, /
    ) -> None:
        """A call failed with `error` and is tried again after `delay` seconds."""
        ...

    def throttle(self, operation: str, rate: float, share: float, /) -> None:
        """A request was refused for rate: requests a second from now on, and the share of recent requests that was refused."""
        ...
