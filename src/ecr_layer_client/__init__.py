"""Typed, async client for the layer half of Amazon ECR: ask which layers a repository already holds."""

import logging

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
from ._models import Layer, LayerAvailability, LayerFailure, LayerFailureCode, LayerOutcome
from ._repository import Repository
from ._result import LayerCheckResult, OutcomesByDigest
from ._stream import LayerStream
from ._version import __version__
from .protocols import ECRApi, LayerChecker, Observer, OutcomeStream, Progress, SessionLike

__all__ = [
    "AccessDeniedError",
    "CallError",
    "ClientConfig",
    "ClientConfigChanges",
    "ClientStateError",
    "ClockSkewError",
    "CredentialsError",
    "ECRApi",
    "ECRLayerClient",
    "ECRLayerError",
    "InvalidInputError",
    "InvalidParameterError",
    "Layer",
    "LayerAvailability",
    "LayerCheckResult",
    "LayerChecker",
    "LayerFailure",
    "LayerFailureCode",
    "LayerFailuresError",
    "LayerOutcome",
    "LayerStream",
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

logging.getLogger("ecr_layer_client").addHandler(logging.NullHandler())
