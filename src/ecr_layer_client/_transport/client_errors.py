"""The errors that botocore's exceptions become: what failed, on what, and what to do."""

from __future__ import annotations

import ssl
from functools import wraps
from traceback import format_exception_only
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

from .error_responses import PROXY_ADVICE, PROXY_AUTHENTICATION_REQUIRED

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

F = TypeVar("F", bound="Callable[..., Coroutine[Any, Any, Any]]")

_MAX_CAUSE_CHARACTERS = 10_000  # of an error that is shown behind ours
FETCH_TIMEOUT_SECONDS = 60.0  # for finding or refreshing credentials

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
    "found no usable AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    "name a profile (AWS_PROFILE or profile_name=), "
    "log in (`aws sso login`), or run where a role provides them"
)
_NO_REGION = "pass region_name=, set AWS_DEFAULT_REGION, or set a region in the profile"
# Another attempt fails in the same way.
_LASTING = FileNotFoundError, PermissionError, ssl.SSLError, botocore.InvalidProxiesConfigError
_NETWORK = "check the network, the proxies, and the spelling of the Region and of endpoint_url"
_TLS = "check endpoint_url, AWS_CA_BUNDLE and proxies"
_FILES = "check AWS_CA_BUNDLE, certificates and proxies"
_PROXIES = "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
_SERVER_ERROR = 500
_HOOKS = "check the credentials and hooks of the session or client"
_CONFIG = "check profile_name, AWS_PROFILE and the AWS configuration files"
_ENCODING = "save the file as UTF-8 without a byte order mark"
_REGIONS = "check region_name, AWS_DEFAULT_REGION and the profile's region"
_ENDPOINTS = "check AWS_ENDPOINT_URL_ECR, AWS_ENDPOINT_URL and the profile's endpoint"


def redacted_cause(error: BaseException) -> BaseException | None:
    """Return the error as the cause of ours, or None if it is unsafe to show.

    It is unsafe if it, or an error behind it, shows a secret or forges a log line. The frames of
    all of them are dropped, because their variables hold signed headers and keys.
    """
    links = _links(error)
    for link in links:
        link.__traceback__ = None
    return error if all(map(_is_safe, links)) else None


def drop_frames(error: BaseException) -> None:
    """Drop the frames of an error and its causes, and what `redacted_cause` left out."""
    error.__context__ = None
    for link in _links(error):
        link.__traceback__ = None


