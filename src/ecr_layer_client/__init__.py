"""Typed, async client for the layer half of Amazon ECR: ask which layers a repository already holds.

A name is imported when it is first asked for: who needs an error class or the pytest plugin alone does not pay for the rest.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from ._client import ECRLayerClient
    from ._config import ClientConfig, ClientConfigChanges, RetryPolicy
    from ._errors import (
        AccessDeniedError,
        CallError,
        ClientStateError,
        ClockSkewError,
        CredentialsError,
        ECRLayerError,
        InvalidInputError,
        InvalidParameterError,
        LayerFailuresError,
        OperationTimeoutError,
        RepositoryNotFoundError,
        ResponseError,
        ServerError,
        ServiceError,
        ThrottledError,
        TransportError,
    )
    from ._many import ManyLayerStream
    from ._models import Layer, LayerAvailability, LayerFailure, LayerFailureCode, LayerOutcome
    from ._repository import Repository
    from ._result import LayerCheckResult, OutcomesByDigest
    from ._results import ByRepository, LayerCheckResults
    from ._stream import LayerStream
    from .protocols import AWSKeys, CredentialsProvider, ECRApi, LayerChecker, Observer, OutcomeStream, Progress, SessionLike

__all__ = [
    "AWSKeys",
    "AccessDeniedError",
    "ByRepository",
    "CallError",
    "ClientConfig",
    "ClientConfigChanges",
    "ClientStateError",
    "ClockSkewError",
    "CredentialsError",
    "CredentialsProvider",
    "ECRApi",
    "ECRLayerClient",
    "ECRLayerError",
    "InvalidInputError",
    "InvalidParameterError",
    "Layer",
    "LayerAvailability",
    "LayerCheckResult",
    "LayerCheckResults",
    "LayerChecker",
    "LayerFailure",
    "LayerFailureCode",
    "LayerFailuresError",
    "LayerOutcome",
    "LayerStream",
    "ManyLayerStream",
    "Observer",
    "OperationTimeoutError",
    "OutcomeStream",
    "OutcomesByDigest",
    "Progress",
    "Repository",
    "RepositoryNotFoundError",
    "ResponseError",
    "RetryPolicy",
    "ServerError",
    "ServiceError",
    "SessionLike",
    "ThrottledError",
    "TransportError",
    "__version__",
]

_ROOMS = {
    "_client": ("ECRLayerClient",),
    "_config": ("ClientConfig", "ClientConfigChanges", "RetryPolicy"),
    "_errors": (
        "AccessDeniedError",
        "CallError",
        "ClientStateError",
        "ClockSkewError",
        "CredentialsError",
        "ECRLayerError",
        "InvalidInputError",
        "InvalidParameterError",
        "LayerFailuresError",
        "OperationTimeoutError",
        "RepositoryNotFoundError",
        "ResponseError",
        "ServerError",
        "ServiceError",
        "ThrottledError",
        "TransportError",
    ),
    "_many": ("ManyLayerStream",),
    "_models": ("Layer", "LayerAvailability", "LayerFailure", "LayerFailureCode", "LayerOutcome"),
    "_repository": ("Repository",),
    "_result": ("LayerCheckResult", "OutcomesByDigest"),
    "_results": ("ByRepository", "LayerCheckResults"),
    "_stream": ("LayerStream",),
    "protocols": (
        "AWSKeys",
        "CredentialsProvider",
        "ECRApi",
        "LayerChecker",
        "Observer",
        "OutcomeStream",
        "Progress",
        "SessionLike",
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

logging.getLogger("ecr_layer_client").addHandler(logging.NullHandler())


if not TYPE_CHECKING:  # or the type checkers would take any name for one that is there

    def __getattr__(name: str) -> Any:
        if name == "protocols":
            return import_module(f"{__name__}.protocols")
        if name not in _ROOM_OF:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        value = globals()[name] = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOM_OF})
