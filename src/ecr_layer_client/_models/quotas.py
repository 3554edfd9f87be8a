"""Quotas and limits of ECR. Each of them is stated only here.

Source: AWS, "Amazon ECR service quotas", and the service model in botocore.
"""

from __future__ import annotations

from collections.abc import Mapping

# Requests per second, for each account and Region.
QUOTAS = {
    "BatchCheckLayerAvailability": 1000.0,
    "BatchGetImage": 2000.0,
    "CompleteLayerUpload": 100.0,
    "DescribeImages": 1000.0,
    "DescribeRepositories": 100.0,  # AWS publishes none; assumed
    "GetDownloadUrlForLayer": 3000.0,
    "InitiateLayerUpload": 100.0,
    "ListImages": 100.0,  # AWS publishes none; assumed
    "PutImage": 10.0,
    "UploadLayerPart": 500.0,
}
# A client leaves a part of each quota to the other clients of the account.
DEFAULT_SHARE = 0.8

MAX_BATCH_SIZE = 100  # digests; ECR model: BatchedOperationLayerDigestList
PART_BYTES = 10 * 1024 * 1024  # the partSize that InitiateLayerUpload returns
MIN_PART_BYTES = 5 * 1024 * 1024  # of each part but the last
MAX_PART_BYTES = 20_971_520  # ECR model: LayerPartBlob
MAX_PARTS = 4200  # of a layer
MAX_LAYER_BYTES = 52_000 * 1024 * 1024


def ceiling_of(
    operation: str,
    requests_per_second: float | Mapping[str, float] | None = None,
    quotas: Mapping[str, float] = QUOTAS,
) -> float:
    """Return the highest request rate that a client with this option allows itself."""
    default = DEFAULT_SHARE * quotas[operation]
    if isinstance(requests_per_second, Mapping):
        return requests_per_second.get(operation, default)
    return default if requests_per_second is None else requests_per_second


def part_bytes(size: int, proposed: int = PART_BYTES, most_parts: int = MAX_PARTS) -> int:
    """Return the bytes of a part of a layer.

    Args:
        size: The bytes of the layer.
        proposed: The bytes that ECR proposes. Default: what it usually proposes.
        most_parts: The most parts that a layer may have.

    Example:
        >>> part_bytes(1), part_bytes(52_000 * 1024 * 1024)
        (10485760, 12982370)
    """
    return max(min(proposed, MAX_PART_BYTES), -(-size // most_parts))
