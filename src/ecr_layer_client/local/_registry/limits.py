"""Limits that ECR sets, or that a test lowers."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024
MIN_PART_SIZE = 5 * MIB  # ECR service quotas: minimum layer part size, the last part excepted
MAX_PART_SIZE = 20_971_520  # ECR model: LayerPartBlob
PART_SIZE = 10 * MIB  # seen in responses of InitiateLayerUpload
MAX_PARTS = 4_200  # ECR service quotas: maximum number of layer parts
MAX_LAYER = 52_000 * MIB  # ECR service quotas: maximum layer size


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a registry.

    ECR limits the layers of an image, too. The number is not known, so that None means no limit.
    Restoring an archived image takes `restore_time` seconds. A layer has at most `parts` parts and
    `layer` bytes.
    """

    part_size: int = MAX_PART_SIZE
    layers_per_image: int | None = None
    restore_time: float = 0.0
    parts: int = MAX_PARTS
    layer: int = MAX_LAYER


DEFAULT_LIMITS = Limits()
