"""Lists of repositories and images, page by page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client import ResponseError
from images.making import image

if TYPE_CHECKING:
    from ecr_layer_client.local import LocalECR

pytestmark = pytest.mark.asyncio

APP = image("app", "base")


async def test_pages(ecr: LocalECR) -> None:
    """All pages are read, with one request each."""
    for number in range(1001):
        ecr.create_repository(f"team/{number:04}")
    async with ecr.client() as client:
        found = [repository async for repository in client.list_repositories()]

    assert [repository.name for repository in found] == [f"team/{each:04}" for each in range(1001)]
    assert found[0].uri == "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/0000"
    assert ecr.stats.by_operation == {"DescribeRepositories": {"ok": 2}}


async def test_images(ecr: LocalECR) -> None:
    """Images are listed with tags, size and date, archived ones included."""
    for blob in APP.blobs:
        ecr.put_layer("app", blob)
    digest = ecr.put_image("app", APP.manifest, "v1")
    async with ecr.client() as client:
        [found] = [image async for image in client.list_images("app")]

    assert (found.digest, found.tags, found.is_archived) == (digest, ("v1",), False)
    assert found.pushed_at is not None
    assert found.pushed_at.tzinfo is not None
    assert found.size == sum(map(len, APP.blobs))


@pytest.mark.parametrize("operation", ["DescribeRepositories", "DescribeImages"])
async def test_a_page_that_repeats(ecr: LocalECR, operation: str) -> None:
    """A page that names itself as the next one ends the list with an error."""
    page: dict[str, Any] = {"repositories": [], "imageDetails": [], "nextToken": "again"}
    ecr.create_repository("app")
    ecr.faults.add(operation=operation, body=json.dumps(page).encode())
    async with ecr.client() as client:
        rows = (
            client.list_repositories()
            if operation == "DescribeRepositories"
            else client.list_images("app")
        )
        with pytest.raises(ResponseError, match="names a next page that was already read"):
            _ = [row async for row in rows]


@pytest.mark.parametrize("name", ["DescribeRepositories", "DescribeImages"])
async def test_observers(ecr: LocalECR, name: str) -> None:
    """An attempt of a list is about no image in particular."""
    seen: list[tuple[str, int]] = []

    class Seen:
        def operation(self, *_: object) -> None: ...

        def attempt(self, name: str, _: object, __: int, count: int) -> None:
            seen.append((name, count))

        def retry(self, *_: object) -> None: ...

        def throttle(self, *_: object) -> None: ...

    ecr.create_repository("app")
    async with ecr.client(observer=Seen()) as client:  # type: ignore[arg-type]
        rows = client.list_images("app") if "Images" in name else client.list_repositories()
        _ = [row async for row in rows]

    assert seen == [(name, 0)]
