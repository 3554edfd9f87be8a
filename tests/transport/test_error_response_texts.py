"""The complete texts of the errors that error responses become, and the words of AWS in them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from ecr_layer_client import PublicRepository, Repository
from ecr_layer_client._checks.operation import CHECK
from ecr_layer_client._transport.error_responses import (
    ErrorResponse,
    error_body,
    error_from,
    located,
)

APP = located(Repository(name="team/app"), "eu-west-1")
WHAT = f"{CHECK} on repository 'team/app' (registry of the caller, Region eu-west-1)"
EXPIRED = "Signature expired: 20261123T120000Z is now earlier than 20261123T120500Z"
WRONG_SCOPE = "Credential should be scoped to a valid region, not 'us-east-1'. "
REPEATS_WHAT_IS_SIGNED = (
    "The request signature we calculated does not match the signature you provided. "
    "The Canonical String for this request should have been 'POST /'"
)
NOT_FROM_ECR = (
    "ECR sends results with status 200 only, so this response is from another server: "
    "check endpoint_url and proxies"
)
REDIRECTED = (
    "redirects are refused, because they would send the session token to another host: "
    "check endpoint_url and proxies"
)


def text_of(status: int, code: str, message: str = "", date: str | None = None) -> str:
    """Return the text of the error for a response."""
    response = ErrorResponse(status, code, message, date)
    return str(error_from(response, CHECK, APP, owned=True))


@pytest.mark.parametrize(("status", "advice"), [(204, NOT_FROM_ECR), (302, REDIRECTED)])
def test_not_from_ecr(status: int, advice: str) -> None:
    """A response that is not from ECR is named by its status."""
    expected = f"{WHAT}: the endpoint returned HTTP {status}: {advice}"
    assert text_of(status, "Unknown") == expected


@pytest.mark.parametrize("code", ["UnsupportedCommandException", "SomeException"])
def test_of_a_region_without_advice(code: str) -> None:
    """The text about private ECR has no advice on the Regions of ECR Public."""
    expected = f"{WHAT}: ECR returned {code} (HTTP 400) with the message 'words'"
    assert text_of(400, code, "words") == expected


def test_another_error_of_a_region_without_ecr_public() -> None:
    """An error that is not about the Region has no advice on Regions."""
    repository = located(PublicRepository(name="app"), "eu-west-1")
    response = ErrorResponse(400, "SomeException", "words", None)
    text = str(error_from(response, CHECK, repository, owned=True))
    assert text.endswith("ECR returned SomeException (HTTP 400) with the message 'words'")


def test_late() -> None:
    """A request that expired although the clock is right does not blame the clock."""
    now = format_datetime(datetime.now(UTC), usegmt=True)
    advice = (
        "ECR received the request too late, although this machine's clock is right: "
        "if the process was paused, try again"
    )
    expected = f"{WHAT}: ECR returned RequestExpired (HTTP 400): {advice}"
    assert text_of(400, "RequestExpired", date=now) == expected


@pytest.mark.parametrize(
    ("code", "message", "kept"),
    [
        ("InvalidSignatureException", REPEATS_WHAT_IS_SIGNED, ""),
        ("SignatureDoesNotMatch", REPEATS_WHAT_IS_SIGNED, ""),
        ("InvalidSignatureException", EXPIRED, EXPIRED),
        ("InvalidSignatureException", WRONG_SCOPE, WRONG_SCOPE),
        ("ServerException", "of no Signature", "of no Signature"),
    ],
    ids=["wrong signature", "other code", "expired", "scope", "no signature"],
)
def test_words_about_a_signature(code: str, message: str, kept: str) -> None:
    """AWS's words about a wrong signature are left out, because they repeat what was signed."""
    response = ErrorResponse.read(400, {}, error_body(code, message))
    assert (response.code, response.message) == (code, kept)
