"""Downloads of layers as S3 serves them: presigned URLs, ranges, refusals.

Over HTTP and in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import http.client
import json
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import parse_qsl, urlsplit

import aiohttp
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
LARGE = bytes(range(256)) * (CHUNK // 200)  # in a file, and sent in two chunks
HOST = "registry.example:8080"
FACES = pytest.mark.parametrize("in_memory", [False, True], ids=["http", "memory"])


@dataclass
class Answer:
    """What came back for a URL."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> tuple[int, str]:
        """The status, and the code in the XML."""
        # Our own XML.
        return self.status, ET.fromstring(self.body).findtext("Code", "")  # noqa: S314


@dataclass
class Download:
    """A local ECR that holds an image of two layers, and the way to them."""

    ecr: LocalECR
    client: Any

    async def url(self, data: bytes = SMALL) -> str:
        """Ask for the URL of a layer."""
        answer = await self.client.get_download_url_for_layer(
            repositoryName="app", layerDigest=digest_of(data)
        )
        assert answer["layerDigest"] == digest_of(data)
        return str(answer["downloadUrl"])

    async def get(self, url: str, *, method: str = "GET", **headers: str) -> Answer:
        """Follow a URL as a client of the session does."""
        session = self.client._endpoint.http_session
        response = await session.send(AWSRequest(method=method, url=url, headers=headers).prepare())
        return Answer(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            await response.content,
        )


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def download(play: Any, *, in_memory: bool = True, **options: Any) -> Any:
    """Run a scenario on a local ECR that holds an image; in memory, in virtual time."""

    async def main() -> Any:
        async with LocalECR(in_memory=in_memory, **options) as ecr:
            ecr.seed_image("app", [SMALL, LARGE, (digest_of(b"seeded"), 6)])
            session: Any = ecr.session()
            async with session.create_client("ecr", endpoint_url=ecr.endpoint_url) as client:
                return await play(Download(ecr, client))

    with asyncio.Runner(loop_factory=VirtualTimeLoop if in_memory else None) as runner:
        return runner.run(main())


# -- what can be downloaded
# ------------------------------------------------------------------------------------------------


@FACES
@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_a_layer_comes_back_byte_for_byte(data: bytes, *, in_memory: bool) -> None:
    """Following the URL gives the layer's bytes, with their length and what S3 says beside them."""

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


def test_a_layer_that_was_uploaded_comes_back() -> None:
    """What came in parts is downloaded whole, once an image refers to it."""

    async def play(it: Download) -> None:
        parts = (b"\0" * 5 * 1024 * 1024, b"last")
        digest = digest_of(b"".join(parts))
        upload_id, first = (
            (await it.client.initiate_layer_upload(repositoryName="app"))["uploadId"],
            0,
        )
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
def test_what_cannot_be_downloaded_says_why(digest: str, code: str, said: str) -> None:
    """No URL is given for a layer that is absent, of no image, archived (assumed) or without bytes (ours)."""

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
    """GetDownloadUrlForLayer takes either letter case, and answers lower case (assumed)."""

    async def play(it: Download) -> None:
        asked = "sha256:" + digest_of(SMALL)[7:].upper()
        answer = await it.client.get_download_url_for_layer(repositoryName="app", layerDigest=asked)
        assert answer["layerDigest"] == digest_of(SMALL)

    download(play)


# -- ranges
# ----------------------------------------------------------------------------------------------------------------


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
    """A range gives 206 with exactly its bytes, 416 when it begins beyond the end, and the whole when it is none."""
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
    "asked",
    [
        "",
        "bytes",
        "bytes=-",
        "bytes=a-b",
        "items=0-1",
        "bytes=0-1,3-4",
        "bytes=" + "9" * 5000 + "-5",
    ],
)
def test_a_range_that_s3_cannot_read_is_ignored(asked: str) -> None:
    """What is no single range of bytes is as if it were not there."""
    downloads, digest = a_server(SMALL)
    reply = downloads.answer(a_request(downloads, digest, range=asked))
    assert (reply.status, reply.body) == (200, SMALL)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("bytes=4-" + "9" * 5000, (206, f"bytes 4-{len(SMALL) - 1}/{len(SMALL)}", SMALL[4:])),
        ("bytes=-" + "9" * 5000, (206, f"bytes 0-{len(SMALL) - 1}/{len(SMALL)}", SMALL)),
        (
            "bytes=" + "0" * 5000 + "4-" + "0" * 5000 + "5",
            (206, f"bytes 4-5/{len(SMALL)}", SMALL[4:6]),
        ),
    ],
    ids=["last", "suffix", "zeros"],
)
def test_a_range_beyond_any_integer_ends_with_the_layer(
    asked: str, answer: tuple[int, str, bytes]
) -> None:
    """However far a range goes, it is cut to the layer's size (RFC 9110, section 14.1.2)."""
    downloads, digest = a_server(SMALL)
    reply = downloads.answer(a_request(downloads, digest, range=asked))
    assert (reply.status, reply.headers["content-range"], reply.body) == answer


