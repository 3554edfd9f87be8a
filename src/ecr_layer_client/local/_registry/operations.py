"""The operations of the local ECR: their names, and the functions of those in a repository."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import descriptions, policies, resource_tags
from .images import Images
from .layers import AbsentAs, Layers
from .storage_classes import StorageClasses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .blob_store import Store
    from .limits import Limits
    from .referrers import Referrers
    from .state import Row, StoredRepository

OPERATIONS = (
    "BatchCheckLayerAvailability",
    "BatchDeleteImage",
    "BatchGetImage",
    "CompleteLayerUpload",
    "CreateRepository",
    "DeleteLifecyclePolicy",
    "DeleteRepository",
    "DeleteRepositoryPolicy",
    "DescribeImages",
    "DescribeRegistry",
    "DescribeRepositories",
    "GetAccountSetting",
    "GetAuthorizationToken",
    "GetDownloadUrlForLayer",
    "GetLifecyclePolicy",
    "GetRepositoryPolicy",
    "InitiateLayerUpload",
    "ListImageReferrers",
    "ListImages",
    "ListTagsForResource",
    "PutAccountSetting",
    "PutImage",
    "PutImageScanningConfiguration",
    "PutImageTagMutability",
    "PutLifecyclePolicy",
    "SetRepositoryPolicy",
    "TagResource",
    "UntagResource",
    "UpdateImageStorageClass",
    "UploadLayerPart",
)
# The operations that change what outlives this object. They wait for the disk.
CHANGING = {
    "BatchDeleteImage",
    "BatchGetImage",  # records the time of a pull
    "CompleteLayerUpload",
    "CreateRepository",
    "DeleteLifecyclePolicy",
    "DeleteRepository",
    "DeleteRepositoryPolicy",
    "PutAccountSetting",
    "PutImage",
    "PutImageScanningConfiguration",
    "PutImageTagMutability",
    "PutLifecyclePolicy",
    "SetRepositoryPolicy",
    "TagResource",
    "UntagResource",
    "UpdateImageStorageClass",
}


def operations_in_a_repository(
    store: Store,
    now: Callable[[], float],
    absent: AbsentAs,
    limits: Limits,
    referrers: Referrers,
) -> Mapping[str, Callable[[StoredRepository, Mapping[str, Any]], Row]]:
    """Return the functions of the operations that run in one repository."""
    layers = Layers(store, now, absent, limits)
    images = Images(store, now, limits)
    return {
        "BatchCheckLayerAvailability": layers.check,
        "BatchDeleteImage": images.delete,
        "BatchGetImage": images.get,
        "CompleteLayerUpload": layers.complete,
        "DeleteLifecyclePolicy": policies.LIFECYCLE.delete,
        "DeleteRepositoryPolicy": policies.REPOSITORY.delete,
        "DescribeImages": images.describe,
        "GetDownloadUrlForLayer": layers.download,
        "GetLifecyclePolicy": policies.LIFECYCLE.get,
        "GetRepositoryPolicy": policies.REPOSITORY.get,
        "InitiateLayerUpload": layers.initiate,
        "ListImageReferrers": referrers.list,
        "ListImages": images.list,
        "ListTagsForResource": resource_tags.list_tags,
        "PutImage": images.put,
        "PutImageScanningConfiguration": descriptions.put_scanning_configuration,
        "PutImageTagMutability": descriptions.put_tag_mutability,
        "PutLifecyclePolicy": policies.LIFECYCLE.put,
        "SetRepositoryPolicy": policies.REPOSITORY.put,
        "TagResource": resource_tags.tag,
        "UntagResource": resource_tags.untag,
        "UpdateImageStorageClass": StorageClasses(now, limits.restore_time).update,
        "UploadLayerPart": layers.upload_part,
    }
