"""Typed, async client for the layers and images in Amazon ECR.

It checks which layers a repository already holds. A name is imported when it is first used, so that
importing an error class does not import the client.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._models.version import __version__ as __version__

if TYPE_CHECKING:
    from ._checks.stream import LayerStream as LayerStream
    from ._client import ECRLayerClient as ECRLayerClient
    from ._models.call_errors import AccessDeniedError as AccessDeniedError
    from ._models.call_errors import CallError as CallError
    from ._models.call_errors import ClockSkewError as ClockSkewError
    from ._models.call_errors import CredentialsError as CredentialsError
    from ._models.call_errors import InvalidParameterError as InvalidParameterError
    from ._models.call_errors import OperationTimeoutError as OperationTimeoutError
    from ._models.call_errors import RepositoryNotFoundError as RepositoryNotFoundError
    from ._models.call_errors import ResponseError as ResponseError
    from ._models.call_errors import ServerError as ServerError
    from ._models.call_errors import ServiceError as ServiceError
    from ._models.call_errors import ThrottledError as ThrottledError
    from ._models.call_errors import TransportError as TransportError
    from ._models.config import ClientConfig as ClientConfig
    from ._models.config import ClientConfigChanges as ClientConfigChanges
    from ._models.config import RetryPolicy as RetryPolicy
    from ._models.errors import ClientStateError as ClientStateError
    from ._models.errors import ECRLayerError as ECRLayerError
    from ._models.errors import InvalidInputError as InvalidInputError
    from ._models.keys import AWSKeys as AWSKeys
    from ._models.layer import Layer as Layer
    from ._models.layer import LayerAvailability as LayerAvailability
    from ._models.layer import LayerFailure as LayerFailure
    from ._models.layer import LayerFailureCode as LayerFailureCode
    from ._models.layer import LayerOutcome as LayerOutcome
    from ._models.progress import Progress as Progress
    from ._models.public_repository import PublicRepository as PublicRepository
    from ._models.repository import Repository as Repository
    from ._models.result import LayerCheckResult as LayerCheckResult
    from ._models.result import LayerFailuresError as LayerFailuresError
    from ._models.result import OutcomesByDigest as OutcomesByDigest
    from ._models.results import ByRepository as ByRepository
    from ._models.results import LayerCheckResults as LayerCheckResults
    from ._public_client import ECRPublicLayerClient as ECRPublicLayerClient
    from .protocols import CredentialsProvider as CredentialsProvider
    from .protocols import ECRApi as ECRApi
    from .protocols import LayerChecker as LayerChecker
    from .protocols import Limiter as Limiter
    from .protocols import Observer as Observer
    from .protocols import OutcomeStream as OutcomeStream
    from .protocols import Quota as Quota
    from .protocols import SessionLike as SessionLike

_MODULES = {
    "_models.version": "__version__",
    "_checks.stream": "LayerStream",
    "_client": "ECRLayerClient",
    "_public_client": "ECRPublicLayerClient",
    "_models.call_errors": (
        "AccessDeniedError CallError ClockSkewError CredentialsError InvalidParameterError "
        "OperationTimeoutError RepositoryNotFoundError ResponseError ServerError ServiceError "
        "ThrottledError TransportError"
    ),
    "_models.config": "ClientConfig ClientConfigChanges RetryPolicy",
    "_models.errors": "ClientStateError ECRLayerError InvalidInputError",
    "_models.keys": "AWSKeys",
    "_models.layer": "Layer LayerAvailability LayerFailure LayerFailureCode LayerOutcome",
    "_models.progress": "Progress",
    "_models.public_repository": "PublicRepository",
    "_models.repository": "Repository",
    "_models.result": "LayerCheckResult LayerFailuresError OutcomesByDigest",
    "_models.results": "ByRepository LayerCheckResults",
    "protocols": (
        "CredentialsProvider ECRApi LayerChecker Limiter Observer OutcomeStream Quota SessionLike"
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

# Type checkers read the imports above and not this list.
__all__ = [*sorted(_MODULE_OF)]  # noqa: PLE0604 # pyright: ignore[reportUnsupportedDunderAll]

logging.getLogger("ecr_layer_client").addHandler(logging.NullHandler())


# A type checker would accept any name because of this function.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "protocols":
            return import_module(f"{__name__}.protocols")

        if name not in _MODULE_OF:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)

        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
