"""The HTTP server, used by other clients: boto3 and raw sockets."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from botocore.config import Config
from botocore.exceptions import ClientError

from ecr_layer_client.local import LocalECR, _protocol
from ecr_layer_client.local._registry.limits import MIN_PART_SIZE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

HELD = "sha256:" + "a" * 64
TARGET = "AmazonEC2ContainerRegistry_V20150921.BatchCheckLayerAvailability"

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def unsigned() -> AsyncIterator[LocalECR]:
    """Provide a local ECR over HTTP that needs no signatures."""
    async with LocalECR(auth=False) as local:
        yield local


def boto(ecr: LocalECR, **config: Any) -> Any:
    """Return boto3's client for a local ECR, without retries."""
    # boto3 has no types.
    boto3: Any = importlib.import_module("boto3")
    return boto3.client(
        "ecr", **ecr.client_kwargs, config=Config(retries={"total_max_attempts": 1}, **config)
    )


async def rejected(ask: Callable[..., Any], **members: Any) -> dict[str, Any]:
    """Return the error response that boto3 raised."""
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(ask, **members)
    error: Any = caught.value
    return dict(error.response)


async def raw(ecr: LocalECR, sent: bytes) -> bytes:
    """Send bytes, wait a moment for the end of the response, then close the connection.

    Return all bytes that arrived.
    """
    host, port = ecr.endpoint_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        return await read_all(reader, writer)
    finally:
        writer.close()


async def read_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Read until the server closes.

    A server that waits for more sees the end of the connection after a moment.
    """
    answer = bytearray()
    asyncio.get_running_loop().call_later(0.1, writer.close)
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            answer += chunk
    return bytes(answer)


def http(
    body: bytes, *, target: str = TARGET, path: str = "/", method: str = "POST", more: str = ""
) -> bytes:
    """Return an HTTP request that closes its connection."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Amz-Target: {target}\r\n"
        f"{more}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def parsed(answer: bytes) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON body of a response."""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def test_boto3_checks_layers(ecr: LocalECR) -> None:
    """boto3 gets AVAILABLE, UNAVAILABLE, and a failure for a malformed digest."""
    ecr.seed("app", [(HELD, 7)])
    ask = boto(ecr).batch_check_layer_availability
    answer = await asyncio.to_thread(
        ask, repositoryName="app", layerDigests=[HELD, "sha256:00", "x"]
    )
    assert [row["layerAvailability"] for row in answer["layers"]] == ["AVAILABLE", "UNAVAILABLE"]
    assert [row["failureCode"] for row in answer["failures"]] == ["InvalidLayerDigest"]


async def test_boto3_uploads_a_layer_in_parts(ecr: LocalECR) -> None:
    """boto3's three upload calls make a layer available."""
    ecr.create_repository("app")
    client, parts = boto(ecr), (b"\0" * MIN_PART_SIZE, b"last")
    digest = "sha256:" + hashlib.sha256(b"".join(parts)).hexdigest()

    def upload() -> str:
        upload_id = client.initiate_layer_upload(repositoryName="app")["uploadId"]
        first = 0

        for part in parts:
            where = {"partFirstByte": first, "partLastByte": first + len(part) - 1}
            first = (
                client.upload_layer_part(
                    repositoryName="app", uploadId=upload_id, layerPartBlob=part, **where
                )["lastByteReceived"]
                + 1
            )

        client.complete_layer_upload(
            repositoryName="app", uploadId=upload_id, layerDigests=[digest]
        )
        answer = client.batch_check_layer_availability(repositoryName="app", layerDigests=[digest])

        return str(answer["layers"][0]["layerAvailability"])

    assert await asyncio.to_thread(upload) == "AVAILABLE"


async def test_boto3_puts_lists_and_describes_an_image(ecr: LocalECR) -> None:
    """boto3 puts an image, and finds it with a time that it can parse."""
    config = ecr.put_layer("app", b"{}")
    manifest: dict[str, Any] = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": config},
        "layers": [],
    }
    client = boto(ecr)

    def put() -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
        image = client.put_image(
            repositoryName="app", imageManifest=json.dumps(manifest), imageTag="1.0"
        )["image"]
        listed = client.list_images(repositoryName="app")["imageIds"]

        return (
            image["imageId"]["imageDigest"],
            listed,
            client.describe_images(repositoryName="app", imageIds=listed)["imageDetails"][0],
        )

    digest, listed, details = await asyncio.to_thread(put)
    assert (listed, details["imageTags"], details["imageSizeInBytes"]) == (
        [{"imageDigest": digest, "imageTag": "1.0"}],
        ["1.0"],
        2,
    )
    assert details["imagePushedAt"].year > 2000


