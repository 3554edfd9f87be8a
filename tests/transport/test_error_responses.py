"""Error responses become errors by their code, not by their status; messages say what to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from ecr_layer_client import (
    AccessDeniedError,
    CallError,
    ClockSkewError,
    CredentialsError,
    InvalidParameterError,
    Repository,
    RepositoryNotFoundError,
    ResponseError,
    ServerError,
    ServiceError,
    ThrottledError,
    TransportError,
)
from ecr_layer_client._checks.operation import CHECK
from ecr_layer_client._transport.error_responses import (
    ErrorResponse,
    arn_of,
    attempted,
    error_body,
    error_from,
    located,
)

ACCOUNT = "123456789012"
REGION = "eu-west-1"
OWN = Repository(name="team/app")
OTHER = Repository(name="team/app", registry_id=ACCOUNT)
WHAT = f"BatchCheckLayerAvailability on repository 'team/app' (registry {ACCOUNT}, Region {REGION})"

# The class of an error, and whether it is retryable, throttled and refreshable.
Facts = tuple[type[CallError], bool, bool, bool]
THROTTLED: Facts = (ThrottledError, True, True, False)
TRANSIENT: Facts = (ServerError, True, False, False)
STALE: Facts = (CredentialsError, False, False, True)

FINAL: Facts = (ServiceError, False, False, False)

STALE_CODES = [
    *("ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException"),
    *("InvalidClientTokenId", "MissingAuthenticationToken", "MissingAuthenticationTokenException"),
]
CODES: dict[str, Facts] = {
    **dict.fromkeys(("ThrottlingException", "Throttling", "SlowDown"), THROTTLED),
    **dict.fromkeys(("TooManyRequestsException", "RequestLimitExceeded"), THROTTLED),
    "RequestThrottled": THROTTLED,
    **dict.fromkeys(("ServerException", "InternalFailure", "RequestTimeout"), TRANSIENT),
    **dict.fromkeys(("ServiceUnavailable", "ServiceUnavailableException"), TRANSIENT),
    "RequestTimeoutException": TRANSIENT,
    **dict.fromkeys(STALE_CODES, STALE),
    **dict.fromkeys(("RequestExpired", "RequestTimeTooSkewed"), (ClockSkewError, *FINAL[1:])),
    "RepositoryNotFoundException": (RepositoryNotFoundError, *FINAL[1:]),
    **dict.fromkeys(("AccessDeniedException", "AccessDenied"), (AccessDeniedError, *FINAL[1:])),
    "InvalidParameterException": (InvalidParameterError, *FINAL[1:]),
    "ValidationException": (InvalidParameterError, *FINAL[1:]),
    **dict.fromkeys(("LimitExceededException", "KmsException"), FINAL),
}
SCOPE = "Credential should be scoped to a valid region, not 'us-east-1'. "


def response(
    code: str = "Unknown", status: int = 400, message: str = "", date: str | None = None
) -> ErrorResponse:
    """Return an error response."""
    return ErrorResponse(status, code, message, date)


def error_of(
    answer: ErrorResponse, repository: Repository = OWN, *, owned: bool = True
) -> CallError:
    """Return the error for a response. By default, this library can renew the credentials."""
    return error_from(answer, CHECK, located(repository, REGION), owned=owned)


def facts(error: CallError) -> Facts:
    """Return the class of an error, and the facts that the retry loop reads."""
    return type(error), error.retryable, error.throttled, error.refreshable


def skew_of(date: str | None) -> float | None:
    """Return the skew that an expired request with a `Date` header is reported with."""
    error = error_of(response("RequestExpired", date=date))
    assert isinstance(error, ClockSkewError)
    return error.skew


@pytest.mark.parametrize("status", [400, 403, 500, 502, 503, 504])
def test_code_decides(status: int) -> None:
    """A known code decides the class and the facts of an error under every status but 429."""
    assert {code: facts(error_of(response(code, status))) for code in CODES} == CODES


def test_status_429() -> None:
    """A response with status 429 is throttled, whatever its code."""
    found = {code: facts(error_of(response(code, 429))) for code in ("Unknown", *CODES)}
    assert found == dict.fromkeys(found, THROTTLED)


@pytest.mark.parametrize("code", ["Unknown", "SomethingNew"])
def test_status_decides_for_an_unknown_code(code: str) -> None:
    """The status decides for a code that this version does not know."""
    expected = {
        **dict.fromkeys((0, 400, 404, 418), FINAL),
        **dict.fromkeys((408, 500, 502, 503, 504), TRANSIENT),
        **dict.fromkeys((501, 505), (ServerError, *FINAL[1:])),
    }
    assert {status: facts(error_of(response(code, status))) for status in expected} == expected


def test_stale_credentials_of_the_caller() -> None:
    """Stale credentials of the caller's session are final; the message asks to renew them."""
    advice = (
        "renew the credentials of your session or client, because this library does not renew them"
    )
    for code in STALE_CODES:
        error = error_of(response(code), owned=False)
        assert facts(error) == (CredentialsError, *FINAL[1:])
        assert str(error).endswith(f": {advice}")


