"""Streamed bodies of requests, while they are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecr_layer_client._models.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .operation import StreamedBody


class BodyError(Exception):
    """Carries what the producer of a body raised past libraries that wrap it."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class SentBody:
    """A streamed body that is held to its length, and keeps what its producer raised."""

    def __init__(self, body: StreamedBody) -> None:
        self._body = body
        self.failure: BodyError | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        length, sent = self._body.length, 0
        try:
            async for chunk in self._body:
                sent += len(chunk)
                if sent > length:
                    break
                yield chunk
        except Exception as error:  # noqa: BLE001 (a producer may raise anything)
            self.failure = BodyError(error)
            raise self.failure from None

        if sent != length:
            more_or_fewer = "more" if sent > length else "fewer"
            msg = f"the body of a request must have {length} bytes, but has {more_or_fewer}"
            self.failure = BodyError(InvalidInputError(msg))
            raise self.failure
