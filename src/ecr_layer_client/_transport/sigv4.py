"""AWS Signature Version 4, for requests that differ only in body, date and credentials. Pure.

Source: AWS, "Create a signed AWS API request"; compared with botocore's own signer in the tests.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALGORITHM = "AWS4-HMAC-SHA256"
_CONTENT_TYPE, _TARGET = "content-type", "x-amz-target"
_DATE, _TOKEN = "x-amz-date", "x-amz-security-token"
_OF_ONE_REQUEST = {
    *("authorization", _DATE, _TOKEN, "content-length", "amz-sdk-invocation-id", "amz-sdk-request"),
}
# In a Lambda function, each invocation has another value of this header.
_OF_ONE_INVOCATION = "x-amzn-trace-id"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class RequestTemplate:
    """The parts that all requests of a client have in common.

    Args:
        url: The URL of the requests: an origin, without a path or a query.
        headers: The headers of each request, `Content-Type` and `X-Amz-Target` among them.
        region: The signing Region.
        service: The signing name.
        access_key: The access key id that signed the request which the template was learned from.
            Default "": there was no such request.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], region: str, service: str, access_key: str = ""
    ) -> None:
        self.url = url
        self.access_key = access_key
        self._headers = {name.lower(): value for name, value in headers.items()}
        self._target_prefix = self._headers[_TARGET].rpartition(".")[0]
        self._scope = f"{region}/{service}/aws4_request"
        self._fixed = f"{_CONTENT_TYPE}:{self._headers[_CONTENT_TYPE]}\nhost:{_host(url)}"
        self._key: tuple[str, str, bytes] | None = None

    @classmethod
    def of(cls, method: str, url: str, headers: Mapping[str, str | bytes]) -> Self | None:
        """Learn a template from a signed request.

        Return None if other requests may differ in more than operation, body, date and credentials.
        """
        texts = texts_of(headers)
        authorization = texts.get("authorization", "")
        parts = urlsplit(url)
        is_plain = (
            method == "POST"
            and authorization.startswith(f"{_ALGORITHM} ")
            and _CONTENT_TYPE in texts
            and "." in texts.get(_TARGET, "")
            and parts.path in {"", "/"}
            and not parts.query
        )
        if not is_plain or _OF_ONE_INVOCATION in texts:
            return None

        scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
        kept = {name: value for name, value in texts.items() if name not in _OF_ONE_REQUEST}
        return cls(url, kept, region=scope[-3], service=scope[-2], access_key="/".join(scope[:-4]))

    def sign(self, operation: str, payload_sha256: str, keys: Any, now: float) -> dict[str, str]:
        """Return the headers of a request.

        Args:
            operation: The API operation.
            payload_sha256: The SHA-256 digest of the body, in hexadecimal.
            keys: botocore's frozen credentials.
            now: Seconds since the epoch.
        """
        date = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        target = f"{self._target_prefix}.{operation}"
        varying = {_DATE: date}
        # In alphabetical order.
        names, lines = f"{_CONTENT_TYPE};host;{_DATE}", f"{self._fixed}\n{_DATE}:{date}"
        if keys.token:
            varying[_TOKEN] = keys.token
            names, lines = f"{names};{_TOKEN}", f"{lines}\n{_TOKEN}:{keys.token}"
        names, lines = f"{names};{_TARGET}", f"{lines}\n{_TARGET}:{target}"

        canonical = f"POST\n/\n\n{lines}\n\n{names}\n{payload_sha256}"
        scope = f"{date[:8]}/{self._scope}"
        text = f"{_ALGORITHM}\n{date}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        key = self._signing_key(keys.secret_key, date[:8])
        signature = hmac.digest(key, text.encode(), "sha256").hex()

        credential = f"Credential={keys.access_key}/{scope}"
        authorization = f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"
        return self._headers | varying | {_TARGET: target, "authorization": authorization}

    def _signing_key(self, secret_key: str, day: str) -> bytes:
        if self._key is None or self._key[:2] != (secret_key, day):
            key = f"AWS4{secret_key}".encode()
            for part in (day, *self._scope.split("/")):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = secret_key, day, key
        return self._key[2]


def texts_of(headers: Mapping[str, str | bytes]) -> dict[str, str]:
    """Return headers as texts, with their names in lower case."""
    return {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in headers.items()
    }


def _host(url: str) -> str:
    """Return the `Host` header that an HTTP client sends to a URL."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return host if parts.port in {None, _DEFAULT_PORTS[parts.scheme]} else f"{host}:{parts.port}"
