"""AWS's JSON 1.1 protocol, which both servers use. Pure: bytes in, bytes out.

A `Request` names its operation in `X-Amz-Target` and has its members in a JSON body. A `Reply` has
a JSON body. An error response has its code in `__type`. Whatever a client sends, these functions
raise no exception but `AwsError`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from xml.sax.saxutils import escape

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, from_json, to_json

from ._registry.blob_store import Base64Bytes, Blob
from ._registry.errors import AwsError

if TYPE_CHECKING:
    from ecr_layer_client._models.services import ServiceName

CONTENT_TYPE = "application/x-amz-json-1.1"
TARGET_PREFIX = "AmazonEC2ContainerRegistry_V20150921"  # ECR model: targetPrefix
PUBLIC_TARGET_PREFIX = "SpencerFrontendService"  # ECR Public model: targetPrefix
_SERVICES: dict[str, ServiceName] = {TARGET_PREFIX: "ecr", PUBLIC_TARGET_PREFIX: "ecr-public"}
# The path of downloads.
LAYERS_PATH = "/layers/"
# The name of a download in faults and statistics. ECR has no operation of this name.
GET_LAYER = "GetLayer"
# Bytes. A layer part of 20 MiB (ECR model: LayerPartBlob) is 27 MiB in base64.
MAX_BODY = 32 * 1024 * 1024

# Bytes. Beyond this size, a layer part is decoded piece by piece.
MAX_SMALL_BODY = 64 * 1024
_BLOB_KEY = b'"layerPartBlob"'
_OBJECT = TypeAdapter(dict[str, Any])

Stream = Callable[[Blob], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as it arrived. The names of headers are in lower case.

    A request to `/v2/` may have `chunks` in place of a `body`: the body as it arrives.
    """

    method: str
    path: str
    # With a password or a signature.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | bytearray
    # Of the body, in hexadecimal. "": not computed yet.
    sha256: str = ""
    chunks: AsyncIterator[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response.

    `outcome` is its name in the statistics: "ok", an error code, or the name of a fault.

    `stream` turns the body into the chunks that are sent. It may:

    - sleep between two chunks
    - stop early: the connection then closes before Content-Length is reached
    - raise ConnectionResetError: the connection is then reset

    A body that is not in memory always has a `stream`.
    """

    status: int
    headers: Mapping[str, str]
    body: Blob
    outcome: str = "ok"
    stream: Stream | None = None


async def in_pieces(request: Request, size: int) -> AsyncIterator[bytes]:
    """Yield the body of a request in pieces of at least `size` bytes, the last one excepted."""
    piece = bytearray(request.body)
    if request.chunks is not None:
        async for chunk in request.chunks:
            piece += chunk
            if len(piece) >= size:
                yield bytes(piece)
                piece.clear()
    if piece:
        yield bytes(piece)


def operation_of(request: Request) -> str:
    """Return the operation that a request names. Raises AwsError UnknownOperationException.

    >>> headers = {"x-amz-target": f"{TARGET_PREFIX}.DescribeRepositories"}
    >>> operation_of(Request("POST", "/", headers, b"{}"))
    'DescribeRepositories'
    """
    code = "UnknownOperationException"
    if request.path.startswith(LAYERS_PATH):
        return GET_LAYER
    if request.path.partition("?")[0] != "/":
        message = f"The local ECR serves the API at '/', not at {request.path[:200]!r}"
        raise AwsError(code, message, 404)
    if request.method != "POST":
        raise AwsError(code, f"ECR's API takes POST, not {request.method[:20]!r}", 405)

    target = request.headers.get("x-amz-target", "")
    prefix, dot, operation = target.partition(".")
    if prefix not in _SERVICES or not dot:
        expected = " or ".join(f"'{each}.<operation>'" for each in _SERVICES)
        message = f"The header X-Amz-Target must be {expected}, not {target[:200]!r}"
        raise AwsError(code, message)
    return operation


def service_of(request: Request) -> ServiceName:
    """Return the service that a request names. It is ECR if the request names none."""
    prefix = request.headers.get("x-amz-target", "").partition(".")[0]
    return _SERVICES.get(prefix, "ecr")


def members_of(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body of a request.

    An empty body is an empty object. Raises AwsError SerializationException.
    """
    if len(request.body) > MAX_SMALL_BODY and (part := _with_part(request.body)):
        return part
    try:
        members: Any = from_json(request.body) if request.body else {}
    except ValueError:
        members = _lenient(request.body)

    if not isinstance(members, dict):
        code = "SerializationException"
        raise AwsError(code, "The body of the request must be one JSON object in UTF-8")
    return cast("dict[str, Any]", members)


def _with_part(body: bytes | bytearray) -> dict[str, Any] | None:
    """Return the members of a large UploadLayerPart request, without parsing the blob.

    None means a body of another form.
    """
    key = body.find(_BLOB_KEY)
    start = body.find(b'"', key + len(_BLOB_KEY)) + 1
    end = body.find(b'"', start)
    between = body[key + len(_BLOB_KEY) : start]
    is_escaped = body.find(b"\\", start, end) >= 0
    if key < 0 or between.split() not in ([b':"'], [b":", b'"']) or end < 0 or is_escaped:
        return None

    try:
        members: dict[str, Any] = _OBJECT.validate_json(body[:start] + body[end:])
        blob = Base64Bytes(memoryview(body)[start:end])
    except ValueError:
        return None
    # Elsewhere in the body, the key may be a value, or a member of a member.
    if members.get("layerPartBlob") != "":
        return None
    return {**members, "layerPartBlob": blob}


def _lenient(body: bytes | bytearray) -> Any:
    """Parse JSON that pydantic's faster parser rejects, such as a lone surrogate.

    Return None for malformed JSON.
    """
    try:
        return json.loads(body.decode())
    except (ValueError, RecursionError):
        return None


def ok(result: Mapping[str, Any]) -> Reply:
    """Return the response with a result."""
    return Reply(200, {"content-type": CONTENT_TYPE}, json_bytes(result))


def error_reply(error: AwsError) -> Reply:
    """Return the error response in JSON."""
    body = {"__type": error.code, "message": error.message, **error.members}
    headers = {"content-type": CONTENT_TYPE}
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["allow"] = "POST"
    return Reply(error.status, headers, json_bytes(body), error.code)


def xml_error_reply(error: AwsError) -> Reply:
    """Return the error response of a download, in the XML that S3 sends."""
    members = {"Code": error.code, "Message": error.message, **error.members}
    body = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in members.items())
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{body}</Error>'

    headers = {"content-type": "application/xml"}
    return Reply(error.status, headers, text.encode(errors="replace"), error.code)


def json_bytes(value: Mapping[str, Any]) -> bytes:
    """Return an object as JSON."""
    try:
        # Several times faster than `json`, which matters in simulations.
        return to_json(value)
    except PydanticSerializationError:
        # The value repeats a lone surrogate of the request, which only an escape can represent.
        return json.dumps(value, separators=(",", ":")).encode()