def test_the_unit_of_a_range_is_in_either_case() -> None:
    """`Bytes=` is `bytes=` (RFC 9110, section 14.1)."""
    downloads, digest = a_server(SMALL)
    assert downloads.answer(a_request(downloads, digest, range="Bytes=4-5")).body == SMALL[4:6]


def test_a_range_that_begins_beyond_any_integer_is_not_satisfiable() -> None:
    """A range that begins beyond the end, by however much, is 416."""
    downloads, digest = a_server(SMALL)
    with pytest.raises(AwsError, match="InvalidRange"):
        downloads.answer(a_request(downloads, digest, range="bytes=" + "9" * 5000 + "-"))


def test_an_empty_layer_comes_back_and_has_no_range() -> None:
    """A layer of no bytes is downloaded; every range of it is beyond its end."""
    downloads, digest = a_server(b"")
    assert downloads.answer(a_request(downloads, digest)).body == b""
    with pytest.raises(AwsError, match="InvalidRange"):
        downloads.answer(a_request(downloads, digest, range="bytes=0-"))


@FACES
def test_ranges_work_on_the_wire(*, in_memory: bool) -> None:
    """A client resumes where it was cut: 206, with the rest.

    Beyond the end 416, in XML with the size.
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
# ---------------------------------------------------------------------------------------------------------------


@functools.cache
def a_server(data: bytes = SMALL) -> tuple[Downloads, str]:
    """Return downloads of one layer, and its digest."""
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
    """Return the request of a client that follows the URL, with a part of it put in another's place."""
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
    """The URL is presigned as botocore's own signer for S3 does it, with the same key at the same time."""
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
    """A caller that reached the registry by another name gets URLs of that name."""

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
    """Any other character in the query is 403, and but for the signature's own name SignatureDoesNotMatch."""
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
    assert caught.value.code == "SignatureDoesNotMatch" or "X-Amz-Signature=" not in changed


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
def test_a_forged_url_is_refused(change: tuple[str, str]) -> None:
    """A query or path of the caller's own making is 403."""
    downloads, digest = a_server()
    with pytest.raises(AwsError) as caught:
        downloads.answer(a_request(downloads, digest, change=change))
    assert (caught.value.status, caught.value.code) in {
        (403, "SignatureDoesNotMatch"),
        (403, "AccessDenied"),
    }


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "POST"])
def test_a_url_for_get_is_for_get_alone(method: str) -> None:
    """Another method is 403, as of a URL presigned for GET; a HEAD, too."""
    downloads, digest = a_server()
    with pytest.raises(AwsError) as caught:
        downloads.answer(a_request(downloads, digest, method=method))
    assert (caught.value.status, caught.value.code) == (403, "SignatureDoesNotMatch")


def test_another_host_does_not_match() -> None:
    """The host is signed."""
    downloads, digest = a_server()
    with pytest.raises(AwsError, match="SignatureDoesNotMatch"):
        downloads.answer(a_request(downloads, digest, host="other.example"))


def test_a_clients_own_spelling_of_the_query_is_fine() -> None:
    """The order and the escapes of the query don't matter: clients write URLs anew."""
    downloads, digest = a_server()

    request = a_request(downloads, digest)
    before, _, query = request.path.partition("?")
    spelled = "&".join(reversed(query.replace("%2F", "/").split("&")))
    assert (
        downloads.answer(Request("GET", f"{before}?{spelled}", request.headers, b"")).status == 200
    )