async def test_boto3_reads_where_to_resume(ecr: LocalECR) -> None:
    """The members of InvalidLayerPartException arrive in boto3's error."""
    ecr.create_repository("app")
    client = boto(ecr)
    upload_id = (await asyncio.to_thread(client.initiate_layer_upload, repositoryName="app"))[
        "uploadId"
    ]
    members = {"repositoryName": "app", "uploadId": upload_id, "layerPartBlob": b"1234"}
    await asyncio.to_thread(client.upload_layer_part, **members, partFirstByte=0, partLastByte=3)
    answer = await rejected(client.upload_layer_part, **members, partFirstByte=9, partLastByte=12)

    assert (answer["Error"]["Code"], answer["lastValidByteReceived"]) == (
        "InvalidLayerPartException",
        3,
    )


async def test_boto3_pages_through_repositories(ecr: LocalECR) -> None:
    """boto3's paginator returns every repository once."""
    for number in range(7):
        ecr.create_repository(f"r{number}")

    pages = (
        boto(ecr).get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 3})
    )
    names = await asyncio.to_thread(
        lambda: [each["repositoryName"] for page in pages for each in page["repositories"]]
    )

    assert names == [f"r{number}" for number in range(7)]


@pytest.mark.parametrize(
    ("operation", "members", "code"),
    [
        (
            "batch_check_layer_availability",
            {"repositoryName": "nope", "layerDigests": ["x"]},
            "RepositoryNotFoundException",
        ),
        (
            "batch_check_layer_availability",
            {"repositoryName": "app", "layerDigests": ["x"] * 101},
            "InvalidParameterException",
        ),
        (
            "batch_check_layer_availability",
            {"repositoryName": "app", "layerDigests": []},
            "InvalidParameterException",
        ),
        ("create_repository", {"repositoryName": "app"}, "RepositoryAlreadyExistsException"),
        (
            "start_image_scan",
            {"repositoryName": "app", "imageId": {"imageTag": "1.0"}},
            "UnknownOperationException",
        ),
    ],
    ids=["unknown", "101", "none", "twice", "not-served"],
)
async def test_boto3_reads_the_error_codes(
    ecr: LocalECR, operation: str, members: dict[str, Any], code: str
) -> None:
    """Errors reach boto3 as HTTP 400 with their code and a request id."""
    ecr.create_repository("app")
    answer = await rejected(getattr(boto(ecr, parameter_validation=False), operation), **members)
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, 400)
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36


async def test_connections_are_kept_alive(ecr: LocalECR) -> None:
    """Many requests of one client use one connection."""
    client = boto(ecr)
    for _ in range(5):
        await asyncio.to_thread(client.describe_repositories)
    assert (ecr.stats.requests, ecr.connections) == (5, 1)