@pytest.mark.parametrize("code", ["InvalidSignatureException", "SignatureDoesNotMatch"])
@pytest.mark.parametrize(
    ("message", "cls"),
    [
        ("The request signature we calculated does not match the signature.", CredentialsError),
        ("Signature expired: 20261123T120000Z is now earlier than 20261123T122", ClockSkewError),
        ("Signature not yet current: 20261123T124000Z is still later than 2026", ClockSkewError),
        (SCOPE, ServiceError),
    ],
    ids=["does not match", "expired", "not yet current", "another Region"],
)
def test_signature(code: str, message: str, cls: type[CallError]) -> None:
    """A rejected signature is final; its message says whether key, clock or Region is wrong."""
    assert facts(error_of(response(code, 403, message))) == (cls, False, False, False)


def test_proxy_that_wants_credentials() -> None:
    """A proxy's 407 is a final error of the network that says where the credentials belong."""
    error = error_of(response(status=407), OTHER)
    assert facts(error) == (TransportError, *FINAL[1:])
    advice = "put them into HTTPS_PROXY or HTTP_PROXY, in the form http://USER:PASSWORD@HOST:PORT"
    assert str(error) == f"{WHAT}: the proxy requires credentials: {advice}, percent-encoded"


@pytest.mark.parametrize("code", ["Unknown", "ThrottlingException", "ServerException"])
def test_redirect(code: str) -> None:
    """A redirect is a final error, whatever its body says."""
    for status in (300, 301, 302, 303, 307, 308, 399):
        error = error_of(response(code, status))
        assert facts(error) == (ResponseError, *FINAL[1:])
        assert "redirects are refused" in str(error)


SAID = {
    "RepositoryNotFoundException": "not there",
    "AccessDeniedException": "no",
    "InvalidParameterException": "layerDigests",
    "ThrottlingException": "Rate exceeded",
    "InvalidSignatureException": SCOPE,
}
ADVICE = {
    "RepositoryNotFoundException": f": ECR looked in registry {ACCOUNT}, Region {REGION}: "
    "check the name, the Region and the account, or create the repository",
    "AccessDeniedException": ": allow the IAM action ecr:BatchCheckLayerAvailability "
    f"on arn:aws:ecr:{REGION}:{ACCOUNT}:repository/team/app",
    "InvalidParameterException": ": ECR refused a parameter that this library accepted: "
    "check it, and report this as a bug",
    "ThrottlingException": ": lower requests_per_second, or ask AWS to raise the quota",
    "ServerException": ": try again later; the request id helps AWS Support",
    "ExpiredTokenException": ": renew the credentials "
    "(`aws sts get-caller-identity` shows whether they work)",
    "SignatureDoesNotMatch": ": the secret access key does not belong to the access key id: "
    "check the credentials",
    "InvalidSignatureException": f": the request was signed for ECR in Region {REGION}: "
    "check that the endpoint (from endpoint_url, AWS_ENDPOINT_URL_ECR or the AWS configuration) "
    "is one of this Region",
    "RequestExpired": ": this machine's clock is wrong: set the clock, for example with NTP",
    "LimitExceededException": "",
}


@pytest.mark.parametrize("code", ADVICE)
def test_message(code: str) -> None:
    """The message says what failed, on what, in ECR's words, and what to do."""
    message = SAID.get(code, "")
    words = f" with the message {message!r}" if message else ""
    expected = f"{WHAT}: ECR returned {code} (HTTP 400){words}{ADVICE[code]}"
    assert str(error_of(response(code, 400, message), OTHER)) == expected


def test_repository_not_found_in_the_own_registry() -> None:
    """The message names the caller's own registry, and says how to name another one."""
    message = str(error_of(response("RepositoryNotFoundException")))
    where = f"ECR looked in the registry of your own account, Region {REGION}"
    advice = "check the name, the Region and the account (for another one, pass a full URI)"
    assert f"{where}: {advice}, or create" in message


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("registry.example.com/team/app", True),
        ("team/registry.example.com", False),
        ("registry.example.com", False),
    ],
    ids=["first part", "last part", "only part"],
)
def test_repository_not_found_under_a_host(name: str, *, note: bool) -> None:
    """The message says so if the first of several parts of the name looks like a host."""
    message = str(error_of(response("RepositoryNotFoundException"), Repository(name=name)))
    words = "; the first part of the name, 'registry.example.com', looks like a host: check the"
    assert (words in message) == note


