"""UpdateImageStorageClass archives an image and restores it, at once or after a time."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from ecr_layer_client.local import LocalECR
from ecr_layer_client.local._registry.limits import Limits
from local.one_repository import (
    ABSENT,
    ACCOUNT,
    CONFIG,
    LAYER,
    NOW,
    OneRepository,
    a_manifest,
    digest_of,
)
from virtual_time import VirtualTimeLoop

DIGEST = digest_of(a_manifest())
RESTORE_TIME = 600.0


def a_repository(restore_time: float = RESTORE_TIME) -> OneRepository:
    """Return a repository with one image, which takes some time to be restored."""
    repository = OneRepository(limits=Limits(restore_time=restore_time))
    repository.put(a_manifest(), "1")
    return repository


def moved(repository: OneRepository, target: str, **image_id: str) -> str:
    """Change the storage class of an image, and return the status in the response."""
    asked = image_id or {"imageTag": "1"}
    answer = repository.run("UpdateImageStorageClass", imageId=asked, targetStorageClass=target)
    return str(answer["imageStatus"])


def details(repository: OneRepository) -> tuple[Any, ...]:
    """Return the status of the image, and the times of its last changes."""
    [row] = repository.described(filter={"imageStatus": "ANY"})
    return row["imageStatus"], row.get("lastArchivedAt"), row.get("lastActivatedAt")


def test_an_image_is_archived_at_once() -> None:
    """ARCHIVE makes the image and its layers ARCHIVED, and a pull fails."""
    repository = a_repository()
    answer = repository.run(
        "UpdateImageStorageClass", imageId={"imageTag": "1"}, targetStorageClass="ARCHIVE"
    )

    assert answer == {
        "registryId": ACCOUNT,
        "repositoryName": "app",
        "imageId": {"imageDigest": DIGEST, "imageTag": "1"},
        "imageStatus": "ARCHIVED",
    }
    assert details(repository) == ("ARCHIVED", NOW, None)
    assert repository.availability(LAYER) == "ARCHIVED"
    assert repository.get({"imageTag": "1"}) == ([], ["ImageInaccessible"])


def test_an_image_is_restored_after_a_time() -> None:
    """After STANDARD, the image is ACTIVATING, its layers are ARCHIVED, and a pull fails.

    Once the time is over, the image and its layers are as before.
    """
    repository = a_repository()
    moved(repository, "ARCHIVE")
    repository.now += 5
    assert moved(repository, "STANDARD", imageDigest=DIGEST) == "ACTIVATING"

    repository.now += RESTORE_TIME - 1
    assert details(repository) == ("ACTIVATING", NOW, None)
    assert repository.listed(imageStatus="ACTIVATING") == ["1"]
    assert (repository.availability(LAYER), repository.get({"imageTag": "1"})) == (
        "ARCHIVED",
        ([], ["ImageInaccessible"]),
    )

    repository.now += 1
    assert details(repository) == ("ACTIVE", NOW, NOW + 5 + RESTORE_TIME)
    assert (repository.availability(LAYER), repository.get({"imageTag": "1"})) == (
        "AVAILABLE",
        ([(DIGEST, "1")], []),
    )


def test_an_image_is_restored_at_once_by_default() -> None:
    """Without a time, STANDARD makes an archived image ACTIVE in the same request."""
    repository = OneRepository()
    repository.put(a_manifest(), "1")
    moved(repository, "ARCHIVE")
    assert (moved(repository, "STANDARD"), repository.availability(LAYER)) == (
        "ACTIVE",
        "AVAILABLE",
    )


@pytest.mark.parametrize(
    ("before", "target", "status"),
    [
        ([], "STANDARD", "ACTIVE"),
        (["ARCHIVE"], "ARCHIVE", "ARCHIVED"),
        (["ARCHIVE", "STANDARD"], "STANDARD", "ACTIVATING"),
    ],
    ids=["active", "archived", "activating"],
)
def test_a_repeated_request_changes_nothing(before: list[str], target: str, status: str) -> None:
    """An image that has the storage class, or gets it, stays as it is."""
    repository = a_repository()
    for each in before:
        moved(repository, each)
    seen = details(repository)
    repository.now += 5
    assert (moved(repository, target), details(repository)) == (status, seen)


def test_an_image_that_is_restored_is_not_archived() -> None:
    """ARCHIVE during a restore is ImageStorageClassUpdateNotSupportedException (assumed)."""
    repository = a_repository()
    moved(repository, "ARCHIVE")
    moved(repository, "STANDARD")
    asked = {"imageId": {"imageTag": "1"}, "targetStorageClass": "ARCHIVE"}
    assert repository.rejected("UpdateImageStorageClass", **asked) == (
        "ImageStorageClassUpdateNotSupportedException",
        (
            f"The image with digest '{DIGEST}' cannot be archived while it is restored, in the "
            f"repository with name 'app' in the registry with id '{ACCOUNT}'"
        ),
    )


def test_a_push_ends_a_restore() -> None:
    """PutImage of an image that is restored makes it ACTIVE at once (AWS documentation)."""
    repository = a_repository()
    moved(repository, "ARCHIVE")
    moved(repository, "STANDARD")
    repository.now += 1
    repository.put(a_manifest(), "1")
    assert (details(repository), repository.availability(LAYER)) == (
        ("ACTIVE", NOW, NOW + 1),
        "AVAILABLE",
    )


def test_a_layer_is_as_available_as_its_most_available_image() -> None:
    """A layer of two images is restored with the first, and archived with the last."""
    repository = a_repository()
    other = repository.put(a_manifest(note="other"), "2")
    moved(repository, "ARCHIVE")
    assert repository.availability(LAYER) == "AVAILABLE"
    moved(repository, "ARCHIVE", imageDigest=other)
    assert repository.availability(LAYER) == "ARCHIVED"

    moved(repository, "STANDARD")
    repository.now += 5
    moved(repository, "STANDARD", imageDigest=other)
    repository.now += RESTORE_TIME - 5
    assert (repository.availability(LAYER), repository.availability(CONFIG)) == (
        "AVAILABLE",
        "AVAILABLE",
    )


@pytest.mark.parametrize(
    ("image_id", "code", "said"),
    [
        ({"imageDigest": ABSENT}, "ImageNotFoundException", "The image with imageId {imageDigest:"),
        ({}, "InvalidParameterException", "Invalid parameter at 'imageId' failed"),
    ],
    ids=["unknown", "empty"],
)
def test_a_missing_image_has_no_storage_class(
    image_id: dict[str, str], code: str, said: str
) -> None:
    """UpdateImageStorageClass rejects the id of an unknown image, and an empty one (assumed)."""
    answered, message = a_repository().rejected(
        "UpdateImageStorageClass", imageId=image_id, targetStorageClass="ARCHIVE"
    )
    assert (answered, message[: len(said)]) == (code, said)


def test_a_restore_takes_virtual_time() -> None:
    """In memory, a client waits for the layers of an image while time is virtual.

    A pull works once the layers are available.
    """

    async def play() -> bool:
        async with LocalECR(in_memory=True, restore_time=1200) as ecr:
            image = ecr.seed_image("app", [b"a layer"], "1")
            layer = f"sha256:{hashlib.sha256(b'a layer').hexdigest()}"
            session: Any = ecr.session()
            async with (
                session.create_client("ecr", endpoint_url=ecr.endpoint_url) as theirs,
                ecr.client() as client,
            ):
                place = {"repositoryName": "app", "imageId": {"imageDigest": image}}
                for target in ("ARCHIVE", "STANDARD"):
                    await theirs.update_image_storage_class(**place, targetStorageClass=target)
                before = await client.check_layers("app", [layer])
                began = asyncio.get_running_loop().time()
                await client.wait_until_available("app", [layer], timeout=3600)
                waited = asyncio.get_running_loop().time() - began
                pulled = await client.get_image("app", "1")
                found = [manifest.digest for manifest in pulled.manifests]
                return [before.archived, 1200 <= waited < 1300, found] == [(layer,), True, [image]]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(play())


# -- the time of a pull


def test_the_time_of_a_pull_is_recorded_once_a_day() -> None:
    """DescribeImages returns the time of a pull. A pull within 24 hours does not change it."""
    repository = a_repository()
    before = repository.described()[0].get("lastRecordedPullTime")
    seen: list[float] = []
    for seconds in (0, 24 * 3600 - 1, 24 * 3600):
        repository.now = NOW + seconds
        repository.get({"imageTag": "1"})
        seen.append(repository.described()[0]["lastRecordedPullTime"])

    assert (before, seen) == (None, [NOW, NOW, NOW + 24 * 3600])
