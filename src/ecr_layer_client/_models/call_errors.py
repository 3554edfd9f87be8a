"""Errors of API calls: what failed, of what, and whether the same call may succeed later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import ECRLayerError

if TYPE_CHECKING:
    from .repository import Repository
    from .result import LayerCheckResult
    from .results import LayerCheckResults


NO_CODE = "Unknown"  # the code of an error that ECR gave none


class CallError(ECRLayerError):
    """An API call failed for good, retries included.

    Attributes:
        operation: The API operation, as AWS spells it.
        repository: What it was asked of, or None when it failed before there was one.
        attempts: Requests made for the failing call; 0 when it failed before the first.
        elapsed: Seconds from the failing call's first attempt to its end.
        retryable: Whether the same call may succeed later without a change on the caller's side.
        throttled: Whether it was refused for rate.
        request_id: The id AWS gave the last request, to quote to AWS Support; None without an
            answer.
        partial: What was answered before the failure, and what was not (`.partial.unanswered`);
            None where nothing was asked.
        partials: Of an operation on several repositories, the same for each; None of any other.
            Default None.
    """

    retryable: bool = False
    throttled: bool = False
    # A fact for the retry loop: fresh credentials may cure it.
    refreshable: bool = False

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
        if retryable is not None:
            self.retryable = retryable
        if throttled is not None:
            self.throttled = throttled
        if refreshable is not None:
            self.refreshable = refreshable


class OperationTimeoutError(CallError, TimeoutError):
    """The `timeout=` of an operation ran out; `.partial` keeps what was answered.

    It speaks of the whole operation and not of one call: `elapsed` is the timeout, and `attempts`
    is 0.
    """

    retryable = True


class ServiceError(CallError):
    """ECR answered with an error.

    Attributes:
        code: AWS's code, such as `ThrottlingException`.
        message: AWS's own words, unquoted: cut and quote them before they reach a log.
        status: The HTTP status.
    """

    def __init__(
        self, text: str, *, code: str = NO_CODE, message: str = "", status: int = 0, **facts: Any
    ) -> None:
        super().__init__(text, **facts)
        self.code = code
        self.message = message
        self.status = status


class RepositoryNotFoundError(ServiceError):
    """The registry has no repository of that name.

    The message names the registry and the Region it looked in.
    """


class AccessDeniedError(ServiceError):
    """The caller may not do this; the message names the IAM action and the resource ARN."""


class InvalidParameterError(ServiceError):
    """ECR refused a parameter that passed this library's own checks."""


class ThrottledError(ServiceError):
    """Refused for rate for as long as the retry policy allows, without one call of the account succeeding in between."""

    retryable = True
    throttled = True


class ServerError(ServiceError):
    """ECR failed on its own side (5xx), until the retry policy ended."""

    retryable = True


class TransportError(CallError):
    """No usable answer came: DNS, connect, TLS, reset or timeout."""

    retryable = True


class ResponseError(CallError):
    """The answer breaks ECR's contract: cut, not JSON, too large or of the wrong shape.

    Attributes:
        too_large: Whether it was larger than `max_response_bytes`; the same call would have the
            same answer again.
    """

    retryable = True
    too_large: bool = False


class CredentialsError(CallError):
    """There are no credentials, or AWS takes them for expired or unknown."""


class ClockSkewError(CallError):
    """The machine's clock is too far off for AWS to accept a signature.

    Attributes:
        skew: Seconds the local clock is ahead of AWS's (negative: behind), or None when AWS sent no
            date.
    """

    def __init__(self, message: str, *, skew: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.skew = skew
