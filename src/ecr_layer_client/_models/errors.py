"""The errors of this library, which are all an `ECRLayerError`.

```
ECRLayerError                      the base class of this library's errors
├── InvalidInputError (ValueError) raised before any request: a repository, a registry id, an
│                                  option, or digests given as one str is not valid
├── ClientStateError (RuntimeError) the client is not open, or was opened on another event loop
│                                  or before a fork
├── CallError                      an API call failed: operation, repository, attempts,
│   │                              elapsed, retryable, throttled, request_id, partial, partials
│   ├── OperationTimeoutError (TimeoutError)   `timeout=` expired
│   ├── ServiceError               ECR sent an error response: code, message, status
│   │   ├── RepositoryNotFoundError
│   │   ├── AccessDeniedError
│   │   ├── InvalidParameterError
│   │   ├── ThrottledError
│   │   └── ServerError
│   ├── TransportError             no usable response: DNS, connect, TLS, reset, timeout
│   ├── ResponseError              the response breaks ECR's contract: truncated, not JSON,
│   │                              too large, wrong shape
│   ├── CredentialsError           the credentials are missing, expired or not recognised
│   └── ClockSkewError             the clock of this machine is wrong: skew, in seconds
└── LayerFailuresError             from raise_for_failures(), raise_if_not_available() and
                                   wait_until_available(): result
```

A retry loop can check `error.retryable` instead of the class of the error. Errors can be pickled.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def copied(error: ECRLayerError) -> ECRLayerError:
    """Return a copy of an error, to raise or to add notes to: others may hold the original."""
    own = copy(error)
    own.__cause__ = error.__cause__
    return own


def _rebuild(cls: type[ECRLayerError], message: str, facts: dict[str, Any]) -> ECRLayerError:
    error = cls.__new__(cls, message)
    # OSError, a base class of TimeoutError, leaves `args` empty.
    error.args = (message,)
    error.__dict__.update(facts)
    return error


class ECRLayerError(Exception):
    """The base class of all errors of this library.

    Example:
        >>> raise ECRLayerError("something that this library refuses")
        Traceback (most recent call last):
        ...
        ecr_layer_client._models.errors.ECRLayerError: something that this library refuses
    """

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickle the message, the attributes and the notes, but not the traceback and the cause."""
        facts = {name: value for name, value in self.__dict__.items() if name != "__notes__"}
        notes = {"__notes__": list(self.__notes__)} if hasattr(self, "__notes__") else {}
        return _rebuild, (type(self), str(self), facts | notes)


class InvalidInputError(ECRLayerError, ValueError):
    """The input is not valid, and no request was sent. The message names the value and the rule."""


class ClientStateError(ECRLayerError, RuntimeError):
    """The client is not open, or was opened on another event loop or before a fork."""
