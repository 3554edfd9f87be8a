"""Downloads of layers as S3 serves them: presigned URLs, ranges and errors.

The tests run over HTTP and in memory.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._clock import Clock
from ecr_layer_client.local._downloads import ACCESS_KEY, Downloads
from ecr_layer_client.local._protocol import Request
from ecr_layer_client.local._registry.blob_store import CHUNK, Store
from ecr_layer_client.local._registry.errors import AwsError
from virtual_time import VirtualTimeLoop

SMALL = b"the bytes of a layer"
# So large that it is in a file, and sent in two chunks.
LARGE = bytes(range(256)) * (CHUNK // 200)
HOST = "registry.example:8080"
BOTH_SERVERS = pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])


@dataclass
class Response:
    """The response to a download."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> tuple[int, str]:
        """The status, and the code in the XML."""
        root = ET.fromstring(self.body)  # noqa: S314  (our own XML)
        return self.status, root.findtext("Code", "")


@dataclass
class Download:
    """A local ECR that has an image of two layers, and a client to download them."""

    ecr: LocalECR
    client: Any

    async def url(self, data: bytes = SMALL) -> str:
        """Request the URL of a layer."""
        answer = await self.client.get_download_url_for_layer(
            repositoryName="app", layerDigest=digest_of(data)
        )
        assert answer["layerDigest"] == digest_of(data)
        return str(answer["downloadUrl"])

    async def get(self, url: str, *, method: str = "GET", **headers: str) -> Response:
        """Request a URL with the HTTP session of the client."""
        session = self.client._endpoint.http_session
        response = await session.send(AWSRequest(method=method, url=url, headers=headers).prepare())
        return Response(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            await response.content,
        )


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def download(play: Any, *, in_memory: bool = True, **options: Any) -> Any:
    """Run a scenario on a local ECR that has an image. In memory, time is virtual."""

    async def main() -> Any:
        async with LocalECR(in_memory=in_memory, **options) as ecr:
            ecr.seed_image("app", [SMALL, LARGE, (digest_of(b"seeded"), 6)])
            session: Any = ecr.session()
            async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as client:
                return await play(Download(ecr, client))

    with asyncio.Runner(loop_factory=VirtualTimeLoop if in_memory else None) as runner:
        return runner.run(main())


# -- layers that can be downloaded


@BOTH_SERVERS
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_a_layer_comes_back_byte_for_byte(data: bytes, *, in_memory: bool) -> None:
    """The URL returns the layer's bytes, with their length and the headers of S3."""

    async def play(it: Download) -> None:
        answer = await it.get(await it.url(data))
        told = {
            name: answer.headers[name]
            for name in ("content-length", "accept-ranges", "content-type", "etag")
        }
        expected = {
            "content-length": str(len(data)),
            "accept-ranges": "bytes",
            "content-type": "application/octet-stream",
            "etag": f'"{digest_of(data)[7:]}"',
        }

        assert (answer.status, answer.body == data, told) == (200, True, expected)

    download(play, in_memory=in_memory)


def test_an_uploaded_layer_is_downloaded() -> None:
    """A layer that arrived in parts is downloaded in one piece, once an image refers to it."""

    async def play(it: Download) -> None:
        parts = (b"\0" * 5 * 1024 * 1024, b"last")
        digest = digest_of(b"".join(parts))
        begun = await it.client.initiate_layer_upload(repositoryName="app")
        upload_id, first = begun["uploadId"], 0

        for part in parts:
            where = {"partFirstByte": first, "partLastByte": first + len(part) - 1}
            await it.client.upload_layer_part(
                repositoryName="app", uploadId=upload_id, layerPartBlob=part, **where
            )
            first += len(part)

        await it.client.complete_layer_upload(
            repositoryName="app", uploadId=upload_id, layerDigests=[digest]
        )
        it.ecr.seed_image("app", [(digest, first)])

        assert (await it.get(await it.url(b"".join(parts)))).body == b"".join(parts)

    download(play)


