"""Bad input on the socket causes no status 500, no log record and no misplaced file.

The server answers the next request.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import random
import re
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._registry.operations import OPERATIONS
from local.bad_requests import bad_request

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.asyncio

AT_ONCE = 32
# After this time without a byte, no further response is expected.
QUIET_SECONDS = 0.05
IN_PLACE = re.compile(
    r"very/deep/data/us-east-1/"
    r"(lock|registry\.db(-wal|-shm)?|blobs/[0-9a-f]{64}|incoming/[0-9a-f]{32})"
).fullmatch
# The number of connections that send a part of a request and then nothing, beside the others.
STALLED = 50


async def exchange(ecr: LocalECR, sent: bytes, draw: random.Random) -> bytes:
    """Send bytes, at once or in pieces, with or without an end, and return the response."""
    host, port = ecr.endpoint_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    cut = len(sent) if draw.random() < 0.9 else draw.randrange(len(sent) + 1)
    end = draw.choices(["close", "eof", "abort"], [8, 1, 1])[0]
    answer = bytearray()

    with contextlib.suppress(ConnectionError):
        for piece in (sent[: cut // 2], sent[cut // 2 : cut]):
            writer.write(piece)
            await asyncio.sleep(0)
        if end == "eof":
            writer.write_eof()
        with contextlib.suppress(TimeoutError):
            while chunk := await asyncio.wait_for(reader.read(65_536), QUIET_SECONDS):
                answer += chunk

    writer.transport.abort() if end == "abort" else writer.close()

    return bytes(answer)


async def stall(ecr: LocalECR, number: int) -> asyncio.StreamWriter:
    """Send a part of a request, and leave the connection open."""
    host, port = ecr.endpoint_url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    request = b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: y\r\nContent-Length: 100\r\n\r\n{}"
    writer.write(request[: 1 + number * (len(request) - 1) // STALLED])
    return writer


@contextlib.contextmanager
def loop_problems() -> Any:
    """Collect what the running loop reports: unhandled exceptions of tasks and callbacks."""
    loop = asyncio.get_running_loop()
    complaints: list[str] = []
    loop.set_exception_handler(lambda _, context: complaints.append(repr(context)))
    yield complaints
    loop.set_exception_handler(None)


def filled(ecr: LocalECR) -> list[str]:
    """Add an image and an upload in progress.

    Return their names, and the path of a download.
    """
    image = ecr.seed_image("app", [bytes(100_000), b"small"], "latest")
    upload = ecr._registry.run("InitiateLayerUpload", {"repositoryName": "app"})["uploadId"]
    url = ecr._service.downloads.url(
        "x", ecr.region, f"sha256:{hashlib.sha256(b'small').hexdigest()}"
    )

    return [
        image,
        upload,
        upload,
        upload,
        url.removeprefix("http://x/"),
        url[:-1].removeprefix("http://x/"),
    ]


def files(folder: Path) -> list[str]:
    """Return the files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("count", "auth"),
    [
        pytest.param(500, False, id="unsigned"),
        pytest.param(500, True, id="signed"),
        pytest.param(
            10_000, False, id="10,000-unsigned", marks=[pytest.mark.full, pytest.mark.timeout(600)]
        ),
        pytest.param(
            2_000, True, id="2,000-signed", marks=[pytest.mark.full, pytest.mark.timeout(600)]
        ),
    ],
)
async def test_the_server_survives_bad_requests(
    count: int,
    *,
    auth: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Bad requests beside stalled connections cause no 5xx, no log record and no misplaced file."""
    home, outside = tmp_path / "very" / "deep" / "data", tmp_path / "outside"
    for folder in (home, outside):
        folder.mkdir(parents=True)

    monkeypatch.chdir(outside)
    caplog.set_level(logging.INFO)

    async with LocalECR(auth=auth, data=home) as ecr:
        texts = [str(outside / "canary"), f"../../../outside/canary/{'a' * 64}"]
        limit = asyncio.Semaphore(AT_ONCE)

        async def answer_to(number: int) -> bytes:
            draw = random.Random(number)  # noqa: S311  (the same each time)
            async with limit:
                if number % 50 == 0:
                    texts[2:] = filled(ecr)
                return await exchange(ecr, bad_request(draw, texts), draw)

        with loop_problems() as complaints:
            stalled = [await stall(ecr, number) for number in range(STALLED)]
            answers = await asyncio.gather(*map(answer_to, range(count)))
            digest = ecr.put_layer("still/there", b"a layer")
            async with ecr.client() as client:
                result = await client.check_layers("still/there", [digest])
            for writer in stalled:
                writer.close()

    wrong = {
        number: answer[:300]
        for number, answer in enumerate(answers)
        if b"HTTP/1.1 5" in answer or b"Traceback" in answer
    }
    logged = [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith(("ecr_layer_client", "aiohttp", "asyncio"))
    ]
    astray = [each for each in files(tmp_path) if not IN_PLACE(each)]

    assert (wrong, logged, complaints, astray) == ({}, [], [], [])
    assert (result.available, set(OPERATIONS) - set(ecr.stats.by_operation)) == ((digest,), set())
