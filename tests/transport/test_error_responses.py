"""ECR's error answers: by code and not by status with the message what to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

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
)
from ecr_layer_client._checks.operation import CHECK
from ecr_layer_client._transport.error_responses import (
    ErrorResponse,
    arn_of,
    attempted,
    error_from,
    located,
)

ACCOUNT = "123456789012"
OWN = Repository(name="team/app")
OTHER = Repository(name="team/app", registry_id=ACCOUNT)
REGION = "eu-west-1"
WHAT = f"BatchCheckLayerAvailability on repository 'team/app' (registry {ACCOUNT}, Region eu-west-1): ECR returned "

THROTTLING = [
    "ThrottlingException",
    "Throttling",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",
    "RequestThrottled",
]
TRANSIENT = [
    *("ServerException", "InternalFailure", "ServiceUnavailable", "ServiceUnavailableException"),
    *("RequestTimeout", "RequestTimeoutException"),
]
STALE = [
    "ExpiredToken",
    "ExpiredTokenException",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
]
FINAL: list[tuple[str, type[CallError]]] = [
    ("RepositoryNotFoundException", RepositoryNotFoundError),
    ("AccessDeniedException", AccessDeniedError),
    ("AccessDenied", AccessDeniedError),
    ("InvalidParameterException", InvalidParameterError),
    ("ValidationException", InvalidParameterError),
    ("LimitExceededException", ServiceError),
    ("KmsException", ServiceError),
]
STATUSES = [400, 403, 500, 502, 503, 504]


def refusal(
    code: str = "Unknown", status: int = 400, message: str = "", date: str | None = None
) -> ErrorResponse:
    """Return an answer that is no 200."""
    return ErrorResponse(status, code, message, "5f1c", date)


def refused(
    answer: ErrorResponse, repository: Repository = OWN, *, owned: bool = True
) -> CallError:
    """Return the error of an answer to a client of one Region, by default with credentials that this library found."""
    return error_from(answer, CHECK, repository, REGION, owned=owned)


def facts(error: CallError) -> tuple[type[CallError], bool, bool, bool]:
    """Return the class and what the retry loop asks."""
    return type(error), error.retryable, error.throttled, error.refreshable


@pytest.mark.parametrize("status", [*STATUSES, 429])
@pytest.mark.parametrize("code", THROTTLING)
def test_throttling_code(code: str, status: int) -> None:
    """A throttling code is throttled under every status."""
    assert facts(refused(refusal(code, status))) == (ThrottledError, True, True, False)


@pytest.mark.parametrize(
    "code", ["Unknown", "ServerException", *STALE, *(code for code, _ in FINAL)]
)
def test_status_429(code: str) -> None:
    """A 429 is throttled whatever its code."""
    assert facts(refused(refusal(code, 429))) == (ThrottledError, True, True, False)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("code", TRANSIENT)
def test_transient_code(code: str, status: int) -> None:
    """A transient code is retried under every status."""
    assert facts(refused(refusal(code, status))) == (ServerError, True, False, False)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(("code", "cls"), FINAL)
def test_final_code(code: str, cls: type[CallError], status: int) -> None:
    """A final code stays final under every status, 5xx too."""
    assert facts(refused(refusal(code, status))) == (cls, False, False, False)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("code", STALE)
def test_stale_credentials(code: str, status: int) -> None:
    """Credentials that AWS takes for expired or unknown are for a refresh, and not for another try with the same."""
    assert facts(refused(refusal(code, status))) == (CredentialsError, False, False, True)


@pytest.mark.parametrize("code", STALE)
def test_stale_credentials_of_the_caller(code: str) -> None:
    """Stale credentials of the caller's own session or client are final, for only the caller can renew them, and the error says so."""
    error = refused(refusal(code, 400), owned=False)
    assert facts(error) == (CredentialsError, False, False, False)
    assert str(error).endswith(
        ": renew the credentials of your session or client, because this library does not renew them"
    )


