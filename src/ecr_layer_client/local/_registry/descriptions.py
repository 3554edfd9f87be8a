"""The description of a repository: what CreateRepository sets, and what later requests change."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from ecr_layer_client._models.repository import partition_of

from .errors import invalid_parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ecr_layer_client._models.services import Service

    from .state import Row, StoredRepository

MUTABILITY = "imageTagMutability"
FILTERS = "imageTagMutabilityExclusionFilters"


def new_description(
    request: Mapping[str, Any], *, registry_id: str, region: str, service: Service, now: float
) -> Row:
    """Return the description of the repository that CreateRepository creates, without its URI."""
    partition, _ = partition_of(region)
    name: str = request["repositoryName"]
    scanning: Row = request.get("imageScanningConfiguration", {})
    encryption: Row = request.get("encryptionConfiguration", {"encryptionType": "AES256"})
    if encryption["encryptionType"] != "AES256":
        # As in Terraform's acceptance test, which runs against ECR: without a key, ECR's own.
        encryption = {"kmsKey": _own_key(partition, region, registry_id)} | encryption

    place = {"partition": partition, "region": region, "account": registry_id, "name": name}
    return {
        "repositoryArn": service.arn.format(**place),
        "registryId": registry_id,
        "repositoryName": name,
        "createdAt": now,
        **_mutability({MUTABILITY: "MUTABLE"} | dict(request)),
        "imageScanningConfiguration": {"scanOnPush": False} | scanning,
        "encryptionConfiguration": encryption,
    }


def put_tag_mutability(repository: StoredRepository, request: Mapping[str, Any]) -> Row:
    """Run PutImageTagMutability."""
    setting = _mutability(request)
    repository.description.pop(FILTERS, None)
    repository.description.update(setting)
    return {**repository.identity, **setting}


def put_scanning_configuration(repository: StoredRepository, request: Mapping[str, Any]) -> Row:
    """Run PutImageScanningConfiguration."""
    given: Row = request["imageScanningConfiguration"]
    setting = {"imageScanningConfiguration": {"scanOnPush": False} | given}
    repository.description.update(setting)
    return {**repository.identity, **setting}


def _mutability(request: Mapping[str, Any]) -> Row:
    filters = request.get(FILTERS)
    # Assumed.
    if (filters is not None) != request[MUTABILITY].endswith("_WITH_EXCLUSION"):
        rule = "must be given with a mutability WITH_EXCLUSION, and only with one"
        raise invalid_parameter(FILTERS, rule)
    return {name: request[name] for name in (MUTABILITY, FILTERS) if name in request}


def _own_key(partition: str, region: str, registry_id: str) -> str:
    """Return the ARN of ECR's own key in an account. The id of the key is made up."""
    key_id = uuid.uuid5(uuid.NAMESPACE_URL, f"{region}/{registry_id}/aws/ecr")
    return f"arn:{partition}:kms:{region}:{registry_id}:key/{key_id}"
