"""Signatures are verified as in AWS.

botocore's own signatures pass, and every wrong signature gets AWS's error.
"""

from __future__ import annotations

import asyncio
import re
import string
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate, parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from ecr_layer_client import ServiceError
from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._clock import Clock
from ecr_layer_client.local._in_memory import _request
from ecr_layer_client.local._protocol import Request
from ecr_layer_client.local._registry.errors import AwsError
from ecr_layer_client.local._session import ACCESS_KEY
from ecr_layer_client.local._signatures import Key, Signatures

REGION = "eu-west-1"
ID = "AKIDEXAMPLE"
CANARY = "canary-secret"
TOKEN = "canary-token"  # noqa: S105  (a canary)
HERE = "http://127.0.0.1:4566"

INVALID = "InvalidSignatureException"
MISMATCH = (
    INVALID,
    (
        "The request signature we calculated does not match the signature you provided. "
        "Check your AWS Secret Access Key and signing method. "
        "Consult the service documentation for details."
    ),
)
UNKNOWN = ("UnrecognizedClientException", "The security token included in the request is invalid.")
EXPIRED = ("ExpiredTokenException", "The security token included in the request is expired")

quick = settings(max_examples=100, deadline=None)


def a_request(
    *,
    method: str = "POST",
    target: str = "/",
    headers: dict[str, str] | None = None,
    body: bytes = b"{}",
    secret: str = CANARY,
    token: str | None = None,
    region: str = REGION,
    service: str = "ecr",
) -> Request:
    """Return a request that botocore signed now."""
    request: Any = AWSRequest(
        method=method,
        url=HERE + target,
        headers={"X-Amz-Target": "x", **(headers or {})},
        data=body,
    )
    auth: Any = SigV4Auth(Credentials(ID, secret, token), service, region)
    auth.add_auth(request)

    return _request(request.prepare(), body)


def signatures(
    *, token: str | None = None, expires: float | None = None, skew: float = 0.0
) -> Signatures:
    """Return the verification with one known key."""
    clock = Clock()
    clock.skew = skew
    known = Signatures(region=REGION, clock=clock)
    known.add(ID, Key(CANARY, token, expires))
    return known


def rejection(request: Request, known: Signatures | None = None) -> tuple[str, str] | None:
    """Return the code and the message of an error, or None for a request that passes."""
    try:
        (known or signatures()).verify(request)
    except AwsError as error:
        return error.code, error.message
    return None


def with_header(request: Request, name: str, value: str | None) -> Request:
    """Return the request with another header, or without it for None."""
    headers = {**request.headers, name: value}
    return replace(
        request, headers={each: text for each, text in headers.items() if text is not None}
    )


# -- botocore's signatures pass

names = st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=12).map(
    lambda text: f"X-Amz-{text}"
)
values = st.text(string.ascii_letters + string.digits + string.punctuation + "  é", max_size=20)
words = st.text(max_size=8, alphabet=st.characters(codec="utf-8"))
queries = st.lists(st.tuples(words, words), max_size=4).map(
    lambda pairs: "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs
    )
)
paths = st.lists(
    st.one_of(words, st.sampled_from(["", ".", "..", "a b", "%", "é"])), max_size=5
).map(lambda parts: "/" + "/".join(quote(part, safe="-_.~") for part in parts))
secrets = st.text(string.ascii_letters + string.digits + "/+=", min_size=1, max_size=40)


