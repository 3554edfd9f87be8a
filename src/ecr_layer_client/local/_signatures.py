"""Verification of requests' signatures (AWS Signature Version 4), with AWS's error messages.

No message and no repr contains a secret.

The module follows AWS's documentation of the signing process. The signed text is the canonical
request: method, path, query, headers and the hash of the body. The signing key is derived from the
secret for one day, Region and service.
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

from ._protocol import GET_LAYER, service_of
from ._registry.errors import AwsError, error_of
from ._registry.public import REGIONS as PUBLIC_REGIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._clock import Clock
    from ._interceptors import Call
    from ._protocol import Reply, Request

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW_SECONDS = 5 * 60  # "- 5 min." in the wording that users quote in public issues
TERMINATOR = "aws4_request"
# AWS's URI encoding leaves these characters unchanged, beside letters and digits.
UNRESERVED = "-_.~"

INCOMPLETE = "IncompleteSignatureException"
INVALID = "InvalidSignatureException"
MISSING = "MissingAuthenticationTokenException"
UNKNOWN = "UnrecognizedClientException"
EXPIRED = "ExpiredTokenException"

# What may surround the parts of a header (RFC 9110: OWS). `str.strip()` removes other spaces, too.
SPACES = " \t"

# Access key, date, Region, service, terminator.
SCOPE_PARTS = 5

_SCOPE = re.compile(
    rf"Credential=[^,]*/[0-9]{{8}}/([a-z0-9-]+)/ecr(?:-public)?/{TERMINATOR}"
).search


@dataclass(slots=True)
class Key:
    """An access key that the service knows. `expires` is in epoch seconds of its clock."""

    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires: float | None = None
    _derived: tuple[tuple[str, str, str], bytes] = field(default=(("", "", ""), b""), repr=False)

    def signing_key(self, date: str, region: str, service: str = "ecr") -> bytes:
        """Return the signing key for this day, Region and service.

        The last signing key is cached.
        """
        if self._derived[0] != (date, region, service):
            key = f"AWS4{self.secret}".encode()
            for part in (date, region, service, TERMINATOR):
                key = hmac.digest(key, part.encode(errors="surrogateescape"), "sha256")
            self._derived = (date, region, service), key
        return self._derived[1]


@dataclass(frozen=True, slots=True)
class Authorization:
    """The parts of a request's Authorization header."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str = field(repr=False)

    @classmethod
    def parse(cls, header: str) -> Self:
        """Parse the header.

        Raises AwsError IncompleteSignatureException that names what is missing.
        """
        algorithm, _, rest = header.strip(SPACES).partition(" ")
        if algorithm != ALGORITHM:
            rule = f"the Authorization header must begin with '{ALGORITHM}'"
            raise AwsError(INCOMPLETE, f"Unsupported AWS 'algorithm': {rule}")

        parts = {
            name.strip(SPACES): value.strip(SPACES)
            for name, _, value in (part.partition("=") for part in rest.split(","))
        }
        names = ("Credential", "Signature", "SignedHeaders")
        if missing := [name for name in names if not parts.get(name)]:
            needs = (f"Authorization header requires '{name}' parameter." for name in missing)
            raise AwsError(INCOMPLETE, " ".join(needs))

        # From the end, because an access key may contain slashes.
        scope = parts["Credential"].rsplit("/", SCOPE_PARTS - 1)
        if len(scope) != SCOPE_PARTS or scope[-1] != TERMINATOR:
            form = f"access-key/YYYYMMDD/region/service/{TERMINATOR}"
            raise AwsError(INCOMPLETE, f"Credential must have the form {form}")

        access_key, date, region, service, _ = scope
        signed_headers = tuple(parts["SignedHeaders"].split(";"))
        return cls(access_key, date, region, service, signed_headers, parts["Signature"])


