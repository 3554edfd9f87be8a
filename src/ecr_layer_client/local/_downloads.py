"""Downloads of layers, as S3 serves them: presigned URLs, ranges, and errors in XML.

The module follows AWS's documentation of presigned requests (Signature Version 4 in the query
string) and of S3's responses.
"""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from ._protocol import LAYERS_PATH, Reply, Request
from ._ranges import ranged_reply
from ._registry.errors import AwsError
from ._signatures import ALGORITHM, TERMINATOR, Key, canonical_query, canonical_request, signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._clock import Clock
    from ._registry.blob_store import Store

ACCESS_KEY = "local-ecr-downloads"
LIFETIME_SECONDS = 3600  # AWS documentation of GetDownloadUrlForLayer
SERVICE = "s3"
TIMESTAMP = "%Y%m%dT%H%M%SZ"

_PATH = re.compile(f"{LAYERS_PATH}([a-z0-9-]+)/([0-9a-f]{{64}})").fullmatch


class Downloads:
    """The URLs that `GetDownloadUrlForLayer` returns, and the responses to requests for them."""

    def __init__(self, stores: Mapping[str, Store], clock: Clock) -> None:
        """Serve the bytes of the Regions in `stores`."""
        self._clock: Final = clock
        self._key: Final = Key(secrets.token_hex())
        self._stores: Final = stores

    def url(self, host: str, region: str, digest: str) -> str:
        """Return a URL of a layer at `host`, the host that the caller used; valid for an hour."""
        path = f"{LAYERS_PATH}{region}/{digest.partition(':')[2]}"
        now = datetime.fromtimestamp(self._clock.now(), UTC).strftime(TIMESTAMP)
        return f"http://{host}{path}?{self._query('GET', path, region, host, now)}"

    def answer(self, request: Request) -> Reply:
        """Return the response to a request for a layer. Raises AwsError with S3's codes."""
        path, _, query = request.path.partition("?")
        found = _PATH(path)
        parameters = dict(parse_qsl(query))
        if found is None or "X-Amz-Signature" not in parameters:
            code = "AccessDenied"
            raise AwsError(code, "Access Denied", 403)

        region, name = found.groups()
        signed_at = parameters.get("X-Amz-Date", "")
        if not self._is_ours(request, region, signed_at):
            code = "SignatureDoesNotMatch"
            message = (
                "The request signature we calculated does not match the signature you provided. "
                "Check your key and signing method."
            )
            raise AwsError(code, message, 403)
        self._check_time(signed_at)

        store = self._stores.get(region)
        blob = store.get(f"sha256:{name}") if store is not None else None
        if blob is None:
            code = "NoSuchKey"
            raise AwsError(code, "The specified key does not exist.", 404, Key=path[1:])
        headers = {"content-type": "application/octet-stream", "etag": f'"{name}"'}
        return ranged_reply(blob, headers, request.headers.get("range", ""))

    def _is_ours(self, request: Request, region: str, signed_at: str) -> bool:
        """Return whether a request is the one that this object signed at that time."""
        path, _, query = request.path.partition("?")
        host = request.headers.get("host", "")
        try:
            expected = self._query(request.method, path, region, host, signed_at)
            actual = canonical_query(query).encode(errors="surrogateescape")
            return hmac.compare_digest(expected.encode(), actual)
        except UnicodeError:
            # Text that HTTP cannot carry was never signed.
            return False

    def _query(self, method: str, path: str, region: str, host: str, signed_at: str) -> str:
        """Return the complete query of a URL, with its signature, in canonical form."""
        parameters = {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{ACCESS_KEY}/{signed_at[:8]}/{region}/{SERVICE}/{TERMINATOR}",
            "X-Amz-Date": signed_at,
            "X-Amz-Expires": str(LIFETIME_SECONDS),
            "X-Amz-SignedHeaders": "host",
        }

        query = canonical_query(parameters)
        request = Request(method, f"{path}?{query}", {"host": host}, b"")
        canonical = canonical_request(request, ("host",), "UNSIGNED-PAYLOAD")
        signed = signature(self._key, signed_at, region, SERVICE, canonical)

        return canonical_query({**parameters, "X-Amz-Signature": signed})

    def _check_time(self, signed_at: str) -> None:
        signed = datetime.strptime(signed_at, TIMESTAMP).replace(tzinfo=UTC)
        expires = signed + timedelta(seconds=LIFETIME_SECONDS)
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        if now <= expires:
            return

        # The wording is quoted in public issues.
        code = "AccessDenied"
        times = {
            "X-Amz-Expires": LIFETIME_SECONDS,
            "Expires": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
            "ServerTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        }
        raise AwsError(code, "Request has expired", 403, **times)
