"""botocore's exceptions: each as one error of ours that says what to do."""

from __future__ import annotations

import ssl

import pytest
from botocore import exceptions as botocore

from ecr_layer_client import (
    CallError,
    CredentialsError,
    ECRLayerError,
    InvalidInputError,
    Repository,
    ResponseError,
    TransportError,
)
from ecr_layer_client._checks.operation import CHECK
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._transport.client_errors import (
    call_error,
    credentials_error,
    opening_error,
    redacted_cause,
)

OWN = Repository(name="team/app")
REGION = "eu-west-1"
URL = "https://api.ecr.eu-west-1.amazonaws.com/"
WHAT = "BatchCheckLayerAvailability on repository 'team/app' (registry of the caller, Region eu-west-1): "

CREDENTIALS = [
    botocore.NoCredentialsError(),
    botocore.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
    botocore.CredentialRetrievalError(provider="process", error_msg="exit 1"),
    botocore.UnknownCredentialError(name="x"),
    botocore.NoAuthTokenError(),
    botocore.TokenRetrievalError(provider="sso", error_msg="expired"),
    botocore.SSOTokenLoadError(error_msg="expired"),
    botocore.UnauthorizedSSOTokenError(),
    botocore.RefreshWithMFAUnsupportedError(),
    botocore.MetadataRetrievalError(error_msg="timed out"),
]
TRANSPORT = [
    botocore.EndpointConnectionError(endpoint_url=URL, error="refused"),
    botocore.ConnectTimeoutError(endpoint_url=URL),
    botocore.ReadTimeoutError(endpoint_url=URL),
    botocore.ConnectionClosedError(endpoint_url=URL, request=None),
    botocore.ProxyConnectionError(proxy_url="http://proxy"),
    botocore.ResponseStreamingError(error="reset"),
    botocore.HTTPClientError(error=OSError("reset")),
]


def by_class(error: Exception) -> str:
    """Return a test's id."""
    return type(error).__name__


def facts(error: CallError) -> tuple[type[CallError], bool, Repository | None]:
    """Return the class, whether it is retried, and of what it speaks."""
    return type(error), error.retryable, error.repository


def test_no_region() -> None:
    """Without a Region nothing was asked; the message names three ways to give one."""
    error = opening_error(botocore.NoRegionError())
    assert (type(error), str(error)) == (
        InvalidInputError,
        (
            "found no AWS Region: "
            "pass region_name=, set AWS_DEFAULT_REGION, or give the profile a region"
        ),
    )


def assert_no_credentials(error: ECRLayerError) -> None:
    """Hold that the error says what was asked and where credentials come from."""
    told = "found no usable AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    assert (type(error), str(error)[: len(told)]) == (CredentialsError, told)


@pytest.mark.parametrize("error", CREDENTIALS, ids=by_class)
def test_no_credentials_when_opening(error: Exception) -> None:
    """A failing credential chain is a CredentialsError that says where credentials come from."""
    assert_no_credentials(opening_error(error))


@pytest.mark.parametrize(
    "error",
    [
        botocore.ProfileNotFound(profile="dev"),
        botocore.InvalidConfigError(error_msg="no role_arn"),
        botocore.ConfigParseError(path="config"),
        ValueError("a word in a file"),
    ],
    ids=by_class,
)
def test_configuration_that_can_not_be_used(error: Exception) -> None:
    """A configuration that can't be used is the caller's to mend, in botocore's words."""
    ours = opening_error(error)
    assert (type(ours), str(ours)) == (
        InvalidInputError,
        (
            f"the AWS configuration is not valid: {str(error)!r}: "
            "check profile_name, AWS_PROFILE and the AWS configuration files"
        ),
    )


@pytest.mark.parametrize(
    ("error", "to_do"),
    [
        (
            botocore.InvalidRegionError(region_name="us east"),
            "check region_name, AWS_DEFAULT_REGION and the profile's region",
        ),
        (
            ValueError("Invalid endpoint: x"),
            "check AWS_ENDPOINT_URL_ECR, AWS_ENDPOINT_URL and the profile's endpoint",
        ),
    ],
    ids=["Region", "endpoint"],
)
def test_what_of_the_configuration_can_not_be_used(error: Exception, to_do: str) -> None:
    """Where botocore says what it refuses, the places where that is set are named."""
    assert (
        str(opening_error(error))
        == f"the AWS configuration is not valid: {quoted(str(error))}: {to_do}"
    )


