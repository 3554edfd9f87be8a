"""The signatures of the signed transport are botocore's, whatever is signed."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from ecr_layer_client._transport.sigv4 import RequestTemplate

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
HOSTS = st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){0,3}", fullmatch=True)
URLS = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "https"]),
    HOSTS,
    st.sampled_from(["", ":80", ":443", ":5000"]),
    st.sampled_from(["", "/"]),
)
KEYS = st.builds(ReadOnlyCredentials, PRINTABLE, PRINTABLE, st.none() | PRINTABLE)
TIMES = st.integers(0, 4_000_000_000)
REGIONS = st.from_regex(r"[a-z]{2}-[a-z]{4}-[1-9]", fullmatch=True)


@given(URLS, PRINTABLE, PRINTABLE, st.binary(max_size=500), KEYS, TIMES, REGIONS)
def test_signed_as_botocore_signs(
    url: str, content_type: str, operation: str, body: bytes, keys: Any, now: int, region: str
) -> None:
    """A request has the signature that botocore's signer gives it."""
    fixed = {"content-type": content_type, "x-amz-target": "Prefix.Other"}
    template = RequestTemplate(url, fixed, region, "ecr")
    headers = template.sign(operation, sha256(body).hexdigest(), keys, now)

    signed = {"Content-Type": content_type, "X-Amz-Target": f"Prefix.{operation}"}
    request: Any = AWSRequest("POST", url, headers=signed, data=body)
    request.headers["X-Amz-Date"] = request.context["timestamp"] = headers["x-amz-date"]
    if keys.token:
        request.headers["X-Amz-Security-Token"] = keys.token

    signer: Any = SigV4Auth(keys, "ecr", region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    names = signer.signed_headers(signer.headers_to_sign(request))
    assert headers["authorization"] == (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, "
        f"SignedHeaders={names}, Signature={signer.signature(text, request)}"
    )
