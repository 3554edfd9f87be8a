"""Botocore's own signature of a request, to compare ours with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

UNSIGNED = {"authorization", "x-amz-security-token", "user-agent"}


def signature_by_botocore(
    url: str, headers: Mapping[str, str], body: bytes, keys: Any, region: str
) -> str:
    """Return botocore's signature of a request, of which our signature is in the headers."""
    signed = {name: value for name, value in headers.items() if name not in UNSIGNED}
    request: Any = AWSRequest("POST", url, headers=signed, data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    if keys.token:
        request.headers["X-Amz-Security-Token"] = keys.token

    signer: Any = SigV4Auth(keys, "ecr", region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    return f"Signature={signer.signature(text, request)}"


def signature_in(headers: Mapping[str, str]) -> str:
    """Return the signature in the headers of a request."""
    return headers["authorization"].rpartition(", ")[2]
