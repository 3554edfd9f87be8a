"""ECR's quotas of API operations."""

from __future__ import annotations

DEFAULT_QUOTAS = {  # AWS: "Amazon ECR service quotas", requests a second per account and Region
    "BatchCheckLayerAvailability": 1000.0,
    "BatchGetImage": 2000.0,
}
_UNPUBLISHED = 100.0  # of the other operations AWS names no quota; assumed
DEFAULT_SHARE = 0.8  # of the quota, for other clients ask, too