@pytest.mark.parametrize("code", ["InvalidSignatureException", "SignatureDoesNotMatch"])
def test_wrong_signature(code: str) -> None:
    """A signature that does not match is final: a fresh copy of the same key would sign the same."""
    said = "The request signature we calculated does not match the signature you provided."
    assert facts(refused(refusal(code, 403, said))) == (CredentialsError, False, False, False)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "InvalidSignatureException",
            "Signature expired: 20261123T120000Z is now earlier than 20261123T122000Z",
        ),
        (
            "InvalidSignatureException",
            "Signature not yet current: 20261123T124000Z is still later than 20261123T122500Z",
        ),
        ("SignatureDoesNotMatch", "Signature expired: 20261123T120000Z"),
        ("RequestExpired", ""),
        ("RequestTimeTooSkewed", ""),
    ],
)
def test_clock_skew(code: str, message: str) -> None:
    """A signature refused for its time is the clock's fault, and final."""
    assert facts(refused(refusal(code, 403, message))) == (ClockSkewError, False, False, False)


@pytest.mark.parametrize(
    ("status", "cls", "retryable"),
    [
        (400, ServiceError, False),
        (404, ServiceError, False),
        (408, ServiceError, False),
        (418, ServiceError, False),
        (500, ServerError, True),
        (501, ServerError, False),
        (502, ServerError, True),
        (503, ServerError, True),
        (504, ServerError, True),
        (505, ServerError, False),
        (0, ServiceError, False),
    ],
)
@pytest.mark.parametrize("code", ["Unknown", "SomethingOfTomorrow"])
def test_status_of_an_unknown_code(
    code: str, status: int, cls: type[CallError], *, retryable: bool
) -> None:
    """Of a code this version does not know, the status decides."""
    assert facts(refused(refusal(code, status))) == (cls, retryable, False, False)


@pytest.mark.parametrize("status", [201, 202, 203, 206, 207, 226, 299])
def test_another_status_of_success(status: int) -> None:
    """What is of another 2xx than 200 is no answer, and is retried."""
    assert facts(refused(refusal(status=status))) == (ResponseError, True, False, False)


@pytest.mark.parametrize("code", ["Unknown", "ThrottlingException", "ServerException"])
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 399])
def test_redirect(status: int, code: str) -> None:
    """A redirect is refused for good, whatever its body says."""
    error = refused(refusal(code, status))
    assert facts(error) == (ResponseError, False, False, False)
    assert "redirects are refused" in str(error)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param(
            refusal("RepositoryNotFoundException", 400, "not there"),
            f"RepositoryNotFoundException (HTTP 400) with the message 'not there': looked in registry {ACCOUNT}, Region eu-west-1: "
            "check the name, the account and the Region, or create the repository",
            id="repository not found",
        ),
        pytest.param(
            refusal("AccessDeniedException", 400, "no"),
            "AccessDeniedException (HTTP 400) with the message 'no': allow the IAM action ecr:BatchCheckLayerAvailability "
            f"on arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/team/app",
            id="access denied",
        ),
        pytest.param(
            refusal("InvalidParameterException", 400, "layerDigests"),
            "InvalidParameterException (HTTP 400) with the message 'layerDigests': this library accepted the parameters: "
            "check what you passed, and report this as a bug",
            id="invalid parameter",
        ),
        pytest.param(
            refusal("ThrottlingException", 400, "Rate exceeded"),
            "ThrottlingException (HTTP 400) with the message 'Rate exceeded': lower requests_per_second, or ask AWS to raise the quota",
            id="throttled",
        ),
        pytest.param(
            refusal("ServerException", 500),
            "ServerException (HTTP 500): try again later; the request id helps AWS Support",
            id="server",
        ),
        pytest.param(
            refusal("ExpiredTokenException", 400),
            "ExpiredTokenException (HTTP 400): renew the credentials (`aws sts get-caller-identity` shows whether they work)",
            id="expired",
        ),
        pytest.param(
            refusal("SignatureDoesNotMatch", 403),
            "SignatureDoesNotMatch (HTTP 403): the secret access key does not belong to the access key id: check the credentials",
            id="wrong signature",
        ),
        pytest.param(
            refusal(
                "InvalidSignatureException",
                400,
                "Credential should be scoped to a valid region, not 'us-east-1'. ",
            ),
            "InvalidSignatureException (HTTP 400) with the message \"Credential should be scoped to a valid region, not 'us-east-1'. \": "
            "the request was signed for ECR in Region eu-west-1: check that the Region and endpoint_url belong together",
            id="wrong scope",
        ),
        pytest.param(
            refusal("RequestExpired", 400),
            "RequestExpired (HTTP 400): this machine's clock is off: set the clock, for example with NTP",
            id="clock skew",
        ),
        pytest.param(
            refusal("LimitExceededException", 400),
            "LimitExceededException (HTTP 400)",
            id="limit exceeded",
        ),
    ],
)
def test_message(given: ErrorResponse, told: str) -> None:
    """The message says what failed, on what, in ECR's words, and what to do."""
    assert str(refused(given, OTHER)) == WHAT + told


