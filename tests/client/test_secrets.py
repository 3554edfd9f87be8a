"""No key, token or signature in any log record, repr, pickle, error or observer event.

No text from outside forges a log line.
"""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from ecr_layer_client import CallError, ClientConfig, ECRLayerClient, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

KEY = "AKIACANARYCANARY1234"
SECRET = "canary-of-a-secret/which+signs"  # noqa: S105 (a canary)
TOKEN = "a-token-CANARY//TOKEN+0123456789=="  # noqa: S105 (a canary)
SIGNATURE = "c0ffee" * 10 + "cafe"
CANARIES = (KEY, SECRET, TOKEN, SIGNATURE)

HEADER = f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/ecr/aws4_request, SignedHeaders=host, Signature={SIGNATURE}"
CANONICAL = f"'POST\n/\n\nhost:ecr\nx-amz-date:20260101T000000Z\nx-amz-security-token:{TOKEN}\n\nhost;x-amz-date\n{SIGNATURE}'"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing "
    f"method. Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n{CANONICAL}\n\n"
    f"The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n20260101T000000Z\n20260101/us-east-1/ecr/aws4_request\n{SIGNATURE}'\n"
)
PRESIGNED = f"https://bucket.example/layer?X-Amz-Credential={KEY}%2F20260101&X-Amz-Security-Token={TOKEN}&X-Amz-Signature={SIGNATURE}"
ECHO = f"<html>POST / HTTP/1.1\r\nAuthorization: {HEADER}\r\nX-Amz-Security-Token: {TOKEN}</html>".encode()

FAULTS: list[Any] = [
    pytest.param(
        {"error": "InvalidSignatureException", "message": MISMATCH}, id="InvalidSignature"
    ),
    pytest.param(
        {"error": "SignatureDoesNotMatch", "message": MISMATCH}, id="SignatureDoesNotMatch"
    ),
    pytest.param(
        {
            "error": "InvalidSignatureException",
            "message": f"Signature expired: 20260101T000000Z {CANONICAL}",
        },
        id="skew",
    ),
    pytest.param(
        {
            "error": "IncompleteSignatureException",
            "message": f"Authorization header requires 'Signature' parameter. Authorization={HEADER}",
        },
        id="IncompleteSignature",
    ),
    pytest.param(
        {
            "error": "IncompleteSignatureException",
            "message": f"'{SIGNATURE}' not a valid key=value pair (missing equal-sign) in Authorization header: '{HEADER}'.",
        },
        id="IncompleteSignature-quoted-first",
    ),
    pytest.param(
        {
            "error": "UnrecognizedClientException",
            "message": f"The security token: {TOKEN} is invalid",
        },
        id="Unrecognized",
    ),
    pytest.param(
        {"body": f'{{"layers": {{"X-Amz-Security-Token": "{TOKEN}"}}}}'.encode()},
        id="headers in JSON",
    ),
    pytest.param(
        {"body": f"<html><td>X-Amz-Security-Token</td><td>{TOKEN}</td>".encode()},
        id="headers in HTML",
    ),
    pytest.param({"error": "ExpiredTokenException"}, id="ExpiredToken"),
    pytest.param(
        {"error": "AccessDeniedException", "message": f"not allowed: {PRESIGNED}"},
        id="AccessDenied",
    ),
    pytest.param({"error": "RepositoryNotFoundException"}, id="RepositoryNotFound"),
    pytest.param(
        {"error": "InvalidParameterException", "message": f"invalid: {PRESIGNED}"},
        id="InvalidParameter",
    ),
    pytest.param(
        {"error": "ThrottlingException", "message": f"Rate exceeded {HEADER}"}, id="Throttling"
    ),
    pytest.param({"error": "ServerException", "message": MISMATCH}, id="ServerException"),
    pytest.param({"error": "KmsException", "message": MISMATCH}, id="unknown-error"),
    pytest.param(
        {"error": "AccessDeniedException", "message": f"the key {KEY} may not: {TOKEN}"}, id="bare"
    ),
    pytest.param(
        {"error": "AccessDeniedException", "message": f"may not: {quote(TOKEN, safe='')}"},
        id="bare, percent-encoded",
    ),
    pytest.param({"body": json.dumps({"layers": TOKEN}).encode()}, id="bare in JSON"),
    pytest.param({"body": f"<html>{TOKEN}".encode()}, id="bare in HTML"),
    pytest.param(
        {"body": json.dumps({"layers": {"Signature": SIGNATURE, "sessionToken": TOKEN}}).encode()},
        id="members in JSON",
    ),
    pytest.param(
        {
            "error": "ServerException",
            "message": f"X-Amz-Signature%3D{SIGNATURE}&Credential%3D{KEY}",
        },
        id="percent-encoded",
    ),
    pytest.param({"status": 503}, id="503"),
    pytest.param({"body": ECHO, "status": 403}, id="echo-403"),
    pytest.param({"body": ECHO}, id="echo-200"),
    pytest.param({"redirect_to": PRESIGNED}, id="redirect"),
    pytest.param({"reset": True}, id="reset"),
    pytest.param({"cut_at": 20}, id="cut"),
    pytest.param({"latency": 60.0}, id="slow"),
    pytest.param({"drip": 1.0}, id="drip"),
]


