"""No key, token or signature is in any log record, repr, pickle, error or event of an observer."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock
from urllib.parse import quote

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioRefreshableCredentials
from aiohttp import ClientHttpProxyError, RequestInfo
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from client.steps import captured_variables, client_of
from ecr_layer_client import (
    AccessDeniedError,
    CallError,
    ECRLayerClient,
    RetryPolicy,
    ServiceError,
    TransportError,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from ecr_layer_client._models.config import TransportName
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

KEY = "AKIACANARYCANARY1234"
SECRET = "canary-of-a-secret/which+signs"  # noqa: S105 (a canary)
TOKEN = "a-token-CANARY//TOKEN+0123456789=="  # noqa: S105 (a canary)
SIGNATURE = "c0ffee" * 10 + "cafe"
# Of nobody, so it is known by its looks alone.
OTHER_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105 (AWS's example)
CANARIES = (KEY, SECRET, TOKEN, SIGNATURE, OTHER_SECRET)

SCOPE = "20260101/us-east-1/ecr/aws4_request"
HEADER = f"AWS4-HMAC-SHA256 Credential={KEY}/{SCOPE}, SignedHeaders=host, Signature={SIGNATURE}"
CANONICAL = (
    "'POST\n/\n\nhost:ecr\nx-amz-date:20260101T000000Z\n"
    f"x-amz-security-token:{TOKEN}\n\nhost;x-amz-date\n{SIGNATURE}'"
)
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details.\n\n"
    f"The Canonical String for this request should have been\n{CANONICAL}\n\nThe String-to-Sign "
    f"should have been\n'AWS4-HMAC-SHA256\n20260101T000000Z\n{SCOPE}\n{SIGNATURE}'\n"
)
PRESIGNED = (
    f"https://bucket.example/layer?X-Amz-Credential={KEY}%2F20260101"
    f"&X-Amz-Security-Token={TOKEN}&X-Amz-Signature={SIGNATURE}"
)
ECHO = (
    f"<html>POST / HTTP/1.1\r\nAuthorization: {HEADER}\r\nX-Amz-Security-Token: {TOKEN}</html>"
).encode()

NO_SIGNATURE = "Authorization header requires 'Signature' parameter."
NO_PAIR = "not a valid key=value pair (missing equal-sign) in Authorization header"

OTHER_MEMBERS = json.dumps({"code": "X", "key": SECRET, OTHER_SECRET: 1, SECRET: "x"}).encode()

# Error codes and messages of ECR that repeat a secret.
MESSAGES = {
    "mismatch": ("InvalidSignatureException", MISMATCH),
    "skew": ("InvalidSignatureException", f"Signature expired: 20260101T000000Z {CANONICAL}"),
    "header": ("IncompleteSignatureException", f"{NO_SIGNATURE} Authorization={HEADER}"),
    "signature-first": ("IncompleteSignatureException", f"'{SIGNATURE}' {NO_PAIR}: '{HEADER}'."),
    "token": ("UnrecognizedClientException", f"The security token: {TOKEN} is invalid"),
    "denied": ("AccessDeniedException", f"not allowed: {PRESIGNED}"),
    "parameter": ("InvalidParameterException", f"invalid: {PRESIGNED}"),
    "throttled": ("ThrottlingException", f"Rate exceeded {HEADER}"),
    "transient": ("ServerException", MISMATCH),
    "unknown-code": ("KmsException", MISMATCH),
    "bare": ("AccessDeniedException", f"the key {KEY} may not: {TOKEN}"),
    "bare-encoded": ("AccessDeniedException", f"may not: {quote(TOKEN, safe='')}"),
    "encoded": ("ServerException", f"X-Amz-Signature%3D{SIGNATURE}&Credential%3D{KEY}"),
    "secret": ("AccessDeniedException", f"may not with {SECRET} nor {OTHER_SECRET}"),
    "secret-encoded": ("ServerException", quote(SECRET, safe="")),
    "secret-in-the-middle": ("ServerException", "x" * 1990 + SECRET + "x" * 1_000_000),
}
# Bodies that are no results and repeat a secret.
BODIES = {
    "headers-in-json": f'{{"layers": {{"X-Amz-Security-Token": "{TOKEN}"}}}}'.encode(),
    "headers-in-html": f"<html><td>X-Amz-Security-Token</td><td>{TOKEN}</td>".encode(),
    "bare-in-json": json.dumps({"layers": TOKEN}).encode(),
    "bare-in-html": f"<html>{TOKEN}".encode(),
    "members": json.dumps({"layers": {"Signature": SIGNATURE, "sessionToken": TOKEN}}).encode(),
    "echo-200": ECHO,
}
FAULTS: dict[str, dict[str, Any]] = {
    **{name: {"error": code, "message": text} for name, (code, text) in MESSAGES.items()},
    **{name: {"body": body} for name, body in BODIES.items()},
    "echo-403": {"body": ECHO, "status": 403},
    "code": {"body": json.dumps({"__type": f"Denied {TOKEN}"}).encode(), "status": 403},
    "code-of-keys": {"body": json.dumps({"code": OTHER_SECRET}).encode(), "status": 500},
    "other-members": {"body": OTHER_MEMBERS, "status": 400},
    "redirect": {"redirect_to": PRESIGNED},
    "reset": {"reset": True},
    "truncated": {"cut_at": 20},
    "slow": {"latency": 60.0},
}


class Recorder:
    """An observer that keeps everything that it is given."""

    def __init__(self) -> None:
        self.facts: list[object] = []

    @contextmanager
    def _span(self, *facts: object) -> Generator[None, None, None]:
        self.facts += facts
        try:
            yield
        except BaseException as error:
            self.facts += [error, captured_variables(error)]
            raise

    operation = attempt = _span

    def retry(self, *facts: object) -> None:
        """Keep the facts."""
        self.facts += facts

    throttle = retry


def _canary_client(
    ecr: LocalECR, observer: Recorder | None = None, session: Any = None
) -> ECRLayerClient:
    """Return a client that signs with canaries."""
    ecr.add_key(KEY, SECRET, TOKEN)
    session = session or ecr.session()
    session.set_credentials(KEY, SECRET, TOKEN)
    retry = RetryPolicy(max_attempts=2, max_elapsed=5.0)
    return client_of(ecr, session, retry=retry, attempt_timeout=2.0, observer=observer)


def _texts_of_error(error: BaseException) -> Iterator[str]:
    """Yield each text in which people see an error, and the errors that it is chained to."""
    yield "".join(traceback.format_exception(error))
    yield captured_variables(error)
    seen: BaseException | None = error
    while seen is not None:
        yield from (str(seen), repr(seen), repr(getattr(seen, "__notes__", "")))
        response: dict[str, object] = getattr(seen, "response", None) or {}
        yield repr(response.get("Error"))
        if isinstance(seen, CallError):
            yield pickle.dumps(seen).decode("latin-1")
            yield repr({name: fact for name, fact in vars(seen).items() if name[0] != "_"})
        seen = seen.__cause__ or seen.__context__


def _texts_of_facts(facts: list[object]) -> Iterator[str]:
    for fact in facts:
        yield from (repr(fact), str(fact))
        if isinstance(fact, BaseException):
            yield from _texts_of_error(fact)


def _texts_of_logs(caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    """Yield what was logged, without botocore and aiobotocore, which log what they sign."""
    for record in caplog.records:
        if record.name.partition(".")[0] not in {"botocore", "aiobotocore"}:
            yield from (record.getMessage(), repr(vars(record)))


def _leaks(texts: Iterable[str]) -> list[str]:
    return [
        canary
        for text in texts
        for canary in CANARIES
        if any(spelled in text for spelled in (canary, repr(canary)[1:-1], quote(canary, safe="")))
    ]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
async def test_no_secret_in_an_error(
    ecr: LocalECR, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """No error of ECR or the network has a secret, nor do its chain, pickle, logs and events."""
    caplog.set_level(logging.DEBUG)
    observer = Recorder()
    ecr.faults.add(**fault)
    async with _canary_client(ecr, observer) as client:
        with pytest.raises(CallError) as raised:
            await client.check_layers("app", ["sha256:aa"])

    assert _leaks(_texts_of_error(raised.value)) == []
    assert _leaks(_texts_of_facts(observer.facts)) == []
    assert _leaks(_texts_of_logs(caplog)) == []


async def test_an_error_body_is_bounded(ecr: LocalECR) -> None:
    """Of an error body of 3 MB, an error keeps 2,000 characters, and no frame keeps the rest."""
    said = {"__type": "x" * 1_000_000, "message": "y" * 1_000_000, "more": "z" * 1_000_000}
    ecr.faults.add(body=json.dumps(said).encode(), status=400)
    async with _canary_client(ecr) as client:
        with pytest.raises(ServiceError) as raised:
            await client.check_layers("app", ["sha256:aa"])

    error = raised.value
    assert (error.message, error.code) == ("y" * 2000, "x" * 200)
    assert sum(map(len, _texts_of_error(error))) < 100_000


@pytest.mark.parametrize("words", [SECRET, OTHER_SECRET], ids=["in-use", "by-its-looks"])
@pytest.mark.parametrize("place", ["str", "note", "repr", "group", "behind"])
async def test_no_secret_of_a_hook(ecr: LocalECR, words: str, place: str) -> None:
    """An error of a hook in the caller's session is not chained if anything of it is secret."""

    def hook(**_: Any) -> None:
        error: Exception = LookupError(words if place == "str" else "harmless")
        if place == "note":
            error.add_note(words)
        if place == "repr":
            headers = CIMultiDictProxy(CIMultiDict({"x-sent": words}))
            error = ClientHttpProxyError(RequestInfo(URL(), "POST", headers, URL()), ())
        if place == "group":
            error = ExceptionGroup("harmless", [LookupError(words)])
        if place == "behind":
            error.__context__ = LookupError(words)
        raise error

    session: Any = ecr.session()
    session.register("before-send.ecr", hook)
    async with _canary_client(ecr, session=session) as client:
        with pytest.raises(TransportError) as raised:
            await client.check_layers("app", ["sha256:aa"])
    assert _leaks(_texts_of_error(raised.value)) == []


