"""What a client and its views share while it is open: the transport, the slots and the line in front of the pacer."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

from ecr_layer_client._models.errors import ClientStateError

from .rate_limiter import RateLimiter, rate_limiter_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._transport.opening import Transport
    from ecr_layer_client._transport.options import ConnectionOptions

_TRANSPORT = "ecr_layer_client._transport.opening"


class ConnectionUser(Protocol):
    """Something that has work under way on a connection."""

    async def _abort(self, error: Exception) -> None:
        """Cancel what is under way, and let whoever waits for it have `error`."""


class OwnSlots:
    """The slots of a view that lowers `max_concurrency`, anew each time its connection is opened: it may be on another event loop.

    Args:
        count: How many there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._beside: asyncio.Semaphore | None = None
        self._slots = asyncio.Semaphore(count)

    def beside(self, slots: asyncio.Semaphore) -> asyncio.Semaphore:
        """Return those that belong to the connection's `slots`."""
        if self._beside is not slots:
            self._beside, self._slots = slots, asyncio.Semaphore(self._count)
        return self._slots


class Connection:
    """Opened once at a time, on one event loop and in one process.

    Args:
        target: Where to ask, and as whom.
        config: The options of the client that owns it.
        modules: Names of modules that its first use needs; they are imported while it opens.

    Attributes:
        users: What uses it, such as streams; closing ends them.
    """

    def __init__(
        self, target: ConnectionOptions, config: ClientConfig, modules: Sequence[str] = ()
    ) -> None:
        self.target = target
        self.config = config
        self._modules = (_TRANSPORT, *modules)
        self.users: WeakSet[ConnectionUser] = WeakSet()
        self._transport: Transport | None = None
        self._rate_limiters: dict[str, RateLimiter] = {}
        self._slots: asyncio.Semaphore | None = None
        self._home: tuple[asyncio.AbstractEventLoop, int] | None = None
        self._was_closed = False
        self._owners: WeakSet[object] = WeakSet()

    @property
    def is_open(self) -> bool:
        """Whether it is open."""
        return self._transport is not None

    async def open(self) -> None:
        """Make the way to ECR; no request is sent.

        Raises:
            ClientStateError: It is open, or being opened.
            InvalidInputError: There is no Region, or the AWS configuration can't be used.
            CredentialsError: The credential chain failed.
        """
        if self._home is not None:
            msg = "the client is open already: enter it once, and share it among the tasks of its event loop"
            raise ClientStateError(msg)
        home = self._home = asyncio.get_running_loop(), os.getpid()
        try:
            # Importing aiobotocore takes longer than an event loop may stand still.
            if not hasattr(sys.modules.get(_TRANSPORT), "open_transport"):
                await asyncio.to_thread(_import_in_turn, self._modules)
            transport: Transport = await import_module(_TRANSPORT).open_transport(
                self.target, self.config
            )
        except BaseException:
            self._home = None if self._home is home else self._home
            raise
        if self._home is not home:
            await transport.aclose()
            msg = "the client was closed while it was being opened"
            raise ClientStateError(msg)
        self._slots = asyncio.Semaphore(self.config.max_concurrency)
        self._transport = transport

    def resources_for(self, operation: str) -> tuple[Transport, RateLimiter, asyncio.Semaphore]:
        """Return its parts, with the line of an API operation.

        Raises:
            ClientStateError: It is not open, or not here.
        """
        transport = self._transport
        if transport is None or self._slots is None:
            state = "closed" if self._was_closed else "not open yet"
            msg = f"the client is {state}: use it inside `async with client:`, or between `await client.open()` and `await client.aclose()`"
            raise ClientStateError(msg)
        self.check_home()
        rate_limiter = self._rate_limiters.get(operation)
        if rate_limiter is None:
            rate_limiter = rate_limiter_for(
                operation,
                transport.endpoint_url,
                transport.region_name,
                transport.credential_source,
            )
            self._rate_limiters[operation] = rate_limiter
        return transport, rate_limiter, self._slots

    def set_ceiling(self, rate_limiter: RateLimiter, owner: object, ceiling: float | None) -> None:
        """Let no more than `ceiling` requests a second leave while it is open and `owner`, a client or a view, lives."""
        self._owners.add(owner)
        rate_limiter.set_ceiling(owner, ceiling)

    async def aclose(self) -> None:
        """End what is under way and close; twice is fine.

        Raises:
            ClientStateError: It was opened on another event loop, or before a fork.
        """
        if self._home is None:
            return
        self.check_home()
        transport, self._transport = self._transport, None
        lines, self._rate_limiters = self._rate_limiters, {}
        self._was_closed, self._home = True, None
        if transport is None:  # it is being opened, which ends when it sees this
            return
        for rate_limiter in lines.values():
            for owner in self._owners:
                rate_limiter.drop_ceiling(owner)
        try:
            for user in list(self.users):
                await user._abort(  # noqa: SLF001 (for this alone)
                    ClientStateError("the client was closed while this was under way")
                )
        finally:
            await transport.aclose()

    def check_home(self) -> None:
        """Let nothing that is open be used elsewhere.

        Raises:
            ClientStateError: It was opened on another event loop, or before a fork.
        """
        if self._home is None:
            return
        loop, process = self._home
        if process != os.getpid():
            msg = "the client was opened before this process was forked: open one in each process"
            raise ClientStateError(msg)
        if loop is not _running_loop():
            msg = "the client was opened on another event loop: open one on each loop"
            raise ClientStateError(msg)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs here, if one does: a stream can be asked for anywhere."""
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
