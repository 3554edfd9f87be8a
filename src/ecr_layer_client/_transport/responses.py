"""Responses to results or errors: one reader for both transports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ecr_layer_client._models.call_errors import MAX_NAME_CHARACTERS, CredentialsError
from ecr_layer_client._text.redaction import redact

from .client_errors import call_error, redacted_cause
from .error_responses import ErrorResponse, attempted, error_from, located
from .http_session import too_large
from .streamed_body import BodyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

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
    """

    def __init__(
        self, region_name: str, max_response_bytes: int, *, owns_credentials: bool
    ) -> None:
        self._region_name = region_name
        self._limit = max_response_bytes
        self._owns_credentials = owns_credentials

    async def read(self, operation: Operation[T], exchange: Awaitable[Response]) -> T:
        """Wait for a response and return what it says.

        Raises:
            CallError: There is none, or it is an error response, too large, or breaks the
                operation's contract.
            Exception: The producer of a streamed body raised it.
        """
        request_id = None
        try:
            response = await exchange
            request_id = response.headers.get(REQUEST_ID)
            if response.status == OK:
                return self._parse(operation, response.body)
        except CredentialsError:
            # Its words are complete.
            raise
        except BodyError as failure:
            raise failure.error from failure.error.__cause__
        except Exception as error:  # noqa: BLE001 (hooks of the caller's may raise anything)
            worded = call_error(error, self._attempted(operation))
            raise _with_facts(worded, operation, request_id) from redacted_cause(error)
        raise _with_facts(self._refused(operation, response), operation, request_id)

    def _parse(self, operation: Operation[T], body: bytes) -> T:
        if len(body) > self._limit:
            raise too_large(self._limit)
        return operation.parse(body)

    def _refused(self, operation: Operation[Any], response: Response) -> CallError:
        repository = located(operation.repository, self._region_name)
        read = ErrorResponse.read(*response)
        return error_from(read, operation.name, repository, owned=self._owns_credentials)

    def _attempted(self, operation: Operation[Any]) -> str:
        return attempted(operation.name, located(operation.repository, self._region_name))


def _with_facts(error: CallError, operation: Operation[Any], request_id: str | None) -> CallError:
    error.operation, error.repository = operation.name, operation.repository
    error.request_id = request_id and redact(request_id, MAX_NAME_CHARACTERS)
    return error
