"""The upload of one layer: begin or continue, parts in order, complete."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from ecr_layer_client._models.call_errors import ServiceError
from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.quotas import part_bytes
from ecr_layer_client._models.repository import service_of

from ._journal import Upload
from ._operations import CompleteLayerUpload, InitiateLayerUpload, UploadLayerPart
from ._parts import EncodedPart, PartBody, Span, encode

if TYPE_CHECKING:
    from ecr_layer_client.images._descriptor import Descriptor

    from ._contents import Content
    from ._journal import Entry
    from ._progress import Tally
    from ._tools import Calls, TransferTools

# An upload starts over if ECR forgot it, or if the bytes were wrong.
_MAX_STARTS = 4
# ECR may say that it has fewer bytes than it said before. It does so for ever if something is
# wrong with the upload.
_MAX_STEPS_BACK = 5


class _Prepared(NamedTuple):
    """A part that can be sent, and the bytes that it has of the budget."""

    span: Span
    part: EncodedPart
    held: int


class _Sending:
    """Counts what the attempts of one part send."""

    def __init__(self, tally: Tally, digest: str, prepared: _Prepared) -> None:
        self.attempts: int = 0
        self._tally = tally
        self._digest = digest
        self._span = prepared.span
        self._length = prepared.part.length

    def sent(self, count: int) -> None:
        """Note how many bytes of the body the socket has taken in this attempt."""
        if count == 0:
            self.attempts += 1
            self._tally.repeated += self._span.size if self.attempts > 1 else 0
        position = self._span.start + self._span.size * count // self._length
        self._tally.sent(self._digest, position)


class LayerUpload:
    """Uploads one layer.

    Args:
        tools: Given by the client.
        calls: Makes the calls.
        layer: The layer. Its size is known.
        content: Its bytes.
        tally: Told how far it is.
    """

    def __init__(
        self, tools: TransferTools, calls: Calls, layer: Descriptor, content: Content, tally: Tally
    ) -> None:
        self._tools = tools
        self._calls = calls
        self._digest = layer.digest
        self._size = layer.size or 0
        self._content = content
        self._tally = tally
        self._was_wrong = False
        self._steps_back = 0
        self._ahead: asyncio.Task[_Prepared] | None = None
        self._ahead_at = 0

    async def run(self, entry: Entry) -> None:
        """Upload the layer, or what an earlier run left of it.

        Args:
            entry: The layer's entry in the journal.

        Raises:
            InvalidInputError: The source can't be read, or does not have the layer's bytes.
            CallError: A call failed.
        """
        starts = 0
        while True:
            starts += 1
            try:
                await self._upload(await entry.read(), entry)
            except ServiceError as error:
                if not self._starts_over(error) or starts == _MAX_STARTS:
                    raise
                await entry.remove()
            else:
                await entry.remove()
                return

    async def _upload(self, known: Upload | None, entry: Entry) -> None:
        upload = known
        if upload is None:
            started = await self._calls.call(InitiateLayerUpload(self._tools.repository))
            most = service_of(self._tools.repository).max_parts
            part_size = part_bytes(self._size, started.part_size, most)
            upload = Upload(upload_id=started.upload_id, part_size=part_size)
            if self._size > part_size:
                await entry.write(upload)

        self._tally.began(self._digest, min(upload.received, self._size))
        await self._send_parts(upload, entry)
        await self._complete(upload.upload_id)
        if known is not None and known.received:
            self._tally.resumed.add(self._digest)

    async def _send_parts(self, upload: Upload, entry: Entry) -> None:
        """Send the parts that ECR does not have."""
        received = upload.received
        try:
            while received < self._size:
                # No variable holds a part that was sent: it would stay in memory until the next.
                received = await self._send(await self._take(upload, received))
                self._tally.confirmed(self._digest, received)
                if self._size > upload.part_size:
                    await entry.write(upload.model_copy(update={"received": received}))
        finally:
            await self._drop()

    async def _take(self, upload: Upload, start: int) -> _Prepared:
        """Return the part that begins at a position, and prepare the one behind it."""
        if self._ahead is not None and self._ahead_at != start:
            # ECR has other bytes than the part that was prepared follows on.
            self._tools.bounds.budget.release((await self._ahead).held)
            self._ahead = None
        prepared = await (self._ahead or self._prepare(upload, start))
        self._ahead = None

        self._ahead_at = prepared.span.stop
        if self._ahead_at < self._size:
            self._ahead = asyncio.create_task(self._prepare(upload, self._ahead_at))
        return prepared

    async def _drop(self) -> None:
        """Cancel the preparation of a part that will not be sent."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return
        ahead.cancel()
        await asyncio.wait([ahead])
        if not ahead.cancelled() and ahead.exception() is None:
            self._tools.bounds.budget.release(ahead.result().held)

    async def _prepare(self, upload: Upload, start: int) -> _Prepared:
        """Read and encode a part, as soon as there is room for it."""
        span = Span(start, min(start + upload.part_size, self._size))
        # The base64 text of the part, which is in memory until ECR has it.
        held = -(-span.size // 3) * 4
        budget = self._tools.bounds.budget
        await budget.acquire(held)
        try:
            texts = await self._content.read(span)
            facts = self._tools.repository, upload.upload_id, span
            part = await self._tools.bounds.threads.run(encode, *facts, texts)
        except BaseException:
            budget.release(held)
            raise
        return _Prepared(span, part, held)

    async def _send(self, prepared: _Prepared) -> int:
        """Send a part, and return how many of the layer's bytes ECR has then."""
        span = prepared.span
        sending = _Sending(self._tally, self._digest, prepared)
        body = PartBody(
            prepared.part, self._tools.bounds.bandwidth, self._tools.patience, sending.sent
        )
        operation = UploadLayerPart(self._tools.repository, span.start, span.stop - 1, body)
        try:
            received = await self._calls.call(operation, body.deadline.use)
        except ServiceError as error:
            known = _received(error, self._size)
            if known is None:
                raise
            received = known
            self._step_to(received, span, error)
            if sending.attempts == 1:
                # An earlier run sent this part, and ended before it could write that down.
                self._tally.repeated += span.size
        else:
            # ECR may take a part of a part.
            self._tally.repeated += span.stop - received
        finally:
            self._tools.bounds.budget.release(prepared.held)
        return received

    def _step_to(self, received: int, span: Span, error: ServiceError) -> None:
        """Allow some steps back, and raise the error behind them."""
        self._steps_back += received <= span.start
        if self._steps_back > _MAX_STEPS_BACK:
            raise error

    async def _complete(self, upload_id: str) -> None:
        operation = CompleteLayerUpload(self._tools.repository, upload_id, self._digest)
        try:
            await self._calls.call(operation)
        except ServiceError as error:
            if error.code == "LayerAlreadyExistsException":
                self._tally.raced.add(self._digest)
            elif error.code != "UploadNotFoundException" or not await self._is_available():
                raise
            # Else the first of several requests completed it, and its response was lost.

    async def _is_available(self) -> bool:
        return (await self._calls.check([self._digest])).all_available

    def _starts_over(self, error: ServiceError) -> bool:
        """Return whether the upload may succeed from its start."""
        if error.code != "InvalidLayerException":
            return error.code == "UploadNotFoundException"
        if self._was_wrong:
            msg = (
                f"{self._content.name}: after the upload of {self._digest}, ECR computed another "
                "digest: the content was changed or is damaged"
            )
            raise InvalidInputError(msg) from error
        self._was_wrong = True
        return True


def _received(error: ServiceError, size: int) -> int | None:
    """Return how many bytes of the layer ECR has, if it refused a part for its position."""
    if error.code != "InvalidLayerPartException":
        return None
    last = error.members.get("lastValidByteReceived")
    if last is None:
        return 0
    return last + 1 if type(last) is int and 0 <= last < size else None
