"""Malformed and hostile requests to `/v2/`: errors of ECR, nothing stored, nothing hangs."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from ecr_layer_client.local import LocalECR
from images.making import IMAGE, sha256
from local.docker_client import MIB, Docker, basic, docker
from local.limits import no_file_above

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

BLOB = b"the bytes of a layer"
DIGEST = sha256(BLOB)
LARGE = bytes(MIB)

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"]
NAMES = [
    "app",
    "none",
    "..",
    "../../etc",
    "%2e%2e%2f%2e%2e%2fetc",
    "APP",
    "a" * 300,
    "%00",
    "%ff%fe",
    "app/../app",
    "app/manifests",
    "%0d%0aX-Injected:%201",
    "\N{SNOWMAN}",
]
REFERENCES = [
    DIGEST,
    "sha256:../../../../etc/passwd",
    "sha256:" + "A" * 64,
    "sha256:" + "%2e" * 64,
    "sha512:" + "0" * 128,
    ":",
    "latest",
    "-",
    "..%2f..",
    "%00",
    "a" * 4000,
    "00000000-0000-0000-0000-000000000000",
]
PLACES = ["manifests", "blobs", "blobs/uploads", "tags/list", "referrers", "x", ""]
QUERIES = [
    "",
    "?digest=" + DIGEST,
    "?digest=../../x",
    "?digest",
    "?mount=x&from=..",
    "?mount=" + DIGEST + "&from=%00",
    "?n=" + "9" * 400,
    "?n=%f0%9f",
    "?last=%ff&n=1",
    "?artifactType=%ed%a0%80",
    "?" + "&" * 500,
]
HEADERS: list[dict[str, str]] = [
    {},
    {"Content-Range": "5-1"},
    {"Content-Range": "0-99999999999999999"},
    {"Content-Range": "bytes " + "9" * 500},
    {"Range": "bytes=-" + "9" * 300},
    {"Range": "bytes=9-1"},
    {"Accept": "\xff/" + "a" * 3000},
    {"Accept": ",".join(["a/b"] * 500)},
    {"Content-Type": "x" * 3000},
    {"Host": "999999999999.dkr.ecr.xx.amazonaws.com"},
    {"Host": "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil"},
    {"Authorization": "Basic " + "A" * 3000},
    {"Authorization": "Basic \xff"},
    {"Expect": "100-continue"},
    {"Transfer-Encoding": "chunked"},
]
BODIES = [b"", b"{}", BLOB, b"\xff" * 100, b"[" * 3000, b'{"mediaType":' * 500, bytes(100_000)]

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[Docker]:
    """Provide a client of a local ECR whose drafts can be counted."""
    async with LocalECR(data=tmp_path) as ecr, docker(ecr) as logged_in:
        ecr.create_repository("app")
        yield logged_in


def drafts(path: Path) -> list[str]:
    """Return the names of the files of bytes that did not become blobs."""
    return [each.name for each in path.glob("*/incoming/*")]


def blobs(path: Path) -> list[str]:
    """Return the names of the files of blobs."""
    return [each.name for each in path.glob("*/blobs/*")]


async def raw(ecr: LocalECR, *sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send bytes on a new connection."""
    host, port = ecr.endpoint_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for data in sent:
        writer.write(data)
    return reader, writer


