"""Random bad requests: bytes as they might arrive on a socket, drawn from a seed.

The kinds, from the outside in: bytes that are not HTTP, malformed HTTP, requests that break the
protocol, malformed JSON, members of the wrong type or with hostile content, and paths that try to
leave their directory.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ecr_layer_client.local._aws_model import service_model
from ecr_layer_client.local._protocol import TARGET_PREFIX
from ecr_layer_client.local._registry.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

HELD = "sha256:" + "a" * 64
DEEP = 100_000
TEXTS = [
    *(
        "",
        "a",
        "app",
        "team/app",
        "Not A Name",
        "app\n",
        "x" * 300,
        "x" * 70_000,
        "\0",
        "a\0b",
        "é",
        "\ud800",
        "💥",
        "\r\nX-Injected: y",
    ),
    *(
        "..",
        "../../x",
        "..\\..\\x",
        "/etc/passwd",
        "....//x",
        "%2e%2e/%2e%2e/x",
        "..%2f..%2fx",
        "%00",
        "app/../../x",
        "CON",
        "~/x",
    ),
    *(
        HELD,
        HELD.upper(),
        "sha256:",
        "sha256:../../x",
        "sha256:" + "/" * 64,
        "sha256:" + "0" * 63,
        "md5:00",
        "latest",
        "*",
        "{}",
        "[]",
    ),
    *(
        "null",
        "123456789012",
        "12345678901\u0662",
        "AAAA",
        "====",
        "2026-01-01",
        "6f0f0000-0000-0000-0000-000000000000",
    ),
]
OTHERS: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    10**40,
    -0.0,
    1.5,
    1e308,
    [],
    [[]],
    [None],
    {},
    {"": None},
    {"a": {"b": []}},
]
HEADERS = [
    *(
        "Content-Length: -1",
        "Content-Length: 5, 6",
        "Content-Length: 0x10",
        "Content-Length: 99999999999999999999",
        "Content-Length: ",
        "Content-Length",
    ),
    *(
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Connection: upgrade\r\nUpgrade: h2c",
    ),
    *(
        "Expect: 100-continue",
        "Expect: 200-ok",
        "Content-Encoding: gzip",
        "Content-Type: text/html",
        "Accept-Encoding: " + "gzip," * 500,
    ),
    *(
        "Host: ",
        "Host: a\r\nHost: b",
        ": no name",
        " folded: line",
        "A" * 9_000 + ": b",
        "B: " + "b" * 9_000,
        "C: \0",
        "D: \x7f\x80\xff",
        "E\t: f",
    ),
    *(
        "Authorization: ",
        "Authorization: Basic eDp5",
        (
            "Authorization: AWS4-HMAC-SHA256 "
            "Credential=a/b/c/d/aws4_request,SignedHeaders=x,Signature=0"
        ),
    ),
    *(
        "Authorization: AWS4-HMAC-SHA256 " + "Credential=" * 400,
        "X-Amz-Date: 99999999T999999Z",
        "X-Amz-Date: \ud83d",
        "Date: yesterday",
    ),
    *(
        "X-Amz-Security-Token: " + "t" * 5_000,
        "Range: bytes=0-",
        "Range: bytes=-1",
        "Range: bytes=5-1",
        "Range: bytes=" + "9" * 400 + "-",
        "Range: x",
    ),
]
LAYERS: list[Any] = [
    None,
    {},
    [[]],
    [{}],
    [{"digest": None}],
    [{"digest": HELD.upper(), "size": -1}],
    [5],
    "x",
]
# Changes of a manifest without layers.
CHANGES: list[dict[str, Any]] = [
    *(
        {"config": each}
        for each in (
            None,
            5,
            {},
            {"digest": "x"},
            {"digest": HELD, "size": "9"},
            {"digest": [HELD], "size": 9},
        )
    ),
    *({"layers": each} for each in LAYERS),
    *(
        {"manifests": each}
        for each in (
            None,
            7,
            ["x"],
            [{"digest": HELD}],
            [{"digest": "../../x", "size": 1e9}],
            {"a": 1},
        )
    ),
    *(
        {"mediaType": each}
        for each in (None, 5, "", "text/plain", {"a": 1}, "application/vnd.oci.image.index.v1+json")
    ),
    *({"subject": each} for each in (5, {}, {"digest": "x"})),
    *({"annotations": []}, {"artifactType": {}}, {"schemaVersion": None}, {"schemaVersion": 1}, {}),
]
MANIFEST: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "layers": [],
}
MANIFESTS = [json.dumps({**MANIFEST, **change}) for change in CHANGES]
# Valid values of members, so that some requests get further.
GOOD: dict[str, list[Any]] = {
    "repositoryName": ["app", "app", "app", "team/app", "new"],
    "registryId": ["123456789012"],
    "layerPartBlob": ["AAAA", "MTIzNA==", "A" * 100_000],
    "partFirstByte": [0],
    "partLastByte": [2, 3, 74_999],
    "maxResults": [1, 100, 1000],
    "resourceArn": ["arn:aws:ecr:us-east-1:123456789012:repository/app", "arn:aws:ecr:::", "arn:"],
    "targetStorageClass": ["ARCHIVE", "STANDARD"],
    "name": ["BLOB_MOUNTING"],
    "value": ["ENABLED", "DISABLED"],
    "lifecyclePolicyText": ["{" * 100, " " * 100, json.dumps({"rules": [{"a": "b" * 100}]})],
    "policyText": ["", "[" * 5_000, '{"Statement": 1e400}', '{"Statement": {"Effect": {}}}'],
    "imageManifest": [
        "{}",
        "[]",
        "null",
        "x",
        "[" * 50_000,
        '{"schemaVersion": 1e400}',
        *MANIFESTS,
    ],
}
METHODS = [
    "POST",
    "POST",
    "POST",
    "GET",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "BREW",
    "post",
    "",
    "P\0ST",
    "G" * 5_000,
]
VERSIONS = [
    "HTTP/1.1",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/0.9",
    "HTTP/2.0",
    "HTTP/9.9",
    "HTTP/",
    "http/1.1",
    "",
    "\0",
]
PLACES = [
    "",
    "layers/us-east-1/",
    "layers/eu-west-1/",
    "layers/",
    "v2/",
    "layers//",
    "layers/us-east-1/" + "a" * 64,
]
QUERIES = [
    "",
    "?",
    "?X-Amz-Signature=0",
    "?X-Amz-Date=&X-Amz-Signature=",
    "?X-Amz-Date=20260101T000000Z&X-Amz-Signature=" + "0" * 64,
    "?" + "a=b&" * 2_000,
    "?%",
]


def bad_request(draw: Random, texts: list[str]) -> bytes:
    """Return a bad request.

    `texts` are further texts for members and paths, such as the id of an upload or a path.
    """
    makers: list[Callable[[Random, list[str]], bytes]] = [
        _noise,
        _broken,
        _elsewhere,
        _malformed_json,
        _hostile,
        _pipelined,
        _chunked,
    ]
    (maker,) = draw.choices(makers, [1, 3, 2, 3, 8, 1, 1])

    return maker(draw, texts)


def _noise(draw: Random, _: list[str]) -> bytes:
    return draw.randbytes(draw.choice([0, 1, 7, 100, 3_000, 70_000]))


def _broken(draw: Random, texts: list[str]) -> bytes:
    """Return a well-formed request of which some bytes are dropped, doubled or changed."""
    data = bytearray(
        _request(
            draw, _body(_members(draw, draw.choice(OPERATIONS), texts)), headers=_some_headers(draw)
        )
    )
    for _ in range(draw.randrange(1, 6)):
        at = draw.randrange(max(1, min(len(data), 400)))
        match draw.randrange(4):
            case 0:
                del data[at : at + draw.randrange(1, 40)]
            case 1:
                data[at:at] = data[at : at + draw.randrange(1, 40)]
            case 2:
                data[at:at] = draw.choice([b"\0", b"\r", b"\n", b"\r\n\r\n", b"\xff", b" ", b":"])
            case _:
                data[at : at + 1] = draw.randbytes(1)

    return bytes(data)


def _elsewhere(draw: Random, texts: list[str]) -> bytes:
    """Return a request of any method, for any path."""
    path = "/" + draw.choice(PLACES) + draw.choice(texts + TEXTS)[:9_000] + draw.choice(QUERIES)
    path = path.replace(" ", "%20") if draw.random() < 0.8 else path

    return _request(
        draw,
        b"",
        method=draw.choice(METHODS),
        path=path,
        version=draw.choice(VERSIONS),
        headers=_some_headers(draw),
    )


def _malformed_json(draw: Random, texts: list[str]) -> bytes:
    """Return a request whose body is not the JSON that it should be."""
    good = _body(_members(draw, draw.choice(OPERATIONS), texts))
    cut = draw.randrange(len(good) + 1)
    bodies = [
        *(
            b"",
            b"{",
            b"null",
            b"[]",
            b"0",
            b'"x"',
            b"NaN",
            b'{"a":NaN}',
            b"{'a':1}",
            b'{"a":1,}',
            b"\xef\xbb\xbf{}",
            b"\xff\xfe{\0}\0",
            b"\x00",
        ),
        *(
            b"[" * DEEP,
            b'{"a":' * DEEP,
            b'{"repositoryName":' + b"9" * 5_000 + b"}",
            b'{"repositoryName":1e999999}',
            b'{"\\ud800":"\\udfff"}',
        ),
        *(
            good[:cut],
            good[cut:],
            good + good,
            good.decode(errors="surrogatepass").encode("utf-16", errors="surrogatepass"),
        ),
    ]

    return _request(
        draw,
        draw.choice(bodies),
        headers=[*_some_headers(draw), *([draw.choice(HEADERS)] if draw.random() < 0.1 else [])],
    )


def _hostile(draw: Random, texts: list[str]) -> bytes:
    """Return a request for an operation, with members of the wrong type or content."""
    operation = draw.choice(
        [*OPERATIONS, *OPERATIONS, "PutLifecyclePolicy", "__init__", "", "x" * 500, "Batch\0"]
    )
    return _request(draw, _body(_members(draw, operation, texts)), operation=operation)


def _pipelined(draw: Random, texts: list[str]) -> bytes:
    return b"".join(
        draw.choice([_hostile, _hostile, _malformed_json, _elsewhere])(draw, texts)
        for _ in range(draw.randrange(2, 12))
    )


def _chunked(draw: Random, texts: list[str]) -> bytes:
    """Return a request with a body in chunks, some of them malformed."""
    body = _body(_members(draw, draw.choice(OPERATIONS), texts))
    half = len(body) // 2
    sizes = draw.choice(
        [f"{half:x}", f"{half:X};ext=1", f"{half + 1:x}", "-1", "zz", "", "f" * 20, f"0{half:x}"]
    )
    rest = draw.choice(
        [
            f"{len(body) - half:x}\r\n".encode() + body[half:] + b"\r\n0\r\n\r\n",
            b"0\r\n",
            b"",
            b"0\r\nTrailer: x\r\n\r\n",
            body[half:],
        ]
    )
    head = (
        f"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: {TARGET_PREFIX}.PutImage\r\n"
        f"Transfer-Encoding: chunked\r\n\r\n{sizes}\r\n"
    )

    return head.encode() + body[:half] + b"\r\n" + rest


def _request(
    draw: Random,
    body: bytes,
    *,
    operation: str = "BatchCheckLayerAvailability",
    method: str = "POST",
    path: str = "/",
    version: str = "HTTP/1.1",
    headers: list[str] | None = None,
) -> bytes:
    length = (
        len(body) if draw.random() < 0.9 else max(0, len(body) + draw.choice([-1, 1, 1_000, 10**9]))
    )
    lines = [
        f"{method} {path} {version}",
        "Host: x",
        f"X-Amz-Target: {TARGET_PREFIX}.{operation}",
        f"Content-Length: {length}",
        *(headers or []),
    ]

    return ("\r\n".join(lines) + "\r\n\r\n").encode(
        errors="surrogateescape" if _is_wire(lines) else "surrogatepass"
    ) + body


def _is_wire(lines: list[str]) -> bool:
    return not any(
        "\ud800" <= each <= "\udc7f" or "\udd00" <= each <= "\udfff"
        for line in lines
        for each in line
    )


def _some_headers(draw: Random) -> list[str]:
    return draw.sample(HEADERS, draw.choice([0, 0, 1, 2, 5])) + ["A: b"] * draw.choice(
        [0, 0, 0, 0, 2_000]
    )


def _body(members: Any) -> bytes:
    return json.dumps(members, ensure_ascii=False).encode(errors="surrogatepass")


def _members(draw: Random, operation: str, texts: list[str]) -> Any:
    if operation not in OPERATIONS or draw.random() < 0.05:
        return draw.choice(OTHERS)
    # Some requests are valid, and lead to states that other requests then meet.
    spoilt = draw.choice([0.0, 0.02, 0.2])
    return _Values(draw, texts, spoilt).of(service_model().operation_model(operation).input_shape)


class _Values:
    """Values of members: of the right type and within bounds, except for a share of bad ones."""

    def __init__(self, draw: Random, texts: list[str], spoilt: float) -> None:
        self._draw = draw
        self._texts = texts
        self._spoilt = spoilt

    def of(self, shape: Any, name: str = "") -> Any:
        if self._draw.random() < self._spoilt:
            return self._draw.choice([*OTHERS, *TEXTS, *self._texts])
        if name in GOOD:
            return self._draw.choice(GOOD[name])

        kinds: dict[str, Callable[[Any, str], Any]] = {
            "structure": self._structure,
            "list": self._list,
            "integer": self._number,
            "long": self._number,
            "boolean": self._flag,
        }

        return kinds.get(shape.type_name, self._text)(shape, name)

    def _structure(self, shape: Any, _: str) -> dict[str, Any]:
        wanted = (
            each
            for each in shape.members
            if self._draw.random() < (0.99 if each in shape.required_members else 0.3)
        )
        return {each: self.of(shape.members[each], each) for each in wanted}

    def _list(self, shape: Any, name: str) -> list[Any]:
        return [self.of(shape.member, name) for _ in range(self._draw.choice([1, 1, 2, 3]))]

    def _number(self, _: Any, __: str) -> int:
        return self._draw.choice([0, 0, 1, 3, 99])

    def _flag(self, _: Any, __: str) -> bool:
        return self._draw.random() < 0.5

    def _text(self, shape: Any, _: str) -> Any:
        return self._draw.choice(shape.metadata.get("enum") or ["app", HELD, *self._texts])
