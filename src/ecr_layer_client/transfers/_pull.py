"""`Pull`: an image of a repository into an OCI layout."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ecr_layer_client._models.call_errors import CallError, ResponseError
from ecr_layer_client.images._reader import together
from ecr_layer_client.images._source import blobs_of

from ._parts import Span
from ._progress import Tally
from ._result import TransferredImage, TransferResult
from ._threads import finish_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from ecr_layer_client._models.transfers import TransferProgress, TransferState
    from ecr_layer_client.images._descriptor import Descriptor
    from ecr_layer_client.images._source import ImageSource

    from ._incoming_blob import IncomingBlob
    from ._layer_source import LayerSource
    from ._layout_writer import LayoutWriter

_MAX_DOWNLOADS = 16  # layers at once
_BUFFER_BYTES = 512 * 1024  # of a layer, before they are written


class Pull:
    """Downloads the layers of an image, and writes its manifests last.

    Args:
        source: The image, with its manifests.
        layers: Downloads its layers.
        layout: Where it goes.
        show: Called with each progress. None: nobody is interested.
    """

    def __init__(
        self,
        source: ImageSource,
        layers: LayerSource,
        layout: LayoutWriter,
        show: Callable[[TransferProgress], None] | None,
    ) -> None:
        self._source = source
        self._layers = layers
        self._layout = layout
        self._show = show
        self._tally = Tally((), None)
        self._places = asyncio.Semaphore(_MAX_DOWNLOADS)

    @property
    def state(self) -> TransferState:
        """How far the pull has come."""
        return self._tally.state

    async def run(self) -> TransferResult:
        """Pull the image.

        Raises:
            InvalidInputError: The image can't be written to a layout.
            OSError: The disk is full, or a file can't be written.
            CallError: A call failed. `.transfer` is how far it came.
        """
        began = asyncio.get_running_loop().time()
        present, missing = await asyncio.to_thread(self._prepare)
        self._tally = Tally(missing, self._show)

        largest_first = sorted(missing, key=lambda blob: -(blob.size or 0))
        try:
            await together([self._fetch(blob) for blob in largest_first])
        except CallError as error:
            error.transfer = self.state
            raise

        [root] = self._source.roots
        tags = self._source.tags.get(root.digest, ())
        await asyncio.to_thread(self._layout.add_image, self._source.manifests, root, tags)
        self._tally.end()
        return TransferResult(
            repository=self._layers.repository,
            moved=tuple(missing),
            resumed=tuple(blob for blob in missing if blob.digest in self._tally.resumed),
            present=tuple(present),
            foreign=self._source.foreign,
            images=(TransferredImage(digest=root.digest, tags=tags),),
            bytes_moved=self._tally.bytes_moved,
            bytes_repeated=self._tally.repeated,
            calls=self._layers.calls.made,
            seconds=asyncio.get_running_loop().time() - began,
        )

    def _prepare(self) -> tuple[list[Descriptor], list[Descriptor]]:
        """Create the layout, and return the blobs that it has, and those that it lacks."""
        present: list[Descriptor] = []
        missing: list[Descriptor] = []
        for blob in blobs_of([self._source]):
            (present if self._layout.has(blob) else missing).append(blob)
        self._layout.require_space(missing)
        self._layout.create()
        return present, missing

    async def _fetch(self, blob: Descriptor) -> None:
        async with self._places:
            incoming = self._layout.incoming(blob)
            try:
                await asyncio.to_thread(incoming.open)
                if incoming.position:
                    self._tally.resumed.add(blob.digest)
                self._tally.began(blob.digest, incoming.position)
                await self._download(blob, incoming)
                if not await asyncio.to_thread(incoming.finish):
                    await self._again(blob, incoming)
            finally:
                await finish_in_thread(incoming.close)
        self._tally.done(blob.digest)

    async def _again(self, blob: Descriptor, incoming: IncomingBlob) -> None:
        """Download a layer once more, whose bytes don't have its digest."""
        await asyncio.to_thread(incoming.restart)
        self._tally.confirmed(blob.digest, 0)
        await self._download(blob, incoming)
        if not await asyncio.to_thread(incoming.finish):
            await asyncio.to_thread(incoming.restart)
            msg = f"ECR sent {blob.digest} twice, and both times the bytes had another digest"
            raise ResponseError(
                msg, operation="GetLayer", repository=self._layers.repository, retryable=False
            )

    async def _download(self, blob: Descriptor, incoming: IncomingBlob) -> None:
        size = blob.size or 0
        chunks: list[bytes] = []
        held = 0

        async def write() -> None:
            nonlocal held
            taken, held = chunks.copy(), 0
            chunks.clear()
            await asyncio.to_thread(incoming.write, taken)
            self._tally.confirmed(blob.digest, incoming.position)

        async def take(chunk: bytes) -> None:
            nonlocal held
            chunks.append(chunk)
            held += len(chunk)
            if held >= _BUFFER_BYTES:
                await write()

        if incoming.position < size:
            await self._layers.download(blob, Span(incoming.position, size), take)
        await write()
