"""Each exception of botocore becomes one error of ours that says what to do."""

from __future__ import annotations

import configparser
import ssl
from traceback import format_exception_only
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from botocore import exceptions as botocore
from botocore.configloader import raw_config_parse

from ecr_layer_client import (
    CallError,
    CredentialsError,
    ECRLayerError,
    InvalidInputError,
    ResponseError,
    TransportError,
)
from ecr_layer_client._transport.client_errors import (
    call_error,
    credentials_error,
    opening_error,
    redacted_cause,
    words_of,
)

if TYPE_CHECKING:
    from pathlib import Path

E = TypeVar("E", bound=Exception)
URL = "https://api.ecr.eu-west-1.amazonaws.com/"
WHAT = "BatchCheckLayerAvailability on repository 'team/app'"
CONFIG = "check profile_name, AWS_PROFILE and the AWS configuration files"
TLS = "check endpoint_url, AWS_CA_BUNDLE and proxies"
FILES = "check AWS_CA_BUNDLE, certificates and proxies"

CREDENTIALS = [
    *(botocore.NoCredentialsError(), botocore.UnknownCredentialError(name="x")),
    *(botocore.NoAuthTokenError(), botocore.UnauthorizedSSOTokenError()),
    botocore.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
    botocore.CredentialRetrievalError(provider="process", error_msg="exit 1"),
    botocore.TokenRetrievalError(provider="sso", error_msg="expired"),
    botocore.SSOTokenLoadError(error_msg="expired"),
    botocore.RefreshWithMFAUnsupportedError(),
    botocore.MetadataRetrievalError(error_msg="timed out"),
]
NETWORK = [
    botocore.EndpointConnectionError(endpoint_url=URL, error="refused"),
    botocore.ConnectTimeoutError(endpoint_url=URL),
    botocore.ReadTimeoutError(endpoint_url=URL),
    botocore.ConnectionClosedError(endpoint_url=URL, request=None),
    botocore.ResponseStreamingError(error="reset"),
    botocore.HTTPClientError(error=OSError("reset")),
]


def asked(error: Exception) -> CallError:
    """Return our error for a check that failed."""
    return call_error(error, WHAT)


def raised(error: E) -> E:
    """Return an error that was raised, so that it has a frame."""
    with pytest.raises(type(error)):
        raise error
    return error


def facts(error: CallError) -> tuple[type[CallError], bool]:
    """Return the class of an error, and whether it is retried."""
    return type(error), error.retryable


def test_no_credentials() -> None:
    """A failing credential chain is a final CredentialsError that says how to give credentials."""
    advice = "found no usable AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
    for error in CREDENTIALS:
        for ours in (opening_error(error), asked(error)):
            assert isinstance(ours, CredentialsError)
            assert (str(ours)[: len(advice)], ours.retryable) == (advice, False)


def test_credentials_error_without_words() -> None:
    """An error of the credential chain without a message is named by its class."""
    assert str(credentials_error(LookupError())).endswith("; botocore says 'LookupError'")


@pytest.mark.parametrize(
    ("cause", "details"),
    [(None, ""), (ValueError(), ""), (ValueError("the command 'x'"), ": the command 'x'")],
    ids=["no cause", "no words", "words"],
)
def test_credentials_that_take_too_long(cause: Exception | None, details: str) -> None:
    """The error of a timeout says how long that was, and what took so long if its cause does."""
    error = TimeoutError()
    error.__cause__ = cause
    assert words_of(error) == f"no response within 60 s{details}"


def test_no_region() -> None:
    """Without a Region, the error names three ways to give one."""
    error = opening_error(botocore.NoRegionError())
    ways = "pass region_name=, set AWS_DEFAULT_REGION, or set a region in the profile"
    assert (type(error), str(error)) == (InvalidInputError, f"found no AWS Region: {ways}")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (botocore.ProfileNotFound(profile="dev"), CONFIG),
        (botocore.InvalidConfigError(error_msg="no role_arn"), CONFIG),
        (botocore.ConfigParseError(path="config"), CONFIG),
        (ValueError("a word in a file"), CONFIG),
        (
            botocore.InvalidRegionError(region_name="us-"),
            "check region_name, AWS_DEFAULT_REGION and the profile's region",
        ),
        (
            ValueError("Invalid endpoint: x"),
            "check AWS_ENDPOINT_URL_ECR, AWS_ENDPOINT_URL and the profile's endpoint",
        ),
    ],
    ids=["profile", "config", "syntax", "value", "Region", "endpoint"],
)
def test_configuration_is_not_valid(error: Exception, advice: str) -> None:
    """An invalid configuration is an InvalidInputError that names the settings to check."""
    ours = opening_error(error)
    expected = f"the AWS configuration is not valid: {str(error)!r}: {advice}"
    assert (type(ours), str(ours)) == (InvalidInputError, expected)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("read_as", ["utf-8", "cp1252"])
