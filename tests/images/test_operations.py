"""The requests about images, and how their responses are read."""

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
OF_OTHERS = Repository(name="team/app", registry_id="123456789012")
RAW = image("app", "base").manifest
DIGEST = sha256(RAW)
CHANGED = f"{RAW.decode()} "
HELD = Held(DIGEST, RAW, IMAGE)
SIGNED_SCHEMA_1 = f"{DOCKER}.v1+prettyjws"


def row(**changes: Any) -> dict[str, Any]:
    """Return a row of BatchGetImage's response."""
    image_id = {"imageDigest": DIGEST, "imageTag": "v1"}
    manifest = {"imageManifest": RAW.decode(), "imageManifestMediaType": IMAGE}
    return {"imageId": image_id, **manifest, **changes}


def response(*images: dict[str, Any], failures: list[dict[str, Any]] | None = None) -> bytes:
    """Return BatchGetImage's response."""
    return json.dumps({"images": images, "failures": failures or []}).encode()


def test_request_of_get_images() -> None:
    """A request names tags and digests, and all media types, so that ECR converts no manifest."""
    members = json.loads(GetImages(OF_OTHERS, ["v1", DIGEST]).request())
    assert members["imageIds"] == [{"imageTag": "v1"}, {"imageDigest": DIGEST}]
    assert (members["repositoryName"], members["registryId"]) == ("team/app", "123456789012")
    types = {IMAGE, f"{DOCKER}.list.v2+json", SIGNED_SCHEMA_1}
    assert types <= {*members["acceptedMediaTypes"]}


@pytest.mark.parametrize("token", [None, "next"])
def test_request_of_list_images(token: str | None) -> None:
    """A request asks for the largest page; only a later one has a token."""
    page = {"nextToken": token} if token else {}
    expected = {"repositoryName": "team/app", "maxResults": 1000, **page}
    assert json.loads(ListImages(APP, token).request()) == expected


@pytest.mark.parametrize(
    ("image_id", "references"),
    [
        ({"imageDigest": DIGEST, "imageTag": "v2"}, ["v2", DIGEST]),
        ({"imageTag": "v1"}, ["v1"]),
    ],
    ids=["two tags", "no digest"],
)
def test_images(image_id: dict[str, str], references: list[str]) -> None:
    """An image is found by its tag and its digest; a row without one has that of its bytes."""
    rows = [row(imageId=image_id)] if len(references) == 1 else [row(), row(imageId=image_id)]
    assert GetImages(APP, references).parse(response(*rows)) == dict.fromkeys(references, HELD)


@pytest.mark.parametrize("media_type", [IMAGE, SIGNED_SCHEMA_1])
def test_the_registry_of_an_image(media_type: str) -> None:
    """An image has the registry that the response names."""
    given = row(registryId="123456789012", imageManifestMediaType=media_type)
    held = GetImages(APP, ["v1"]).parse(response(given))["v1"]
    assert held == Held(DIGEST, RAW, media_type, "123456789012")


def test_failures() -> None:
    """An image that ECR does not return has ECR's code and message."""
    reason = "Requested image not found"
    not_found = {"failureCode": "ImageNotFound", "failureReason": reason}
    failures = [
        {"imageId": {"imageTag": "v9"}, **not_found},
        {"imageId": {"imageDigest": DIGEST}, "failureCode": "New"},
    ]
    assert GetImages(APP, ["v9", DIGEST]).parse(response(failures=failures)) == {
        "v9": NotGiven(reason, "ImageNotFound"),
        DIGEST: NotGiven("", "New"),
    }


def test_signed_schema_1_keeps_its_digest() -> None:
    """A signed schema 1 manifest keeps the registry's digest, which leaves the signatures out."""
    other = "sha256:" + "a" * 64
    signed = row(imageId={"imageDigest": other}, imageManifestMediaType=SIGNED_SCHEMA_1)
    found = GetImages(APP, [other]).parse(response(signed))
    assert found[other] == Held(other, RAW, SIGNED_SCHEMA_1)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the body: Invalid JSON"),
        (b"[]", "the body: Input should be an object"),
        (b"{}", "leaves out 1 of 1 images of the request"),
        (response({"imageId": {}}), "images.0.imageManifest: Field required"),
        (
            response(row(imageManifest=CHANGED)),
            f"gives the digest '{DIGEST}' for a manifest whose bytes have the digest sha256:",
        ),
        (response(row(imageManifest=None)), "images.0.imageManifest: Input should be a valid str"),
        (response(failures=[{"imageId": {}, "failureCode": "x"}]), "leaves out 1 of 1"),
        (
            response(row(imageId={"imageDigest": DIGEST, "imageTag": "v2"})),
            "leaves out 1 of 1 images of the request: 'v1'",
        ),
    ],
    ids=range(8),
)
def test_malformed_images(body: bytes, why: str) -> None:
    """A malformed or truncated response, missing images and changed bytes are errors."""
    with pytest.raises(ResponseError) as raised:
        GetImages(APP, ["v1"]).parse(body)
    assert why in str(raised.value)


def test_page() -> None:
    """A page has digests and tags, and the token of the next page."""
    rows = [{"imageDigest": DIGEST, "imageTag": "v1"}, {"imageDigest": DIGEST}]
    page = ListImages(APP).parse(json.dumps({"imageIds": rows, "nextToken": "more"}).encode())
    listed = [ListedImage(DIGEST, "v1"), ListedImage(DIGEST, None)]
    assert (page.rows, page.next_token) == (listed, "more")
    assert ListImages(APP).parse(b"{}").next_token is None


@pytest.mark.parametrize("body", [b'{"imageIds": [{"imageTag": "v1"}]}', b'{"imageIds": 1}'])
def test_malformed_page(body: bytes) -> None:
    """A page of another shape, or with an image without a digest, is an error."""
    with pytest.raises(ResponseError, match="ECR's response"):
        ListImages(APP, "this").parse(body)


@pytest.mark.parametrize("reference", ["latest", "1.0-alpine_x", "_", "a" * 128, DIGEST, "V1"])
def test_reference(reference: str) -> None:
    """A reference is a tag or a digest."""
    assert checked_reference(reference) == reference


@pytest.mark.parametrize(
    "digest", [DIGEST.upper(), f"sha256:{DIGEST[7:].upper()}", f"SHA256:{DIGEST[7:]}"]
)
def test_digest_in_upper_case(digest: str) -> None:
    """A digest in upper case is changed to lower case."""
    assert checked_reference(digest) == DIGEST


@pytest.mark.parametrize(
    "reference",
    [
        *("", "a" * 129, ".a", "-a", "a b", "a:b", "team/app", DIGEST[:-1], f"{DIGEST}0"),
        *("sha512:" + "a" * 64, "v1\n", None),
    ],
)
def test_not_a_reference(reference: Any) -> None:
    """A value that is neither a tag nor a digest is refused."""
    with pytest.raises(InvalidInputError, match="is not a valid reference to an image"):
        checked_reference(reference)