@pytest.mark.parametrize(
    ("digest", "code", "said"),
    [
        (
            digest_of(b"absent"),
            "LayersNotFoundException",
            "does not exist within the repository with name 'app'",
        ),
        (
            digest_of(b"alone"),
            "LayerInaccessibleException",
            "because it is not associated with an image",
        ),
        (digest_of(b"archived"), "LayerInaccessibleException", "because it is archived"),
        (
            digest_of(b"seeded"),
            "LayerInaccessibleException",
            "was given its digest and size, not its bytes",
        ),
    ],
    ids=["absent", "alone", "archived", "seeded"],
)
def test_the_error_says_why_there_is_no_url(digest: str, code: str, said: str) -> None:
    """There is no URL for a layer that is absent, without an image, archived or without bytes."""

    async def play(it: Download) -> None:
        it.ecr.put_layer("app", b"alone")
        it.ecr.archive("app", it.ecr.seed_image("app", [b"archived"]))
        with pytest.raises(ClientError) as caught:
            await it.client.get_download_url_for_layer(repositoryName="app", layerDigest=digest)

        error: Any = caught.value
        assert (error.response["Error"]["Code"], said in error.response["Error"]["Message"]) == (
            code,
            True,
        )

    download(play)


def test_a_digest_in_upper_case_is_found() -> None:
    """GetDownloadUrlForLayer takes either letter case, and returns lower case (assumed)."""

    async def play(it: Download) -> None:
        asked = "sha256:" + digest_of(SMALL)[7:].upper()
        answer = await it.client.get_download_url_for_layer(repositoryName="app", layerDigest=asked)
        assert answer["layerDigest"] == digest_of(SMALL)

    download(play)


# -- ranges


@given(
    st.integers(0, 2 * len(LARGE)),
    st.integers(0, 2 * len(LARGE)),
    st.sampled_from(["{}-{}", "{}-", "-{1}"]),
    st.booleans(),
)
@example(0, 0, "{}-{}", False).via("the first byte")  # noqa: FBT003
@example(0, 0, "-{1}", False).via("the last none")  # noqa: FBT003
@example(len(LARGE) - 1, len(LARGE), "{}-{}", True).via("the last byte")  # noqa: FBT003
@settings(max_examples=100, derandomize=True, database=None, deadline=None)
def test_a_range_is_the_slice_that_http_means(
    first: int, last: int, form: str, is_large: bool
) -> None:
    """A range returns 206 with its bytes, 416 beyond the end, and everything if it is invalid."""
    data = LARGE if is_large else SMALL
    asked, size = form.format(first, last), len(data)
    start, stop = {
        "{}-{}": (first, min(size, last + 1)),
        "{}-": (first, size),
        "-{1}": (max(0, size - last), size),
    }[form]
    downloads, digest = a_server(data)
    try:
        reply = downloads.answer(a_request(downloads, digest, range=f"bytes={asked}"))
    except AwsError as error:
        answer: tuple[Any, ...] = (error.status, error.code)
    else:
        answer = (
            reply.status,
            reply.body[:] == data[start:stop],
            reply.headers.get("content-range"),
        )

    if form == "{}-{}" and last < first:
        assert answer == (200, data == data[start:stop], None)
    elif start >= size:
        assert answer == (416, "InvalidRange")
    else:
        assert answer == (206, True, f"bytes {start}-{stop - 1}/{size}")


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        # RFC 9110, section 14.1: the unit is in either case.
        ("Bytes=4-5", 4, 6),
        # RFC 9110, section 14.1.2: a range is limited to the size of the layer.
        ("bytes=4-" + "9" * 5000, 4, len(SMALL)),
        ("bytes=-" + "9" * 5000, 0, len(SMALL)),
        ("bytes=" + "0" * 5000 + "4-" + "0" * 5000 + "5", 4, 6),
        *(
            (ignored, None, None)
            for ignored in (
                "",
                "bytes",
                "bytes=-",
                "bytes=a-b",
                "items=0-1",
                "bytes=0-1,3-4",
                "bytes=" + "9" * 5000 + "-5",
            )
        ),
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_unusual_range_is_limited_or_ignored(
    asked: str, start: int | None, stop: int | None
) -> None:
    """A range of any spelling is limited to the layer. What is not one range is ignored."""
    downloads, digest = a_server(SMALL)
    reply = downloads.answer(a_request(downloads, digest, range=asked))
    status = 200 if start is None else 206
    assert (reply.status, reply.body[:]) == (status, SMALL[start:stop])


def test_a_range_that_begins_beyond_any_integer_is_not_satisfiable() -> None:
    """A range that begins beyond the end, at any distance, is 416."""
    downloads, digest = a_server(SMALL)
    with pytest.raises(AwsError, match="InvalidRange"):
        downloads.answer(a_request(downloads, digest, range="bytes=" + "9" * 5000 + "-"))


