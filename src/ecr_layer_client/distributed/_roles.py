"""`AssumedRole`: a credentials provider that can be pickled, because it holds no keys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

if TYPE_CHECKING:
    from ecr_layer_client._models.keys import AWSKeys
    from ecr_layer_client.protocols import CredentialsProvider

_ROLE_ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::[0-9]{12}:role/.+")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)  # STS model: roleSessionNameType
# A Region of each partition, for a machine whose AWS configuration has no Region.
_REGIONS = {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
_REGION = "us-east-1"


@dataclass(frozen=True)
class AssumedRole:
    """A credentials provider that assumes a role with AWS STS, in the process that needs the keys.

    It holds no keys, so it can be pickled. Two objects with the same arguments are equal, and all
    clients of a process with equal providers share the keys. So a process assumes a role once, and
    again before the keys expire. STS is called in the Region of the AWS configuration.

    Attributes:
        role_arn: The ARN of the role.
        session_name: The name of the session, which CloudTrail shows. Default "ecr-layers".
        external_id: The external id that the role's trust policy may require. Default None.
        source: A function that returns the keys with which the role is assumed. Default None:
            botocore finds the keys.

    Raises:
        InvalidInputError: The ARN is not that of a role, or the name is not valid.

    Example:
        >>> AssumedRole("arn:aws:iam::123456789012:role/layers").session_name
        'ecr-layers'
    """

    role_arn: str
    session_name: str = "ecr-layers"
    external_id: str | None = None
    source: CredentialsProvider | None = None

    def __post_init__(self) -> None:
        """Check the role and the name."""
        if not isinstance(self.role_arn, str) or not _ROLE_ARN.fullmatch(self.role_arn):
            msg = (
                f"role_arn={quoted(self.role_arn)} is not the ARN of a role: "
                "use 'arn:aws:iam::ACCOUNT:role/NAME'"
            )
            raise InvalidInputError(msg)
        if not isinstance(self.session_name, str) or not _SESSION_NAME.fullmatch(self.session_name):
            msg = (
                f"session_name={quoted(self.session_name)} is not valid: "
                "use 2 to 64 letters, digits or characters of _+=,.@-"
            )
            raise InvalidInputError(msg)

    async def __call__(self) -> AWSKeys:
        """Assume the role and return its keys."""
        # It imports aiobotocore, which the program that only makes the value does not need.
        from ecr_layer_client._transport.sts import assume_role  # noqa: PLC0415

        members = {"RoleArn": self.role_arn, "RoleSessionName": self.session_name}
        if self.external_id is not None:
            members["ExternalId"] = self.external_id
        keys = None if self.source is None else await self.source()
        partition = self.role_arn.split(":")[1]
        return await assume_role(members, keys, _REGIONS.get(partition, _REGION))
