"""The signed transport's signatures are botocore's own, whatever is signed."""

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


@given(
    URLS,
    PRINTABLE,
    PRINTABLE,
    st.binary(max_size=500),
    KEYS,
    st.integers(0, 4_000_000_000),
    st.from_regex(r"[a-z]{2}-[a-z]{4}-[1-9]", fullmatch=True),
)
def test_signed_as_botocore_signs(
    url: str, content_type: str, operation: str, body: bytes, keys: Any, now: int, region: str
) -> None:
    """A request's signature is the one that botocore's signer gives it."""
    target = f"Prefix.{operation}"
    fixed = {"content-type": content_type, "x-amz-target": "Prefix.Other"}
    template = RequestTemplate(url, fixed, region, "ecr")
    headers = template.sign(operation, sha256(body).hexdigest(), keys, now)
    request: Any = AWSRequest(
        "POST", url, headers={"Content-Type": content_type, "X-Amz-Target": target}, data=body
    )
    request.headers["X-Amz-Date"] = request.context["timestamp"] = headers["x-amz-date"]
    if keys.token:
        request.headers["X-Amz-Security-Token"] = keys.token
    signer: Any = SigV4Auth(keys, "ecr", region)
    signature: str = signer.signature(
        signer.string_to_sign(request, signer.canonical_request(request)), request
    )
    assert headers["authorization"] == (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, "
        f"SignedHeaders={signer.signed_headers(signer.headers_to_sign(request))}, Signature={signature}"
    )