def test_encoding_of_a_file(
    encoding: str, read_as: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of a file in another encoding asks to save it as UTF-8."""
    path = tmp_path / "config"
    path.write_bytes("[default]\nregion = eu-west-1\n".encode(encoding))

    def opened(name: str, **_: object) -> Any:
        return open(name, encoding=read_as)

    monkeypatch.setattr(configparser, "open", opened, raising=False)
    with pytest.raises(botocore.ConfigParseError) as raised:
        raw_config_parse(str(path))
    advice = "save the file as UTF-8 without a byte order mark"
    assert str(opening_error(raised.value)).endswith(f"{path}': {advice}")


def test_no_response() -> None:
    """A request without a response is retried."""
    for error in NETWORK:
        ours = asked(error)
        assert facts(ours) == (TransportError, True)
        assert str(ours).startswith(f"{WHAT}: no response came (")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (botocore.SSLError(endpoint_url=URL, error=OSError("self-signed")), TLS),
        *(
            (botocore.HTTPClientError(error=cause), FILES)
            for cause in (FileNotFoundError("ca"), PermissionError("ca"), ssl.SSLError("bad"))
        ),
    ],
    ids=["TLS", "no file", "no permission", "bad certificate"],
)
def test_final_failure(error: Exception, advice: str) -> None:
    """A failure that another attempt can't fix is final, and names the settings to check."""
    ours = asked(error)
    assert facts(ours) == (TransportError, False)
    assert str(ours).endswith(f": {advice}")


@pytest.mark.parametrize(
    ("status", "words", "retryable"),
    [
        (None, "can't be reached: check HTTPS_PROXY, HTTP_PROXY and NO_PROXY", True),
        (407, "requires credentials: put them into HTTPS_PROXY or HTTP_PROXY, in the form ", False),
        (403, "refused the connection (HTTP 403): check HTTPS_PROXY, ", False),
        (500, "refused the connection (HTTP 500): check HTTPS_PROXY, ", True),
    ],
)
def test_proxy(status: int | None, words: str, *, retryable: bool) -> None:
    """An error of a proxy names the proxy, without its credentials, and says what it did."""
    said: Any = OSError("refused")
    if status is not None:
        said.status = status
    ours = asked(botocore.ProxyConnectionError(proxy_url="http://u:p4ss@proxy:3128", error=said))
    assert facts(ours) == (TransportError, retryable)
    assert str(ours).startswith(f"{WHAT}: the proxy 'http://***@proxy:3128' {words}")


def test_request_that_could_not_be_made() -> None:
    """A request that botocore can't make is a final error."""
    ours = asked(botocore.UnknownSignatureVersionError(signature_version="v9"))
    assert facts(ours) == (TransportError, False)
    assert str(ours).startswith(f"{WHAT}: the request could not be made (")


@pytest.mark.parametrize("is_chained", [True, False], ids=["plain", "password"])
def test_a_cause_with_a_secret_is_not_chained(*, is_chained: bool) -> None:
    """An error is not chained if the message of its cause has a password."""
    error = botocore.HTTPClientError(error="masked")
    words = "reset by peer" if is_chained else "407, url=http://user:secret@proxy:3128"
    error.__cause__ = OSError(words)
    assert (redacted_cause(error) is error) == is_chained


class WordlessError(OSError):
    """An error whose repr has one character."""

    def __repr__(self) -> str:
        return "?"


@pytest.mark.parametrize(("length", "is_chained"), [(10_000, True), (10_001, False)])
def test_a_long_cause(*, length: int, is_chained: bool) -> None:
    """An error of more than 10,000 characters is not chained: looking for secrets takes time."""
    shown = "".join(format_exception_only(WordlessError("."))) + repr(WordlessError())
    error = WordlessError("." * (length - len(shown) + 1))
    assert (redacted_cause(error) is error) == is_chained


@pytest.mark.parametrize("place", ["message", "note"])
def test_a_cause_with_control_characters_is_not_chained(place: str) -> None:
    """An error whose message or note could change the terminal or forge lines is not chained."""
    error = OSError("\x1b[31m" if place == "message" else "reset")
    error.add_note("\x1b[31m" if place == "note" else "by peer")
    assert redacted_cause(error) is None


def test_causes_in_a_circle_have_no_frames() -> None:
    """All errors that a traceback shows lose their frames, also where they cause each other."""
    errors = [raised(OSError(f"number {number}")) for number in range(3)]
    group = raised(ExceptionGroup("several", [errors[2]]))
    errors[0].__cause__, errors[1].__context__, errors[2].__cause__ = errors[1], group, errors[0]
    assert redacted_cause(errors[0]) is errors[0]
    assert [error.__traceback__ for error in (*errors, group)] == [None] * 4


@pytest.mark.parametrize("retryable", [True, False], ids=["retried", "final"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["as it is", "wrapped by botocore"])
def test_response_that_breaks_the_contract(*, wrapped: bool, retryable: bool) -> None:
    """A response error keeps its facts, and its message gains the operation and repository."""
    broken = ResponseError("truncated", retryable=retryable)
    ours = asked(botocore.HTTPClientError(error=broken) if wrapped else broken)
    assert facts(ours) == (ResponseError, retryable)
    assert str(ours) == f"{WHAT}: truncated"


@pytest.mark.parametrize(
    "hostile",
    ["a\nERROR root: forged", "\x1b[31m\udcff", "x" * 10_000],
    ids=lambda text: ascii(text[:20]),
)
def test_hostile_text_makes_one_line(hostile: str) -> None:
    """Hostile text in botocore's message makes a message of one bounded, printable line."""
    errors: list[ECRLayerError] = [
        opening_error(botocore.ProfileNotFound(profile=hostile)),
        opening_error(botocore.InvalidConfigError(error_msg=hostile)),
        asked(botocore.InvalidConfigError(error_msg=hostile)),
        asked(botocore.SSLError(endpoint_url=URL, error=OSError(hostile))),
        asked(botocore.HTTPClientError(error=OSError(hostile))),
        asked(ValueError(hostile)),
    ]
    shown = [(len(str(error)) < 1_000, str(error).isprintable()) for error in errors]
    assert shown == [(True, True)] * len(errors)