def head(client: Docker, method: str, url: str, *lines: str) -> bytes:
    """Return the head of a request."""
    path = url.removeprefix(client.ecr.endpoint_url)
    first = (f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: {client.authorization}")
    return "\r\n".join([*first, *lines, "", ""]).encode()


async def started(client: Docker) -> str:
    """Start an upload and return its URL."""
    return (await client.send("POST", "/v2/app/blobs/uploads/")).headers["location"]


async def until(reached: Callable[[], bool]) -> None:
    """Let the server work until a condition holds."""
    async with asyncio.timeout(10):
        while not reached():  # noqa: ASYNC110  (no event announces it)
            await asyncio.sleep(0)


@pytest.mark.parametrize("name", NAMES[2:])
async def test_names_that_are_not_valid(client: Docker, tmp_path: Path, name: str) -> None:
    """A name that is not one of a repository is refused, and nothing is stored."""
    url = URL(f"{client.ecr.endpoint_url}/v2/{name}/blobs/uploads/?digest={DIGEST}", encoded=True)
    headers = {"Authorization": client.authorization}
    async with client.session.post(url, data=BLOB, headers=headers) as response:
        assert response.status in {400, 404, 405}
    assert (blobs(tmp_path), drafts(tmp_path)) == ([], [])


async def test_refused_bytes_are_not_kept(client: Docker, tmp_path: Path) -> None:
    """Chunks and manifests that are refused leave no file."""
    url = await started(client)
    await client.send("PATCH", url, LARGE, Content_Range="0-3")
    await client.send("PATCH", url, LARGE, Content_Range=f"7-{MIB + 6}")
    await client.send("PUT", f"{url}?digest=x", LARGE)
    await client.put("1.0", bytes(4 * MIB + 1), IMAGE)
    assert (blobs(tmp_path), drafts(tmp_path)) == ([], [])


async def test_a_chunk_that_ends_early_is_not_kept(client: Docker, tmp_path: Path) -> None:
    """A connection that closes within a chunk leaves the upload as it was."""
    url = await started(client)
    _, writer = await raw(
        client.ecr, head(client, "PATCH", url, f"Content-Length: {2 * MIB}"), LARGE
    )
    await writer.drain()
    await until(lambda: bool(drafts(tmp_path)))
    writer.close()
    await until(lambda: client.ecr.in_flight == 0)

    assert (await client.send("GET", url)).headers["range"] == "0-0"
    assert drafts(tmp_path) == []


async def test_bytes_after_the_end_of_a_body_are_another_request(client: Docker) -> None:
    """A body is as long as Content-Length says. What follows is not part of the blob."""
    url = await started(client)
    request = head(client, "PATCH", url, f"Content-Length: {len(BLOB)}")
    reader, writer = await raw(client.ecr, request, BLOB)
    first = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"and more\r\n\r\n")
    second = await reader.read()
    writer.close()

    assert (first.split()[1], second.split()[1]) == (b"201", b"400")
    assert (await client.send("PUT", f"{url}?digest={DIGEST}")).status == 201


async def test_a_chunk_that_never_ends_stops_nobody(tmp_path: Path) -> None:
    """Others are served while a body is awaited, and closing does not wait for it."""
    async with asyncio.timeout(20), LocalECR(data=tmp_path) as ecr, docker(ecr) as client:
        ecr.create_repository("app")
        url = await started(client)
        _, writer = await raw(ecr, head(client, "PATCH", url, f"Content-Length: {2 * MIB}"), LARGE)
        await until(lambda: bool(drafts(tmp_path)))
        assert (await client.upload(BLOB, DIGEST)).status == 201
    writer.close()
    assert drafts(tmp_path) == []