def _links(error: BaseException) -> list[BaseException]:
    """Return an error and all those that a traceback shows with it."""
    links = [error]
    for link in links:
        behind = [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            behind += cast("BaseExceptionGroup[BaseException]", link).exceptions
        # A chain may be a circle.
        links += [
            each
            for each in behind
            if each is not None and all(each is not known for known in links)
        ]
    return links


def _is_safe(error: BaseException) -> bool:
    """Return whether an error can be shown as it is."""
    said = [str(error), *map(str, getattr(error, "__notes__", ()))]
    shown = "".join([*format_exception_only(error), repr(error)])
    is_short = len(shown) <= _MAX_CAUSE_CHARACTERS
    return is_short and redact(shown, len(shown)) == shown and all(map(str.isprintable, said))


def without_context(work: F) -> F:
    """Make a coroutine function raise our errors without what `redacted_cause` left out."""

    @wraps(work)
    async def call(*args: Any) -> Any:
        try:
            return await work(*args)
        except ECRLayerError as error:
            drop_frames(error)
            raise

    return cast("F", call)


def opening_error(error: Exception, region_note: str = "") -> ECRLayerError:
    """Return the error to raise when aiobotocore's client can't be made."""
    if isinstance(error, botocore.NoRegionError):
        return InvalidInputError(f"found no AWS Region{region_note}: {_NO_REGION}")
    # botocore raises RuntimeError if new credentials have expired already.
    if isinstance(error, (*_CREDENTIALS, botocore.ClientError, RuntimeError)):
        return credentials_error(error)

    to_do = _CONFIG
    if isinstance(error, botocore.InvalidRegionError):
        to_do = _REGIONS
    elif isinstance(error, botocore.ConfigParseError) and _is_encoding(error):
        to_do = _ENCODING
    # A plain ValueError of botocore.
    elif str(error).startswith("Invalid endpoint"):
        to_do = _ENDPOINTS
    return InvalidInputError(f"the AWS configuration is not valid: {quoted(str(error))}: {to_do}")


def _is_encoding(error: botocore.ConfigParseError) -> bool:
    """Return whether a file can't be parsed because of its encoding."""
    kwargs: Any = error.kwargs
    cause = kwargs.get("error")
    # A byte order mark, as it is and as Windows reads it, and UTF-16 without one.
    marks = r"\ufeff", "\u00ef\u00bb\u00bf", r"\x00"
    return isinstance(cause, UnicodeDecodeError) or any(mark in str(cause) for mark in marks)


def credentials_error(error: Exception) -> CredentialsError:
    """Return the error to raise when there are no keys to sign a request with."""
    if isinstance(error, CredentialsError):
        return error
    return CredentialsError(f"{_NO_CREDENTIALS}; botocore says {quoted(words_of(error))}")


def words_of(error: Exception) -> str:
    """Return what an error says about fetching credentials."""
    if str(error) or not isinstance(error, TimeoutError):
        return str(error) or type(error).__name__
    # The cause is the cancellation of what took too long, which may say what that was.
    details = f": {error.__cause__}" if str(error.__cause__ or "") else ""
    return f"no response within {FETCH_TIMEOUT_SECONDS:.0f} s{details}"


def call_error(error: Exception, what: str) -> CallError:
    """Return the error to raise when a request got no usable response.

    Args:
        error: What was raised instead.
        what: The request, as the beginning of a message.
    """
    cause = error.kwargs.get("error") if isinstance(error, botocore.HTTPClientError) else None
    for each in (error, cause):
        if isinstance(each, ResponseError):
            worded = ResponseError(f"{what}: {each}", retryable=each.retryable)
            worded.too_large = each.too_large
            return worded

    # A ClientError comes from STS or SSO, which are asked for credentials.
    if isinstance(error, (*_CREDENTIALS, botocore.ClientError)):
        return credentials_error(error)
    text, retryable = _without_response(error, cause)
    return TransportError(f"{what}: {text}", retryable=retryable)


def _refused_by_proxy(error: botocore.ProxyConnectionError, status: int | None) -> tuple[str, bool]:
    proxy = f"the proxy {quoted(error.kwargs['proxy_url'])}"
    if status is None:
        return f"{proxy} can't be reached: {_PROXIES}", True
    if status == PROXY_AUTHENTICATION_REQUIRED:
        return f"{proxy} requires credentials: {PROXY_ADVICE}", False
    return f"{proxy} refused the connection (HTTP {status}): {_PROXIES}", status >= _SERVER_ERROR


def _without_response(error: Exception, cause: object) -> tuple[str, bool]:
    """Return what failed and what to do, and whether another attempt may help."""
    if isinstance(error, botocore.ProxyConnectionError):
        return _refused_by_proxy(error, getattr(error.kwargs.get("error"), "status", None))
    if isinstance(error, botocore.SSLError):
        return f"TLS failed ({quoted(str(error))}): {_TLS}", False
    if isinstance(cause, _LASTING):
        words = quoted(f"{type(cause).__name__}: {cause}")
        return f"the request failed ({words}): {_FILES}", False
    if isinstance(error, botocore.HTTPClientError | botocore.ConnectionError):
        return f"no response came ({quoted(str(error))}): {_NETWORK}", True

    # If it is not botocore's, a hook raised it, or the code that finds credentials.
    is_botocores = isinstance(error, botocore.BotoCoreError)
    words = str(error) if is_botocores else f"{type(error).__name__}: {error}"
    advice = _CONFIG if is_botocores else _HOOKS
    return f"the request could not be made ({quoted(words)}): {advice}", False
