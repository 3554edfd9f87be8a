"""AWS's JSON 1.1 protocol, bytes in and bytes out: what both faces carry. Pure.

A `Request` names its operation in `X-Amz-Target` and its members in a JSON body; a `Reply` is a
JSON body, an error one with its code in `__type`. Nothing that a client can send makes these
functions raise anything but `AwsError`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast
from xml.sax.saxutils import escape

from pydantic_core import PydanticSerializationError, from_json, to_json

from ._registry.blob_store import Blob
from ._registry.errors import AwsError

CONTENT_TYPE = "application/x-amz-json-1.1"
TARGET_PREFIX = "AmazonEC2ContainerRegistry_V20150921"  # ECR model: targetPrefix
LAYERS_PATH = "/layers/"  # where downloads are
GET_LAYER = "GetLayer"  # what a download is called among the operations; no operation of ECR's
MAX_BODY = 32 * 1024 * 1024  # a layer part of 20 MiB (ECR model: LayerPartBlob) is 27 MiB in base64

Stream = Callable[[Blob], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as it arrived; header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | bytearray


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer.

    `outcome` is what the statistics call it: "ok", an error code, or a fault's name.

    `stream`, when given, turns the body into the chunks that are really sent: it may sleep between
    them, stop early (the connection is then closed short of Content-Length) or raise
    ConnectionResetError (the connection is then reset). A body that is not in memory always has
    one.
    """

    status: int
    headers: Mapping[str, str]
    body: Blob
    outcome: str = "ok"
    stream: Stream | None = None


def operation_of(request: Request) -> str:
    """Return the operation that a request names. Raises AwsError UnknownOperationException.

    >>> operation_of(Request("POST", "/", {"x-amz-target": f"{TARGET_PREFIX}.DescribeRepositories"}, b"{}"))
    'DescribeRepositories'
    """
    code = "UnknownOperationException"
    if request.path.startswith(LAYERS_PATH):
        return GET_LAYER
    if request.path.partition("?")[0] != "/":
        raise AwsError(
            code, f"The local ECR serves the API at '/', not at {request.path[:200]!r}", 404
        )
    if request.method != "POST":
        raise AwsError(code, f"ECR's API takes POST, not {request.method[:20]!r}", 405)
    target = request.headers.get("x-amz-target", "")
    prefix, dot, operation = target.partition(".")
    if prefix != TARGET_PREFIX or not dot:
        raise AwsError(
            code,
            f"The header X-Amz-Target must be '{TARGET_PREFIX}.<operation>', not {target[:200]!r}",
        )
    return operation


def members_of(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    An empty body is an empty object. Raises AwsError SerializationException.
    """
    try:
        members: Any = from_json(request.body) if request.body else {}
    except ValueError:
        members = _lenient(request.body)
    if not isinstance(members, dict):
        code = "SerializationException"
        raise AwsError(code, "The body of the request must be one JSON object in UTF-8")
    return cast("dict[str, Any]", members)


def _lenient(body: bytes | bytearray) -> Any:
    """Read what pydantic's faster and leaner parser refuses, such as a lone surrogate.

    None for what is no JSON.
    """
    try:
        return json.loads(body.decode())
    except (ValueError, RecursionError):
        return None


def ok(result: Mapping[str, Any]) -> Reply:
    """Return the answer that carries a result."""
    return Reply(200, {"content-type": CONTENT_TYPE}, _json(result))


def refused(error: AwsError) -> Reply:
    """Return the answer that carries an error."""
    body = {"__type": error.code, "message": error.message, **error.members}
    headers = {"content-type": CONTENT_TYPE}
    return Reply(
        error.status,
        headers | {"allow": "POST"} if error.status == HTTPStatus.METHOD_NOT_ALLOWED else headers,
        _json(body),
        error.code,
    )


def refused_as_xml(error: AwsError) -> Reply:
    """Return the answer that carries an error of a download, as S3 words it."""
    members = {"Code": error.code, "Message": error.message, **error.members}
    body = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in members.items())
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{body}</Error>'
    return Reply(
        error.status, {"content-type": "application/xml"}, text.encode(errors="replace"), error.code
    )


def _json(value: Mapping[str, Any]) -> bytes:
    try:
        return to_json(value)  # several times faster than json, which counts in simulations
    except PydanticSerializationError:  # a lone surrogate, echoed: only an escape can carry it
        return json.dumps(value, separators=(",", ":")).encode()
