"""`ClientMethodTransport`: requests through aiobotocore's client method, with its events."""

from __future__ import annotations

import json
from base64 import b64decode
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore import xform_name
from botocore.exceptions import ClientError
from pydantic_core import from_json

from ecr_layer_client._models.call_errors import NO_CODE

from .error_responses import ErrorResponse, error_body
from .responses import OK, REQUEST_ID, Response
from .streamed_body import SentBody

if TYPE_CHECKING:
    from ecr_layer_client.protocols import ECRApi

    from .operation import Operation
    from .responses import ResponseReader

T = TypeVar("T")

_BEFORE_PARSE = "before-parse"


@dataclass(slots=True)
class _Exchange:
    """A response as it came, before botocore's parser saw it."""

    transport: ClientMethodTransport
    response: Response | None = None


_exchange: ContextVar[_Exchange | None] = ContextVar("ecr_layer_client_exchange", default=None)


class ClientMethodTransport:
    """Calls the methods of an aiobotocore client, and takes each response from `before-parse`.

    Args:
        client: The aiobotocore client.
        reader: Reads its responses.
        stack: Closes what was opened for it. Default None: the client is borrowed.
    """

    def __init__(
        self, client: ECRApi, reader: ResponseReader, stack: AsyncExitStack | None = None
    ) -> None:
        self._client = client
        self._reader = reader
        self._stack = stack or AsyncExitStack()
        events, unique_id = client.meta.events, f"ecr-layer-client-{id(self)}"
        events.register_last(_BEFORE_PARSE, self._take_response, unique_id=unique_id)
        self._stack.callback(events.unregister, _BEFORE_PARSE, unique_id=unique_id)

    async def send(self, operation: Operation[T]) -> T:
        """Send one request and return what its response says."""
        try:
            response = await self.exchange(operation)
        except Exception as error:  # noqa: BLE001 (hooks and bodies may raise anything)
            failed = self._reader.failed(operation, error)
            raise failed from failed.__cause__
        return self._reader.read(operation, response)

    async def aclose(self) -> None:
        """Remove the hook, and close the client if this transport opened it."""
        await self._stack.aclose()

    async def exchange(self, operation: Operation[Any]) -> Response:
        """Send one request and return its response."""
        exchange = _Exchange(self)
        token = _exchange.set(exchange)
        try:
            method = getattr(self._client, xform_name(operation.name))
            answer = await method(**await self._members(operation))
        except ClientError as error:
            # STS and SSO, which are asked for credentials, have other operations.
            if exchange.response is None and error.operation_name != operation.name:
                raise
            return exchange.response or _stubbed(error)
        finally:
            _exchange.reset(token)

        # Without a response, a stub answered in place of the network.
        return exchange.response or Response(OK, {}, json.dumps(answer, default=str).encode())

    async def _members(self, operation: Operation[Any]) -> dict[str, Any]:
        """Return the arguments of the client's method."""
        body = operation.request()
        if isinstance(body, bytes):
            members: dict[str, Any] = from_json(body, cache_strings="keys")
            return members

        members = from_json(b"".join([chunk async for chunk in SentBody(body)]))
        # botocore encodes these members in base64 itself.
        shapes = self._client.meta.service_model.operation_model(operation.name).input_shape.members
        blobs = [name for name in members if shapes[name].type_name == "blob"]
        return members | {name: b64decode(members[name]) for name in blobs}

    def _take_response(self, response_dict: dict[str, Any], **_: object) -> None:
        exchange = _exchange.get()
        if exchange is None or exchange.transport is not self:
            return

        status, headers = response_dict["status_code"], response_dict["headers"]
        exchange.response = Response(status, headers, response_dict["body"])
        # botocore's parser gets what it can read, whatever came; nothing is left of a result.
        response_dict["body"] = b"{}"
        if status != OK:
            read = ErrorResponse.read(*exchange.response)
            response_dict["body"] = error_body(read.code, read.message)


def _stubbed(error: ClientError) -> Response:
    """Return a stub's error as ECR would have sent it."""
    response: Any = error.response
    metadata, said = response.get("ResponseMetadata", {}), response.get("Error", {})
    body = error_body(str(said.get("Code", NO_CODE)), str(said.get("Message", "")))
    headers = {REQUEST_ID: str(metadata["RequestId"])} if "RequestId" in metadata else {}
    return Response(metadata.get("HTTPStatusCode", 0), headers, body)
