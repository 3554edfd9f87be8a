"""What is asked of ECR about images, and how its answers are read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ecr_layer_client import InvalidInputError, Repository, ResponseError
from ecr_layer_client.images._operations import (
    GetImages,
    Held,
    ListedImage,
    ListImages,
    NotGiven,
    checked_reference,
)
from images.making import DOCKER, IMAGE, image, sha256

APP = Repository(name="team/app")
THEIRS = Repository(name="team/app", registry_id="123456789012")
RAW = image("app", "base").manifest
DIGEST = sha256(RAW)


def row(**changes: Any) -> dict[str, Any]:
    """Return a row of BatchGetImage's answer."""
    return {
        "imageId": {"imageDigest": DIGEST, "imageTag": "v1"},
        "imageManifest": RAW.decode(),
        "imageManifestMediaType": IMAGE,
        **changes,
    }


def answer(*images: dict[str, Any], failures: list[dict[str, Any]] | None = None) -> bytes:
    """Return BatchGetImage's answer."""
    return json.dumps({"images": images, "failures": failures or []}).encode()


def test_members_of_get_images() -> None:
    """Tags and digests are told apart, and the accepted types are always sent: else ECR may convert a manifest."""
    members = json.loads(GetImages(THEIRS, ["v1", DIGEST]).request())
    assert members["imageIds"] == [{"imageTag": "v1"}, {"imageDigest": DIGEST}]
    assert (members["repositoryName"], members["registryId"]) == ("team/app", "123456789012")
    assert {IMAGE, f"{DOCKER}.list.v2+json", f"{DOCKER}.v1+prettyjws"} <= {
        *members["acceptedMediaTypes"]
    }


def test_members_of_list_images() -> None:
    """The first page has no token, a later one its own; pages are as large as they may be."""
    assert json.loads(ListImages(APP).request()) == {
        "repositoryName": "team/app",
        "maxResults": 1000,
    }
    assert json.loads(ListImages(APP, "next").request()) == {
        "repositoryName": "team/app",
        "maxResults": 1000,
        "nextToken": "next",
    }


def test_images() -> None:
    """An image is found by the tag or the digest that was asked for.

    One of several tags comes several times and is one.
    """
    body: Any = answer(row(), row(imageId={"imageDigest": DIGEST, "imageTag": "v2"}))
    held = Held(DIGEST, RAW, IMAGE)
    assert GetImages(APP, ["v2", DIGEST]).parse(body) == {
        "v2": held,
        DIGEST: held,
    }


def test_image_without_a_digest() -> None:
    """A row that names only the tag has the digest of its bytes."""
    assert GetImages(APP, ["v1"]).parse(answer(row(imageId={"imageTag": "v1"}))) == {
        "v1": Held(DIGEST, RAW, IMAGE)
    }


def test_failures() -> None:
    """What ECR does not give comes with its code and its words."""
    failures = [
        {
            "imageId": {"imageTag": "v9"},
            "failureCode": "ImageNotFound",
            "failureReason": "Requested image not found",
        },
        {"imageId": {"imageDigest": DIGEST}, "failureCode": "Tomorrow"},
    ]
    assert GetImages(APP, ["v9", DIGEST]).parse(answer(failures=failures)) == {
        "v9": NotGiven("Requested image not found", "ImageNotFound"),
        DIGEST: NotGiven("", "Tomorrow"),
    }


def test_signed_schema_1_goes_by_its_own_digest() -> None:
    """Of a signed schema 1 manifest the registry's digest leaves the signatures out, so it is not that of the bytes."""
    other = "sha256:" + "a" * 64
    signed = row(imageId={"imageDigest": other}, imageManifestMediaType=f"{DOCKER}.v1+prettyjws")
    assert GetImages(APP, [other]).parse(answer(signed))[other] == Held(
        other, RAW, f"{DOCKER}.v1+prettyjws"
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the body: Invalid JSON"),
        (b"[]", "the body: Input should be an object"),
        (b"{}", "leaves out 1 of 1 images of the request"),
        (answer({"imageId": {}}), "images.0.imageManifest: Field required"),
        (
            answer(row(imageManifest=RAW.decode() + " ")),
            f"{sha256(RAW + b' ')}, and calls it '{DIGEST}'",
        ),
        (answer(row(imageManifest=None)), "images.0.imageManifest: Input should be a valid string"),
        (
            answer(failures=[{"imageId": {}, "failureCode": "ImageNotFound"}]),
            "leaves out 1 of 1",
        ),
        (answer(row(imageId={"imageDigest": DIGEST, "imageTag": "v2"})), "leaves out 1 of 1"),
    ],
    ids=range(8),
)
def test_broken_images(body: bytes, why: str) -> None:
    """An answer that is cut, of another shape, silent of what was asked, or with changed bytes is refused."""
    with pytest.raises(ResponseError) as raised:
        GetImages(APP, ["v1"]).parse(body)
    assert why in str(raised.value)


def test_page() -> None:
    """A page gives digests and tags, and the token of the next."""
    rows = [{"imageDigest": DIGEST, "imageTag": "v1"}, {"imageDigest": DIGEST}]
    page = ListImages(APP).parse(json.dumps({"imageIds": rows, "nextToken": "more"}).encode())
    assert (page.rows, page.next_token) == (
        [ListedImage(DIGEST, "v1"), ListedImage(DIGEST, None)],
        "more",
    )
    assert ListImages(APP).parse(b"{}").next_token is None


@pytest.mark.parametrize(
    "body", [{"imageIds": [{"imageTag": "v1"}]}, {"imageIds": 1}], ids=["tag", "shape"]
)
def test_broken_page(body: dict[str, Any]) -> None:
    """A page with an image without a digest, or of another shape, is refused."""
    with pytest.raises(ResponseError, match="ECR's response"):
        ListImages(APP, "this").parse(json.dumps(body).encode())


@pytest.mark.parametrize("reference", ["latest", "1.0-alpine_x", "_", "a" * 128, DIGEST])
def test_reference(reference: str) -> None:
    """A reference is a tag or a digest."""
    assert checked_reference(reference) == reference


@pytest.mark.parametrize(
    "reference", [DIGEST.upper(), f"sha256:{DIGEST[7:].upper()}", f"SHA256:{DIGEST[7:]}"]
)
def test_reference_in_upper_case(reference: str) -> None:
    """A digest is taken in either letter case, and asked for in lower case; a tag is what it is."""
    assert [checked_reference(each) for each in (reference, "V1")] == [DIGEST, "V1"]


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "a" * 129,
        ".a",
        "-a",
        "a b",
        "a:b",
        "team/app",
        DIGEST[:-1],
        f"{DIGEST}0",
        "sha512:" + "a" * 64,
        "v1\n",
        None,
    ],
)
def test_no_reference(reference: Any) -> None:
    """What is neither is refused before any request."""
    with pytest.raises(InvalidInputError, match="a tag, such as 'latest', or a digest"):
        checked_reference(reference)