def test_an_empty_layer_comes_back_and_has_no_range() -> None:
    """A layer without bytes can be downloaded, and every range of it is beyond its end."""
    downloads, digest = a_server(b"")
    assert downloads.answer(a_request(downloads, digest)).body == b""
    with pytest.raises(AwsError, match="InvalidRange"):
        downloads.answer(a_request(downloads, digest, range="bytes=0-"))


@BOTH_SERVERS
def test_ranges_work_on_the_wire(*, in_memory: bool) -> None:
    """A client resumes with a range and gets 206 with the rest.

    Beyond the end, the client gets 416, in XML with the size.
    """

    async def play(it: Download) -> None:
        url = await it.url(LARGE)
        rest = await it.get(url, Range=f"bytes={len(LARGE) - 5}-")
        assert (rest.status, rest.body, rest.headers["content-length"]) == (206, LARGE[-5:], "5")
        beyond = await it.get(url, Range=f"bytes={len(LARGE)}-")
        assert (
            beyond.error,
            f"<ActualObjectSize>{len(LARGE)}</ActualObjectSize>" in beyond.body.decode(),
        ) == ((416, "InvalidRange"), True)

    download(play, in_memory=in_memory)


# -- the URL


@functools.cache
def a_server(data: bytes = SMALL) -> tuple[Downloads, str]:
    """Return the downloads of one layer, and its digest."""
    store = Store()
    return Downloads({"eu-west-1": store}, Clock()), store.put(data)


def a_request(
    downloads: Downloads,
    digest: str,
    *,
    method: str = "GET",
    change: tuple[str, str] = ("", ""),
    **headers: str,
) -> Request:
    """Return a request for the URL, with one text in its path replaced by another."""
    url = downloads.url(HOST, "eu-west-1", digest)
    return Request(
        method,
        url.removeprefix(f"http://{HOST}").replace(*change, 1),
        {"host": HOST, **headers},
        b"",
    )


def query_of(url: str) -> dict[str, str]:
    """Return the parameters of a URL."""
    return dict(parse_qsl(urlsplit(url).query))


def test_a_url_is_what_botocore_would_sign() -> None:
    """The URL equals the one that botocore's own S3 signer makes with this key and time."""
    now = datetime.now(UTC).replace(microsecond=0)
    downloads, digest = a_server()
    url = downloads.url(HOST, "eu-west-1", digest)
    theirs = AWSRequest(method="GET", url=url.partition("?")[0])

    with (
        mock.patch("botocore.auth.get_current_datetime", return_value=now),
        mock.patch.object(downloads, "_clock", now=now.timestamp),
    ):
        signer = S3SigV4QueryAuth(
            Credentials(ACCESS_KEY, downloads._key.secret), "s3", "eu-west-1", expires=3600
        )
        signer.add_auth(theirs)
        ours = downloads.url(HOST, "eu-west-1", digest)

    assert query_of(ours) == query_of(str(theirs.url))


def test_a_url_names_the_host_that_the_caller_used() -> None:
    """A caller that reached the registry by another name gets URLs with that name."""

    async def play(it: Download) -> None:
        host = it.ecr.endpoint_url.replace("127.0.0.1", "localhost")
        session: Any = it.ecr.session()
        async with session.create_client("ecr", endpoint_url=host) as client:
            answer = await client.get_download_url_for_layer(
                repositoryName="app", layerDigest=digest_of(SMALL)
            )

        assert (
            answer["downloadUrl"].startswith(f"{host}/layers/us-east-1/"),
            (await it.get(answer["downloadUrl"])).body,
        ) == (True, SMALL)

    download(play, in_memory=False)


def replaced(path: str, position: int, character: str) -> str:
    """Return a path with one character of its query replaced."""
    before, _, query = path.partition("?")
    position %= len(query)
    return f"{before}?{query[:position]}{character}{query[position + 1 :]}"