def test_facts_of_the_response() -> None:
    """An error has ECR's code, message and status."""
    error: Any = error_of(response("InvalidParameterException", 400, "said\nso"))
    expected = ("InvalidParameterException", "said\nso", 400)
    assert (error.code, error.message, error.status) == expected


@pytest.mark.parametrize("ahead", [600, -600], ids=["ahead", "behind"])
def test_skew_in_seconds(ahead: int) -> None:
    """The message has the skew in seconds and its direction, measured from the `Date` header."""
    date = format_datetime(datetime.now(UTC) - timedelta(seconds=ahead), usegmt=True)
    assert skew_of(date) == pytest.approx(ahead, abs=5)

    direction = "ahead" if ahead > 0 else "behind"
    message = str(error_of(response("RequestExpired", date=date)))
    assert f" s ({direction}): set the clock, for example with NTP" in message


def test_skew_from_a_date_without_a_zone() -> None:
    """A date without a zone counts as UTC."""
    date = (datetime.now(UTC) - timedelta(seconds=600)).strftime("%a, %d %b %Y %H:%M:%S -0000")
    assert skew_of(date) == pytest.approx(600, abs=5)


def test_skew_without_a_valid_date() -> None:
    """The skew is None if the response has no valid date."""
    noon = "Mon, 23 Nov 2026 12:00:00"
    dates = (
        *(None, "", "yesterday", "Mon, 99 Nov 2026 99:99:99 GMT", "Mon, 23 Nov 99999 12:00:00 GMT"),
        *(f"{noon} +9999", f"{noon} +99999999999999"),
    )
    assert {date: skew_of(date) for date in dates} == dict.fromkeys(dates)


@pytest.mark.parametrize(
    ("kind", "body", "code", "message"),
    [
        ("", b'{"__type":"ServerException","message":"said"}', "ServerException", "said"),
        ("", b'{"__type":"com.aws.ecr#ServerException","Message":"x"}', "ServerException", "x"),
        ("", b'{"code":"ServerException"}', "ServerException", ""),
        ("ServerException:http://internal.amazon.com/", b"", "ServerException", ""),
        ("Header", b'{"__type":"Body"}', "Header", ""),
        *(
            ("", body, "Unknown", "")
            for body in (
                *(b"", b"<html>503</html>", b"[1]", b"null", b'{"__type":7,"message":["x"]}'),
                *(b'{"__type":"","message":null}', b'{"__type":"#"}', b"[" * 100_000),
                *(b'{"__type":"\\ud800"}', b"\xff\xfe"),
            )
        ),
    ],
    ids=lambda value: ascii(value[:30]),
)
def test_read(kind: str, body: bytes, code: str, message: str) -> None:
    """The code and the message are read from the header and the body; else they are unknown."""
    read = ErrorResponse.read(503, {"x-amzn-errortype": kind} if kind else {}, body)
    assert (read.status, read.code, read.message) == (503, code, message)


@pytest.mark.parametrize("code", ["ServerException", "\udcff", 'a"b\n'], ids=ascii)
def test_body_is_readable_json(code: str) -> None:
    """The code and the message are written as JSON that every parser reads."""
    members = json.loads(error_body(code, "said\n\x00"))
    assert (set(members), members["message"]) == ({"__type", "message"}, "said\n\x00")


@pytest.mark.parametrize(
    "hostile",
    [
        *("a\nERROR root: forged", "\x1b]0;title\x07\x1b[31m", "\u2028\u202e", "\udcff"),
        *("x" * 10_000, "\n" * 10_000),
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_hostile_response_makes_one_line(hostile: str) -> None:
    """A hostile code and message make an error message of one bounded, printable line."""
    codes = hostile, "RepositoryNotFoundException", "RequestExpired", "ExpiredToken"
    for status in (302, 400, 403, 429, 500):
        messages = [str(error_of(response(code, status, hostile))) for code in codes]
        shown = {(len(message) < 1_000, message.isprintable()) for message in messages}
        assert shown == {(True, True)}


def test_arn_without_region_and_account() -> None:
    """A star stands for an unknown Region and an unknown account."""
    assert arn_of(OWN) == "arn:aws:ecr:*:*:repository/team/app"


@pytest.mark.parametrize(
    ("repository", "registry"), [(OWN, "of the caller"), (OTHER, ACCOUNT)], ids=["own", "another"]
)
def test_attempted(repository: Repository, registry: str) -> None:
    """The beginning of a message names the operation, the repository, registry and Region."""
    text = attempted(CHECK, located(repository, REGION))
    assert text == f"{CHECK} on repository 'team/app' (registry {registry}, Region {REGION})"
