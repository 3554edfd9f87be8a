"""ECR's error responses, and the errors that they become. The code decides before the status."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter
from pydantic_core import to_json

from ecr_layer_client._models import call_errors as errors
from ecr_layer_client._models.repository import (
    account_of,
    looks_like_a_host,
    partition_of,
    service_of,
)
from ecr_layer_client._text.quoting import escaped, quoted
from ecr_layer_client._text.redaction import redact

from .contract import refuse_repeated_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ecr_layer_client._models.repository import Repository


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


_THROTTLING = _codes(
    "Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException "
    "TooManyRequestsException RequestLimitExceeded BandwidthLimitExceeded PriorRequestNotComplete "
    "ProvisionedThroughputExceededException EC2ThrottledException SlowDown"
)
_TRANSIENT = _codes(
    "ServerException InternalFailure InternalError InternalServerError InternalServerException "
    "ServiceUnavailable ServiceUnavailableException RequestTimeout RequestTimeoutException"
)
_STALE_CREDENTIALS = _codes(
    "ExpiredToken ExpiredTokenException UnrecognizedClientException InvalidClientTokenId "
    "MissingAuthenticationToken MissingAuthenticationTokenException"
)
_ACCESS_DENIED = _codes("AccessDeniedException AccessDenied UnauthorizedOperation NotAuthorized")
_WRONG_SIGNATURE = _codes("InvalidSignatureException SignatureDoesNotMatch")
_SKEWED_SIGNATURE = ("Signature expired", "Signature not yet current")
_WRONG_SCOPE = re.compile(
    r"(Credential should be scoped to (a valid [Rr]egion, not|correct service:) "
    r"'?[a-z0-9-]{1,63}'?\.? ?)+"
)
_SKEWED = _codes("RequestExpired RequestTimeTooSkewed")
_NOT_FOUND = _codes("RepositoryNotFoundException RegistryNotFoundException")
_INVALID_PARAMETER = _codes("InvalidParameterException ValidationException")
# A hard quota and the state of a key: another attempt changes neither.
_FINAL = _codes("LimitExceededException KmsException")
_TRANSIENT_STATUS = frozenset({408, 500, 502, 503, 504})
_MAX_SKEW_SECONDS = 300.0  # AWS, "Signing AWS API requests": five minutes
_TOO_MANY_REQUESTS = 429
PROXY_AUTHENTICATION_REQUIRED = 407
_OK, _FIRST_REDIRECT, _FIRST_CLIENT_ERROR, _FIRST_SERVER_ERROR = 200, 300, 400, 500

_MAX_BODY_BYTES = 64 * 1024  # whose other members are kept
_MEMBERS = TypeAdapter(dict[str, Any])
_READ_MEMBERS = {"__type", "code", "message", "Message"}


class ErrorResponse(NamedTuple):
    """A response whose status is not 200, as it came.

    Attributes:
        status: The HTTP status.
        code: AWS's code, or "Unknown".
        message: AWS's words, or "".
        date: The `Date` header, if there is one.
        members: The other members of the body that are numbers or texts, without secrets.
    """

    status: int
    code: str
    message: str
    date: str | None = None
    members: Mapping[str, str | int] = MappingProxyType({})

    @classmethod
    def read(cls, status: int, headers: Mapping[str, str], body: bytes) -> ErrorResponse:
        """Read an error response of the JSON 1.1 protocol.

        Of a response that is something else, only the status is known.
        """
        members = _members(body)
        kind = headers.get("x-amzn-errortype") or members.get("__type") or members.get("code")
        message = members.get("message") or members.get("Message")
        code = kind.partition(":")[0].rpartition("#")[2] if isinstance(kind, str) else ""
        # Nothing of ECR's is as long as this, and an error is kept for longer than a response.
        is_long = len(body) > _MAX_BODY_BYTES

        return cls(
            status,
            redact(code, errors.MAX_NAME_CHARACTERS) or errors.NO_CODE,
            _without_secrets(message, code) if isinstance(message, str) else "",
            headers.get("date"),
            {} if is_long else dict(_other_members(members)),
        )


def error_body(code: str, message: str) -> bytes:
    """Return the body of an error response, as the JSON 1.1 protocol writes it."""
    members = {"__type": code, "message": message}
    # An unpaired surrogate can't be encoded as UTF-8.
    return to_json({name: text.encode(errors="replace").decode() for name, text in members.items()})


PROXY_ADVICE = (
    "put them into HTTPS_PROXY or HTTP_PROXY, in the form http://USER:PASSWORD@HOST:PORT, "
    "percent-encoded"
)
_NOT_FROM_ECR = (
    "ECR sends results with status 200 only, so this response is from another server: "
    "check endpoint_url and proxies"
)
_REDIRECTED = (
    "redirects are refused, because they would send the session token to another host: "
    "check endpoint_url and proxies"
)
_RENEW = "renew the credentials (`aws sts get-caller-identity` shows whether they work)"
_RENEW_YOURS = (
    "renew the credentials of your session or client, because this library does not renew them"
)
_WRONG_KEY = "the secret access key does not belong to the access key id: check the credentials"
_THROTTLED = "lower requests_per_second, or ask AWS to raise the quota"
_INVALID = "ECR refused a parameter that this library accepted: check it, and report this as a bug"
_SERVER = "try again later; the request id helps AWS Support"


def error_from(
    response: ErrorResponse,
    operation: str,
    repository: Repository,
    *,
    owned: bool,
    region_note: str = "",
) -> errors.CallError:
    """Return the error for an error response. It says what failed, on what, and what to do.

    Args:
        response: The error response.
        operation: The API operation.
        repository: The repository of the request, in the Region that it was signed for.
        owned: Whether this library can renew the credentials.
        region_note: What to add to the Region where it may be the cause.
    """
    what, status = attempted(operation, repository), response.status
    if _OK < status < _FIRST_REDIRECT:
        return errors.ResponseError(_text(response, what, _NOT_FROM_ECR))
    if _FIRST_REDIRECT <= status < _FIRST_CLIENT_ERROR:
        return errors.ResponseError(_text(response, what, _REDIRECTED), retryable=False)

    if status == PROXY_AUTHENTICATION_REQUIRED:
        text = f"{what}: the proxy requires credentials: {PROXY_ADVICE}"
        return errors.TransportError(text, retryable=False)

    cls: type[errors.ServiceError]
    if status == _TOO_MANY_REQUESTS or response.code in _THROTTLING:
        cls, advice, retryable = errors.ThrottledError, _THROTTLED, True
    else:
        signing_error = _signing_error(response, what, owned=owned)
        if signing_error is not None:
            return signing_error
        cls, advice, retryable = _class_of(response, operation, repository, region_note)

    text, message = _text(response, what, advice), response.message
    error = cls(text, code=response.code, message=message, status=status, retryable=retryable)
    error.members = response.members
    return error


def _signing_error(response: ErrorResponse, what: str, *, owned: bool) -> errors.CallError | None:
    """Return the error if the clock or the credentials are the cause, else None."""
    code, message = response.code, response.message
    is_signature = code in _WRONG_SIGNATURE

    if code in _SKEWED or (is_signature and message.startswith(_SKEWED_SIGNATURE)):
        return _clock_skew(response, what)
    if code in _STALE_CREDENTIALS:
        advice = _RENEW if owned else _RENEW_YOURS
        return errors.CredentialsError(_text(response, what, advice), refreshable=owned)
    if is_signature and not _WRONG_SCOPE.fullmatch(message):
        return errors.CredentialsError(_text(response, what, _WRONG_KEY))
    return None


def _clock_skew(response: ErrorResponse, what: str) -> errors.ClockSkewError:
    skew = skew_of(response.date, datetime.now(UTC))
    by = "" if skew is None else f" by {abs(skew):.0f} s ({'ahead' if skew > 0 else 'behind'})"
    advice = f"this machine's clock is wrong{by}: set the clock, for example with NTP"
    if _is_right(skew):
        advice = (
            "ECR received the request too late, although this machine's clock is right: "
            "if the process was paused, try again"
        )
    return errors.ClockSkewError(_text(response, what, advice), skew=skew)


def was_late(error: errors.CallError) -> bool:
    """Return whether a signature expired although the clock is right: a new one may be accepted."""
    return isinstance(error, errors.ClockSkewError) and _is_right(error.skew)


def _is_right(skew: float | None) -> bool:
    return skew is not None and abs(skew) < _MAX_SKEW_SECONDS


def _class_of(
    response: ErrorResponse, operation: str, repository: Repository, region_note: str
) -> tuple[type[errors.ServiceError], str, bool]:
    """Return the class of an error, its advice, and whether it is retryable."""
    code, status = response.code, response.status
    if code in _WRONG_SIGNATURE:
        # All other signature errors are CredentialsErrors or ClockSkewErrors.
        signed_for = f"the request was signed for ECR in Region {repository.region}{region_note}"
        advice = (
            f"{signed_for}: check that the endpoint (from endpoint_url, AWS_ENDPOINT_URL_ECR or "
            "the AWS configuration) is one of this Region"
        )
        return errors.ServiceError, advice, False

    if code in _NOT_FOUND:
        return errors.RepositoryNotFoundError, _where_it_looked(repository, region_note), False
    if code in _ACCESS_DENIED:
        action = f"{service_of(repository).name}:{operation}"
        advice = f"allow the IAM action {action} on {arn_of(repository)}"
        return errors.AccessDeniedError, advice, False
    if code in _INVALID_PARAMETER:
        return errors.InvalidParameterError, _INVALID, False
    is_transient = code in _TRANSIENT or status in _TRANSIENT_STATUS
    if code not in _FINAL and (is_transient or status >= _FIRST_SERVER_ERROR):
        return errors.ServerError, _SERVER, is_transient
    is_unsupported = code == "UnsupportedCommandException"
    return errors.ServiceError, _unsupported(repository) if is_unsupported else "", False


def _unsupported(repository: Repository) -> str:
    """Return the advice about an unsupported request. Empty: the Region is not the cause."""
    service = service_of(repository)
    if not service.regions or repository.region in service.regions:
        return ""
    return f"{service.title} has endpoints in {' and '.join(service.regions)} only: use one of them"


def _where_it_looked(repository: Repository, region_note: str) -> str:
    named = repository.registry_id
    registry = f"registry {named}" if named else "the registry of your own account"
    account = "account (for another one, pass a full URI)"
    if named:
        account = "account" if account_of(repository) else "alias"
    host = looks_like_a_host(repository.name)
    note = (
        "" if host is None else f"; the first part of the name, {quoted(host)}, looks like a host"
    )
    return (
        f"ECR looked in {registry}, Region {repository.region}{region_note}{note}: "
        f"check the name, the Region and the {account}, or create the repository"
    )


def arn_of(repository: Repository) -> str:
    """Return the ARN of a repository, with '*' for an unknown Region or account."""
    region, account = repository.region or "*", account_of(repository) or "*"
    partition, _ = partition_of(region)
    place = {"partition": partition, "region": region, "account": account}
    return service_of(repository).arn.format(**place, name=repository.name)


def skew_of(date: str | None, now: datetime) -> float | None:
    """Return the seconds that this machine's clock was ahead of a response's `Date` header.

    The number is negative if the clock was behind. The result is None without a valid header.
    """
    try:
        sent = parsedate_to_datetime(date or "")
    except (ValueError, OverflowError):
        return None
    return (now - sent.replace(tzinfo=sent.tzinfo or UTC)).total_seconds()


def _text(response: ErrorResponse, what: str, advice: str) -> str:
    status = f"HTTP {response.status}"
    # Without one of AWS's codes, nothing shows that the response is from ECR.
    returned = f"ECR returned {escaped(response.code)} ({status})"
    if response.code == errors.NO_CODE:
        returned = f"the endpoint returned {status}"

    words = f" with the message {quoted(response.message)}" if response.message else ""
    text = f"{what}: {returned}{words}"
    return f"{text}: {advice}" if advice else text


def located(repository: Repository, region: str) -> Repository:
    """Return the repository with the Region in which a client looks for it."""
    return repository.model_copy(update={"region": region})


def attempted(operation: str, repository: Repository) -> str:
    """Return the beginning of a message: the operation, and on which repository."""
    registry = repository.registry_id or "of the caller"
    where = f"registry {registry}, Region {repository.region}"
    return f"{operation} on repository {repository.name!r} ({where})"


def _without_secrets(message: str, code: str) -> str:
    """Return AWS's words without secrets: messages about a signature repeat signed data."""
    is_harmless = message.startswith(_SKEWED_SIGNATURE) or _WRONG_SCOPE.fullmatch(message)
    if "Signature" in code and not is_harmless:
        return ""
    return redact(message, errors.MAX_MESSAGE_CHARACTERS)


def _other_members(members: Mapping[str, Any]) -> Iterator[tuple[str, str | int]]:
    for given in sorted(members.keys() - _READ_MEMBERS):
        name, value = redact(given, errors.MAX_NAME_CHARACTERS), members[given]
        if isinstance(value, str):
            yield name, redact(value, errors.MAX_NAME_CHARACTERS)
        elif isinstance(value, int):
            yield name, value


def _members(body: bytes) -> Mapping[str, Any]:
    try:
        members = _MEMBERS.validate_json(body)
        refuse_repeated_names(body)
    except (ValueError, errors.ResponseError):
        return {}
    return members