@given(st.integers(0, 1000), st.characters(codec="ascii", exclude_characters="?#"))
@settings(max_examples=200, derandomize=True, database=None, deadline=None)
def test_a_changed_query_does_not_match(position: int, character: str) -> None:
    """A changed query is 403: SignatureDoesNotMatch, if the signature still has its name."""
    downloads, digest = a_server()
    request = a_request(downloads, digest)
    changed = replaced(request.path, position, character)
    if changed == request.path:
        return

    with pytest.raises(AwsError) as caught:
        downloads.answer(Request("GET", changed, request.headers, b""))

    assert (caught.value.status, caught.value.code) in {
        (403, "SignatureDoesNotMatch"),
        (403, "AccessDenied"),
    }
    assert caught.value.code == "SignatureDoesNotMatch" or "&X-Amz-Signature=" not in changed


@pytest.mark.parametrize(
    "change",
    [
        ("SignedHeaders=host", "SignedHeaders=host&response-content-type=text/html"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=604800"),
        ("X-Amz-Date=2", "X-Amz-Date=3"),
        ("X-Amz-Expires=3600&", ""),
        ("X-Amz-Expires", "X-Amz-Date=20990101T000000Z&X-Amz-Expires"),
        ("/eu-west-1/", "/us-east-1/"),
        ("/layers/", "//layers/"),
        ("SignedHeaders=host", "SignedHeaders=hos\udcff"),
        ("SignedHeaders=host", "SignedHeaders=\ud800"),
    ],
    ids=["more", "longer", "later", "less", "twice", "region", "path", "bytes", "surrogate"],
)
def test_a_forged_url_is_rejected(change: tuple[str, str]) -> None:
    """A query or a path that the caller made is 403."""
    downloads, digest = a_server()
    with pytest.raises(AwsError) as caught:
        downloads.answer(a_request(downloads, digest, change=change))
    assert (caught.value.status, caught.value.code) in {
        (403, "SignatureDoesNotMatch"),
        (403, "AccessDenied"),
    }


@pytest.mark.parametrize(
    "request_of",
    [*({"method": each} for each in ("HEAD", "PUT", "DELETE", "POST")), {"host": "other.example"}],
)
def test_a_url_works_only_for_what_was_signed(request_of: dict[str, str]) -> None:
    """Another method or host is 403, also HEAD, as with a URL that is presigned for GET."""
    downloads, digest = a_server()
    with pytest.raises(AwsError) as caught:
        downloads.answer(a_request(downloads, digest, **request_of))  # type: ignore[arg-type]
    assert (caught.value.status, caught.value.code) == (403, "SignatureDoesNotMatch")


def test_a_clients_own_spelling_of_the_query_is_fine() -> None:
    """The order and the escapes of the query do not matter, because clients rewrite URLs."""
    downloads, digest = a_server()

    request = a_request(downloads, digest)
    before, _, query = request.path.partition("?")
    spelled = "&".join(reversed(query.replace("%2F", "/").split("&")))
    assert (
        downloads.answer(Request("GET", f"{before}?{spelled}", request.headers, b"")).status == 200
    )


@BOTH_SERVERS
def test_a_url_expires_after_an_hour(*, in_memory: bool) -> None:
    """After 3600 seconds the response is 403 "Request has expired", with the times.

    Before that time, the response is the layer.
    """

    async def play(it: Download) -> None:
        url = await it.url()
        it.ecr.clock_skew = 3590
        assert (await it.get(url)).status == 200
        it.ecr.clock_skew = 3610
        answer = await it.get(url)
        error = ET.fromstring(answer.body)  # noqa: S314  (our own XML)

        assert (answer.error, error.findtext("Message")) == (
            (403, "AccessDenied"),
            "Request has expired",
        )
        assert [child.tag for child in error] == [
            "Code",
            "Message",
            "X-Amz-Expires",
            "Expires",
            "ServerTime",
        ]

    download(play, in_memory=in_memory)


@pytest.mark.parametrize(
    "path",
    [
        "/layers/",
        "/layers/../../etc/passwd",
        "/layers/us-east-1/" + "0" * 64,
        "/layers/us-east-1/x?X-Amz-Signature=x",
    ],
)
@BOTH_SERVERS
def test_a_path_without_a_signature_reveals_nothing(path: str, *, in_memory: bool) -> None:
    """An unsigned path is 403 AccessDenied, whether or not there is a layer."""

    async def play(it: Download) -> None:
        assert (await it.get(it.ecr.endpoint_url + path)).error == (403, "AccessDenied")

    download(play, in_memory=in_memory)


def test_a_layer_that_is_gone_is_not_found() -> None:
    """After a layer was deleted, its URL returns 404 NoSuchKey."""

    async def play(it: Download) -> None:
        url = await it.url(LARGE)
        await it.client.delete_repository(repositoryName="app", force=True)
        assert (await it.get(url)).error == (404, "NoSuchKey")

    download(play)


# -- faults and statistics


@BOTH_SERVERS
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"reset": True}, EndpointConnectionError),
        ({"cut_at": CHUNK + 7}, ConnectionClosedError),
        ({"cut_at": 5}, ConnectionClosedError),
    ],
    ids=["reset", "cut", "cut-early"],
)
def test_a_download_breaks_off(
    fault: dict[str, Any], error: type[Exception], *, in_memory: bool
) -> None:
    """A download can be reset or truncated, like any response, and the next one is complete."""

    async def play(it: Download) -> None:
        url = await it.url(LARGE)
        it.ecr.faults.add(operation="GetLayer", **fault)
        with pytest.raises(error):
            await it.get(url)

        # Not `times=1`, because aiohttp repeats a GET when a kept-alive connection is reset before
        # any response.
        it.ecr.faults.clear()

        assert (await it.get(url)).body == LARGE
        assert list(it.ecr.stats.by_operation["GetLayer"]) == [next(iter(fault)), "ok"]

    download(play, in_memory=in_memory)