@quick
@given(
    st.sampled_from(["GET", "POST", "PUT"]),
    paths,
    queries,
    st.dictionaries(names, values, max_size=4),
    st.binary(max_size=200),
)
def test_what_botocore_signs_passes(
    method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    """Any method, path, query, headers and body that botocore signs pass."""
    target = f"{path}?{query}" if query else path
    assert rejection(a_request(method=method, target=target, headers=headers, body=body)) is None


@quick
@given(secrets, st.one_of(st.none(), secrets))
def test_any_secret_and_token_pass(secret: str, token: str | None) -> None:
    """Any secret passes, with a session token or without one."""
    known = Signatures(region=REGION, clock=Clock())
    known.add(ID, Key(secret, token))
    assert rejection(a_request(secret=secret, token=token), known) is None


def test_a_date_header_may_give_the_time() -> None:
    """A Date header, which botocore signs if there is one, replaces X-Amz-Date."""
    request = a_request(headers={"Date": formatdate(usegmt=True)})
    assert ("x-amz-date" in request.headers, rejection(request)) == (False, None)


def test_spaces_in_signed_headers_do_not_count() -> None:
    """Leading, trailing and repeated spaces of a header are not signed."""
    request = a_request(headers={"X-Amz-Meta": "a b"})
    assert rejection(with_header(request, "x-amz-meta", "  a    b ")) is None


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u3000", "\x1f"])
def test_only_spaces_and_tabs_may_surround_a_key(space: str) -> None:
    """Another white-space character belongs to the id of the key, which is then unknown."""
    request = a_request()
    header = request.headers["authorization"]
    spaced = header.replace("Credential=", f"Credential={space}")
    allowed = header.replace("Credential=", "Credential= \t")
    assert rejection(with_header(request, "authorization", spaced)) == UNKNOWN
    assert rejection(with_header(request, "authorization", allowed)) is None


def test_an_access_key_may_contain_slashes() -> None:
    """The scope is parsed from the end of the credential."""
    known = Signatures(region=REGION, clock=Clock())
    known.add("a/b", Key(CANARY))
    request: Any = AWSRequest(method="POST", url=HERE + "/", data=b"{}")
    auth: Any = SigV4Auth(Credentials("a/b", CANARY), "ecr", REGION)
    auth.add_auth(request)
    assert rejection(_request(request.prepare(), b"{}"), known) is None


def test_the_signing_key_is_derived_once_a_day() -> None:
    """The signing key of a day is cached, and another day has another key."""
    key = Key(CANARY)
    first = key.signing_key("20260101", REGION)
    assert key.signing_key("20260101", REGION) is first
    assert key.signing_key("20260102", REGION) != first


# -- changed requests are rejected


@quick
@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_changed_byte_of_the_body_is_rejected(body: bytes, data: st.DataObject) -> None:
    """If any byte of the body changes, the signature does not match."""
    index = data.draw(st.integers(0, len(body) - 1))
    changed = (
        body[:index] + bytes([body[index] ^ data.draw(st.integers(1, 255))]) + body[index + 1 :]
    )
    assert rejection(replace(a_request(body=body), body=changed)) == MISMATCH


@quick
@given(st.integers(0, 63), st.integers(1, 15))
def test_a_changed_digit_of_the_signature_is_rejected(index: int, step: int) -> None:
    """If any digit of the signature changes, it does not match."""
    request = a_request()
    head, signature = request.headers["authorization"].split("Signature=")
    digit = f"{(int(signature[index], 16) + step) % 16:x}"
    changed = f"{head}Signature={signature[:index]}{digit}{signature[index + 1 :]}"
    assert rejection(with_header(request, "authorization", changed)) == MISMATCH


@quick
@given(st.sampled_from(["path", "x-amz-target", "x-amz-meta", "host", "content-type"]), st.data())
def test_a_changed_signed_character_is_rejected(where: str, data: st.DataObject) -> None:
    """If a character of the path, query or a signed header changes, the signature fails."""
    headers = {"X-Amz-Meta": "some text", "Content-Type": "application/x-amz-json-1.1"}
    request = a_request(target="/team/app%20x/?b=2&a=1%2F&c", headers=headers)
    text = request.path if where == "path" else request.headers[where]
    index = data.draw(st.sampled_from([place for place, each in enumerate(text) if each.isalnum()]))
    other = data.draw(
        st.sampled_from(
            [each for each in string.ascii_lowercase + string.digits if each != text[index].lower()]
        )
    )
    changed = text[:index] + other + text[index + 1 :]

    assert (
        rejection(
            replace(request, path=changed)
            if where == "path"
            else with_header(request, where, changed)
        )
        == MISMATCH
    )


@pytest.mark.parametrize(
    "change",
    [
        {"method": "GET"},
        {"path": "/other"},
        {"path": "/?a=1"},
        {"header": ("x-amz-target", "y")},
        {"header": ("x-amz-target", None)},
        {"header": ("host", "elsewhere")},
    ],
    ids=["method", "path", "query", "header", "no-header", "host"],
)
def test_a_change_after_signing_is_rejected(change: dict[str, Any]) -> None:
    """Method, path, query and signed headers cannot change after signing."""
    request = a_request()
    changed = (
        with_header(request, *change["header"])
        if "header" in change
        else replace(request, **change)
    )
    assert rejection(changed) == MISMATCH


def test_a_header_that_is_not_signed_may_change() -> None:
    """Headers that proxies add or change, such as User-Agent, are not signed."""
    assert rejection(with_header(a_request(), "user-agent", "another")) is None


@pytest.mark.parametrize("name", ["x-amz-more", "host"])
def test_some_headers_must_be_signed(name: str) -> None:
    """The host and every X-Amz header must be signed."""
    request = with_header(a_request(), "x-amz-more", "1" if name == "x-amz-more" else None)
    authorization = request.headers["authorization"].replace(
        "SignedHeaders=host;", "SignedHeaders=" if name == "host" else "SignedHeaders=host;"
    )
    answer = (INVALID, f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
    assert rejection(with_header(request, "authorization", authorization)) == answer


@pytest.mark.parametrize(
    ("signed", "known", "answer"),
    [
        ({"secret": CANARY[1:]}, {}, MISMATCH),
        ({"token": None}, {"token": TOKEN}, UNKNOWN),
        ({"token": "other"}, {"token": TOKEN}, UNKNOWN),
        ({"token": TOKEN}, {"token": None}, UNKNOWN),
        (
            {"region": "us-east-1"},
            {},
            (INVALID, "Credential should be scoped to a valid region, not 'us-east-1'. "),
        ),
        (
            {"service": "s3"},
            {},
            (INVALID, "Credential should be scoped to correct service: 'ecr'. "),
        ),
    ],
    ids=["secret", "no-token", "wrong-token", "needless-token", "region", "service"],
)
def test_another_key_or_scope_is_rejected(
    signed: dict[str, Any], known: dict[str, Any], answer: tuple[str, str]
) -> None:
    """A wrong secret does not match, a key needs exactly its token, and the scope is named."""
    assert rejection(a_request(**signed), signatures(**known)) == answer


def test_an_unknown_key_is_rejected() -> None:
    """An unknown key is UnrecognizedClientException."""
    assert rejection(a_request(), Signatures(region=REGION, clock=Clock())) == UNKNOWN


def test_an_expired_key_is_rejected() -> None:
    """A key is rejected after its expiry, and passes before."""
    now = Clock().now()
    assert rejection(a_request(token=TOKEN), signatures(token=TOKEN, expires=now - 1)) == EXPIRED
    assert rejection(a_request(token=TOKEN), signatures(token=TOKEN, expires=now + 60)) is None


@pytest.mark.parametrize("header", [None, "", "  "], ids=["missing", "empty", "blank"])
def test_a_request_without_authorization_is_rejected(header: str | None) -> None:
    """An unsigned request is MissingAuthenticationTokenException."""
    request = with_header(a_request(), "authorization", header)
    assert rejection(request) == (
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    )


SCOPE = f"{ID}/20260101/{REGION}/ecr/aws4_request"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("Basic dTpw", "Unsupported AWS 'algorithm'"),
        (
            "AWS4-HMAC-SHA256",
            (
                "Authorization header requires 'Credential' parameter. "
                "Authorization header requires 'Signature' parameter."
            ),
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, Signature=0",
            "Authorization header requires 'SignedHeaders' parameter.",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={ID}, SignedHeaders=host, Signature=0",
            "Credential must have the form",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}5, SignedHeaders=host, Signature=0",
            "Credential must have the form",
        ),
    ],
    ids=["basic", "nothing", "no-signed-headers", "no-scope", "terminator"],
)
def test_an_incomplete_authorization_is_rejected(header: str, says: str) -> None:
    """The error for an incomplete Authorization header names the missing part."""
    rejected = rejection(with_header(a_request(), "authorization", header))
    assert rejected is not None
    assert (rejected[0], rejected[1][: len(says)]) == ("IncompleteSignatureException", says)


