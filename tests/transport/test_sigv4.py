"""Signatures of the signed transport: they are botocore's, for requests it may learn from."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from ecr_layer_client._transport.sigv4 import RequestTemplate
from transport.botocore_signature import signature_by_botocore, signature_in

CHECK = "BatchCheckLayerAvailability"
REGION = "eu-west-1"
URL = "https://api.ecr.eu-west-1.amazonaws.com/"
CREDENTIAL = "Credential=AKID/20260101/eu-west-1/ecr/aws4_request"
HEADERS: dict[str, str | bytes] = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": b"AmazonEC2ContainerRegistry_V20150921.BatchCheckLayerAvailability",
    "User-Agent": "aiobotocore",
    "X-Amz-Date": "20260101T000000Z",
    "X-Amz-Security-Token": "the token of the first",
    "Authorization": f"AWS4-HMAC-SHA256 {CREDENTIAL}, SignedHeaders=host, Signature=00",
    "Content-Length": "2",
    "amz-sdk-invocation-id": "f00d",
    "amz-sdk-request": "attempt=1",
}
NOON = 1_767_268_800.0  # 2026-01-01 12:00 UTC
KEYS: Any = ReadOnlyCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)


def signed(
    template: RequestTemplate | None, body: bytes = b"{}", keys: Any = KEYS, now: float = NOON
) -> dict[str, str]:
    """Return the headers of a signed request."""
    assert template is not None
    return template.sign(CHECK, sha256(body).hexdigest(), keys, now)


def test_headers_of_later_requests() -> None:
    """A later request has the headers of the first one, except those of a single request."""
    headers = signed(RequestTemplate.of("POST", URL, HEADERS))
    authorization = headers.pop("authorization")

    assert headers == {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": f"AmazonEC2ContainerRegistry_V20150921.{CHECK}",
        "user-agent": "aiobotocore",
        "x-amz-date": "20260101T120000Z",
    }
    assert authorization.startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/ecr/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature="
    )


@pytest.mark.parametrize(
    "url",
    [
        *(URL, "https://api.ecr.eu-west-1.amazonaws.com"),
        *("https://api.ecr.eu-west-1.amazonaws.com:443/", "http://127.0.0.1:5000"),
        *("http://localhost:80/", "http://[::1]:5000/"),
        "https://ecr-fips.us-gov-west-1.api.aws:8443/",
    ],
)
@pytest.mark.parametrize("token", [None, "a/session+token=="], ids=["lasting", "temporary"])
def test_signed_as_botocore_signs(url: str, token: str | None) -> None:
    """The signature is botocore's own, on every kind of endpoint."""
    keys, body = KEYS._replace(token=token), b'{"repositoryName":"app"}'
    headers = signed(RequestTemplate.of("POST", url, HEADERS), body, keys)
    assert signature_in(headers) == signature_by_botocore(url, headers, body, keys, REGION)


def test_keys_change() -> None:
    """Each request is signed with its own keys and date, whatever the previous ones were."""
    template = RequestTemplate.of("POST", URL, HEADERS)
    other: Any = ReadOnlyCredentials("AKIDOTHER", "another secret", "token")

    for keys, now in ((KEYS, NOON), (other, NOON), (KEYS, NOON + 86_400), (KEYS, NOON)):
        headers = signed(template, keys=keys, now=now)
        assert signature_in(headers) == signature_by_botocore(URL, headers, b"{}", keys, REGION)


@pytest.mark.parametrize(
    ("method", "url", "headers"),
    [
        pytest.param("GET", URL, {}, id="another method"),
        pytest.param("POST", URL, {"X-Amz-Target": "ListImages"}, id="another protocol"),
        pytest.param("POST", "https://proxy.example/ecr", {}, id="a path"),
        pytest.param("POST", f"{URL}?x=1", {}, id="a query"),
        pytest.param(
            "POST", URL, {"Authorization": f"AWS4-ECDSA-P256-SHA256 {CREDENTIAL}"}, id="algorithm"
        ),
        pytest.param("POST", URL, {"Authorization": "Bearer token"}, id="a bearer token"),
        pytest.param("POST", URL, {"Authorization": ""}, id="unsigned"),
        pytest.param("POST", URL, {"X-Amzn-Trace-Id": "Root=1"}, id="trace of an invocation"),
    ],
)
def test_nothing_to_learn(method: str, url: str, headers: dict[str, str]) -> None:
    """There is no template from a request that later requests may differ from."""
    assert RequestTemplate.of(method, url, HEADERS | headers) is None