def test_a_download_takes_its_time() -> None:
    """`latency` and `drip` delay a download, in virtual time, and every byte arrives."""

    async def play(it: Download) -> None:
        url = await it.url(LARGE)
        it.ecr.faults.add(operation="GetLayer", latency=2.0, drip=len(LARGE) / 8)
        begin = asyncio.get_running_loop().time()
        assert (await it.get(url)).body == LARGE
        assert round(asyncio.get_running_loop().time() - begin) == 10

    download(play)


@BOTH_SERVERS
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"error": "SlowDown"}, (503, "SlowDown")),
        ({"error": "AccessDenied", "status": 403, "message": "<&>"}, (403, "AccessDenied")),
    ],
    ids=["slow-down", "denied"],
)
def test_an_error_of_a_download_is_in_xml(
    fault: dict[str, Any], error: tuple[int, str], *, in_memory: bool
) -> None:
    """An error that a fault causes for a download is in S3's XML."""

    async def play(it: Download) -> None:
        it.ecr.faults.add(operation="GetLayer", **fault)
        assert (await it.get(await it.url())).error == error

    download(play, in_memory=in_memory)


def test_a_fault_of_rows_does_not_change_a_download() -> None:
    """A fault that shuffles or drops rows does nothing to a download, which has no rows."""

    async def play(it: Download) -> None:
        url = await it.url()
        it.ecr.faults.add(drop_rows=1, shuffle=True)
        assert (await it.get(url)).body == SMALL

    download(play)


def test_a_download_spends_no_quota() -> None:
    """The quota belongs to ECR's API. S3 has its own."""

    async def play(it: Download) -> None:
        url = await it.url()
        assert [(await it.get(url)).status for _ in range(5)] == [200] * 5

    download(play, quota=1)


def test_a_signed_url_needs_no_key() -> None:
    """Everyone with the URL can download: an Authorization header is not needed and ignored."""

    async def play(it: Download) -> None:
        url = await it.url()
        assert (await it.get(url, Authorization="nonsense")).body == SMALL

    download(play)


def test_the_query_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """The local ECR never logs the signature of a download."""

    async def play(it: Download) -> str:
        url = await it.url()
        await it.get(url + "x")
        return url

    with caplog.at_level("DEBUG", logger="ecr_layer_client"):
        url: str = download(play, in_memory=False)
    assert query_of(url)["X-Amz-Signature"] not in caplog.text


def test_a_manifest_is_not_a_layer() -> None:
    """There is no URL for the digest of an image."""

    async def play(it: Download) -> None:
        digest = it.ecr.put_image("app", json.dumps(await manifest(it)), "copy")
        with pytest.raises(ClientError, match="LayersNotFoundException"):
            await it.client.get_download_url_for_layer(repositoryName="app", layerDigest=digest)

    async def manifest(it: Download) -> Any:
        listed = (await it.client.list_images(repositoryName="app"))["imageIds"]
        images = (await it.client.batch_get_image(repositoryName="app", imageIds=listed))["images"]
        return json.loads(images[0]["imageManifest"])

    download(play)
