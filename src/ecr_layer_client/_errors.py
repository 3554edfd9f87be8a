"""Every error this library raises on purpose.

```
ECRLayerError                      everything this library raises on purpose
├── InvalidInputError (ValueError) refused before any request: repository name, registry id, option, digests given as one str
├── ClientStateError (RuntimeError) used before entry, after close, on another event loop, or after a fork
├── CallError                      an API call failed for good: operation, repository, attempts, elapsed, retryable, throttled, request_id,
│   │                              partial: LayerCheckResult | None
│   ├── OperationTimeoutError (TimeoutError)   `timeout=` ran out
│   ├── ServiceError               ECR answered with an error: code, message, status
│   │   ├── RepositoryNotFoundError / AccessDeniedError / InvalidParameterError / ThrottledError / ServerError
│   ├── TransportError             no usable answer: DNS, connect, TLS, reset, timeout
│   ├── ResponseError              an answer that breaks ECR's contract: cut, not JSON, too large, wrong shape
│   ├── CredentialsError           none, expired, not recognised
│   └── ClockSkewError             the machine's clock is off; skew in seconds
└── LayerFailuresError             from raise_for_failures(), raise_if_not_available() and waits; carries the result
```

Errors carry facts: a retry loop asks `error.retryable` and knows no class. They pickle with their facts.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._repository import Repository
    from ._result import LayerCheckResult
    from ._results import LayerCheckResults

NO_CODE = "Unknown"  # the code of an error that ECR gave none


def copied(error: ECRLayerError) -> ECRLayerError:
    """Return an error like it, to be raised, or to tell more, without a trace on the one that others hold."""
    own = copy(error)
    own.__cause__ = error.__cause__
    return own


def _rebuild(cls: type[ECRLayerError], message: str, facts: dict[str, Any]) -> ECRLayerError:
    error = cls.__new__(cls, message)
    error.args = (message,)  # OSError, beneath TimeoutError, would leave it empty
    error.__dict__.update(facts)
    return error


class ECRLayerError(Exception):
    """Anything this library raises on purpose; catch it to catch all of them.

    Example:
        >>> raise ECRLayerError("something this library refuses")
        Traceback (most recent call last):
        ...
        ecr_layer_client._errors.ECRLayerError: something this library refuses
    """

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickle the message and the facts; a traceback and a cause stay behind, as with any exception."""
        facts = {name: value for name, value in self.__dict__.items() if name != "__notes__"}
        notes = {"__notes__": list(self.__notes__)} if hasattr(self, "__notes__") else {}
        return _rebuild, (type(self), str(self), facts | notes)


class InvalidInputError(ECRLayerError, ValueError):
    """What was passed in is refused before any request; the message names the value and the rule."""


class ClientStateError(ECRLayerError, RuntimeError):
    """The client, or a stream of its, is used where it can't be: before entry, after close, on another event loop, after a fork."""


class CallError(ECRLayerError):
    """An API call failed for good, retries included.

    Attributes:
        operation: The API operation, as AWS spells it.
        repository: What it was asked of, or None when it failed before there was one.
        attempts: Requests made for the failing call; 0 when it failed before the first.
        elapsed: Seconds from the failing call's first attempt to its end.
        retryable: Whether the same call may succeed later without a change on the caller's side.
        throttled: Whether it was refused for rate.
        request_id: The id AWS gave the last request, to quote to AWS Support; None without an answer.
        partial: What was answered before the failure, and what was not (`.partial.unanswered`); None where nothing was asked.
        partials: Of an operation on several repositories, the same for each; None of any other. Default None.
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

    It speaks of the whole operation and not of one call: `elapsed` is the timeout, and `attempts` is 0.
    """

    retryable = True


class ServiceError(CallError):
    """ECR answered with an error.

    Attributes:
        code: AWS's code, such as `ThrottlingException`.
        message: AWS's own words, unquoted: cut and quote them before they reach a log.
        status: The HTTP status.
    """

    def __init__(self, text: str, *, code: str = NO_CODE, message: str = "", status: int = 0, **facts: Any) -> None:
        super().__init__(text, **facts)
        self.code = code
        self.message = message
        self.status = status


class RepositoryNotFoundError(ServiceError):
    """The registry has no repository of that name; the message names the registry and the Region it looked in."""


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
        too_large: Whether it was larger than `max_response_bytes`; the same call would have the same answer again.
    """

    retryable = True
    too_large: bool = False


class CredentialsError(CallError):
    """There are no credentials, or AWS takes them for expired or unknown."""


class ClockSkewError(CallError):
    """The machine's clock is too far off for AWS to accept a signature.

    Attributes:
        skew: Seconds the local clock is ahead of AWS's (negative: behind), or None when AWS sent no date.
    """

    def __init__(self, message: str, *, skew: float | None = None, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.skew = skew


class LayerFailuresError(ECRLayerError):
    """A result holds failures that do not merely mean absent, or layers that are not available; `.result` is that result."""

    def __init__(self, message: str, result: LayerCheckResult) -> None:
        super().__init__(message)
        self.result = result
