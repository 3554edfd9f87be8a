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

Errors carry facts: a retry loop asks `error.retryable` and knows no class. They pickle with their
facts.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


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
        ecr_layer_client._models.errors.ECRLayerError: something this library refuses
    """

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickle the message and the facts.

        A traceback and a cause stay behind, as with any exception.
        """
        facts = {name: value for name, value in self.__dict__.items() if name != "__notes__"}
        notes = {"__notes__": list(self.__notes__)} if hasattr(self, "__notes__") else {}
        return _rebuild, (type(self), str(self), facts | notes)


class InvalidInputError(ECRLayerError, ValueError):
    """What was passed in is refused before any request.

    The message names the value and the rule.
    """


class ClientStateError(ECRLayerError, RuntimeError):
    """The client, or a stream of its, is used where it can't be: before entry, after close, on another event loop, after a fork."""
