"""`Connection`: what a client and its views share while the client is open."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, cast
from weakref import WeakSet

from ecr_layer_client._models.errors import ClientStateError
from ecr_layer_client._models.quotas import ceiling_of

from .bounds import Bounds
from .rate_limiter import RateLimiter, rate_limiter_for
from .shared_limit import NO_LIMIT, SharedLimit

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._transport.credentials import Credentials
    from ecr_layer_client._transport.opening import OpenedTransport
    from ecr_layer_client._transport.operation import Transport
    from ecr_layer_client._transport.options import ConnectionOptions

T = TypeVar("T")

_OPENING = "ecr_layer_client._transport.opening"
_TRANSFER_CONNECTIONS = 64  # requests of transfers in flight at once


class ConnectionUser(Protocol):
    """Something that has work running on a connection, such as a stream."""

    async def _abort(self, error: Exception) -> None:
        """Cancel the work, and raise `error` in the tasks that wait for it."""


class Resources(NamedTuple):
    """The parts of a connection that the calls of one operation need.

    Attributes:
        slots: One is held during an attempt. A call that waits for its retry holds none.
    """

    transport: Transport
    region_name: str
    credentials: Credentials
    rate_limiter: RateLimiter
    slots: asyncio.Semaphore
    endpoint_url: str = ""
    limit: SharedLimit = NO_LIMIT


class Connection:
    """A connection to ECR, open at most once at a time, on one event loop and in one process.

    Args:
        options: Where to send requests, and who signs them.
        config: The options of the client that owns it.
        modules: Names of modules that its first use needs; they are imported while it opens.
        bounds: What its transfers may use. Default: of its own, as the options say.
    """

    def __init__(
        self,
        options: ConnectionOptions,
        config: ClientConfig,
        modules: Sequence[str] = (),
        bounds: Bounds | None = None,
    ) -> None:
        self.options = options
        self.config = config
        self.bounds: Bounds = bounds or Bounds.of(config)
        # Closing ends their work.
        self.users: WeakSet[ConnectionUser] = WeakSet()
        self._limit = SharedLimit(options.limiter, options.limiter_scope)
        self._modules = (_OPENING, *modules)
        self._opened: OpenedTransport | None = None
        self._resources: dict[str, Resources] = {}
        self._slots = asyncio.Semaphore(config.max_concurrency)
        self._home: tuple[asyncio.AbstractEventLoop, int] | None = None
        self._was_closed = False
        self._runs: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._for_transfers: Connection | None = None
        self._opening_for_transfers = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether it is open."""
        return self._opened is not None

    async def open(self) -> None:
        """Open the transport, as `open_transport` does.

        Raises:
            ClientStateError: It is open, or being opened, or asyncio does not run this.
        """
        loop = _running_loop()
        if loop is None:
            msg = (
                "the client needs asyncio, and no asyncio event loop is running: start your code "
                "with asyncio.run(...); in a trio program, run it inside trio-asyncio's open_loop()"
            )
            raise ClientStateError(msg)
        if self._home is not None:
            msg = (
                "the client is already open: "
                "open it once, and use it in all tasks of its event loop"
            )
            raise ClientStateError(msg)

        home = self._home = loop, os.getpid()
        try:
            # Importing aiobotocore takes longer than an event loop may stand still.
            if not hasattr(sys.modules.get(_OPENING), "open_transport"):
                await asyncio.to_thread(_import_in_turn, self._modules)
            opened = await import_module(_OPENING).open_transport(self.options, self.config)
        except BaseException:
            self._home = None if self._home is home else self._home
            raise

        if self._home is not home:
            await opened.transport.aclose()
            msg = "the client was closed while it was being opened"
            raise ClientStateError(msg)
        # Semaphores and locks belong to one event loop.
        self._slots = asyncio.Semaphore(self.config.max_concurrency)
        self._opening_for_transfers = asyncio.Lock()
        self.bounds = self.bounds.for_another_connection()
        self._opened = opened

    def resources_for(self, operation: str) -> Resources:
        """Return what the calls of an API operation need.

        Raises:
            ClientStateError: The connection is not open, or was opened elsewhere.
        """
        self.check_home()
        if operation in self._resources:
            return self._resources[operation]

        if self._opened is None:
            state = "closed" if self._was_closed else "not open yet"
            msg = (
                f"the client is {state}: use it inside `async with client:`, "
                "or between `await client.open()` and `await client.aclose()`"
            )
            raise ClientStateError(msg)

        transport, identity, credentials = self._opened
        service = self.options.service
        limiter = rate_limiter_for(service.name, operation, identity)
        rate = ceiling_of(operation, self.config.requests_per_second, service.quotas)
        limiter.set_ceiling(self, rate)
        resources = Resources(
            transport,
            identity.region_name,
            credentials,
            limiter,
            self._slots,
            identity.endpoint_url,
            self._limit,
        )
        self._resources[operation] = resources
        return resources

    async def for_transfers(self) -> Connection:
        """Return the connection of transfers, which is opened for the first of them.

        Transfers have connections of their own, so that a check does not wait for large requests.
        """
        self.check_home()
        async with self._opening_for_transfers:
            return self._for_transfers or await self._open_for_transfers()

    async def _open_for_transfers(self) -> Connection:
        config = self.config.replace({"max_concurrency": _TRANSFER_CONNECTIONS})
        connection = Connection(self.options, config)
        await connection.open()
        self._for_transfers = connection
        return connection

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something until it ends or the connection is closed.

        Raises:
            ClientStateError: The connection was closed meanwhile.
        """
        task = asyncio.create_task(work)
        caller = cast("asyncio.Task[Any]", asyncio.current_task())  # tasks alone can await a task
        self._runs.add(task)
        # A caller may have caught cancellations before.
        caught = caller.cancelling()
        try:
            return await task
        except asyncio.CancelledError:
            if self.is_open or caller.cancelling() > caught:
                raise
            raise _closed_meanwhile() from None

    async def aclose(self) -> None:
        """Cancel all running work and close the transport. Safe to call twice.

        Raises:
            ClientStateError: It was opened on another event loop, or before a fork.
        """
        if self._home is None:
            return
        self.check_home()

        opened, self._opened = self._opened, None
        resources, self._resources = self._resources, {}
        self._was_closed, self._home = True, None
        if opened is None:
            # It is being opened, which ends when it notices this.
            return

        for each in resources.values():
            each.rate_limiter.drop_ceiling(self)
        try:
            await self._abort()
            if self._for_transfers is not None:
                await self._for_transfers.aclose()
        finally:
            self._for_transfers = None
            self.bounds.threads.close()
            await opened.transport.aclose()

    async def _abort(self) -> None:
        """Cancel all running work."""
        runs = list(self._runs)
        for run in runs:
            run.cancel()
        for user in list(self.users):
            await user._abort(_closed_meanwhile())  # noqa: SLF001 (this is its only caller)
        if runs:
            await asyncio.wait(runs)

    def check_home(self) -> None:
        """Refuse to be used on another event loop or in a forked process.

        Raises:
            ClientStateError: It was opened there.
        """
        if self._home is None:
            return
        loop, process = self._home
        if process != os.getpid():
            msg = "the client was opened before this process was forked: open one in each process"
            raise ClientStateError(msg)
        if loop is not _running_loop():
            msg = "the client was opened on another event loop: open a client on each event loop"
            raise ClientStateError(msg)


def _closed_meanwhile() -> ClientStateError:
    # Each caller has one of its own: an error that is raised again and again keeps all frames.
    return ClientStateError("the client was closed while this operation was running")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    # A stream can be made outside of an event loop, and trio has no asyncio loop.
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _import_in_turn(modules: Iterable[str]) -> None:
    """Import one module after another.

    Two threads that import at once can fail on Python 3.11: compiling keeps a recursion depth for
    the whole interpreter (`SystemError: AST constructor recursion depth mismatch`).
    """
    for module in modules:
        import_module(module)
