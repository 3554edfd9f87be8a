"""ECR Public: a registry of ECR with another table of operations, and with an alias."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ecr_layer_client._models.services import ECR_PUBLIC

from .errors import AwsError
from .limits import DEFAULT_LIMITS, MIB
from .operations import OPERATIONS as PRIVATE_OPERATIONS
from .registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .limits import Limits
    from .state import Row

# AWS documentation: ECR Public's API has endpoints in these Regions.
REGIONS: Final = ("us-east-1", "us-west-2")
HOST: Final = "public.ecr.aws"
# Those of ECR's own operations that ECR Public has, too, and one more.
OPERATIONS: Final = (
    "BatchCheckLayerAvailability",
    "BatchDeleteImage",
    "CompleteLayerUpload",
    "CreateRepository",
    "DeleteRepository",
    "DescribeImages",
    "DescribeRegistries",
    "DescribeRepositories",
    "GetAuthorizationToken",
    "InitiateLayerUpload",
    "PutImage",
    "UploadLayerPart",
)
ALL_OPERATIONS: Final = (*dict.fromkeys((*PRIVATE_OPERATIONS, *OPERATIONS)),)
MAX_PARTS: Final = 1_000  # ECR Public service quotas: layer parts
MAX_LAYER: Final = 10_000 * MIB  # ECR Public service quotas: maximum layer size


class PublicRegistry(Registry):
    """The public repositories of every account. The one of `account` has the alias `alias`.

    A repository of another account exists only if a test added it.

    >>> registry = PublicRegistry(account="123456789012", region="us-east-1", alias="team")
    >>> created = registry.run("CreateRepository", {"repositoryName": "app"})["repository"]
    >>> created["repositoryUri"], created["repositoryArn"]
    ('public.ecr.aws/team/app', 'arn:aws:ecr-public::123456789012:repository/app')
    """

    service = ECR_PUBLIC
    operations = OPERATIONS

    def __init__(self, *, alias: str, limits: Limits = DEFAULT_LIMITS, **options: Any) -> None:
        """Start closed. The other options are those of `Registry`."""
        self.alias: Final = alias
        super().__init__(limits=replace(limits, parts=MAX_PARTS, layer=MAX_LAYER), **options)

    def _account_of(self, registry_id: str | None) -> str:
        if registry_id in {None, self.account, self.alias}:
            return self.account
        if any(registry_id == account for account, _ in self._repositories):
            return str(registry_id)
        code = "RegistryNotFoundException"
        # Assumed.
        raise AwsError(code, f"The registry with name '{registry_id}' does not exist")

    def _host_of(self, registry_id: str) -> str:
        """Return where Docker's clients reach a registry. Another account's alias is made up."""
        alias = self.alias if registry_id == self.account else f"{self.alias}-{registry_id}"
        return f"{HOST}/{alias}"

    def _operations_of_repositories(self) -> Mapping[str, Callable[[Mapping[str, Any]], Row]]:
        return {
            **super()._operations_of_repositories(),
            "DescribeRegistries": self._describe_registries,
            "GetAuthorizationToken": self._get_public_token,
        }

    def _describe_registries(self, _request: Mapping[str, Any]) -> Row:
        alias = {
            "name": self.alias,
            "status": "ACTIVE",
            "primaryRegistryAlias": True,
            "defaultRegistryAlias": True,
        }
        registry = {
            "registryId": self.account,
            "registryArn": f"arn:aws:ecr-public::{self.account}:registry/{self.account}",
            "registryUri": self._host_of(self.account),
            "verified": False,
            "aliases": [alias],
        }
        return {"registries": [registry]}

    def _get_public_token(self, _request: Mapping[str, Any]) -> Row:
        """Run GetAuthorizationToken. The local ECR has no `/v2/` that accepts the token."""
        password, expires_at = self.tokens.issue(self.account)
        token = base64.b64encode(f"AWS:{password}".encode()).decode()
        return {"authorizationData": {"authorizationToken": token, "expiresAt": expires_at}}
