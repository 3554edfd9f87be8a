"""The root of the package: its lazy names, and the Arrow streams beside it."""

from __future__ import annotations

import json
from typing import Any

import ecr_layer_client
from ecr_layer_client import LayerAvailability, LayerCheckResult, protocols
from ecr_layer_client.arrow import blobs, outcomes
from ecr_layer_client.images import ImageSource, plan


def test_protocols() -> None:
    """The module of protocols is an attribute of the package."""
    root: Any = ecr_layer_client
    assert root.__getattr__("protocols") is protocols


def test_listed_names() -> None:
    """`dir` lists each public name, whether or not it was used before."""
    assert set(ecr_layer_client.__all__) <= set(dir(ecr_layer_client))


def test_outcomes_as_arrow() -> None:
    """The outcomes of several results are the rows of one stream."""
    outcome = {"sha256:aa": LayerAvailability.AVAILABLE}
    results = [LayerCheckResult.of(name, outcome) for name in ("app", "base")]
    assert outcomes(results).read_all().column("repository").to_pylist() == ["app", "base"]


def test_a_plan_as_arrow() -> None:
    """Each blob of a plan, and its manifest, is a row."""
    media_type = "application/vnd.oci.image.{}+json"
    config = {"mediaType": media_type.format("config.v1"), "digest": f"sha256:{1:064x}", "size": 2}
    members = {"schemaVersion": 2, "mediaType": media_type.format("manifest.v1")}
    manifest = json.dumps({**members, "config": config, "layers": []}).encode()
    made = plan(ImageSource.from_manifest(manifest), {}, repository="team/app")
    assert blobs(made).read_all().column("size").to_pylist() == [2, len(manifest)]