@pytest.mark.parametrize(
    "date", [None, "", "today", "20269999T999999Z", "Mon, 99 Foo 99999 99:99:99"], ids=str
)
def test_a_request_without_a_time_is_rejected(date: str | None) -> None:
    """A request needs a valid time of signing."""
    request = with_header(a_request(), "x-amz-date", date)
    stamp = re.sub(r"/\d{8}/", "/20269999/", request.headers["authorization"])
    rejected = rejection(with_header(request, "authorization", stamp))
    assert rejected is not None
    assert rejected[0] == "IncompleteSignatureException"


def test_the_scope_is_of_the_day_of_signing() -> None:
    """The day in the scope is the day of X-Amz-Date."""
    request = a_request()
    stamp = re.sub(r"/\d{8}/", "/20200101/", request.headers["authorization"])
    rejected = rejection(with_header(request, "authorization", stamp))
    assert rejected is not None
    assert (rejected[0], rejected[1][:45]) == (
        INVALID,
        "Date in Credential scope does not match YYYYM",
    )


# -- clocks

TIME = "[0-9]{8}T[0-9]{6}Z"


@pytest.mark.parametrize(
    ("skew", "says"),
    [
        (600, rf"Signature expired: {TIME} is now earlier than {TIME} \({TIME} - 5 min\.\)"),
        (
            -600,
            rf"Signature not yet current: {TIME} is still later than {TIME} \({TIME} \+ 5 min\.\)",
        ),
    ],
    ids=["ahead", "behind"],
)
def test_the_error_shows_a_skewed_clock(skew: float, says: str) -> None:
    """With more than five minutes of skew, the error has both times, in AWS's wording."""
    rejected = rejection(a_request(), signatures(skew=skew))
    assert rejected is not None
    assert (rejected[0], re.fullmatch(says, rejected[1]) is not None) == (INVALID, True)