def test_repository_not_found_in_the_own_registry() -> None:
    """Without a registry id the message says whose registry was looked in, and how to name another."""
    assert (
        "looked in the registry of the caller's own account (a full URI names another), Region eu-west-1"
        in str(refused(refusal("RepositoryNotFoundException")))
    )


def test_facts_of_the_answer() -> None:
    """The error has ECR's code, words, status and request id, and the repository as it was asked."""
    error = refused(refusal("InvalidParameterException", 400, "said\nso"))
    assert isinstance(error, ServiceError)
    assert (error.code, error.message, error.status, error.request_id, error.repository) == (
        "InvalidParameterException",
        "said\nso",
        400,
        "5f1c",
        OWN,
    )


@pytest.mark.parametrize("ahead", [600, -600], ids=["ahead", "behind"])
def test_skew_in_seconds(ahead: int) -> None:
    """The skew is measured from the answer's date, and said with its direction."""
    date = format_datetime(datetime.now(UTC) - timedelta(seconds=ahead), usegmt=True)
    error = refused(refusal("RequestExpired", date=date))
    assert isinstance(error, ClockSkewError)
    assert error.skew == pytest.approx(ahead, abs=5)
    assert f" s ({'ahead' if ahead > 0 else 'behind'}): set the clock, for example with NTP" in str(
        error
    )


def test_skew_from_a_date_without_a_zone() -> None:
    """A date that leaves its zone open is taken for UTC."""
    date = (datetime.now(UTC) - timedelta(seconds=600)).strftime("%a, %d %b %Y %H:%M:%S -0000")
    error = refused(refusal("RequestExpired", date=date))
    assert isinstance(error, ClockSkewError)
    assert error.skew == pytest.approx(600, abs=5)


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "yesterday",
        "Mon, 99 Nov 2026 99:99:99 GMT",
        "Mon, 23 Nov 99999 12:00:00 GMT",
        "Mon, 23 Nov 2026 12:00:00 +9999",
        "Mon, 23 Nov 2026 12:00:00 +99999999999999",
    ],
    ids=lambda date: str(date)[:40],
)
def test_skew_without_a_date_that_reads(date: str | None) -> None:
    """Without a date that can be read the skew is not known."""
    error = refused(refusal("RequestExpired", date=date))
    assert isinstance(error, ClockSkewError)
    assert error.skew is None