async def test_closing_does_not_wait_for_idle_connections() -> None:
    """Closing with a kept-alive connection takes no time, and no connection stays open."""
    async with asyncio.timeout(5), LocalECR() as ecr:
        await asyncio.to_thread(boto(ecr).describe_repositories)
        assert ecr.connections == 1
    assert ecr.connections == 0


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (http(b"{"), 400, "SerializationException"),
        (http(b"[]"), 400, "SerializationException"),
        (http(b"null"), 400, "SerializationException"),
        (http(b"\xff\xfe"), 400, "SerializationException"),
        (http(b"[" * 100_000), 400, "SerializationException"),
        (http(b'{"repositoryName": ' + b"9" * 5000 + b"}"), 400, "SerializationException"),
        (http(b""), 400, "InvalidParameterException"),
        (
            http(b'{"repositoryName": "app", "layerDigests": null}'),
            400,
            "InvalidParameterException",
        ),
        (http(b"{}", target="DescribeRepositories"), 400, "UnknownOperationException"),
        (http(b"{}", target="DynamoDB_20120810.ListTables"), 400, "UnknownOperationException"),
        (
            http(b"{}", target="AmazonEC2ContainerRegistry_V20150921.__class__"),
            400,
            "UnknownOperationException",
        ),
        (http(b"{}", path="/v1/"), 404, "UnknownOperationException"),
        (http(b"{}", path="/../../etc/passwd"), 404, "UnknownOperationException"),
        (http(b"", method="GET"), 405, "UnknownOperationException"),
        (http(b"", method="DELETE"), 405, "UnknownOperationException"),
    ],
    ids=lambda value: str(value)[-40:],
)
async def test_bad_requests_get_aws_errors(
    unsigned: LocalECR, sent: bytes, status: int, code: str
) -> None:
    """A request that is HTTP but breaks the protocol gets a JSON error with its code."""
    answered, body = parsed(await raw(unsigned, sent))
    assert (answered, body["__type"]) == (status, code)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\x00\xff" * 500,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"HEAD /layers/us-east-1/" + b"0" * 64 + b"?X-Amz-Signature=0 HTTP/1.1\r\nHost: x\r\n\r\n",
        (
            b"GET /layers/us-east-1/..%2f..%2f..%2fetc%2fpasswd?X-Amz-Signature=0 HTTP/1.1\r\n"
            b"Host: x\r\n\r\n"
        ),
        b"GET /%6cayers/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
        b"POST /" + b"%" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=lambda value: repr(value)[2:60],
)
async def test_garbage_never_causes_a_500(unsigned: LocalECR, sent: bytes) -> None:
    """No bytes on the socket cause a 500 or a traceback, and the next request is served."""
    answer = await raw(unsigned, sent)
    assert not answer.startswith(b"HTTP/1.1 5")
    assert b"Traceback" not in answer

    target = "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"
    next_answer = parsed(await raw(unsigned, http(b"{}", target=target)))
    assert next_answer == (200, {"repositories": []})


async def test_a_lone_surrogate_is_echoed(unsigned: LocalECR) -> None:
    """A digest that UTF-8 cannot represent returns as it was escaped."""
    unsigned.create_repository("app")
    status, body = parsed(
        await raw(unsigned, http(b'{"repositoryName": "app", "layerDigests": ["\\ud800"]}'))
    )
    assert (status, [row["layerDigest"] for row in body["failures"]]) == (200, ["\ud800"])


async def test_a_body_beyond_any_layer_part_is_rejected(
    unsigned: LocalECR, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body larger than any layer part (here: 10 bytes) is rejected with 413, in JSON."""
    monkeypatch.setattr(_protocol, "MAX_BODY", 10)
    status, body = parsed(await raw(unsigned, http(b"x" * 11)))
    assert (status, body["__type"]) == (413, "RequestEntityTooLargeException")


async def test_a_client_that_waits_for_100_continue_is_served(unsigned: LocalECR) -> None:
    """`Expect: 100-continue` gets its response before the body is read."""
    answer = await raw(unsigned, http(b"{", more="Expect: 100-continue\r\n"))
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400")


async def test_pipelined_requests_are_answered_in_their_order(unsigned: LocalECR) -> None:
    """Pipelined requests get their responses one after the other, errors included."""
    unsigned.create_repository("app")
    sent = [
        http(
            b'{"repositoryName": "app"}',
            target=TARGET.replace("BatchCheckLayerAvailability", "ListImages"),
        ),
        http(b"{"),
        http(b""),
    ]
    answer = await raw(unsigned, b"".join(sent).replace(b"Connection: close\r\n", b""))
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 ")[1:]]

    assert [json.loads(body).get("__type", "ok") for body in bodies] == [
        "ok",
        "SerializationException",
        "InvalidParameterException",
    ]


@pytest.mark.parametrize("more", ["", "Content-Type: text/html\r\n"], ids=["none", "another"])
async def test_the_content_type_does_not_matter(unsigned: LocalECR, more: str) -> None:
    """The target and the body define a request, whatever its content type is (assumed)."""
    target = TARGET.replace("BatchCheckLayerAvailability", "DescribeRepositories")
    assert parsed(await raw(unsigned, http(b"{}", target=target, more=more))) == (
        200,
        {"repositories": []},
    )


async def test_a_body_in_chunks_is_read(unsigned: LocalECR) -> None:
    """A body of unknown length, in chunks, is a body like any other."""
    head = (
        f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Amz-Target: {TARGET}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    unsigned.create_repository("app")
    body = b'{"repositoryName": "app", "layerDigests": ["sha256:00"]}'
    chunks = (
        b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:20], body[20:]))
        + b"0\r\n\r\n"
    )
    status, answer = parsed(await raw(unsigned, head.encode() + chunks))

    assert (status, [row["layerAvailability"] for row in answer["layers"]]) == (
        200,
        ["UNAVAILABLE"],
    )