@pytest.mark.parametrize("skew", [-290, 290])
def test_less_than_five_minutes_off_is_fine(skew: float) -> None:
    """Clocks may differ by up to five minutes."""
    assert rejection(a_request(), signatures(skew=skew)) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])
@pytest.mark.parametrize("outcome", ["ok", "status"])
async def test_every_response_has_the_servers_time(*, in_memory: bool, outcome: str) -> None:
    """The Date header has the time of the registry's clock, also with faults."""
    async with LocalECR(in_memory=in_memory) as ecr:
        ecr.clock_skew = 200
        if outcome == "status":
            ecr.faults.add(status=503)
        answer = await ask(ecr)

    ahead = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]) - datetime.now(
        UTC
    )

    assert (ecr.clock_skew, round(ahead.total_seconds() / 10)) == (200, 20)


# -- secrets and garbage


@pytest.mark.parametrize(
    "change",
    [("x-amz-target", "y"), ("x-amz-security-token", "other"), ("authorization", CANARY)],
    ids=lambda each: each[0],
)
def test_no_secret_is_shown(change: tuple[str, str]) -> None:
    """No error and no repr contains a secret, a token or a signature."""
    known = signatures(token=TOKEN)
    request = a_request(token=TOKEN)
    told = f"{rejection(with_header(request, *change), known)} {known!r} {known._keys!r}"
    signature = request.headers["authorization"].split("Signature=")[1]
    assert [secret for secret in (CANARY, TOKEN, signature) if secret in told] == []


