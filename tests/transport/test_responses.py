"""The response reader that both transports share: results, error responses, broken responses."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import ClassVar

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from ecr_layer_client import (
    CallError,
    CredentialsError,
    Repository,
    ResponseError,
    ServerError,
    ServiceError,
    TransportError,
)
from ecr_layer_client._transport.contract import parse_response
from ecr_layer_client._transport.error_responses import ErrorResponse
from ecr_layer_client._transport.responses import Response, ResponseReader

APP = Repository(name="team/app")
HEADERS = {"x-amzn-requestid": "5f1c"}
WHAT = "UploadLayerPart on repository 'team/app' (registry of the caller, Region eu-west-1): "
LIMIT = 200
KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


class Part(BaseModel):
    """The members of a response that the operation reads."""

    last: int = Field(alias="lastByteReceived")


PART = TypeAdapter(Part)


@dataclass(frozen=True)
class Upload:
    """An operation whose result is the last byte that ECR received."""

    name: ClassVar[str] = "UploadLayerPart"
    repository: Repository = APP
    count: int = 1

    def request(self) -> bytes:
        """Return the body of the request."""
        return b"{}"

    def parse(self, body: bytes) -> int:
        """Return the last byte."""
        return parse_response(PART, body).last


def read(
    status: int, body: bytes, *, owns_credentials: bool = True, request_id: str = "5f1c"
) -> int:
    """Return the result of a response."""
    reader = ResponseReader("eu-west-1", LIMIT, owns_credentials=owns_credentials)
    return reader.read(Upload(), Response(status, {"x-amzn-requestid": request_id}, body))


def error_of(status: int, body: bytes, *, owns_credentials: bool = True) -> CallError:
    """Return the error that a response raises, which names the request and its repository."""
    with pytest.raises(CallError) as caught:
        read(status, body, owns_credentials=owns_credentials)
    assert str(caught.value).startswith(WHAT)
    assert (caught.value.request_id, caught.value.repository) == ("5f1c", APP)
    return caught.value


def test_result() -> None:
    """A response with status 200 is read by its operation."""
    assert read(200, b'{"lastByteReceived": 9, "uploadId": "f00d"}') == 9


@pytest.mark.parametrize("status", [201, 202, 203, 204, 206, 207, 226, 299])
def test_other_2xx_status(status: int) -> None:
    """A result with another 2xx status is an error, and is retried."""
    error = error_of(status, b'{"lastByteReceived": 9}')
    assert (type(error), error.retryable) == (ResponseError, True)


def test_error_response() -> None:
    """An error response becomes the error of its code."""
    error = error_of(500, b'{"__type": "ServerException", "message": "said"}')
    assert isinstance(error, ServerError)
    assert (error.code, error.message, error.status) == ("ServerException", "said", 500)


@pytest.mark.parametrize("owned", [True, False], ids=["own", "of the caller"])
def test_expired_credentials(*, owned: bool) -> None:
    """Expired credentials are refreshable if this library owns them."""
    error = error_of(400, b'{"__type": "ExpiredTokenException"}', owns_credentials=owned)
    assert (type(error), error.refreshable) == (CredentialsError, owned)


def test_members_of_an_error_response() -> None:
    """An error response has its date, and all numbers and texts beside code and message."""
    body = (
        b'{"__type": "InvalidLayerPartException", "message": "said", "lastValidByteReceived": 4,'
        b' "uploadId": "f00d", "seen": ["AKIAABCDEFGHIJKLMNOP"], "key": "AKIAABCDEFGHIJKLMNOP"}'
    )
    date = "Mon, 23 Nov 2026 12:00:00 GMT"
    response = ErrorResponse.read(400, {**HEADERS, "date": date}, body)
    assert (response.code, response.message) == ("InvalidLayerPartException", "said")
    assert response.date == date
    members = {"lastValidByteReceived": 4, "uploadId": "f00d", "key": "***"}
    error = error_of(400, body)
    assert isinstance(error, ServiceError)
    assert (response.members, error.members) == (members, members)
    assert pickle.loads(pickle.dumps(error)).members == members


@pytest.mark.parametrize(
    ("length", "kept"), [(64 * 1024, {"uploadId": "f00d"}), (64 * 1024 + 1, {})]
)
def test_members_of_a_long_error_response(length: int, kept: dict[str, str]) -> None:
    """Of an error response of more than 64 KiB, only the code and the message are kept."""
    body = b'{"__type": "UploadNotFoundException", "uploadId": "f00d"}'.ljust(length)
    response = ErrorResponse.read(400, HEADERS, body)
    assert (response.code, response.members) == ("UploadNotFoundException", kept)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("x" * 201, "x" * 200), (f"id-{KEY}-", "id-***-"), ("Signature=a1", "[the rest is left out")],
    ids=["long", "a key", "a signature"],
)
@pytest.mark.parametrize(("status", "body"), [(200, b""), (400, b"{}")])
def test_request_id(status: int, body: bytes, given: str, kept: str) -> None:
    """An error keeps at most 200 characters of the request id, without a secret."""
    with pytest.raises(CallError) as caught:
        read(status, body, request_id=given)
    assert (caught.value.request_id or "")[: len(kept)] == kept
    assert len(caught.value.request_id or "") <= 200


def test_too_large() -> None:
    """A body of `max_response_bytes` is read; a larger one is a final error."""
    body = b'{"lastByteReceived": 9}'.ljust(LIMIT)
    assert read(200, body) == 9

    error = error_of(200, body + b" ")
    assert isinstance(error, ResponseError)
    assert (error.too_large, error.retryable) == (True, False)
    assert f"larger than max_response_bytes={LIMIT}" in str(error)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        *((b"", "the body: Invalid JSON"), (b'{"lastByteReceived": 9', "the body: Invalid JSON")),
        (b"[]", "the body: Input should be an object"),
        (b"{}", "lastByteReceived: Field required"),
        (b'{"last": 9}', "lastByteReceived: Field required"),
        (b'{"lastByteReceived": "9"}', "lastByteReceived: Input should be a valid integer"),
    ],
    ids=["empty", "truncated", "list", "no member", "name of ours", "wrong type"],
)
def test_malformed(body: bytes, where: str) -> None:
    """A malformed body is an error that names the place, and is retried."""
    error = error_of(200, body)
    assert (type(error), error.retryable) == (ResponseError, True)
    assert str(error).startswith(f"{WHAT}ECR's response breaks its contract: {where}")


@pytest.mark.parametrize(
    "body",
    [
        b'{"lastByteReceived": 4, "lastByteReceived": 9}',
        b'{"lastByteReceived": 9, "last\\u0042yteReceived": 9}',
        b'{"lastByteReceived": 9, "new": [{"a": 1, "b": [], "a": 2}]}',
    ],
    ids=["same", "escaped", "in an unknown member"],
)
def test_repeated_member(body: bytes) -> None:
    """A response with a member twice has no certain meaning: it is an error, and is retried."""
    error = error_of(200, body)
    assert (type(error), error.retryable) == (ResponseError, True)
    assert str(error).startswith(f"{WHAT}ECR's response breaks its contract: it has the key ")


def test_error_response_with_a_repeated_member() -> None:
    """Of an error response with a member twice, only the status is known."""
    response = ErrorResponse.read(400, HEADERS, b'{"__type": "A", "message": "b", "__type": "C"}')
    assert (response.code, response.message) == ("Unknown", "")


def test_no_response() -> None:
    """A request without a usable response becomes an error that names the request."""
    reader = ResponseReader("eu-west-1", LIMIT, owns_credentials=True)
    raised = LookupError("raised by a hook")
    error = reader.failed(Upload(), raised)
    assert isinstance(error, TransportError)
    assert (error.repository, error.request_id, error.__cause__) == (APP, None, raised)
    assert str(error).startswith(f"{WHAT}the request could not be made (")
