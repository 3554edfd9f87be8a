"""A response that does not fit its request is an error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ecr_layer_client import PublicRepository, Repository, ResponseError
from ecr_layer_client.images import ImageManifest, parse_manifest
from ecr_layer_client.transfers._operations import (
    CompleteLayerUpload,
    DescribeNamedImages,
    DescribeRepository,
    GetDownloadUrlForLayer,
    InitiateLayerUpload,
    KnownImage,
    PutImage,
    UploadLayerPart,
)
from images.making import IMAGE, entry, packed

APP = Repository(name="app", registry_id="123456789012")
PUBLIC = PublicRepository(name="app", registry_id="123456789012")
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
MANIFEST = parse_manifest(packed(mediaType=IMAGE, config=entry(b"{}", "a/b"), layers=[]))
PART: Any = UploadLayerPart(APP, 10, 19, body=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operation", "response", "problem"),
    [
        (PART, {"lastByteReceived": 20}, "received the bytes up to 20"),
        (PART, {"lastByteReceived": 9}, "but the part has the bytes 10 to 19"),
        (PART, {"lastByteReceived": "19"}, "lastByteReceived"),
        (InitiateLayerUpload(APP), {"uploadId": "", "partSize": 1}, "uploadId"),
        (InitiateLayerUpload(APP), {"uploadId": "a", "partSize": 0}, "partSize"),
        (
            CompleteLayerUpload(APP, "a", DIGEST),
            {"layerDigest": OTHER},
            "is about the layer 'sha256:b",
        ),
        (
            PutImage(APP, MANIFEST),
            {"image": {"imageId": {"imageDigest": OTHER}}},
            "is about the image 'sha",
        ),
        (GetDownloadUrlForLayer(APP, DIGEST), {"downloadUrl": ""}, "downloadUrl"),
        (DescribeRepository(APP), {"repositories": []}, "does not describe the repository 'app'"),
        (
            DescribeNamedImages(PUBLIC, ["v1"]),
            {"imageDetails": [{"imageTags": ["v1"]}]},
            "imageDigest",
        ),
    ],
    ids=[
        "a part beyond its end",
        "a part before its begin",
        "a position as text",
        "an upload without an id",
        "parts of no bytes",
        "another layer",
        "another image",
        "no URL",
        "another repository",
        "an image without a digest",
    ],
)
def test_responses(operation: Any, response: dict[str, Any], problem: str) -> None:
    """A response about something else, or of the wrong shape, breaks the contract."""
    with pytest.raises(ResponseError, match=problem):
        operation.parse(json.dumps(response).encode())


def test_the_names_of_images() -> None:
    """A request to ECR Public names digests and tags, and its response is read by both."""
    operation = DescribeNamedImages(PUBLIC, [DIGEST, "v1"])
    details = [{"imageDigest": DIGEST, "imageTags": ["v1"], "registryId": "123456789012"}]
    assert json.loads(operation.request()) == {
        "registryId": "123456789012",
        "repositoryName": "app",
        "imageIds": [{"imageDigest": DIGEST}, {"imageTag": "v1"}],
    }
    image = KnownImage(DIGEST, "123456789012")
    answer = operation.parse(json.dumps({"imageDetails": details}).encode())
    assert (answer, operation.count) == ({DIGEST: image, "v1": image}, 2)


@pytest.mark.parametrize(
    ("mutability", "filters", "immutable"),
    [
        ("MUTABLE", [], False),
        ("IMMUTABLE", [], True),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest*"], False),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev*"], True),
        ("MUTABLE_WITH_EXCLUSION", ["latest*"], True),
    ],
)
def test_mutability(mutability: str, filters: list[str], *, immutable: bool) -> None:
    """A tag that an exclusion filter matches is the exception to the repository's rule."""
    row = {
        "repositoryName": "app",
        "registryId": "123456789012",
        "imageTagMutability": mutability,
        "imageTagMutabilityExclusionFilters": [
            {"filterType": "WILDCARD", "filter": text} for text in filters
        ],
    }
    described = DescribeRepository(APP).parse(json.dumps({"repositories": [row]}).encode())

    assert described.is_immutable("latest-1") == immutable


def test_requests() -> None:
    """Requests name the registry, and an image its exact manifest."""
    assert json.loads(DescribeRepository(APP).request()) == {
        "registryId": "123456789012",
        "repositoryNames": ["app"],
    }
    assert json.loads(PutImage(APP, MANIFEST, "v1").request()) == {
        "registryId": "123456789012",
        "repositoryName": "app",
        "imageManifest": MANIFEST.raw.decode(),
        "imageManifestMediaType": IMAGE,
        "imageDigest": MANIFEST.digest,
        "imageTag": "v1",
    }
    assert isinstance(MANIFEST, ImageManifest)


@pytest.mark.parametrize(
    "operation",
    [
        InitiateLayerUpload(APP),
        PutImage(APP, MANIFEST),
        GetDownloadUrlForLayer(APP, DIGEST),
    ],
    ids=lambda operation: operation.name,
)
def test_count(operation: Any) -> None:
    """Observers are told of one thing."""
    assert operation.count == 1