class Recorder:
    """An observer that keeps all that it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    @contextmanager
    def _span(self, *facts: object) -> Generator[None, None, None]:
        self.told += facts
        try:
            yield
        except BaseException as error:
            self.told.append(error)
            raise

    operation = attempt = _span

    def retry(self, *facts: object) -> None:
        """Keep it."""
        self.told += facts

    throttle = retry


def _canary_client(ecr: LocalECR, observer: Recorder | None = None) -> ECRLayerClient:
    """Return a client that signs with canaries."""
    ecr.seed("app", [])
    ecr.add_key(KEY, SECRET, TOKEN)
    session: Any = ecr.session()
    session.set_credentials(KEY, SECRET, TOKEN)
    config = ClientConfig(retry=RetryPolicy(max_attempts=2, max_elapsed=5.0), attempt_timeout=2.0)
    return ECRLayerClient(
        region_name=ecr.region,
        endpoint_url=ecr.endpoint_url,
        session=session,
        config=config,
        observer=observer,
    )


def _shown(error: BaseException) -> Iterator[str]:
    """Yield each way in which an error, and what is chained to it, comes to people's eyes."""
    yield "".join(traceback.format_exception(error))
    seen: BaseException | None = error
    while seen is not None:
        yield from (str(seen), repr(seen), repr(getattr(seen, "__notes__", "")))
        response: dict[str, object] = getattr(seen, "response", None) or {}
        yield repr(response.get("Error"))
        if isinstance(seen, CallError):
            yield pickle.dumps(seen).decode("latin-1")
            yield repr(
                {name: fact for name, fact in vars(seen).items() if not name.startswith("_")}
            )
        seen = seen.__cause__ or seen.__context__


def _told(facts: list[object]) -> Iterator[str]:
    for fact in facts:
        yield from _shown(fact) if isinstance(fact, BaseException) else (repr(fact), str(fact))


def _logged(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what was logged, but by botocore and aiobotocore, whose own DEBUG logs print what they sign."""
    return [
        record
        for record in caplog.records
        if record.name.partition(".")[0] not in {"botocore", "aiobotocore"}
    ]


def _leaks(texts: Iterator[str]) -> list[str]:
    return [
        canary
        for text in texts
        for canary in CANARIES
        if canary in text or repr(canary)[1:-1] in text
    ]


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_secret_in_an_error(
    ecr: LocalECR, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever error ECR or the network provokes, no secret is in it, in what it is chained to, in its pickle, in a log or an event."""
    caplog.set_level(logging.DEBUG)
    observer = Recorder()
    ecr.faults.add(**fault)
    async with _canary_client(ecr, observer) as client:
        with pytest.raises(CallError) as raised:
            await client.check_layers("app", ["sha256:aa"])
    logs = (
        text for record in _logged(caplog) for text in (record.getMessage(), repr(vars(record)))
    )
    assert (_leaks(_shown(raised.value)), _leaks(_told(observer.told)), _leaks(logs)) == (
        [],
        [],
        [],
    )


async def test_no_secret_where_all_is_well(ecr: LocalECR, caplog: pytest.LogCaptureFixture) -> None:
    """No secret is in the repr of a client, a configuration, a stream or a result, nor logged or told of a check that works."""
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
    logs = [
        text for record in _logged(caplog) for text in (record.getMessage(), repr(vars(record)))
    ]
    assert (len(result), _leaks(iter([*shown, *logs])), _leaks(_told(observer.told))) == (1, [], [])


async def test_canaries_are_used(ecr: LocalECR, caplog: pytest.LogCaptureFixture) -> None:
    """The canaries really sign: botocore's own DEBUG log, which is not this library's, shows the token."""
    caplog.set_level(logging.DEBUG)
    async with _canary_client(ecr) as client:
        await client.check_layers("app", ["sha256:aa"])
    assert any(TOKEN in repr(vars(record)) for record in caplog.records)


FORGED = "x\nERROR ecr_layer_client forged\r\n\x1b[31mred\x00\u2028\x85end"
FORGERIES: list[Any] = [
    pytest.param({"error": "ServerException", "message": FORGED}, id="message"),
    pytest.param({"error": f"Server{FORGED}", "status": 503}, id="code"),
    pytest.param({"error": "ThrottlingException", "message": FORGED}, id="throttled"),
    pytest.param({"body": FORGED.encode()}, id="body"),
    pytest.param(
        {"body": b'{"layers": [{"layerDigest": "x\\ny", "layerAvailability": "GONE\\nFORGED"}]}'},
        id="row",
    ),
    pytest.param({"drop_rows": 2, "double_rows": 1}, id="rows"),
]


@pytest.mark.parametrize("fault", FORGERIES)
async def test_no_forged_line(
    ecr: LocalECR, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Newlines and escapes in what ECR says, or in a digest, come quoted: each record is one printable line, and so is each error."""
    caplog.set_level(logging.DEBUG, logger="ecr_layer_client")
    ecr.seed("app", [])
    ecr.faults.add(times=1, **fault)
    ecr.faults.add(error="AccessDeniedException", message=FORGED, after=1)
    async with ecr.client() as client:
        with pytest.raises(CallError) as raised:
            await client.check_layers("app", ["sha256:aa", "sha256:bb", FORGED])
    lines = [record.getMessage() for record in caplog.records if record.name == "ecr_layer_client"]
    assert [
        line
        for line in (*lines, str(raised.value), repr(raised.value.partial))
        if not line.isprintable()
    ] == []
    logged = "".join(traceback.format_exception(raised.value))
    assert [
        line for line in logged.split("\n") if line.startswith("ERROR") or not line.isprintable()
    ] == []


async def test_silent_by_default(ecr: LocalECR, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed unless logging is set up."""
    ecr.seed("app", [])
    ecr.faults.add(status=503, times=2)
    async with ecr.client() as client:
        await client.check_layers("app", ["sha256:aa"])
    assert capfd.readouterr() == ("", "")
