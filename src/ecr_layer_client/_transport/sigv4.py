"""AWS Signature Version 4 of requests that differ in body, date and credentials alone.

Pure. What they share is worked out once.

Source: AWS, "Create a signed AWS API request"; compared with botocore's own signer in the tests.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALGORITHM = "AWS4-HMAC-SHA256"
_SIGNED = frozenset({"content-type", "x-amz-target"})
_OF_ONE_REQUEST = frozenset(
    {
        "authorization",
        "x-amz-date",
        "x-amz-security-token",
        "content-length",
        "amz-sdk-invocation-id",
        "amz-sdk-request",
    }
)
_OF_ONE_INVOCATION = "x-amzn-trace-id"  # in a Lambda function, another for each of its invocations
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Keys(Protocol):
    """What botocore calls frozen credentials."""

    @property
    def access_key(self) -> str:
        """The access key's id."""
        ...

    @property
    def secret_key(self) -> str:
        """What signs."""
        ...

    @property
    def token(self) -> str | None:
        """The session token, of temporary credentials."""
        ...


class RequestTemplate:
    """What the requests of a client have in common.

    Args:
        url: Where they go: an origin, without a path or a query.
        headers: Sent with each; `Content-Type` and `X-Amz-Target` are signed, as are the host and
            what varies.
        region: The signing Region.
        service: The signing name.
        access_key: Who signed the request that this was learned from. Default "": nobody.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], region: str, service: str, access_key: str = ""
    ) -> None:
        self.url = url
        self.access_key = access_key
        self._headers = dict(headers)
        fixed = {"host": _host(url)} | {
            name.lower(): value for name, value in headers.items() if name.lower() in _SIGNED
        }
        self._canonical = {token: _canonical(fixed, token=token) for token in (False, True)}
        self._region = region
        self._service = service
        self._key: tuple[str, str, bytes] | None = None

    @classmethod
    def of(
        cls, operation: str, method: str, url: str, headers: Mapping[str, str | bytes]
    ) -> Self | None:
        """Learn from a signed request of an operation.

        None where others may differ from it in more than body, date and credentials.
        """
        texts = {
            name.lower(): value.decode() if isinstance(value, bytes) else str(value)
            for name, value in headers.items()
        }
        authorization = texts.get("authorization", "")
        parts = urlsplit(url)
        is_asked = texts.get("x-amz-target", "").endswith(f".{operation}")
        is_plain = (
            method == "POST"
            and authorization.startswith(f"{_ALGORITHM} ")
            and parts.path in {"", "/"}
            and not parts.query
        )
        if not (is_asked and is_plain) or _OF_ONE_INVOCATION in texts:
            return None
        scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
        kept = {name: value for name, value in texts.items() if name not in _OF_ONE_REQUEST}
        return cls(url, kept, region=scope[-3], service=scope[-2], access_key="/".join(scope[:-4]))

    def signed(self, body: bytes, keys: Keys, now: float) -> dict[str, str]:
        """Return the headers of a request with this body, signed at `now`, in seconds since the epoch."""
        date = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        varying = {"x-amz-date": date} | (
            {"x-amz-security-token": keys.token} if keys.token else {}
        )
        template, names = self._canonical[bool(keys.token)]
        canonical = template % (*varying.values(), sha256(body).hexdigest())
        scope = f"{date[:8]}/{self._region}/{self._service}/aws4_request"
        text = f"{_ALGORITHM}\n{date}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(
            self._signing_key(keys.secret_key, date[:8]), text.encode(), "sha256"
        ).hex()
        authorization = f"{_ALGORITHM} Credential={keys.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        return self._headers | varying | {"authorization": authorization}

    def _signing_key(self, secret_key: str, day: str) -> bytes:
        """Return the day's signing key."""
        if self._key is None or self._key[:2] != (secret_key, day):
            key = f"AWS4{secret_key}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = secret_key, day, key
        return self._key[2]


def _canonical(fixed: Mapping[str, str], *, token: bool) -> tuple[str, str]:
    """Return a canonical request to put date, token (if there is one) and digest of the body into.

    And the names of its headers.
    """
    varying = ("x-amz-date", "x-amz-security-token") if token else ("x-amz-date",)
    headers = {name: value.replace("%", "%%") for name, value in fixed.items()} | dict.fromkeys(
        varying, "%s"
    )
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    return f"POST\n/\n\n{lines}\n{names}\n%s", names


def _host(url: str) -> str:
    """Return the `Host` header that an HTTP client sends there."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return host if parts.port in {None, _DEFAULT_PORTS[parts.scheme]} else f"{host}:{parts.port}"