@pytest.mark.parametrize("error", CREDENTIALS, ids=by_class)
def test_no_credentials_when_asking(error: Exception) -> None:
    """Credentials that end while asking are the same, and final."""
    ours = call_error(error, CHECK, OWN, REGION)
    assert_no_credentials(ours)
    assert ours.retryable is False


@pytest.mark.parametrize("error", TRANSPORT, ids=by_class)
def test_no_answer(error: Exception) -> None:
    """What leaves a request without an answer is retried."""
    ours = call_error(error, CHECK, OWN, REGION)
    assert facts(ours) == (TransportError, True, OWN)
    assert str(ours).startswith(f"{WHAT}no response came (")


def test_error_without_words() -> None:
    """An error of the credential chain that says nothing is named by its class."""
    assert str(credentials_error(LookupError())).endswith("; botocore says 'LookupError'")


def test_tls() -> None:
    """TLS that fails is final, and names what to check."""
    ours = call_error(
        botocore.SSLError(endpoint_url=URL, error=OSError("self-signed")), CHECK, OWN, REGION
    )
    assert facts(ours) == (TransportError, False, OWN)
    assert str(ours).endswith(": check endpoint_url, AWS_CA_BUNDLE and proxies")


@pytest.mark.parametrize(
    "cause",
    [FileNotFoundError("ca.pem"), PermissionError("ca.pem"), ssl.SSLError("bad")],
    ids=by_class,
)
def test_files_that_can_not_be_read(cause: Exception) -> None:
    """What asking again can't mend is final, and names what to check."""
    ours = call_error(botocore.HTTPClientError(error=cause), CHECK, OWN, REGION)
    assert facts(ours) == (TransportError, False, OWN)
    assert str(ours).endswith(": check AWS_CA_BUNDLE, certificates and proxies")


@pytest.mark.parametrize(
    ("words", "is_chained"),
    [("reset by peer", True), ("407, url=http://user:secret@proxy:3128", False)],
    ids=["plain", "password"],
)
def test_a_cause_with_a_secret_is_not_chained(*, words: str, is_chained: bool) -> None:
    """An error whose own words, or whose cause's, hold a password is left out of the chain."""
    error = botocore.HTTPClientError(error="masked")
    error.__cause__ = OSError(words)
    assert (redacted_cause(error) is error) == is_chained


def test_request_that_could_not_be_made() -> None:
    """What botocore refuses to send is final."""
    ours = call_error(
        botocore.UnknownSignatureVersionError(signature_version="v9"), CHECK, OWN, REGION
    )
    assert facts(ours) == (TransportError, False, OWN)
    assert str(ours).startswith(f"{WHAT}the request could not be made (")


@pytest.mark.parametrize("retryable", [True, False], ids=["retried", "final"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["as it is", "wrapped by botocore"])
def test_answer_that_breaks_the_contract(*, wrapped: bool, retryable: bool) -> None:
    """An answer that breaks ECR's contract stays what it is, wrapped or not, with what was asked and the request id."""
    broken = ResponseError("cut", retryable=retryable)
    ours = call_error(
        botocore.HTTPClientError(error=broken) if wrapped else broken,
        CHECK,
        OWN,
        REGION,
        request_id="5f1c",
    )
    assert (*facts(ours), ours.request_id, str(ours)) == (
        ResponseError,
        retryable,
        OWN,
        "5f1c",
        f"{WHAT}cut",
    )


@pytest.mark.parametrize(
    "hostile",
    ["a\nERROR root: forged", "\x1b[31m\udcff", "x" * 10_000],
    ids=lambda text: ascii(text[:20]),
)
def test_hostile_text_makes_one_line(hostile: str) -> None:
    """Hostile text in botocore's words makes a message of one bounded, printable line."""
    errors: list[ECRLayerError] = [
        opening_error(botocore.ProfileNotFound(profile=hostile)),
        opening_error(botocore.InvalidConfigError(error_msg=hostile)),
        call_error(botocore.InvalidConfigError(error_msg=hostile), CHECK, OWN, REGION),
        call_error(botocore.SSLError(endpoint_url=URL, error=OSError(hostile)), CHECK, OWN, REGION),
        call_error(botocore.HTTPClientError(error=OSError(hostile)), CHECK, OWN, REGION),
        call_error(ValueError(hostile), CHECK, OWN, REGION),
    ]
    assert [(len(str(error)) < 1_000, str(error).isprintable()) for error in errors] == [
        (True, True)
    ] * len(errors)