async def test_no_secret_of_a_borrowed_client(ecr: LocalECR) -> None:
    """The keys of a borrowed client are known by value, too."""
    ecr.add_key(KEY, SECRET, TOKEN)
    ecr.faults.add(error="AccessDeniedException", message=f"may not: {SECRET}")
    session: Any = ecr.session()
    session.set_credentials(KEY, SECRET, TOKEN)
    config = AioConfig(retries={"total_max_attempts": 1})
    async with (
        session.create_client("ecr", endpoint_url=ecr.endpoint_url, config=config) as borrowed,
        ECRLayerClient.from_client(borrowed) as client,
    ):
        with pytest.raises(AccessDeniedError) as raised:
            await client.check_layers("app", ["sha256:aa"])
    assert raised.value.message == "may not: ***"
    assert _leaks(_texts_of_error(raised.value)) == []


async def test_no_secret_that_a_session_refreshes(ecr: LocalECR, transport: TransportName) -> None:
    """Keys that a caller's session refreshes itself, such as a role's, are known by value, too."""
    ecr.add_key(KEY, SECRET, TOKEN)
    ecr.faults.add(error="AccessDeniedException", message=f"may not: {SECRET}")
    session: Any = ecr.session()
    expires = datetime.now(UTC) + timedelta(hours=1)
    refreshed: Any = AioRefreshableCredentials
    session._credentials = refreshed(KEY, SECRET, TOKEN, expires, AsyncMock(), "role")
    async with client_of(ecr, session, transport=transport) as client:
        with pytest.raises(AccessDeniedError) as raised:
            await client.check_layers("app", ["sha256:aa"])
    assert raised.value.message == "may not: ***"