class Signatures:
    """The keys of a `LocalECR`, and the check that one of them signed each request."""

    def __init__(
        self, *, region: str, clock: Clock, is_on: bool = True, further_regions: Iterable[str] = ()
    ) -> None:
        """Start without keys."""
        self.is_on: Final = is_on
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._regions = {region, *further_regions}

    def add(self, access_key: str, key: Key) -> None:
        """Add a key, in place of one with the same id."""
        self._keys[access_key] = key

    def remove(self, access_key: str) -> None:
        """Remove a key. Raises LookupError."""
        del self._keys[self._known(access_key)]

    def expire(self, access_key: str) -> None:
        """Let a key expire now. Raises LookupError."""
        self._keys[self._known(access_key)].expires = float("-inf")

    async def before(self, call: Call) -> Reply | None:
        """Reject a request with an invalid signature. The service calls this method."""
        # The URL of a download has a signature of its own, and `/v2/` has passwords.
        if self.is_on and call.operation != GET_LAYER and call.route is None:
            self.verify(call.request)
        return None

    # The signature is that of an interceptor.
    async def after(self, call: Call, reply: Reply) -> Reply:  # noqa: ARG002
        """Return the reply unchanged."""
        return reply

    def verify(self, request: Request) -> None:
        """Verify the signature of one request.

        Raises AwsError with AWS's code and wording.
        """
        header = request.headers.get("authorization", "")
        if not header.strip(SPACES):
            raise error_of(MISSING)
        try:
            self._verify(request, Authorization.parse(header))
        except UnicodeError:
            # Text that HTTP cannot carry was never signed.
            raise error_of(INVALID) from None

    def _verify(self, request: Request, given: Authorization) -> None:
        key = self._key(given.access_key, request.headers.get("x-amz-security-token"))
        self._check_scope(given, service_of(request))
        timestamp = _timestamp(request.headers)
        self._check_time(timestamp, given.date)
        _check_signed_headers(request.headers, given.signed_headers)

        canonical = canonical_request(request, given.signed_headers)
        expected = signature(key, timestamp, given.region, given.service, canonical)
        if not hmac.compare_digest(expected.encode(), _bytes(given.signature)):
            raise error_of(INVALID)

    def _known(self, access_key: str) -> str:
        if access_key not in self._keys:
            message = f"this LocalECR has no access key {access_key!r:.200}"
            raise LookupError(message)
        return access_key

    def _key(self, access_key: str, token: str | None) -> Key:
        key = self._keys.get(access_key)
        if key is None or not hmac.compare_digest(_bytes(key.token or ""), _bytes(token or "")):
            raise error_of(UNKNOWN)
        if key.expires is not None and key.expires <= self._clock.now():
            raise error_of(EXPIRED)
        return key

    def _check_scope(self, given: Authorization, service: str) -> None:
        regions = self._regions if service == "ecr" else self._regions.union(PUBLIC_REGIONS)
        if given.region not in regions:
            where = f"a valid region, not '{given.region[:200]}'. "
            raise AwsError(INVALID, f"Credential should be scoped to {where}")
        if given.service != service:
            where = f"correct service: '{service}'. "
            raise AwsError(INVALID, f"Credential should be scoped to {where}")

    def _check_time(self, timestamp: str, date: str) -> None:
        if timestamp[:8] != date:
            message = (
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                f"from HTTP: '{date[:20]}' != '{timestamp[:8]}', from '{timestamp}'."
            )
            raise AwsError(INVALID, message)

        signed, now = _epoch(timestamp), self._clock.now()
        minutes = MAX_SKEW_SECONDS // 60
        if signed < now - MAX_SKEW_SECONDS:
            bound = f"{_text(now - MAX_SKEW_SECONDS)} ({_text(now)} - {minutes} min.)"
            raise AwsError(INVALID, f"Signature expired: {timestamp} is now earlier than {bound}")
        if signed > now + MAX_SKEW_SECONDS:
            bound = f"{_text(now + MAX_SKEW_SECONDS)} ({_text(now)} + {minutes} min.)"
            message = f"Signature not yet current: {timestamp} is still later than {bound}"
            raise AwsError(INVALID, message)


def region_of(request: Request) -> str | None:
    """Return the Region in the scope of a request's signature, or None if there is none."""
    found = _SCOPE(request.headers.get("authorization", ""))
    return found[1] if found is not None else None


def signature(key: Key, timestamp: str, region: str, service: str, canonical: bytes) -> str:
    """Return the signature of a canonical request, in hexadecimal."""
    date = timestamp[:8]
    scope = f"{date}/{region}/{service}/{TERMINATOR}"
    signed = f"{ALGORITHM}\n{timestamp}\n{scope}\n{hashlib.sha256(canonical).hexdigest()}"
    return hmac.digest(key.signing_key(date, region, service), _bytes(signed), "sha256").hex()


def canonical_request(
    request: Request, signed_headers: tuple[str, ...], payload: str | None = None
) -> bytes:
    """Return the canonical request, whose hash is signed.

    `payload` replaces the hash of the body where the body is not signed.

    >>> from ecr_layer_client.local._protocol import Request
    >>> request = Request("POST", "/?b=2&a=1", {"host": "x"}, b"")
    >>> canonical_request(request, ("host",)).decode().splitlines()[:5]
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
        payload or request.sha256 or hashlib.sha256(request.body).hexdigest(),
    )
    return _bytes("\n".join(lines))


def canonical_query(query: str | Mapping[str, str]) -> str:
    """Return a query, or parameters that are not encoded, in the form that is signed.

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


# In practice, the path is always "/".
@functools.lru_cache(maxsize=16)
def _canonical_path(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)

    slash = "/" if kept and path.endswith("/") else ""
    # The path is encoded a second time, as the rules of every service except S3 require.
    return quote(f"/{'/'.join(kept)}{slash}", safe="/" + UNRESERVED, errors="surrogateescape")


def _bytes(text: str) -> bytes:
    # aiohttp decodes bytes that are not UTF-8 in this way.
    return text.encode(errors="surrogateescape")


def _timestamp(headers: Mapping[str, str]) -> str:
    text = headers.get("x-amz-date", headers.get("date", "")).strip(SPACES)
    if re.fullmatch("[0-9]{8}T[0-9]{6}Z", text, re.ASCII):
        return text

    try:
        date = parsedate_to_datetime(text)
        return _text((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        # The standard library's parser raises any of these exceptions for malformed text.
        message = (
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header "
            "in ISO-8601 or HTTP form."
        )
        raise AwsError(INCOMPLETE, message) from None


def _check_signed_headers(headers: Mapping[str, str], signed: tuple[str, ...]) -> None:
    must = {"host", *(name for name in headers if name.startswith("x-amz-"))}
    if unsigned := sorted(must.difference(signed)):
        message = f"'{unsigned[0][:200]}' must be a 'SignedHeader' in the AWS Authorization."
        raise AwsError(INVALID, message)


# Cached because many requests are signed in the same second.
@functools.lru_cache(maxsize=16)
def _epoch(timestamp: str) -> float:
    try:
        return datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        # The digits are not a valid date.
        message = f"Date must be in ISO-8601 'basic format'. Got '{timestamp}'."
        raise AwsError(INCOMPLETE, message) from None


def _text(epoch: float) -> str:
    return f"{datetime.fromtimestamp(epoch, UTC):%Y%m%dT%H%M%SZ}"
