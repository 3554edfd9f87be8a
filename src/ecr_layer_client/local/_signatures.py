"""Requests' signatures (AWS Signature Version 4) verified, and refused in AWS's words.

No secret in any message or repr.

Written from AWS's documentation of the signing process. What is signed: the canonical request
(method, path, query, headers, body hash); with what: a key derived from the secret for one day,
Region and service.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote, unquote

from ._protocol import GET_LAYER
from ._registry.errors import AwsError, error_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._clock import Clock
    from ._interceptors import Call
    from ._protocol import Reply, Request

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = 5 * 60  # seconds: "- 5 min." in the wording that users quote in public issues
SERVICE = "ecr"
TERMINATOR = "aws4_request"
UNRESERVED = "-_.~"  # beside letters and digits: what AWS's URI encoding leaves as it is

INCOMPLETE = "IncompleteSignatureException"
INVALID = "InvalidSignatureException"
MISSING = "MissingAuthenticationTokenException"
UNKNOWN = "UnrecognizedClientException"
EXPIRED = "ExpiredTokenException"

_SCOPE = re.compile(rf"Credential=[^,]*/[0-9]{{8}}/([a-z0-9-]+)/{SERVICE}/{TERMINATOR}").search


@dataclass(slots=True)
class Key:
    """An access key that the service knows; `expires` is in epoch seconds of its clock."""

    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires: float | None = None
    _derived: tuple[tuple[str, str, str], bytes] = field(default=(("", "", ""), b""), repr=False)

    def signing_key(self, date: str, region: str, service: str = SERVICE) -> bytes:
        """Return the key that signs on this day in this Region for this service.

        The last one is kept.
        """
        if self._derived[0] != (date, region, service):
            key = f"AWS4{self.secret}".encode()
            for part in (date, region, service, TERMINATOR):
                key = hmac.digest(key, part.encode(errors="surrogateescape"), "sha256")
            self._derived = (date, region, service), key
        return self._derived[1]


@dataclass(frozen=True, slots=True)
class Authorization:
    """What the Authorization header of a request says."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str = field(repr=False)

    @classmethod
    def parse(cls, header: str) -> Self:
        """Read the header.

        Raises AwsError IncompleteSignatureException that names what is missing.
        """
        algorithm, _, rest = header.strip().partition(" ")
        if algorithm != ALGORITHM:
            raise AwsError(
                INCOMPLETE,
                f"Unsupported AWS 'algorithm': the Authorization header must begin with '{ALGORITHM}'",
            )
        parts = {
            name.strip(): value.strip()
            for name, _, value in (part.partition("=") for part in rest.split(","))
        }
        if missing := [
            name for name in ("Credential", "Signature", "SignedHeaders") if not parts.get(name)
        ]:
            raise AwsError(
                INCOMPLETE,
                " ".join(f"Authorization header requires '{name}' parameter." for name in missing),
            )
        scope = parts["Credential"].rsplit("/", 4)  # an access key may hold slashes
        # Access key, date, region, service, terminator.
        if len(scope) != 5 or scope[4] != TERMINATOR:  # noqa: PLR2004
            raise AwsError(
                INCOMPLETE,
                f"Credential must have the form access-key/YYYYMMDD/region/service/{TERMINATOR}",
            )
        access_key, date, region, service, _ = scope
        return cls(
            access_key,
            date,
            region,
            service,
            tuple(parts["SignedHeaders"].split(";")),
            parts["Signature"],
        )


class Signatures:
    """The keys that a `LocalECR` knows, and the check that each request was signed with one of them."""

    def __init__(
        self, *, region: str, clock: Clock, is_on: bool = True, further_regions: Iterable[str] = ()
    ) -> None:
        """Know no key yet."""
        self.is_on: Final = is_on
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._regions = {region, *further_regions}

    def add(self, access_key: str, key: Key) -> None:
        """Know a key from now on; one of the same id is replaced."""
        self._keys[access_key] = key

    def remove(self, access_key: str) -> None:
        """Know a key no more. Raises LookupError."""
        del self._keys[self._known(access_key)]

    def expire(self, access_key: str) -> None:
        """Let a key be expired from now on. Raises LookupError."""
        self._keys[self._known(access_key)].expires = float("-inf")

    async def before(self, call: Call) -> Reply | None:
        """Refuse a request whose signature is not right. The registry calls this."""
        if self.is_on and call.operation != GET_LAYER:  # the URL of a download carries its own
            self.verify(call.request)
        return None

    # An interceptor's signature.
    async def after(self, call: Call, reply: Reply) -> Reply:  # noqa: ARG002
        """Change nothing."""
        return reply

    def verify(self, request: Request) -> None:
        """Verify one request.

        Raises AwsError with the code and the wording that AWS answers with.
        """
        header = request.headers.get("authorization", "")
        if not header.strip():
            raise error_of(MISSING)
        try:
            self._verify(request, Authorization.parse(header))
        except UnicodeError:  # text that no wire can carry was not signed either
            raise error_of(INVALID) from None

    def _verify(self, request: Request, said: Authorization) -> None:
        key = self._key(said.access_key, request.headers.get("x-amz-security-token"))
        self._check_scope(said)
        timestamp = _timestamp(request.headers)
        self._check_time(timestamp, said.date)
        _check_signed_headers(request.headers, said.signed_headers)
        expected = signature(
            key,
            timestamp,
            said.region,
            said.service,
            canonical_request(request, said.signed_headers),
        )
        if not hmac.compare_digest(expected.encode(), _bytes(said.signature)):
            raise error_of(INVALID)

    def _known(self, access_key: str) -> str:
        if access_key not in self._keys:
            message = f"this LocalECR knows no access key {access_key!r:.200}"
            raise LookupError(message)
        return access_key

    def _key(self, access_key: str, token: str | None) -> Key:
        key = self._keys.get(access_key)
        if key is None or not hmac.compare_digest(_bytes(key.token or ""), _bytes(token or "")):
            raise error_of(UNKNOWN)
        if key.expires is not None and key.expires <= self._clock.now():
            raise error_of(EXPIRED)
        return key

    def _check_scope(self, said: Authorization) -> None:
        if said.region not in self._regions:
            raise AwsError(
                INVALID,
                f"Credential should be scoped to a valid region, not '{said.region[:200]}'. ",
            )
        if said.service != SERVICE:
            raise AwsError(
                INVALID, f"Credential should be scoped to correct service: '{SERVICE}'. "
            )

    def _check_time(self, timestamp: str, date: str) -> None:
        if timestamp[:8] != date:
            message = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP"
            raise AwsError(
                INVALID, f"{message}: '{date[:20]}' != '{timestamp[:8]}', from '{timestamp}'."
            )
        signed, now = _epoch(timestamp), self._clock.now()
        if signed < now - MAX_SKEW:
            bound = f"{_text(now - MAX_SKEW)} ({_text(now)} - {MAX_SKEW // 60} min.)"
            raise AwsError(INVALID, f"Signature expired: {timestamp} is now earlier than {bound}")
        if signed > now + MAX_SKEW:
            bound = f"{_text(now + MAX_SKEW)} ({_text(now)} + {MAX_SKEW // 60} min.)"
            raise AwsError(
                INVALID, f"Signature not yet current: {timestamp} is still later than {bound}"
            )


