"""ECR's error answers to errors of ours, by code and not by status; pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter
from pydantic_core import to_json

from ecr_layer_client._models.call_errors import (
    NO_CODE,
    AccessDeniedError,
    CallError,
    ClockSkewError,
    CredentialsError,
    InvalidParameterError,
    RepositoryNotFoundError,
    ResponseError,
    ServerError,
    ServiceError,
    ThrottledError,
)
from ecr_layer_client._models.repository import partition_of
from ecr_layer_client._text.quoting import escaped, quoted
from ecr_layer_client._text.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr_layer_client._models.repository import Repository

_THROTTLING = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "ProvisionedThroughputExceededException",
        "PriorRequestNotComplete",
        "EC2ThrottledException",
        "SlowDown",
    }
)
_TRANSIENT = frozenset(
    {
        "ServerException",
        "InternalFailure",
        "InternalError",
        "InternalServerError",
        "InternalServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "RequestTimeout",
        "RequestTimeoutException",
    }
)
_STALE_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
    }
)
_ACCESS_DENIED = frozenset(
    {"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "NotAuthorized"}
)
_WRONG_SIGNATURE = frozenset({"InvalidSignatureException", "SignatureDoesNotMatch"})
_SKEWED_SIGNATURE = ("Signature expired", "Signature not yet current")
_WRONG_SCOPE = re.compile(
    r"(Credential should be scoped to (a valid [Rr]egion, not|correct service:) '?[a-z0-9-]{1,63}'?\.? ?)+"
)
_SKEWED = frozenset({"RequestExpired", "RequestTimeTooSkewed"})
_INVALID_PARAMETER = frozenset({"InvalidParameterException", "ValidationException"})
_FINAL = frozenset(
    {"LimitExceededException", "KmsException"}
)  # a hard quota and a key's state: asking again changes neither
_TRANSIENT_STATUS = frozenset({500, 502, 503, 504})
_TOO_MANY_REQUESTS = 429
_ANSWERED, _REDIRECT, _CLIENT_ERROR, _SERVER_ERROR = 200, 300, 400, 500


_MEMBERS = TypeAdapter(dict[str, Any])
_READ_MEMBERS = {"__type", "code", "message", "Message"}


class ErrorResponse(NamedTuple):
    """An answer that is no 200, as it came, and what it answered.

    Attributes:
        status: The HTTP status.
        code: AWS's code, or "Unknown".
        message: AWS's words, or "".
        request_id: AWS's id of the request, where there is one.
        date: The `Date` header, where there is one.
        members: The other members of its body, such as `lastValidByteReceived`.
    """

    status: int
    code: str
    message: str
    request_id: str | None
    date: str | None = None
    members: Mapping[str, Any] = MappingProxyType({})

    @property
    def body(self) -> bytes:
        """The code and the message alone, as the JSON 1.1 protocol writes them."""
        return to_json({"__type": _encodable(self.code), "message": _encodable(self.message)})

    @classmethod
    def read(cls, status: int, headers: Mapping[str, str], body: bytes) -> ErrorResponse:
        """Read an error answer of the JSON 1.1 protocol; whatever else it is, its status remains.

        Args:
            status: The HTTP status.
            headers: With names in lower case.
            body: The whole body.
        """
        members = _members(body)
        kind = headers.get("x-amzn-errortype") or members.get("__type") or members.get("code")
        message = members.get("message") or members.get("Message")
        code = kind.partition(":")[0].rpartition("#")[2] if isinstance(kind, str) else ""
        return cls(
            status,
            code or NO_CODE,
            _kept(message, code) if isinstance(message, str) else "",
            headers.get("x-amzn-requestid"),
            headers.get("date"),
            {name: members[name] for name in members.keys() - _READ_MEMBERS},
        )


def error_from(
    refusal: ErrorResponse, operation: str, repository: Repository, region: str, *, owned: bool
) -> CallError:
    """Return the error that says what was refused, on what, and what to do.

    `owned` credentials are this library's to renew.
    """
    code, status = refusal.code, refusal.status
    known: dict[str, Any] = {
        "operation": operation,
        "repository": repository,
        "request_id": refusal.request_id,
    }
    repository = located(repository, region)
    what = attempted(operation, repository)
    if _ANSWERED < status < _REDIRECT:
        return ResponseError(_text(refusal, what, _NO_ANSWER), **known)
    if _REDIRECT <= status < _CLIENT_ERROR:
        return ResponseError(_text(refusal, what, _REDIRECTED), retryable=False, **known)
    cls: type[ServiceError]
    if status == _TOO_MANY_REQUESTS or code in _THROTTLING:
        cls, advice, retryable = ThrottledError, _THROTTLED, True
    elif code in _SKEWED or (
        code in _WRONG_SIGNATURE and refusal.message.startswith(_SKEWED_SIGNATURE)
    ):
        return _clock_skew(refusal, what, known)
    elif code in _STALE_CREDENTIALS:
        return CredentialsError(
            _text(refusal, what, _RENEW if owned else _RENEW_YOURS), refreshable=owned, **known
        )
    elif code in _WRONG_SIGNATURE and _WRONG_SCOPE.fullmatch(refusal.message):
        cls, advice, retryable = ServiceError, _signed_for(region), False
    elif code in _WRONG_SIGNATURE:
        return CredentialsError(_text(refusal, what, _WRONG_KEY), **known)
    else:
        cls, advice, retryable = _class_of(code, status, operation, repository)
    text = _text(refusal, what, advice)
    return cls(
        text, code=code, message=refusal.message, status=status, retryable=retryable, **known
    )


_NO_ANSWER = "an answer of ECR's has status 200, so this is none: check endpoint_url and proxies"
_REDIRECTED = "redirects are refused, for they would carry the session token elsewhere: check endpoint_url and proxies"
_RENEW = "renew the credentials (`aws sts get-caller-identity` shows whether they work)"
_RENEW_YOURS = "the session or client is yours, so its credentials are yours to renew"
_WRONG_KEY = "the secret access key does not belong to the access key id: check the credentials"
_THROTTLED = "lower requests_per_second, or ask AWS to raise the quota"
_INVALID = "this library let it pass: check what was passed, and report it"
_SERVER = "try again later; the request id helps AWS Support"


def _class_of(
    code: str, status: int, operation: str, repository: Repository
) -> tuple[type[ServiceError], str, bool]:
    if code == "RepositoryNotFoundException":
        return RepositoryNotFoundError, _where_it_looked(repository), False
    if code in _ACCESS_DENIED:
        return AccessDeniedError, _what_to_allow(operation, repository), False
    if code in _INVALID_PARAMETER:
        return InvalidParameterError, _INVALID, False
    if code in _TRANSIENT or (status >= _SERVER_ERROR and code not in _FINAL):
        return ServerError, _SERVER, code in _TRANSIENT or status in _TRANSIENT_STATUS
    return ServiceError, "", False


def _signed_for(region: str) -> str:
    return f"the request was signed for ECR in Region {region}: check that the Region and endpoint_url belong together"


def _where_it_looked(repository: Repository) -> str:
    registry = repository.registry_id or "of the caller's own account (a full URI names another)"
    return f"looked in registry {registry}, Region {repository.region}: check the name, the account and the Region, or create it"


def _what_to_allow(operation: str, repository: Repository) -> str:
    return f"allow the IAM action ecr:{operation} on {arn_of(repository)}"


def arn_of(repository: Repository) -> str:
    """Return the ARN of a repository whose Region is known.

    '*' stands for the caller's own account.
    """
    region = repository.region or "*"
    partition, _ = partition_of(region)
    return (
        f"arn:{partition}:ecr:{region}:{repository.registry_id or '*'}:repository/{repository.name}"
    )


def _clock_skew(refusal: ErrorResponse, what: str, known: Mapping[str, Any]) -> ClockSkewError:
    skew = skew_of(refusal.date, datetime.now(UTC))
    ahead = "" if skew is None else f" by {abs(skew):.0f} s ({'ahead' if skew > 0 else 'behind'})"
    return ClockSkewError(
        _text(refusal, what, f"this machine's clock is off{ahead}: set it, by NTP"),
        skew=skew,
        **known,
    )


def skew_of(date: str | None, now: datetime) -> float | None:
    """Return how many seconds this machine's clock was ahead of an answer's `Date` (negative: behind); None without one."""
    if date is None:
        return None
    try:
        told = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return (now - told.replace(tzinfo=told.tzinfo or UTC)).total_seconds()


def _text(refusal: ErrorResponse, what: str, advice: str) -> str:
    said = f", saying {quoted(refusal.message)}" if refusal.message else ""
    status = f"HTTP {refusal.status}"
    answered = status if refusal.code == NO_CODE else f"{escaped(refusal.code)} ({status})"
    text = f"{what}: ECR answered {answered}{said}"
    return f"{text}: {advice}" if advice else text


def located(repository: Repository, region: str) -> Repository:
    """Return the repository with the Region that a client looks in."""
    return repository.model_copy(update={"region": region})


def attempted(operation: str, repository: Repository) -> str:
    """Say what was asked of which repository, to begin a message with."""
    registry = repository.registry_id or "of the caller"
    return f"{operation} on repository {repository.name!r} (registry {registry}, Region {repository.region})"


def _kept(message: str, code: str) -> str:
    """Keep of AWS's words what can't be secret: where a signature is refused, only that it is out of date or of another place."""
    if (
        "Signature" in code
        and not message.startswith(_SKEWED_SIGNATURE)
        and not _WRONG_SCOPE.fullmatch(message)
    ):
        return ""
    return redact(message)


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


def _members(body: bytes) -> Mapping[str, Any]:
    try:
        return _MEMBERS.validate_json(body)
    except ValueError:
        return {}
