"""Results of transfers."""

from __future__ import annotations

import asyncio

import pytest

from ecr_layer_client import ECRLayerClient, InvalidInputError
from ecr_layer_client.images import Descriptor, ImageSource
from ecr_layer_client.local import LocalECR
from ecr_layer_client.transfers import ImagePuller, ImagePusher, TransferResult

A, B = (f"sha256:{letter * 64}" for letter in "ab")
LAYER = Descriptor(digest=B, size=7)


def test_a_result_of_ones_own() -> None:
    """`TransferResult.of` makes results for tests."""
    made = TransferResult.of("team/app", images={A: ["v1"]}, moved=[LAYER], calls={"PutImage": 1})

    assert (made.digest, made.bytes_moved, made.calls) == (A, 7, {"PutImage": 1})


def test_the_uri_of_an_unknown_registry() -> None:
    """A result that does not know its registry has no URI, and says so."""
    with pytest.raises(ValueError, match="so there is no URI"):
        _ = TransferResult.of("team/app", images={A: []}).uri


@pytest.mark.parametrize("images", [{}, {A: [], B: []}], ids=["none", "two"])
def test_the_digest_of_several_images(images: dict[str, list[str]]) -> None:
    """Only a result of one image has a digest."""
    with pytest.raises(
        ValueError, match=r"a transfer of \d images? has no single digest: read result.images"
    ):
        _ = TransferResult.of("team/app", images=images).digest


def test_total() -> None:
    """Results add up; the repository stays if it is the same."""
    one = TransferResult.of("team/app", images={A: []}, calls={"PutImage": 1}, seconds=2.0)
    two = TransferResult.of("team/app", images={B: []}, moved=[LAYER], calls={"PutImage": 2})
    total = TransferResult.total([one, two])

    assert total.repository == one.repository
    assert (total.bytes_moved, total.calls, total.seconds) == (7, {"PutImage": 3}, 2.0)
    assert [image.digest for image in total.images] == [A, B]


@pytest.mark.parametrize("results", [[], ["a"], "text"], ids=["none", "other values", "a str"])
def test_total_of_something_else(results: object) -> None:
    """Only results add up."""
    with pytest.raises(InvalidInputError, match="must be one or more TransferResult objects"):
        TransferResult.total(results)  # type: ignore[arg-type]


def test_no_truth_value() -> None:
    """A result is neither true nor false."""
    with pytest.raises(TypeError, match="TransferResult has no truth value"):
        bool(TransferResult())


def test_texts() -> None:
    """The text of a result names what was resumed, and what was left out."""
    result = TransferResult(resumed=(LAYER,), moved=(LAYER,), foreign=(LAYER,))

    assert str(result).splitlines() == [
        "moved 1 blob, 0 bytes, in 0.0 s",
        "resumed 1 blob of them",
        "present 0 blobs",
        "foreign, left out 1 blob",
    ]
    assert repr(result).startswith("TransferResult(repository=None, moved=1, resumed=1")


def test_json() -> None:
    """A result is JSON that reads back."""
    made = TransferResult.of("team/app", images={A: ["v1"]}, moved=[LAYER])

    assert TransferResult.model_validate_json(made.model_dump_json()) == made


def test_the_client_is_a_pusher_and_a_puller() -> None:
    """The client has the methods of both protocols."""
    client = ECRLayerClient(region_name="eu-west-1")

    assert (isinstance(client, ImagePusher), isinstance(client, ImagePuller)) == (True, True)


def test_a_client_that_is_opened_on_another_loop(source: ImageSource) -> None:
    """A client that was closed can push on another event loop."""

    async def push(client: ECRLayerClient, name: str) -> int:
        async with client:
            return len((await client.push(name, source)).moved)

    with LocalECR() as ecr:
        for name in ("one", "two"):
            ecr.create_repository(name)
        client = ecr.client()
        moved = [asyncio.run(push(client, name)) for name in ("one", "two")]

    assert moved == [len(source.blobs)] * 2
