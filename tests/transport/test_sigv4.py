"""Signatures of the signed transport: what they learn from, what they refuse to learn from, and that they are botocore's own."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from ecr_layer_client._transport.sigv4 import RequestTemplate

CHECK = "BatchCheckLayerAvailability"
URL = "https://api.ecr.eu-west-1.amazonaws.com/"
HEADERS: dict[str, str | bytes] = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": b"AmazonEC2ContainerRegistry_V20150921.BatchCheckLayerAvailability",
    "User-Agent": "aiobotocore",
    "X-Amz-Date": "20260101T000000Z",
    "X-Amz-Security-Token": "the token of the first",
    "Authorization": "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/ecr/aws4_request, SignedHeaders=host, Signature=00",
    "Content-Length": "2",
    "amz-sdk-invocation-id": "f00d",
    "amz-sdk-request": "attempt=1",
}
NOON = 1_767_268_800.0  # 2026-01-01 12:00 UTC
KEYS: Any = ReadOnlyCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)


def learned(url: str = URL, method: str = "POST", **changed: Any) -> RequestTemplate | None:
    """Learn from a request."""
    return RequestTemplate.of(method, url, HEADERS | changed)


def sign(
    template: RequestTemplate, body: bytes, keys: Any, now: float, operation: str = CHECK
) -> dict[str, str]:
    """Sign a request."""
    return template.sign(operation, sha256(body).hexdigest(), keys, now)


def signed_by_botocore(
    url: str, headers: dict[str, str], body: bytes, keys: Any, region: str
) -> str:
    """Return botocore's own signature of a request with these headers."""
    unsigned = {
        name: value
        for name, value in headers.items()
        if name not in {"authorization", "x-amz-security-token", "user-agent"}
    }
    request: Any = AWSRequest("POST", url, headers=unsigned, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    signer: Any = SigV4Auth(keys, "ecr", region)
    if keys.token:
        request.headers["X-Amz-Security-Token"] = keys.token
    canonical = signer.canonical_request(request)
    signature: str = signer.signature(signer.string_to_sign(request, canonical), request)
    return f"Signature={signature}"


def test_headers_of_later_requests() -> None:
    """A later request has the first one's headers, but for those that speak of one request."""
    template = learned()
    assert template is not None
    headers = sign(template, b"{}", KEYS, NOON)
    authorization = headers.pop("authorization")
    assert headers == {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.BatchCheckLayerAvailability",
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
        URL,
        "https://api.ecr.eu-west-1.amazonaws.com",
        "https://api.ecr.eu-west-1.amazonaws.com:443/",
        "http://127.0.0.1:5000",
        "http://localhost:80/",
        "http://[::1]:5000/",
        "https://ecr-fips.us-gov-west-1.api.aws:8443/",
    ],
)
@pytest.mark.parametrize("token", [None, "a/session+token=="], ids=["lasting", "temporary"])
def test_signed_as_botocore_signs(url: str, token: str | None) -> None:
    """The signature is botocore's own, on every kind of endpoint."""
    keys = KEYS._replace(token=token)
    template = learned(url)
    assert template is not None
    headers = sign(template, b'{"repositoryName":"app"}', keys, NOON)
    signature = signed_by_botocore(url, headers, b'{"repositoryName":"app"}', keys, "eu-west-1")
    assert headers["authorization"].rpartition(", ")[2] == signature


def test_another_operation_is_signed_as_botocore_signs() -> None:
    """What is learned from one operation signs another one as botocore does."""
    template = learned()
    assert template is not None
    headers = sign(template, b"{}", KEYS, NOON, "ListImages")
    target = headers["x-amz-target"]
    assert target == "AmazonEC2ContainerRegistry_V20150921.ListImages"
    signature = signed_by_botocore(URL, headers, b"{}", KEYS, "eu-west-1")
    assert headers["authorization"].rpartition(", ")[2] == signature


def test_keys_change() -> None:
    """Each request is signed with the keys and on the day it is given, whatever was before."""
    template = learned()
    assert template is not None
    other: Any = ReadOnlyCredentials("AKIDOTHER", "another secret", "token")
    days = [(KEYS, NOON), (other, NOON), (KEYS, NOON + 86_400), (KEYS, NOON)]
    signatures = [sign(template, b"{}", keys, now) for keys, now in days]
    expected = [
        signed_by_botocore(URL, headers, b"{}", keys, "eu-west-1")
        for headers, (keys, _) in zip(signatures, days, strict=True)
    ]
    assert [headers["authorization"].rpartition(", ")[2] for headers in signatures] == expected


@pytest.mark.parametrize(
    ("request_", "headers"),
    [
        pytest.param({"method": "GET"}, {}, id="another method"),
        pytest.param({}, {"X-Amz-Target": "ListImages"}, id="no target of the JSON protocol"),
        pytest.param({"url": "https://proxy.example/ecr"}, {}, id="a path"),
        pytest.param({"url": f"{URL}?x=1"}, {}, id="a query"),
        pytest.param(
            {},
            {"Authorization": "AWS4-ECDSA-P256-SHA256 Credential=AKID/20260101/ecr/aws4_request"},
            id="another algorithm",
        ),
        pytest.param({}, {"Authorization": "Bearer token"}, id="a bearer token"),
        pytest.param({}, {"Authorization": ""}, id="unsigned"),
        pytest.param({}, {"X-Amzn-Trace-Id": "Root=1"}, id="a trace of one Lambda invocation"),
    ],
)
def test_nothing_to_learn(request_: dict[str, str], headers: dict[str, str]) -> None:
    """From a request that later ones may not be like, nothing is learned."""
    assert learned(**request_, **headers) is None
