"""The client transport: requests through aiobotocore's client method, with its documented events."""

from __future__ import annotations

from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from ecr_layer_client._models.call_errors import NO_CODE, ResponseError

from .client_errors import call_error, credentials_error, redacted_cause, without_context
from .error_responses import ErrorResponse, error_from
from .http_session import too_large

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from ecr_layer_client._models.call_errors import CallError
    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client.protocols import ECRApi

    from .credentials import SharedCredentials
    from .operation import Operation

T = TypeVar("T")

ANSWERED = 200  # no other status is an answer of ECR's
_BEFORE_PARSE = "before-parse"


@dataclass(slots=True)
class _Exchange:
    """An answer as it came, before botocore's parser saw it."""

    transport: ClientMethodTransport
    body: bytes | None = None
    request_id: str | None = None
    refusal: ErrorResponse | None = None


_exchange: ContextVar[_Exchange | None] = ContextVar("ecr_layer_client_exchange", default=None)


class ClientMethodTransport:
    """Through aiobotocore's client method, with its documented events.

    The answer's bytes are taken from `before-parse`.
    """

    def __init__(
        self,
        client: ECRApi,
        config: ClientConfig,
        credential_source: Hashable,
        stack: AsyncExitStack | None = None,
        credentials: SharedCredentials | None = None,
    ) -> None:
        self.region_name: str = client.meta.region_name
        self.endpoint_url: str = client.meta.endpoint_url
        self.credential_source = credential_source
        self._client = client
        self._limit = config.max_response_bytes
        self._stack = stack or AsyncExitStack()
        self._credentials = credentials
        unique_id = f"ecr-layer-client-{id(self)}"
        client.meta.events.register_last(_BEFORE_PARSE, self._take_body, unique_id=unique_id)
        self._stack.callback(client.meta.events.unregister, _BEFORE_PARSE, unique_id=unique_id)

    @property
    def generation(self) -> int:
        """Which credentials it signs with."""
        return 0 if self._credentials is None else self._credentials.generation

    @without_context
    async def ready(self) -> None:
        """Have credentials to sign with, where they are not the caller's own."""
        if self._credentials is not None:
            try:
                await self._credentials.get_frozen_credentials()
            except BotoCoreError as error:
                raise credentials_error(error) from redacted_cause(error)

    @without_context
    async def renew(self, generation: int) -> bool:
        """Find other credentials than those of `generation`."""
        if self._credentials is None:
            return False
        try:
            return await self._credentials.renew(generation)
        except BotoCoreError as error:
            raise credentials_error(error) from redacted_cause(error)

    @without_context
    async def ask(self, question: Operation[T]) -> T:
        """Ask once."""
        exchange = _Exchange(self)
        token = _exchange.set(exchange)
        try:
            answer = await getattr(self._client, xform_name(question.operation))(
                **question.members()
            )
        except ClientError as error:
            if (
                exchange.refusal is None and error.operation_name != question.operation
            ):  # of STS or SSO, in search of credentials
                raise credentials_error(error) from redacted_cause(error)
            raise self.refused(
                question, exchange.refusal or _stubbed_refusal(error)
            ) from redacted_cause(error)
        except Exception as error:  # noqa: BLE001
            # Hooks and credentials of the caller's may raise anything.
            raise self.failed(question, error) from redacted_cause(error)
        finally:
            _exchange.reset(token)
        if exchange.refusal is not None:  # another 2xx: botocore takes it for an answer
            raise self.refused(question, exchange.refusal)
        body = (
            answer if exchange.body is None else exchange.body
        )  # without a body, a stub answered in the wire's place
        return self.read(question, body, exchange.request_id)

    def read(
        self, question: Operation[T], answer: bytes | Mapping[str, Any], request_id: str | None
    ) -> T:
        """Return what the answer says.

        Raises:
            ResponseError: It is larger than allowed, or no answer to this question.
        """
        try:
            if isinstance(answer, bytes) and len(answer) > self._limit:
                raise too_large(self._limit)
            return question.read(answer)
        except ResponseError as error:
            raise self.failed(question, error, request_id) from redacted_cause(error)

    def refused(self, question: Operation[Any], refusal: ErrorResponse) -> CallError:
        """Return what to raise when ECR answered with an error."""
        return error_from(
            refusal,
            question.operation,
            question.repository,
            self.region_name,
            owned=self._credentials is not None,
        )

    def failed(
        self, question: Operation[Any], error: Exception, request_id: str | None = None
    ) -> CallError:
        """Return what to raise when there is no answer that can be used."""
        return call_error(
            error, question.operation, question.repository, self.region_name, request_id=request_id
        )

    async def aclose(self) -> None:
        """Take the hook off, and close the client if this transport opened it."""
        await self._stack.aclose()

    def _take_body(self, response_dict: dict[str, Any], **_: object) -> None:
        exchange = _exchange.get()
        if exchange is None or exchange.transport is not self:
            return
        status, headers, body = (
            response_dict["status_code"],
            response_dict["headers"],
            response_dict["body"],
        )
        exchange.request_id = headers.get("x-amzn-requestid")
        if status == ANSWERED:
            exchange.body, exchange.refusal = body, None
            response_dict["body"] = b"{}"  # botocore's parser has nothing left to do
        else:
            exchange.refusal = ErrorResponse.read(status, headers, body)
            response_dict["body"] = (
                exchange.refusal.body
            )  # whatever came, botocore's parser can read this


def _stubbed_refusal(error: ClientError) -> ErrorResponse:
    metadata: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    said = error.response.get("Error", {})
    status, request_id = metadata.get("HTTPStatusCode", 0), metadata.get("RequestId")
    return ErrorResponse(
        status, str(said.get("Code", NO_CODE)), str(said.get("Message", "")), request_id
    )
