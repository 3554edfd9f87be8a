"""Errors of API calls: what failed, on what, and whether the same call may succeed later."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .errors import ECRLayerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .repository import Repository
    from .result import LayerCheckResult
    from .results import LayerCheckResults
    from .transfers import TransferState

NO_CODE = "Unknown"  # of an error response that has no code
MAX_NAME_CHARACTERS = 200  # of a code and of a request id
MAX_MESSAGE_CHARACTERS = 2000  # of AWS's message


class CallError(ECRLayerError):
    """An API call failed, after retries if these could help.

    Attributes:
        operation: The API operation, as AWS spells it.
        repository: The repository of the call. None if the error does not concern a repository.
        attempts: The number of requests of the failed call. 0 if it failed before the first
            request.
        elapsed: Seconds from the first attempt of the failed call to its end.
        retryable: Whether the same call may succeed later without any change.
        throttled: Whether ECR refused the call because there were too many requests.
        request_id: The id of the last request, for AWS Support. None if there was no response.
        partial: The outcomes that were received before the failure, and the digests without an
            outcome (`.partial.unanswered`). None if the error is not from a check.
        partials: The partial results by repository, if the operation had several repositories.
            Default None.
        transfer: The state of a push, a pull or a copy when it failed. Default None.
    """

    retryable: bool = False
    throttled: bool = False
    # For the retry loop: new credentials may help.
    refreshable: bool = False
    transfer: TransferState | None = None

    def __init__(  # noqa: PLR0913 (facts, all by keyword)
        self,
        message: str,
        *,
        operation: str = "BatchCheckLayerAvailability",
        repository: Repository | None = None,
        attempts: int = 0,
        elapsed: float = 0.0,
        retryable: bool | None = None,
        throttled: bool | None = None,
        refreshable: bool | None = None,
        request_id: str | None = None,
        partial: LayerCheckResult | None = None,
        partials: LayerCheckResults | None = None,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.repository = repository
        self.attempts = attempts
        self.elapsed = elapsed
        self.request_id = request_id
        self.partial = partial
        self.partials = partials

        # An error without its own value has the value of its class.
        if retryable is not None:
            self.retryable = retryable
        if throttled is not None:
            self.throttled = throttled
        if refreshable is not None:
            self.refreshable = refreshable


class OperationTimeoutError(CallError, TimeoutError):
    """The `timeout=` of an operation expired. `.partial` has the outcomes that were received.

    `elapsed` is the timeout, and `attempts` is 0.
    """

    retryable = True


class ServiceError(CallError):
    """ECR sent an error response.

    Attributes:
        code: AWS's code, such as `ThrottlingException`.
        message: AWS's message without secrets, at most 2,000 characters, not escaped. Escape it
            before you log it.
        status: The HTTP status.
        members: The other keys of the error response whose values are numbers or short texts, such
            as `lastValidByteReceived`.
    """

    members: Mapping[str, str | int] = MappingProxyType({})

    def __init__(
        self, text: str, *, code: str = NO_CODE, message: str = "", status: int = 0, **facts: Any
    ) -> None:
        super().__init__(text, **facts)
        self.code = code
        self.message = message
        self.status = status


def concerns_one_repository(error: BaseException) -> bool:
    """Return whether an error says nothing about calls on other repositories."""
    return isinstance(error, ServiceError) and not error.retryable


class RepositoryNotFoundError(ServiceError):
    """The registry has no repository with this name. The message says where ECR looked."""


class AccessDeniedError(ServiceError):
    """The caller has no permission. The message names the IAM action and the resource's ARN."""


class InvalidParameterError(ServiceError):
    """ECR refused a parameter that this library's own checks accepted."""


class ThrottledError(ServiceError):
    """ECR throttled every call of the account for as long as the retry policy allows."""

    retryable = True
    throttled = True


class ServerError(ServiceError):
    """ECR failed on its own side (5xx), until the retry policy ended."""

    retryable = True


class TransportError(CallError):
    """No usable response came: DNS, connect, TLS, reset or timeout."""

    retryable = True


class ResponseError(CallError):
    """The response breaks ECR's contract: truncated, not JSON, too large or of the wrong shape.

    Attributes:
        too_large: Whether the response was larger than `max_response_bytes`.
    """

    retryable = True
    too_large: bool = False


class CredentialsError(CallError):
    """There are no credentials, or AWS says that they are expired or unknown."""


class ClockSkewError(CallError):
    """The clock of this machine is too far off for AWS to accept a signature.

    Attributes:
        skew: The seconds by which this clock is ahead of AWS's clock. Negative if it is behind.
            None if AWS sent no date.
    """

    def __init__(self, message: str, *, skew: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.skew = skew
