"""`ClientMethodTransport`: requests through aiobotocore's client method, with its events."""

from __future__ import annotations

from base64 import b64decode
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore import xform_name
from botocore.exceptions import ClientError
from pydantic_core import from_json, to_json

from ecr_layer_client._models.call_errors import NO_CODE, ResponseError

from .client_errors import credentials_error, redacted_cause
from .error_responses import ErrorResponse
from .responses import OK, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr_layer_client.protocols import ECRApi

    from .operation import Operation, StreamedBody
    from .responses import ResponseReader

T = TypeVar("T")

_BEFORE_PARSE = "before-parse"


@dataclass(slots=True)
class _Exchange:
    """A response as it came, before botocore's parser saw it."""

    transport: ClientMethodTransport
    response: Response | None = None
    error: ErrorResponse | None = None


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
        exchange = _Exchange(self)
        token = _exchange.set(exchange)
        try:
            method = getattr(self._client, xform_name(operation.name))
            answer = await method(**await self._members(operation))
        except ClientError as error:
            if exchange.response is None and error.operation_name != operation.name:
                # It comes from STS or SSO, which was asked for credentials.
                raise credentials_error(error) from redacted_cause(error)
            response = exchange.error or _stubbed(error)
            raise self._reader.refused(operation, response) from redacted_cause(error)
        except Exception as error:  # noqa: BLE001 (hooks of the caller's may raise anything)
            raise self._reader.failed(operation, error) from redacted_cause(error)
        finally:
            _exchange.reset(token)

        if exchange.error is not None:
            # botocore accepts each 2xx; ECR sends results with 200 alone.
            raise self._reader.refused(operation, exchange.error)
        if exchange.response is None:
            # A stub answered in place of the network.
            return self._reader.parse(operation, self._as_json(operation, answer))
        return self._reader.read(operation, exchange.response)

    async def aclose(self) -> None:
        """Remove the hook, and close the client if this transport opened it."""
        await self._stack.aclose()

    def _as_json(self, operation: Operation[Any], answer: object) -> bytes:
        """Return what a stub answered as ECR would have sent it."""
        try:
            return to_json(answer, fallback=str)
        except Exception as error:  # noqa: BLE001 (of a stub's own objects, it may be anything)
            odd = ResponseError(f"the answer is not JSON: {error}", retryable=False)
            raise self._reader.failed(operation, odd) from redacted_cause(error)

    async def _members(self, operation: Operation[Any]) -> dict[str, Any]:
        """Return the arguments of the client's method."""
        body = operation.request()
        members: dict[str, Any]
        if isinstance(body, bytes):
            members = from_json(body, cache_strings="keys")
            return members
        return self._decoded(operation.name, from_json(await _joined(body)))

    def _decoded(self, name: str, members: dict[str, Any]) -> dict[str, Any]:
        """Decode the members that botocore encodes in base64 itself."""
        shapes = self._client.meta.service_model.operation_model(name).input_shape.members
        blobs = [each for each in members if shapes[each].type_name == "blob"]
        return members | {each: b64decode(members[each]) for each in blobs}

    def _take_response(self, response_dict: dict[str, Any], **_: object) -> None:
        exchange = _exchange.get()
        if exchange is None or exchange.transport is not self:
            return

        status, headers = response_dict["status_code"], response_dict["headers"]
        exchange.response = Response(status, headers, response_dict["body"])
        if status == OK:
            exchange.error = None
            response_dict["body"] = b"{}"  # nothing is left for botocore's parser
        else:
            exchange.error = ErrorResponse.read(*exchange.response)
            # botocore's parser can read this body, whatever came.
            response_dict["body"] = exchange.error.body


async def _joined(body: StreamedBody) -> bytes:
    return b"".join([chunk async for chunk in body])


def _stubbed(error: ClientError) -> ErrorResponse:
    metadata: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    said = error.response.get("Error", {})
    status, request_id = metadata.get("HTTPStatusCode", 0), metadata.get("RequestId")
    code, message = str(said.get("Code", NO_CODE)), str(said.get("Message", ""))
    return ErrorResponse(status, code, message, request_id)
