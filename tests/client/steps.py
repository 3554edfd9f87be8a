"""Steps that the tests of the client share: checks, clients, errors, requests, observers."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from traceback import TracebackException
from typing import TYPE_CHECKING, Any, TypeVar

from ecr_layer_client import CallError, ClientConfig, ECRLayerClient, Observer
from ecr_layer_client.local import LocalECR

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
    from contextlib import AbstractContextManager

    from ecr_layer_client import (
        LayerCheckResult,
        LayerCheckResults,
        LayerOutcome,
        LayerStream,
        SessionLike,
    )

    Work = Callable[[ECRLayerClient, Any], Coroutine[Any, Any, object]]

T = TypeVar("T")


async def read(stream: LayerStream) -> list[LayerOutcome]:
    """Read a stream to its end."""
    async with stream:
        return [outcome async for outcome in stream]


# Each checks digests of the repository `app`.
CHECKS: dict[str, Work] = {
    "check_layers": lambda client, digests: client.check_layers("app", digests),
    "stream_layers": lambda client, digests: read(client.stream_layers("app", digests)),
    "check_many": lambda client, digests: client.check_many({"app": digests}),
    "wait": lambda client, digests: client.wait_until_available("app", digests, timeout=600),
}
CHECK_LAYER: Work = lambda client, digests: client.check_layer("app", digests[0])  # noqa: E731


def client_of(
    ecr: LocalECR, session: SessionLike, *, observer: Observer | None = None, **options: Any
) -> ECRLayerClient:
    """Return a client of a local ECR with a session of its own."""
    config = ClientConfig(**options)
    where: dict[str, Any] = {"region_name": ecr.region, "endpoint_url": ecr.endpoint_url}
    return ECRLayerClient(**where, session=session, config=config, observer=observer)


def partial_of(error: BaseException) -> LayerCheckResult:
    """Return what an error keeps of its operation."""
    assert isinstance(error, CallError)
    assert error.partial is not None
    return error.partial


def partials_of(error: CallError) -> LayerCheckResults:
    """Return what an error keeps of a check of many repositories."""
    assert error.partials is not None
    return error.partials


def digests_of(outcomes: Iterable[LayerOutcome]) -> list[str]:
    """Return the digests of outcomes, in order."""
    return [outcome.digest for outcome in outcomes]


async def one_by_one(items: Iterable[Any], pause: float = 0.0) -> AsyncIterator[Any]:
    """Yield each item after a pause."""
    for item in items:
        await asyncio.sleep(pause)
        yield item


def now() -> float:
    """Return the virtual seconds since the test began."""
    return asyncio.get_running_loop().time()


def captured_variables(error: BaseException) -> str:
    """Return the variables of all frames of an error and its chain, but those of the tests."""
    chain = [TracebackException.from_exception(error, capture_locals=True)]
    for shown in chain:
        chain += filter(None, (shown.__cause__, shown.__context__))
    frames = (frame for shown in chain for frame in shown.stack)
    return "".join(repr(each.locals) for each in frames if "/tests/" not in each.filename)


def pending_timers() -> list[object]:
    """Return the timers of the event loop that are not cancelled."""
    loop: Any = asyncio.get_running_loop()
    return [timer for timer in loop._scheduled if not timer.cancelled()]


def on_request(ecr: LocalECR, note: Callable[[Any], object]) -> None:
    """Call `note` with each request of a local ECR, before its response is made."""
    service: Any = ecr._service
    answer = service.answer

    async def noted(request: Any) -> Any:
        note(request)
        return await answer(request)

    service.answer = noted


class QuietObserver:
    """An observer that does nothing. Tests override the method that they look at."""

    def operation(self, *_: Any) -> AbstractContextManager[object]:
        """Span an operation."""
        return nullcontext()

    def attempt(self, *_: Any) -> AbstractContextManager[object]:
        """Span an attempt."""
        return nullcontext()

    def retry(self, *_: Any) -> None:
        """Ignore a retry."""

    def throttle(self, *_: Any) -> None:
        """Ignore a throttled request."""


def on_loopback(check: Callable[[LocalECR], Awaitable[T]]) -> T:
    """Run a check of a local ECR on a socket, in real time: sessions of the library need one."""

    async def run() -> T:
        async with LocalECR() as ecr:
            ecr.seed("app", [("sha256:aa", 1)])
            return await check(ecr)

    return asyncio.run(run())