async def test_a_full_disk_loses_only_the_chunk(client: Docker, tmp_path: Path) -> None:
    """A chunk that cannot be written gets 500, and the upload goes on when there is space."""
    url = await started(client)
    with no_file_above(MIB // 2):
        answer = await client.send("PATCH", url, LARGE)
    again = await client.send("PATCH", url, LARGE)
    finished = await client.send("PUT", f"{url}?digest={sha256(LARGE)}")
    assert answer.error[:2] == (500, "UNKNOWN")
    assert (again.status, finished.status, drafts(tmp_path)) == (201, 201, [])


async def test_two_chunks_at_once_do_not_mix(client: Docker) -> None:
    """Of two chunks for the same place that arrive at the same time, one is taken."""
    url = await started(client)
    size = 5 * MIB
    bodies = [bytes([number]) * size for number in range(2)]
    answers = await asyncio.gather(
        *(client.send("PATCH", url, body, Content_Range=f"0-{size - 1}") for body in bodies)
    )
    taken = [body for body, answer in zip(bodies, answers, strict=True) if answer.status == 201]
    finished = await client.send("PUT", f"{url}?digest={sha256(taken[0])}")
    assert (len(taken), finished.status) == (1, 201)


async def test_a_client_without_a_password_sends_no_body(client: Docker) -> None:
    """A client that waits for 100 gets the challenge before it sends anything."""
    lines = (f"Content-Length: {10**12}", "Expect: 100-continue")
    path = await started(client)
    request = head(client, "PATCH", path, *lines).replace(client.authorization.encode(), b"none")
    reader, writer = await raw(client.ecr, request)
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert answer.startswith(b"HTTP/1.1 401")


async def statuses(client: Docker, count: int) -> set[int]:
    """Send requests of hostile parts, drawn with a seed, and return the statuses."""
    draw, seen = Random(7), set[int]()  # noqa: S311  (the same each time)
    for _ in range(count):
        place, query = draw.choice(PLACES), draw.choice(QUERIES)
        # Half of the requests are for a repository that exists, and half have no odd header.
        name = draw.choice([draw.choice(NAMES), "app"])
        path = f"/v2/{name}/{place}/{draw.choice(REFERENCES)}"
        headers: dict[str, Any] = {
            "Authorization": client.authorization,
            **draw.choice([draw.choice(HEADERS), {}]),
        }
        url = URL(f"{client.ecr.endpoint_url}{path}{query}", encoded=True)
        # A server may close the connection after it refused a body.
        with contextlib.suppress(aiohttp.ClientError):
            async with client.session.request(
                draw.choice(METHODS), url, data=draw.choice(BODIES), headers=headers
            ) as response:
                await response.read()
                seen.add(response.status)
    return seen


async def check_hostile(client: Docker, tmp_path: Path, count: int) -> None:
    """Send hostile requests, and check that the local ECR goes on as before."""
    async with asyncio.timeout(300):
        seen = await statuses(client, count)
    await until(lambda: client.ecr.in_flight == 0)

    # Some are not HTTP, so that they reach no operation.
    assert client.ecr.stats.requests > count * 0.8
    assert {status for status in seen if status >= 500} == set()
    assert seen >= {400, 401, 404, 405}
    assert drafts(tmp_path) == []
    assert (await client.upload(b"afterwards", sha256(b"afterwards"))).status == 201


async def test_hostile_requests(client: Docker, tmp_path: Path) -> None:
    """500 hostile requests cause no failure and leave no draft."""
    await check_hostile(client, tmp_path, 500)


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_ten_thousand_hostile_requests(client: Docker, tmp_path: Path) -> None:
    """10,000 hostile requests cause no failure and leave no draft."""
    await check_hostile(client, tmp_path, 10_000)


@pytest.mark.parametrize("host", [b"\xff", b"a b", b"x/..", b'"', b""], ids=repr)
async def test_hostile_hosts(client: Docker, host: bytes) -> None:
    """A malformed host is in no response: the URL of an upload has none then."""
    request = head(client, "POST", "/v2/app/blobs/uploads/", "Connection: close")
    _, answer = await exchanged(client, request.replace(b"Host: x", b"Host: " + host))
    assert b"\r\nlocation: /v2/app/blobs/uploads/" in answer


async def exchanged(client: Docker, sent: bytes) -> tuple[bytes, bytes]:
    """Send a request, and return the status and the complete response."""
    reader, writer = await raw(client.ecr, sent)
    answer = await reader.read()
    writer.close()
    return answer.split(maxsplit=2)[1], answer


@pytest.mark.parametrize(
    "line",
    [b"Authorization: Basic \xff", b"Content-Range: \xff", b"Range: \xff", b"Accept: \xff/\xff"],
    ids=repr,
)
async def test_headers_that_are_not_utf_8(client: Docker, line: bytes) -> None:
    """Bytes in headers that are not UTF-8 cause no failure."""
    path = await started(client)
    request = head(client, "PATCH", path, "Connection: close", "Content-Length: 0", "X: x")
    status, _ = await exchanged(client, request.replace(b"X: x", line))
    assert status in {b"201", b"401", b"416"}


@pytest.mark.parametrize(
    "authorization", ["Basic", basic("x" * 3000), "Basic " + "=" * 50, "basic QVdTOg=="]
)
async def test_hostile_passwords(client: Docker, authorization: str) -> None:
    """No header is taken for a password."""
    assert (await client.send("GET", "/v2/", Authorization=authorization)).status == 401