def test_text_that_http_cannot_carry_was_not_signed() -> None:
    """A lone surrogate in a signed header, possible only in memory, does not match."""
    assert rejection(with_header(a_request(), "x-amz-target", "\ud800")) == MISMATCH


# Lone surrogates included.
text = st.text(alphabet=st.characters(), max_size=40)


@quick
@given(
    st.one_of(
        text,
        text.map(
            lambda each: (
                f"AWS4-HMAC-SHA256 Credential={SCOPE},SignedHeaders={each},Signature={each}"
            )
        ),
    ),
    st.one_of(text, st.from_regex(r"\A[0-9]{8}T[0-9]{6}Z\Z")),
    st.dictionaries(text, text, max_size=3),
    text,
)
def test_garbage_is_rejected_in_aws_words(
    authorization: str, date: str, headers: dict[str, str], path: str
) -> None:
    """With any headers, the response is one of AWS's errors."""
    request = Request(
        "POST", path, {**headers, "authorization": authorization, "x-amz-date": date}, b""
    )
    assert rejection(request) is not None


# -- in the registry


async def ask(ecr: LocalECR, *keys: str | None) -> dict[str, Any]:
    """Describe repositories with these keys and return the response, also an error."""
    session: Any = ecr.session()
    if keys:
        session.set_credentials(*keys)
    config = Config(retries={"total_max_attempts": 1})

    async with session.create_client("ecr", endpoint_url=ecr.endpoint_url, config=config) as client:
        try:
            return dict(await client.describe_repositories())
        except ClientError as error:
            return dict(error.response)


async def code(ecr: LocalECR, *keys: str | None) -> str:
    """Return the error code for these keys, or "ok" for valid ones."""
    return str((await ask(ecr, *keys)).get("Error", {}).get("Code", "ok"))


@pytest.mark.asyncio
@pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])
async def test_both_servers_verify(*, in_memory: bool) -> None:
    """The session's keys pass, a wrong secret and an unknown key do not, and each is counted."""
    async with LocalECR(in_memory=in_memory) as ecr:
        codes = [
            await code(ecr),
            await code(ecr, ACCESS_KEY, "wrong"),
            await code(ecr, "nobody", "wrong"),
        ]
    assert codes == ["ok", INVALID, UNKNOWN[0]]
    assert ecr.stats.by_operation == {"DescribeRepositories": {"ok": 1, INVALID: 1, UNKNOWN[0]: 1}}