@FACES
def test_a_url_expires_after_an_hour(*, in_memory: bool) -> None:
    """After 3600 seconds the answer is 403 "Request has expired", with the times.

    Before, the layer.
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
@FACES
def test_without_a_signature_nothing_is_told(path: str, *, in_memory: bool) -> None:
    """A path that nobody signed is 403 AccessDenied, whether something is there or not."""

    async def play(it: Download) -> None:
        assert (await it.get(it.ecr.endpoint_url + path)).error == (403, "AccessDenied")

    download(play, in_memory=in_memory)


def test_a_layer_that_is_gone_is_not_found() -> None:
    """A URL outlives its layer: then 404 NoSuchKey."""

    async def play(it: Download) -> None:
        url = await it.url(LARGE)
        await it.client.delete_repository(repositoryName="app", force=True)
        assert (await it.get(url)).error == (404, "NoSuchKey")

    download(play)


def test_head_over_http_is_403_without_a_body() -> None:
    """A HEAD of the URL is answered as S3 answers it."""

    def head(url: str) -> tuple[int, bytes]:
        parts = urlsplit(url)
        with contextlib.closing(http.client.HTTPConnection(parts.netloc)) as connection:
            connection.request("HEAD", f"{parts.path}?{parts.query}")
            response = connection.getresponse()
            return response.status, response.read()

    async def play(it: Download) -> None:
        assert await asyncio.to_thread(head, await it.url()) == (403, b"")

    download(play, in_memory=False)


def test_aiohttp_follows_the_url() -> None:
    """A client that spells the query anew still gets the layer."""

    async def play(it: Download) -> None:
        async with aiohttp.ClientSession() as session, session.get(await it.url(LARGE)) as response:
            assert (response.status, await response.read() == LARGE) == (200, True)

    download(play, in_memory=False)


# -- faults and statistics
# -------------------------------------------------------------------------------------------------


@FACES
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
    """A download can be reset or cut, like any answer, and the next one is whole."""

    async def play(it: Download) -> None:
        url = await it.url(LARGE)
        it.ecr.faults.add(operation="GetLayer", **fault)
        with pytest.raises(error):
            await it.get(url)
        # Not `times=1`: aiohttp itself asks again when a kept connection is reset before any answer
        # to a GET.
        it.ecr.faults.clear()
        assert (await it.get(url)).body == LARGE
        assert list(it.ecr.stats.by_operation["GetLayer"]) == [next(iter(fault)), "ok"]

    download(play, in_memory=in_memory)


def test_a_download_takes_its_time() -> None:
    """`latency` and `drip` hold a download up, in virtual time, and every byte comes."""

    async def play(it: Download) -> None:
        url = await it.url(LARGE)
        it.ecr.faults.add(operation="GetLayer", latency=2.0, drip=len(LARGE) / 8)
        begin = asyncio.get_running_loop().time()
        assert (await it.get(url)).body == LARGE
        assert round(asyncio.get_running_loop().time() - begin) == 10

    download(play)


@FACES
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
    """An error that a fault plays on a download comes as S3 writes errors."""

    async def play(it: Download) -> None:
        it.ecr.faults.add(operation="GetLayer", **fault)
        assert (await it.get(await it.url())).error == error

    download(play, in_memory=in_memory)


def test_a_fault_of_rows_leaves_a_download_whole() -> None:
    """A download has no rows to shuffle or drop: such a fault, meant for any operation, does nothing to it."""

    async def play(it: Download) -> None:
        url = await it.url()
        it.ecr.faults.add(drop_rows=1, shuffle=True)
        assert (await it.get(url)).body == SMALL

    download(play)


def test_a_download_spends_no_quota() -> None:
    """The quota is of ECR's API; S3 has its own."""

    async def play(it: Download) -> None:
        url = await it.url()
        assert [(await it.get(url)).status for _ in range(5)] == [200] * 5

    download(play, quota=1)


def test_a_signed_url_needs_no_key() -> None:
    """Whoever has the URL may follow it: its signature is its own, and no Authorization header is asked for or minded."""

    async def play(it: Download) -> None:
        url = await it.url()
        assert (await it.get(url, Authorization="nonsense")).body == SMALL

    download(play)


def test_the_query_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever happens to a download, its signature is not logged by the local ECR."""

    async def play(it: Download) -> str:
        url = await it.url()
        await it.get(url + "x")
        return url

    with caplog.at_level("DEBUG", logger="ecr_layer_client"):
        url: str = download(play, in_memory=False)
    assert query_of(url)["X-Amz-Signature"] not in caplog.text


def test_manifests_are_no_layers() -> None:
    """The digest of an image is no layer: there is no URL for it."""

    async def play(it: Download) -> None:
        digest = it.ecr.put_image("app", json.dumps(await manifest(it)), "copy")
        with pytest.raises(ClientError, match="LayersNotFoundException"):
            await it.client.get_download_url_for_layer(repositoryName="app", layerDigest=digest)

    async def manifest(it: Download) -> Any:
        listed = (await it.client.list_images(repositoryName="app"))["imageIds"]
        images = (await it.client.batch_get_image(repositoryName="app", imageIds=listed))["images"]
        return json.loads(images[0]["imageManifest"])

    download(play)