def region_of(request: Request) -> str | None:
    """Return the Region that a request says it is signed for; None when it says none."""
    found = _SCOPE(request.headers.get("authorization", ""))
    return found[1] if found is not None else None


def signature(key: Key, timestamp: str, region: str, service: str, canonical: bytes) -> str:
    """Return the signature of a canonical request, in hexadecimal."""
    date = timestamp[:8]
    signed = f"{ALGORITHM}\n{timestamp}\n{date}/{region}/{service}/{TERMINATOR}\n{hashlib.sha256(canonical).hexdigest()}"
    return hmac.digest(key.signing_key(date, region, service), _bytes(signed), "sha256").hex()


def canonical_request(
    request: Request, signed_headers: tuple[str, ...], payload: str | None = None
) -> bytes:
    """Return the text whose hash is signed.

    `payload` stands for the hash of the body, where it is not signed.

    >>> from ecr_layer_client.local._protocol import Request
    >>> canonical_request(Request("POST", "/?b=2&a=1", {"host": "x"}, b""), ("host",)).decode().splitlines()[:5]
    ['POST', '/', 'a=1&b=2', 'host:x', '']
    """
    path, _, query = request.path.partition("?")
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in signed_headers
    )
    lines = (
        request.method,
        _canonical_path(path),
        canonical_query(query),
        headers,
        ";".join(signed_headers),
        payload or hashlib.sha256(request.body).hexdigest(),
    )
    return _bytes("\n".join(lines))


def canonical_query(query: str | Mapping[str, str]) -> str:
    """Return a query, or parameters not yet encoded, in the form that is signed.

    >>> canonical_query("b=2&a=x/y"), canonical_query({"a": "100%"})
    ('a=x%2Fy&b=2', 'a=100%25')
    """
    if isinstance(query, str):
        parts = (part.partition("=") for part in query.split("&") if part)
        pairs = [(_encoded(name), _encoded(value)) for name, _, value in parts]
    else:
        pairs = [
            (quote(name, safe=UNRESERVED), quote(value, safe=UNRESERVED, errors="surrogateescape"))
            for name, value in query.items()
        ]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(text: str) -> str:
    return quote(unquote(text, errors="surrogateescape"), safe=UNRESERVED, errors="surrogateescape")


@functools.lru_cache(maxsize=16)  # it is "/" in practice
def _canonical_path(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    slash = "/" if kept and path.endswith("/") else ""
    # encoded again, though it is encoded already: so every service but S3 has it
    return quote(f"/{'/'.join(kept)}{slash}", safe="/" + UNRESERVED, errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")  # as aiohttp decodes what is not UTF-8


def _timestamp(headers: Mapping[str, str]) -> str:
    text = headers.get("x-amz-date", headers.get("date", "")).strip()
    if re.fullmatch("[0-9]{8}T[0-9]{6}Z", text, re.ASCII):
        return text
    try:
        date = parsedate_to_datetime(text)
        return _text((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    except (
        ValueError,
        TypeError,
        IndexError,
        OverflowError,
    ):  # the standard library's parser is not strict about its errors
        message = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header in ISO-8601 or HTTP form."
        raise AwsError(INCOMPLETE, message) from None


def _check_signed_headers(headers: Mapping[str, str], signed: tuple[str, ...]) -> None:
    must = {"host", *(name for name in headers if name.startswith("x-amz-"))}
    if unsigned := sorted(must.difference(signed)):
        raise AwsError(
            INVALID, f"'{unsigned[0][:200]}' must be a 'SignedHeader' in the AWS Authorization."
        )


@functools.lru_cache(maxsize=16)  # requests of one second share it
def _epoch(timestamp: str) -> float:
    try:
        return datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:  # digits, but no date
        raise AwsError(
            INCOMPLETE, f"Date must be in ISO-8601 'basic format'. Got '{timestamp}'."
        ) from None


def _text(epoch: float) -> str:
    return f"{datetime.fromtimestamp(epoch, UTC):%Y%m%dT%H%M%SZ}"
