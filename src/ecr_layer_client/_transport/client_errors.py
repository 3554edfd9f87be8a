"""botocore's exceptions to errors of ours: what failed, on what, and what to do."""

from __future__ import annotations

import ssl
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore import exceptions as botocore

from ecr_layer_client._models.call_errors import (
    CallError,
    CredentialsError,
    ResponseError,
    TransportError,
)
from ecr_layer_client._models.errors import ECRLayerError, InvalidInputError
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.redaction import redact

from .error_responses import attempted, located

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from ecr_layer_client._models.repository import Repository

F = TypeVar("F", bound="Callable[..., Coroutine[Any, Any, Any]]")

_CREDENTIALS = (
    botocore.NoCredentialsError,
    botocore.PartialCredentialsError,
    botocore.CredentialRetrievalError,
    botocore.UnknownCredentialError,
    botocore.NoAuthTokenError,
    botocore.TokenRetrievalError,
    botocore.SSOError,
    botocore.RefreshWithMFAUnsupportedError,
    botocore.MetadataRetrievalError,
)
_NO_CREDENTIALS = (
    "found no usable AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile (AWS_PROFILE or profile_name=), "
    "log in (`aws sso login`), or run where a role provides them"
)
_NO_REGION = "there is no AWS Region: pass region_name=, set AWS_DEFAULT_REGION, or give the profile a region"
_LASTING = (
    FileNotFoundError,
    PermissionError,
    ssl.SSLError,
    botocore.InvalidProxiesConfigError,
)  # asking again mends none
_CONFIG = "check profile_name, AWS_PROFILE and the AWS configuration files"
_REGIONS = "check region_name, AWS_DEFAULT_REGION and the profile's region"
_ENDPOINTS = "check AWS_ENDPOINT_URL_ECR, AWS_ENDPOINT_URL and the profile's endpoint"


class ProviderError(botocore.CredentialRetrievalError):
    """A caller's provider gave no keys.

    Attributes:
        words: What it said, or what was wrong with what it gave.
    """

    def __init__(self, words: str) -> None:
        super().__init__(provider="credentials=", error_msg=words)
        self.words = words


def redacted_cause(error: BaseException) -> BaseException | None:
    """Return the error to chain to ours, unless its words, or those of what caused it, hold a secret or would forge a log line."""
    link: BaseException | None = error
    while link is not None:
        if redact(str(link)) != str(link) or not str(link).isprintable():
            return None
        link = link.__cause__ or link.__context__
    return error


def without_context(work: F) -> F:
    """Let our errors carry no context: what `redacted_cause` keeps from a traceback would be there for whoever looks."""

    @wraps(work)
    async def call(*args: Any) -> Any:
        try:
            return await work(*args)
        except ECRLayerError as error:
            error.__context__ = error.__cause__
            raise

    return cast("F", call)


def opening_error(error: Exception) -> ECRLayerError:
    """Return what to raise when making the client failed."""
    if isinstance(error, botocore.NoRegionError):
        return InvalidInputError(_NO_REGION)
    if isinstance(
        error, (*_CREDENTIALS, botocore.ClientError, RuntimeError)
    ):  # the latter of a refresh that gave expired keys
        return credentials_error(error)
    to_do = _CONFIG
    if isinstance(error, botocore.InvalidRegionError):
        to_do = _REGIONS
    elif str(error).startswith("Invalid endpoint"):  # botocore's bare ValueError
        to_do = _ENDPOINTS
    return InvalidInputError(f"the AWS configuration is refused: {quoted(str(error))}: {to_do}")


def credentials_error(error: Exception) -> CredentialsError:
    """Return what to raise when there is nothing to sign a request with."""
    if isinstance(error, ProviderError):
        return CredentialsError(
            f"the provider given as credentials= gave no AWS keys: {quoted(error.words)}"
        )
    return CredentialsError(
        f"{_NO_CREDENTIALS}; botocore says {quoted(str(error) or type(error).__name__)}"
    )


def call_error(
    error: Exception,
    operation: str,
    repository: Repository,
    region: str,
    *,
    request_id: str | None = None,
) -> CallError:
    """Return what to raise when a request got no answer that settles anything."""
    what = attempted(operation, located(repository, region))
    cause = error.kwargs.get("error") if isinstance(error, botocore.HTTPClientError) else None
    if isinstance(cause, ResponseError):
        error = cause
    if isinstance(error, ResponseError):
        refused = ResponseError(
            f"{what}: {error}",
            repository=repository,
            request_id=request_id,
            retryable=error.retryable,
        )
        refused.too_large = error.too_large
        return refused
    if isinstance(error, _CREDENTIALS):
        return credentials_error(error)
    if isinstance(error, botocore.SSLError):
        advice = "check endpoint_url, AWS_CA_BUNDLE and proxies"
        return TransportError(
            f"{what}: TLS failed, {quoted(str(error))}: {advice}",
            repository=repository,
            retryable=False,
        )
    if isinstance(cause, _LASTING):
        text = f"{what}: the request failed, {quoted(f'{type(cause).__name__}: {cause}')}: check AWS_CA_BUNDLE, certificates and proxies"
        return TransportError(text, repository=repository, retryable=False)
    if isinstance(error, botocore.HTTPClientError | botocore.ConnectionError):
        advice = "check the network, proxies, and the Region and endpoint_url for typing errors"
        return TransportError(
            f"{what}: no answer, {quoted(str(error))}: {advice}", repository=repository
        )
    if isinstance(error, botocore.BotoCoreError):
        said, advice = str(error), _CONFIG
    else:  # raised by a hook, or by what finds or refreshes credentials
        said, advice = (
            f"{type(error).__name__}: {error}",
            "check the credentials and hooks of the session or client",
        )
    text = f"{what}: the request could not be made, {quoted(said)}: {advice}"
    return TransportError(text, repository=repository, retryable=False)
