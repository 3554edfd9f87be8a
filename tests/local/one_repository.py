"""A registry with one repository, for tests of operations on images."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from ecr_layer_client.local._registry.errors import AwsError
from ecr_layer_client.local._registry.limits import DEFAULT_LIMITS
from ecr_layer_client.local._registry.manifest import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
)
from ecr_layer_client.local._registry.registry import Registry
from ecr_layer_client.local._registry.state import StoredLayer

if TYPE_CHECKING:
    from ecr_layer_client.local._registry.limits import Limits

ACCOUNT = "123456789012"
CONFIG, LAYER, ABSENT = ("sha256:" + letter * 64 for letter in "abc")
NOW = 1_000_000.0


class OneRepository:
    """A registry with one repository that has a config of 3 bytes and a layer of 7."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS, **options: Any) -> None:
        """Take options of CreateRepository."""
        self.now = NOW
        self.registry = Registry(
            account=ACCOUNT, region="us-east-1", now=lambda: self.now, limits=limits
        )
        self.registry.run("CreateRepository", {"repositoryName": "app", **options})
        self.registry.repository("app").hold(
            [StoredLayer(CONFIG, 3, "text/plain"), StoredLayer(LAYER, 7, "text/plain")]
        )

    def run(self, operation: str, **members: Any) -> dict[str, Any]:
        """Run an operation on the repository."""
        return self.registry.run(operation, {"repositoryName": "app", **members})

    def put(self, manifest: str, tag: str | None = None, **members: Any) -> str:
        """Put an image and return its digest."""
        tagged = {} if tag is None else {"imageTag": tag}
        return str(
            self.run("PutImage", imageManifest=manifest, **tagged, **members)["image"]["imageId"][
                "imageDigest"
            ]
        )

    def rejected(self, operation: str, **members: Any) -> tuple[str, str]:
        """Return the code and the message of an error response."""
        with pytest.raises(AwsError) as caught:
            self.run(operation, **members)
        return caught.value.code, caught.value.message

    def get(
        self, *ids: dict[str, str], **members: Any
    ) -> tuple[list[tuple[str, str | None]], list[str]]:
        """Return digests and tags of BatchGetImage, and the codes of its failures."""
        answer = self.run("BatchGetImage", imageIds=list(ids), **members)
        found = [
            (row["imageId"]["imageDigest"], row["imageId"].get("imageTag"))
            for row in answer["images"]
        ]
        return found, [failure["failureCode"] for failure in answer["failures"]]

    def delete(self, *ids: dict[str, str]) -> tuple[list[dict[str, str]], list[str]]:
        """Return what BatchDeleteImage deleted, and the codes of its failures."""
        answer = self.run("BatchDeleteImage", imageIds=list(ids))
        return answer["imageIds"], [failure["failureCode"] for failure in answer["failures"]]

    def listed(self, **asked: str) -> list[str]:
        """Return the tags that ListImages returns, "" for an untagged image."""
        return sorted(
            row.get("imageTag", "") for row in self.run("ListImages", filter=asked)["imageIds"]
        )

    def described(self, **members: Any) -> list[dict[str, Any]]:
        """Return the rows of DescribeImages."""
        details: list[dict[str, Any]] = self.run("DescribeImages", **members)["imageDetails"]
        return details

    def availability(self, digest: str) -> str:
        """Return the availability of a layer."""
        return str(
            self.run("BatchCheckLayerAvailability", layerDigests=[digest])["layers"][0][
                "layerAvailability"
            ]
        )


def a_manifest(*layers: str, note: str = "", **members: Any) -> str:
    """Return the text of a manifest of these layers. Another note makes another image."""
    descriptors = [
        {"mediaType": OCI_LAYER, "digest": layer, "size": 7} for layer in layers or (LAYER,)
    ]
    config = {"mediaType": OCI_CONFIG, "digest": CONFIG, "size": 3}
    whole = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config,
        "layers": descriptors,
        "annotations": {"note": note},
    }

    return json.dumps(whole | members)


def an_index(*digests: str, **members: Any) -> str:
    """Return the text of an index of these images."""
    return json.dumps(
        {"mediaType": OCI_INDEX, "manifests": [{"digest": digest} for digest in digests]} | members
    )


def digest_of(text: str) -> str:
    """Return the digest of a manifest."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