@pytest.mark.parametrize(
    ("headers", "body", "code", "message"),
    [
        pytest.param(
            {},
            b'{"__type":"ServerException","message":"said"}',
            "ServerException",
            "said",
            id="JSON 1.1",
        ),
        pytest.param(
            {},
            b'{"__type":"com.amazonaws.ecr#ServerException","Message":"said"}',
            "ServerException",
            "said",
            id="with a namespace",
        ),
        pytest.param({}, b'{"code":"ServerException"}', "ServerException", "", id="code alone"),
        pytest.param(
            {"x-amzn-errortype": "ServerException:http://internal.amazon.com/"},
            b"",
            "ServerException",
            "",
            id="header",
        ),
        pytest.param(
            {"x-amzn-errortype": "Header"},
            b'{"__type":"Body"}',
            "Header",
            "",
            id="header before body",
        ),
        pytest.param({}, b"", "Unknown", "", id="empty"),
        pytest.param({}, b"<html>503</html>", "Unknown", "", id="HTML"),
        pytest.param({}, b"[1]", "Unknown", "", id="a list"),
        pytest.param({}, b"null", "Unknown", "", id="null"),
        pytest.param({}, b'{"__type":7,"message":["x"]}', "Unknown", "", id="wrong types"),
        pytest.param({}, b'{"__type":"","message":null}', "Unknown", "", id="empty type"),
        pytest.param({}, b'{"__type":"#"}', "Unknown", "", id="a namespace alone"),
        pytest.param({}, b"[" * 100_000, "Unknown", "", id="deep"),
        pytest.param({}, b'{"__type":"\\ud800"}', "Unknown", "", id="lone surrogate"),
        pytest.param({}, b"\xff\xfe", "Unknown", "", id="not UTF-8"),
    ],
)
def test_read(headers: dict[str, str], body: bytes, code: str, message: str) -> None:
    """An error answer gives up its code and words; whatever else it is, it reads as unknown."""
    read = ErrorResponse.read(503, headers, body)
    assert (read.status, read.code, read.message) == (503, code, message)


def test_read_headers() -> None:
    """The request id and the date come from the headers."""
    read = ErrorResponse.read(
        400, {"x-amzn-requestid": "5f1c", "date": "Mon, 23 Nov 2026 12:00:00 GMT"}, b"{}"
    )
    assert (read.request_id, read.date) == ("5f1c", "Mon, 23 Nov 2026 12:00:00 GMT")


@pytest.mark.parametrize("code", ["ServerException", "\udcff", 'a"b\n'], ids=ascii)
def test_body_is_readable_json(code: str) -> None:
    """The code and words alone are written as JSON that every parser reads, whatever came."""
    members = json.loads(
        ErrorResponse.read(400, {"x-amzn-errortype": code}, b'{"message":"said\\n\\u0000"}').body
    )
    assert (set(members), members["message"]) == ({"__type", "message"}, "said\n\x00")


@pytest.mark.parametrize(
    "hostile",
    [
        "a\nERROR root: forged",
        "\x1b]0;title\x07\x1b[31m",
        "\u2028\u202e",
        "\udcff",
        "x" * 10_000,
        "\n" * 10_000,
    ],
    ids=lambda text: ascii(text[:20]),
)
@pytest.mark.parametrize("status", [302, 400, 403, 429, 500])
def test_hostile_answer_makes_one_line(hostile: str, status: int) -> None:
    """Hostile codes and words make a message of one bounded, printable line."""
    for code in (hostile, "RepositoryNotFoundException", "RequestExpired", "ExpiredToken"):
        message = str(refused(refusal(code, status, hostile)))
        assert (len(message) < 1_000, message.isprintable()) == (True, True)


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-west-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("us-isof-south-1", "aws-iso-f"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("eusc-de-east-1", "aws-eusc"),
    ],
)
def test_arn_of_every_partition(region: str, partition: str) -> None:
    """The ARN names the Region's partition, and is one that is read back."""
    repository = Repository(name="team/app", registry_id=ACCOUNT, region=region)
    arn = arn_of(repository)
    assert (arn, Repository.parse(arn)) == (
        f"arn:{partition}:ecr:{region}:{ACCOUNT}:repository/team/app",
        repository,
    )


def test_arn_of_what_is_not_known() -> None:
    """A star stands for the Region and the account that are not known."""
    assert arn_of(OWN) == "arn:aws:ecr:*:*:repository/team/app"


def test_located() -> None:
    """A repository is located in the Region that a client looks in, itself unchanged."""
    assert (located(OTHER, REGION), OTHER.region) == (
        Repository(name="team/app", registry_id=ACCOUNT, region=REGION),
        None,
    )


@pytest.mark.parametrize(
    ("repository", "registry"),
    [pytest.param(OWN, "of the caller", id="own"), pytest.param(OTHER, ACCOUNT, id="another")],
)
def test_attempted(repository: Repository, registry: str) -> None:
    """What was asked names operation, repository, registry and Region."""
    text = f"BatchCheckLayerAvailability on repository 'team/app' (registry {registry}, Region eu-west-1)"
    assert attempted(CHECK, located(repository, REGION)) == text