async def test_no_secret_of_a_success(ecr: LocalECR, caplog: pytest.LogCaptureFixture) -> None:
    """No secret is in a repr, a log or an event of a check that works."""
    caplog.set_level(logging.DEBUG)
    observer = Recorder()
    async with (
        _canary_client(ecr, observer) as client,
        client.stream_layers("app", ["sha256:aa"]) as stream,
    ):
        result = await stream.collect()
        connection = client._connection
        inside = (connection, connection.options, connection._opened, connection._resources)
        shown = [repr(each) for each in (client, client._config, stream, result, *inside)]

    assert len(result) == 1
    assert _leaks([*shown, *_texts_of_logs(caplog), *_texts_of_facts(observer.facts)]) == []


async def test_canaries_are_used(ecr: LocalECR, caplog: pytest.LogCaptureFixture) -> None:
    """The canaries really sign: botocore's own DEBUG log shows the token."""
    caplog.set_level(logging.DEBUG)
    async with _canary_client(ecr) as client:
        await client.check_layers("app", ["sha256:aa"])
    assert any(TOKEN in repr(vars(record)) for record in caplog.records)


FORGED = "x\nERROR ecr_layer_client forged\r\n\x1b[31mred\x00\u2028\x85end"
ROW = b'{"layers": [{"layerDigest": "x\\ny", "layerAvailability": "GONE\\nFORGED"}]}'
FORGERIES: dict[str, dict[str, Any]] = {
    "message": {"error": "ServerException", "message": FORGED},
    "code": {"error": f"Server{FORGED}", "status": 503},
    "throttled": {"error": "ThrottlingException", "message": FORGED},
    "body": {"body": FORGED.encode()},
    "row": {"body": ROW},
    "rows": {"drop_rows": 2, "double_rows": 1},
}


@pytest.mark.parametrize("fault", FORGERIES.values(), ids=list(FORGERIES))
async def test_no_forged_line(
    ecr: LocalECR, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A log record or an error is one printable line, whatever ECR or a digest contains."""
    caplog.set_level(logging.DEBUG, logger="ecr_layer_client")
    ecr.faults.add(times=1, **fault)
    ecr.faults.add(error="AccessDeniedException", message=FORGED, after=1)
    async with ecr.client() as client:
        with pytest.raises(CallError) as raised:
            await client.check_layers("app", ["sha256:aa", "sha256:bb", FORGED])

    records = [each.getMessage() for each in caplog.records if each.name == "ecr_layer_client"]
    texts = (*records, str(raised.value), repr(raised.value.partial))
    assert [text for text in texts if not text.isprintable()] == []

    lines = "".join(traceback.format_exception(raised.value)).split("\n")
    assert [line for line in lines if line.startswith("ERROR") or not line.isprintable()] == []


async def test_silent_by_default(ecr: LocalECR, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed unless logging is set up."""
    ecr.faults.add(status=503, times=2)
    async with ecr.client() as client:
        await client.check_layers("app", ["sha256:aa"])
    assert capfd.readouterr() == ("", "")
