"""`Service`: the facts in which Amazon ECR and ECR Public differ. They have the same layer API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .quotas import MAX_LAYER_BYTES, MAX_PARTS, QUOTAS

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB = 1024 * 1024  # bytes

ServiceName = Literal["ecr", "ecr-public"]


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """A service with ECR's layer API.

    Attributes:
        name: Its name in botocore, in IAM actions, in ARNs and in signatures.
        title: Its name in messages.
        client: The class of its clients in this library.
        advice: What to do with a repository of it that was given to the other service.
        arn: The ARN of a repository, as a format.
        quotas: Requests per second by operation, for each account and Region.
        max_parts: The most parts of a layer.
        max_layer_bytes: The largest layer.
        regions: The Regions that have an endpoint, the default one first. Empty: botocore knows
            them.
    """

    name: ServiceName
    title: str
    client: str
    advice: str
    arn: str
    quotas: Mapping[str, float] = field(repr=False)
    max_parts: int
    max_layer_bytes: int
    regions: tuple[str, ...] = ()


ECR = Service(
    name="ecr",
    title="ECR",
    client="ECRLayerClient",
    advice="use ECRLayerClient",
    arn="arn:{partition}:ecr:{region}:{account}:repository/{name}",
    quotas=QUOTAS,
    max_parts=MAX_PARTS,
    max_layer_bytes=MAX_LAYER_BYTES,
)
# Source: AWS, "Amazon ECR Public service quotas", and the service model in botocore.
ECR_PUBLIC = Service(
    name="ecr-public",
    title="ECR Public",
    client="ECRPublicLayerClient",
    advice=(
        "check layers and push with ECRPublicLayerClient, and pull with docker, skopeo or crane"
    ),
    arn="arn:{partition}:ecr-public::{account}:repository/{name}",
    quotas={
        "BatchCheckLayerAvailability": 200.0,
        "CompleteLayerUpload": 10.0,
        "DescribeImages": 100.0,  # AWS publishes none; assumed
        "DescribeRepositories": 100.0,  # AWS publishes none; assumed
        "InitiateLayerUpload": 10.0,
        "PutImage": 10.0,
        "UploadLayerPart": 260.0,
    },
    max_parts=1000,
    max_layer_bytes=10_000 * MIB,
    # Source: AWS, "Amazon ECR Public endpoints and quotas".
    regions=("us-east-1", "us-west-2"),
)
SERVICES = {service.name: service for service in (ECR, ECR_PUBLIC)}
