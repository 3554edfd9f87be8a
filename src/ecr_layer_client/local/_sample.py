"""The sample: layers of real public images, for demos and tests.

`sample/ATTRIBUTION.md` names their source.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class SampleLayer:
    """One layer of an image, as the image's manifest describes it.

    Attributes:
        digest: The digest, in lower case.
        size: The size in bytes, as stored in a registry.
        media_type: The layer's media type.
    """

    digest: str
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class SampleImage:
    """One image.

    Attributes:
        repository: The name of the repository, valid in ECR as it is. The name includes the host of
            the public registry, except for Docker Hub.
        tag: The tag.
        layers: The layers in the order of the manifest, repeats included.
    """

    repository: str
    tag: str
    layers: tuple[SampleLayer, ...]


@cache
def sample_images() -> tuple[SampleImage, ...]:
    """Return the images of the sample, sorted by repository and tag.

    Example:
        >>> image = sample_images()[0]
        >>> f"{image.repository}:{image.tag}", len(image.layers)
        ('aerospike:3.12.1.1', 8)
    """
    packed = files("ecr_layer_client.local").joinpath("sample", "images.json.gz").read_bytes()
    sample: dict[str, Any] = json.loads(gzip.decompress(packed))
    media_types: list[str] = sample["media_types"]
    rows: list[tuple[str, int, int]] = sample["layers"]
    repositories: dict[str, dict[str, list[int]]] = sample["repositories"]

    layers = [
        SampleLayer(f"sha256:{hexadecimal}", size, media_types[kind])
        for hexadecimal, size, kind in rows
    ]
    return tuple(
        SampleImage(repository, tag, tuple(layers[index] for index in indices))
        for repository, tags in repositories.items()
        for tag, indices in tags.items()
    )
