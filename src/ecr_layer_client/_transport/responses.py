"""Responses to results or errors: one reader for both transports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ecr_layer_client._models.call_errors import ResponseError

from .client_errors import call_error, redacted_cause
from .error_responses import ErrorResponse, error_from
from .http_session import too_large

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr_layer_client._models.call_errors import CallError

    from .operation import Operation

T = TypeVar("T")

OK = 200  # ECR sends results with no other status


class Response(NamedTuple):
    """A response as it came.

    Attributes:
        status: The HTTP status.
        headers: Found by their names in lower case.
        body: The whole body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class ResponseReader:
    """Reads responses, and words the errors of requests that got none.

    Args:
        region_name: The Region that the requests are signed for.
        max_response_bytes: The largest body that is accepted.
        owns_credentials: Whether expired credentials are this library's to renew.
    """

    def __init__(
        self, region_name: str, max_response_bytes: int, *, owns_credentials: bool
    ) -> None:
        self._region_name = region_name
        self._limit = max_response_bytes
        self._owns_credentials = owns_credentials

    def read(self, operation: Operation[T], response: Response) -> T:
        """Return what a response says.

        Raises:
            CallError: It is an error response, too large, or breaks the operation's contract.
        """
        if response.status != OK:
            raise self.refused(operation, ErrorResponse.read(*response))
        return self.parse(operation, response.body, response.headers.get("x-amzn-requestid"))

    def parse(self, operation: Operation[T], body: bytes, request_id: str | None = None) -> T:
        """Return what the body of a response with status 200 says.

        Raises:
            ResponseError: It is too large, or breaks the operation's contract.
        """
        try:
            if len(body) > self._limit:
                raise too_large(self._limit)
            return operation.parse(body)
        except ResponseError as error:
            raise self.failed(operation, error, request_id) from redacted_cause(error)

    def refused(self, operation: Operation[Any], response: ErrorResponse) -> CallError:
        """Return the error for an error response."""
        return error_from(
            response,
            operation.name,
            operation.repository,
            self._region_name,
            owned=self._owns_credentials,
        )

    def failed(
        self, operation: Operation[Any], error: Exception, request_id: str | None = None
    ) -> CallError:
        """Return the error for a request that got no usable response."""
        repository = operation.repository
        return call_error(
            error, operation.name, repository, self._region_name, request_id=request_id
        )