@pytest.mark.asyncio
async def test_a_rejected_signature_is_http_400() -> None:
    """The status is ECR's 400, for signatures too."""
    async with LocalECR(in_memory=True) as ecr:
        assert (await ask(ecr, "nobody", "wrong"))["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.asyncio
async def test_verification_can_be_off() -> None:
    """With auth=False, every signature passes."""
    async with LocalECR(in_memory=True, auth=False) as ecr:
        assert await code(ecr, "nobody", "wrong") == "ok"


@pytest.mark.asyncio
async def test_keys_can_be_rotated() -> None:
    """A key is added, expires, is replaced by one with a new token, and is removed."""
    async with LocalECR(in_memory=True) as ecr:
        ecr.add_key("temporary", CANARY, TOKEN)
        codes = [await code(ecr, "temporary", CANARY, TOKEN)]
        ecr.expire("temporary")
        codes += [await code(ecr, "temporary", CANARY, TOKEN)]
        ecr.add_key("temporary", CANARY, "another")
        codes += [
            await code(ecr, "temporary", CANARY, TOKEN),
            await code(ecr, "temporary", CANARY, "another"),
        ]
        ecr.remove_key("temporary")
        codes += [await code(ecr, "temporary", CANARY, "another")]

    assert codes == ["ok", EXPIRED[0], UNKNOWN[0], "ok", UNKNOWN[0]]


@pytest.mark.asyncio
async def test_a_key_expires_on_the_registrys_clock() -> None:
    """A key that expires in a minute is rejected by a registry that is two minutes ahead."""
    async with LocalECR(in_memory=True) as ecr:
        ecr.add_key("temporary", CANARY, expires=datetime.now(UTC) + timedelta(minutes=1))
        codes = [await code(ecr, "temporary", CANARY)]
        ecr.clock_skew = 120
        codes += [await code(ecr, "temporary", CANARY)]
    assert codes == ["ok", EXPIRED[0]]


@pytest.mark.asyncio
async def test_a_rejected_signature_spends_no_quota() -> None:
    """A rejected signature takes no token from the bucket."""
    async with LocalECR(in_memory=True, quota=0.001) as ecr:
        assert [await code(ecr, "nobody", "wrong"), await code(ecr), await code(ecr)] == [
            UNKNOWN[0],
            "ok",
            "ThrottlingException",
        ]


@pytest.mark.parametrize("how", ["expire", "remove_key"])
def test_an_unknown_key_cannot_expire(how: str) -> None:
    """Expiring or removing an unknown key raises LookupError that names it."""
    with pytest.raises(LookupError, match="has no access key 'nobody'"):
        getattr(LocalECR(), how)("nobody")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"access_key": "", "secret_key": "s"},
            "access_key, secret_key and session_token must not be empty",
        ),
        (
            {"access_key": "a", "secret_key": ""},
            "access_key, secret_key and session_token must not be empty",
        ),
        (
            {"access_key": "a", "secret_key": "s", "session_token": ""},
            "access_key, secret_key and session_token must not be empty",
        ),
        (
            # The missing time zone is the error.
            {"access_key": "a", "secret_key": "s", "expires": datetime(2026, 1, 1)},  # noqa: DTZ001
            "expires=datetime",
        ),
    ],
    ids=["no-id", "no-secret", "no-token", "naive"],
)
def test_an_invalid_key_is_rejected(arguments: dict[str, Any], says: str) -> None:
    """An empty part of a key, or an expiry without a time zone, raises ValueError."""
    with pytest.raises(ValueError, match=says):
        LocalECR().add_key(**arguments)


@pytest.mark.asyncio
@pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])
async def test_a_client_of_another_region_gets_a_clear_error(*, in_memory: bool) -> None:
    """The error of a client with another Region names both Regions, and is not retried."""
    async with (
        LocalECR(in_memory=in_memory, region="eu-west-1") as ecr,
        ecr.client() as client,
        client.for_region("us-east-1") as other,
    ):
        ecr.create_repository("app")
        with pytest.raises(ServiceError) as caught:
            await other.check_layers("app", ["sha256:" + "0" * 64])

    told = (
        "with the message \"Credential should be scoped to a valid region, not 'us-east-1'. \": "
        "the request was signed for ECR in Region us-east-1"
    )

    assert (type(caught.value), told in str(caught.value), ecr.stats.requests) == (
        ServiceError,
        True,
        1,
    )


@pytest.mark.asyncio
async def test_a_repeated_header_is_one_list() -> None:
    """Over HTTP, a repeated header is one list of values, and cannot hide a second target."""
    async with LocalECR(auth=False) as ecr:
        host, port = ecr.endpoint_url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        target = "X-Amz-Target: AmazonEC2ContainerRegistry_V20150921.DescribeRepositories\r\n"
        head = f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{target}{target}"
        writer.write(f"{head}Content-Length: 0\r\n\r\n".encode())
        await reader.read()
        writer.close()

    assert ecr.stats.by_operation == {"": {"UnknownOperationException": 1}}
