"""Responses to results or errors: one reader for both transports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ecr_layer_client._models.call_errors import (
    MAX_NAME_CHARACTERS,
    CredentialsError,
    ResponseError,
)
from ecr_layer_client._text.redaction import redact

from .client_errors import call_error, redacted_cause
from .error_responses import ErrorResponse, attempted, error_from, located
from .http_session import too_large
from .streamed_body import BodyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr_layer_client._models.call_errors import CallError

    from .operation import Operation

T = TypeVar("T")

OK = 200  # ECR sends results with no other status
REQUEST_ID = "x-amzn-requestid"


class Response(NamedTuple):
    """A response as it came, with its whole body."""

    status: int
    headers: Mapping[str, str]  # found by their names in lower case
    body: bytes


class ResponseReader:
    """Reads responses, and words the errors of requests that got none.

    Args:
        region_name: The Region that the requests are signed for.
        max_response_bytes: The largest body that is accepted.
        owns_credentials: Whether expired credentials are this library's to renew.
        region_note: What errors about the Region add to it, such as a variable that is not read.
    """

    def __init__(
        self,
        region_name: str,
        max_response_bytes: int,
        *,
        owns_credentials: bool,
        region_note: str = "",
    ) -> None:
        self._region_name = region_name
        self._limit = max_response_bytes
        self._owns_credentials = owns_credentials
        self._region_note = region_note

    def read(self, operation: Operation[T], response: Response) -> T:
        """Return what a response says.

        Raises:
            CallError: It is an error response, too large, or breaks the operation's contract.
        """
        request_id = response.headers.get(REQUEST_ID)
        if response.status != OK:
            raise _with_facts(self._refused(operation, response), operation, request_id)
        try:
            return self._parse(operation, response.body)
        except ResponseError as error:
            failed = self.failed(operation, error, request_id)
            raise failed from failed.__cause__

    def failed(
        self, operation: Operation[Any], error: Exception, request_id: str | None = None
    ) -> Exception:
        """Return the error for a request that got no usable response, with its cause."""
        if isinstance(error, BodyError):
            return error.error
        if isinstance(error, CredentialsError):
            return error

        what = attempted(operation.name, located(operation.repository, self._region_name))
        worded = _with_facts(call_error(error, what), operation, request_id)
        worded.__cause__ = redacted_cause(error)
        return worded

    def _parse(self, operation: Operation[T], body: bytes) -> T:
        if len(body) > self._limit:
            raise too_large(self._limit)
        return operation.parse(body)

    def _refused(self, operation: Operation[Any], response: Response) -> CallError:
        repository = located(operation.repository, self._region_name)
        read = ErrorResponse.read(*response)
        return error_from(
            read,
            operation.name,
            repository,
            owned=self._owns_credentials,
            region_note=self._region_note,
        )


def _with_facts(error: CallError, operation: Operation[Any], request_id: str | None) -> CallError:
    error.operation, error.repository = operation.name, operation.repository
    error.request_id = request_id and redact(request_id, MAX_NAME_CHARACTERS)
    return error
