"""A transfer that is cancelled, in any step, leaves nothing that the next one can't use."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from transfers.making import PART
from transfers.memory_downloads import download_from_memory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from ecr_layer_client import ECRLayerClient
    from ecr_layer_client.images import ImageSource
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

# Of the callbacks of the event loop in a transfer, every n-th is a place to cancel it.
STRIDE = 7


class Verb(NamedTuple):
    """A transfer, with the place of its journal or layout."""

    run: Callable[[ECRLayerClient, ImageSource, str, Path], Awaitable[Any]]
    check: Callable[[LocalECR, str, Path], int]


async def push(client: ECRLayerClient, source: ImageSource, name: str, path: Path) -> Any:
    """Push an image into a repository, with a journal."""
    return await client.push(name, source, journal=path)


async def copy(client: ECRLayerClient, _: ImageSource, name: str, path: Path) -> Any:
    """Copy an image into a repository, with a journal."""
    return await client.copy("app", "v1", to_repository=name, journal=path)


async def pull(client: ECRLayerClient, _: ImageSource, __: str, path: Path) -> Any:
    """Pull an image into a layout."""
    return await client.pull("app", "v1", path)


def check_journal(ecr: LocalECR, name: str, path: Path) -> int:
    """Assert that each entry knows of all bytes of its upload, but those of one part at most.

    Return the number of entries.
    """
    uploads = ecr._registry._repositories[ecr.account, name].uploads
    entries = [each for each in path.iterdir() if not each.suffix] if path.exists() else []
    for entry in entries:
        upload = json.loads(entry.read_text())["upload"]
        begun = uploads.get(upload["upload_id"])
        # If there is none, ECR has completed it, and the response was not read any more.
        assert begun is None or 0 <= begun.received - upload["received"] <= PART
    return len(entries)


def check_layout(_: LocalECR, __: str, path: Path) -> int:
    """Assert that each blob has the bytes of its name. Return 0: nothing is received twice."""
    for blob in path.glob("blobs/*/*"):
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    return 0


VERBS = {
    "push": Verb(push, check_journal),
    "copy": Verb(copy, check_journal),
    "pull": Verb(pull, check_layout),
}


async def cancelled(transfer: Awaitable[Any], step: int) -> bool:
    """Run a transfer, and cancel it in one step. Return whether it was cancelled."""
    loop = asyncio.get_running_loop()
    task, steps = asyncio.ensure_future(transfer), 0
    call_soon = loop.call_soon

    def count(*args: Any, **options: Any) -> asyncio.Handle:
        nonlocal steps
        steps += 1
        if steps == step:
            call_soon(task.cancel)
        return call_soon(*args, **options)

    hooked: Any = loop
    hooked.call_soon = count
    try:
        await asyncio.wait([task])
    finally:
        del hooked.call_soon
    if not task.cancelled():
        task.result()
    return task.cancelled()


def steps(stride: int) -> Iterator[int]:
    """Yield the steps in which a transfer is cancelled."""
    yield from range(1, 10**6, stride)


@pytest.mark.parametrize(
    "stride", [STRIDE, pytest.param(1, marks=[pytest.mark.full, pytest.mark.timeout(1800)])]
)
@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
async def test_cancelled_in_each_step(
    ecr: LocalECR,
    source: ImageSource,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: Verb,
    stride: int,
) -> None:
    """No task is left, what was written down is true, and the next run ends with all of it."""
    download_from_memory(ecr, monkeypatch)
    async with ecr.client() as client:
        await client.push("app", source)
        step = 0
        for step in steps(stride):
            name, path = f"to-{step}", tmp_path / str(step)
            ecr.create_repository(name)
            if not await cancelled(verb.run(client, source, name, path), step):
                break
            assert asyncio.all_tasks() == {asyncio.current_task()}
            parts = verb.check(ecr, name, path)

            result = await verb.run(client, source, name, path)
            assert len(result.moved) + len(result.present) == len(source.blobs)
            assert result.bytes_repeated <= PART * parts
            if verb.check is check_journal:
                assert [*path.iterdir()] == []
                assert (await client.verify_image(name, "v1")).deployable
            else:
                assert sorted(each.name for each in path.iterdir()) == [
                    "blobs",
                    "index.json",
                    "oci-layout",
                ]
        assert step > 10 * stride


async def test_one_of_two_pulls_is_cancelled(
    ecr: LocalECR, source: ImageSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pull that is cancelled takes its own files along, and the other one ends."""
    download_from_memory(ecr, monkeypatch)
    pulled = tmp_path / "pulled"
    async with ecr.client() as client:
        await client.push("app", source)
        ecr.faults.add(operation="GetLayer", latency=5)
        first = asyncio.create_task(client.pull("app", "v1", pulled))
        await asyncio.sleep(2)
        second = asyncio.create_task(client.pull("app", "v1", pulled))
        await asyncio.sleep(2)
        second.cancel()
        result = await first

    assert second.cancelled()
    assert len(result.moved) == len(source.blobs)
    assert sorted(each.name for each in pulled.iterdir()) == ["blobs", "index.json", "oci-layout"]
