"""`Transfers`: pushes, pulls and copies of one repository, for a client."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ecr_layer_client._calls.caller import Caller, OperationState
from ecr_layer_client._calls.rate_limiter import rate_limiter_for
from ecr_layer_client._models.call_errors import OperationTimeoutError
from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.repository import service_of
from ecr_layer_client.images._reader import together
from ecr_layer_client.images._source import checked_path, sources_of, with_maker

from ._journal import UploadJournal
from ._layer_source import LayerSource, download_transport
from ._layout_writer import LayoutWriter
from ._pull import Pull
from ._push import Push, PushInput
from ._sources import (
    ONTO_ITSELF,
    Contents,
    checked_references,
    checked_target,
    refuse_what_cannot_be_pushed,
    tags_of_push,
)
from ._tools import Calls, TransferTools

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence

    from ecr_layer_client._calls.connection import Connection
    from ecr_layer_client._calls.observer import SafeObserver
    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client._models.result import LayerCheckResult
    from ecr_layer_client._models.transfers import TransferProgress, TransferState
    from ecr_layer_client._transport.operation import Transport
    from ecr_layer_client.images._descriptor import Platform
    from ecr_layer_client.images._reader import ImageReader
    from ecr_layer_client.images._source import ImageSource

    from ._journal import Journal
    from ._result import TransferResult
    from ._sources import CopyTarget

_CHECK = "BatchCheckLayerAvailability"
_DOWNLOADS_IN_FLIGHT = 64
_MIN_SECONDS = 0.001  # of a push that has no time left


class ClientParts(NamedTuple):
    """The parts of a client that its transfers use.

    Attributes:
        repository: The repository of the transfer.
        check: Checks digests of that repository.
        images: Fetches the manifests of images of that repository.
        connection: The connection of the client.
        config: Its options.
        observer: Notified of operations.
    """

    repository: Repository
    check: Callable[[Sequence[str]], Coroutine[Any, Any, LayerCheckResult]]
    images: ImageReader
    connection: Connection
    config: ClientConfig
    observer: SafeObserver


class Transfers:
    """Moves images into one repository, and out of it.

    Args:
        parts: Given by the client.
        seconds: The timeout of the transfer. None: no limit.
        show: Called with each progress. None: nobody is interested.
    """

    def __init__(
        self,
        parts: ClientParts,
        seconds: float | None,
        show: Callable[[TransferProgress], None] | None,
    ) -> None:
        self._parts = parts
        self._seconds = seconds
        self._show = show

    async def push(
        self,
        sources: ImageSource | Iterable[ImageSource],
        tags: Iterable[str] | None,
        journal: Journal | None,
    ) -> TransferResult:
        """Push images; as `ECRLayerClient.push`."""
        images = sources_of(sources)
        wanted = tags_of_push(images, tags)
        uploads = await asyncio.to_thread(UploadJournal, journal)
        service = service_of(self._parts.repository)
        await asyncio.to_thread(refuse_what_cannot_be_pushed, images, service)
        given = PushInput(images, wanted, Contents(images), uploads, tags is None)

        async def pushed() -> TransferResult:
            push = Push(await self._tools(), given, self._show)
            with self._parts.observer.span("operation", "push", push.repository):
                return await push.run(self._seconds)

        return await self._parts.connection.run(pushed())

    async def pull(
        self, reference: str, path: str | os.PathLike[str], platform: str | Platform | None
    ) -> TransferResult:
        """Pull an image; as `ECRLayerClient.pull`."""
        layout = await asyncio.to_thread(LayoutWriter, checked_path(path))
        pull: Pull | None = None

        async def pulled() -> TransferResult:
            nonlocal pull
            source = await self._parts.images.get(reference, platform)
            async with self._layer_source() as layers:
                pull = Pull(source, layers, layout, self._show)
                return self._located(await pull.run(), layers.region_name)

        with self._parts.observer.span("operation", "pull", self._parts.repository):
            try:
                return await self._parts.connection.run(self._within(pulled, "pull"))
            except OperationTimeoutError as error:
                error.transfer = None if pull is None else pull.state
                raise

    async def copy(
        self, references: str | Iterable[str], platform: str | Platform | None, to: CopyTarget
    ) -> TransferResult:
        """Copy images; as `ECRLayerClient.copy`.

        Args:
            references: What to copy.
            platform: Of an index, the image to copy.
            to: The target: its client and repository, and the tags and journal of the push.
        """
        given = checked_references(references)
        target = await asyncio.to_thread(checked_target, *to)
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def copied() -> TransferResult:
            fetches = [self._parts.images.get(reference, platform) for reference in given]
            images = await self._within(partial(together, fetches), "copy")
            async with self._layer_source() as layers:
                sources = [with_maker(image, layers) for image in images]
                result = await self._push_to(target, sources, loop.time() - began)
                calls = result.calls | {
                    name: count + result.calls.get(name, 0)
                    for name, count in layers.calls.made.items()
                }
                return result.model_copy(update={"calls": calls})

        with self._parts.observer.span("operation", "copy", self._parts.repository):
            return await self._parts.connection.run(copied())

    async def _push_to(
        self, target: CopyTarget, sources: list[ImageSource], elapsed: float
    ) -> TransferResult:
        """Push what is copied, in the seconds that are left."""
        pusher, repository, tags, journal = target
        left = None if self._seconds is None else max(self._seconds - elapsed, _MIN_SECONDS)
        progress = self._show or False
        try:
            return await pusher.push(
                repository, sources, tags=tags, journal=journal, timeout=left, progress=progress
            )
        except OperationTimeoutError as error:
            raise self._timed_out(error.transfer, "copy") from error

    async def retag(
        self,
        references: str | Iterable[str],
        platform: str | Platform | None,
        tags: Iterable[str] | None,
    ) -> TransferResult:
        """Give images of the repository other tags, without moving a byte."""
        if tags is None:
            raise InvalidInputError(ONTO_ITSELF)
        given = checked_references(references)

        async def retagged() -> TransferResult:
            fetches = [self._parts.images.get(reference, platform) for reference in given]
            images = tuple(await self._within(partial(together, fetches), "copy"))
            wanted = tags_of_push(images, tags)
            put = PushInput(images, wanted, Contents(()), UploadJournal(None), keeps_tags=False)
            tools = await self._tools()
            result = await Push(tools, put, self._show, is_here=True).run(self._seconds)
            return self._located(result, tools.region_name)

        with self._parts.observer.span("operation", "copy", self._parts.repository):
            return await self._parts.connection.run(retagged())

    def _located(self, result: TransferResult, region: str) -> TransferResult:
        """Return a result with the registry that the images of the repository name."""
        found = {"registry_id": self._parts.images.registry_id, "region": region}
        repository = self._parts.repository.model_copy(update=found)
        return result.model_copy(update={"repository": repository})

    async def _within(self, work: Callable[[], Coroutine[Any, Any, Any]], name: str) -> Any:
        """Run something within the timeout.

        Raises:
            OperationTimeoutError: It expired.
        """
        deadline = asyncio.timeout(self._seconds)
        try:
            async with deadline:
                return await work()
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise self._timed_out(None, name) from error

    def _timed_out(self, state: TransferState | None, name: str) -> OperationTimeoutError:
        where = self._parts.repository
        msg = (
            f"{name} from repository {where.name!r}: timeout={self._seconds} s expired: "
            f"{name} again to continue"
        )
        elapsed = self._seconds or 0.0
        error = OperationTimeoutError(msg, operation=name, repository=where, elapsed=elapsed)
        error.transfer = state
        return error

    @asynccontextmanager
    async def _layer_source(self) -> AsyncGenerator[LayerSource, None]:
        config = self._parts.config
        tools = await self._tools()
        calls = Calls(tools, OperationState())
        async with download_transport(config.connect_timeout) as transport:
            yield LayerSource(
                tools,
                calls,
                transport,
                self._parts.images.registry_id,
                allow_insecure=config.allow_insecure_endpoint,
            )

    async def _tools(self) -> TransferTools:
        connection = await self._parts.connection.for_transfers()
        resources = connection.resources_for(_CHECK)
        config, observer = _patient(self._parts.config), self._parts.observer

        def caller_of(operation: str) -> Caller:
            return Caller(connection.resources_for(operation), config, observer)

        def downloads_through(transport: Transport) -> Caller:
            limiter = rate_limiter_for("GetLayer", resources.endpoint_url)
            slots = asyncio.Semaphore(_DOWNLOADS_IN_FLIGHT)
            own = resources._replace(transport=transport, rate_limiter=limiter, slots=slots)
            return Caller(own, config, observer)

        return TransferTools(
            self._parts.repository,
            self._parts.check,
            caller_of,
            downloads_through,
            resources.endpoint_url,
            resources.region_name,
            self._parts.connection.bounds,
            config.attempt_timeout,
        )


def _patient(config: ClientConfig) -> ClientConfig:
    """Return options under which a transfer ends when it makes no progress, not after attempts."""
    if config.retry.max_attempts == 1:
        return config
    return config.replace({"retry": config.retry.replace({"max_attempts": sys.maxsize})})
