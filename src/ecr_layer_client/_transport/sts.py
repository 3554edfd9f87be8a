"""One call of AWS STS: the keys of a role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig

from ecr_layer_client._models.config import ClientConfig
from ecr_layer_client._models.keys import AWSKeys

from .opening import aio_config
from .session import new_session, warm_up_in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

# Many processes may assume roles at the same time, and STS throttles them.
_RETRIES: Any = {"total_max_attempts": 5, "mode": "standard"}


async def assume_role(
    members: Mapping[str, str], source: AWSKeys | None, any_region: str
) -> AWSKeys:
    """Return the keys of a role.

    Args:
        members: Of the request AssumeRole.
        source: The keys to sign with. None: as botocore finds them.
        any_region: Where to send the request if the AWS configuration has no Region.
    """
    session: Any = new_session(None)
    await warm_up_in_thread(session)
    own: dict[str, Any] = {}
    if source is not None:
        own = {
            "aws_access_key_id": source.access_key,
            "aws_secret_access_key": source.secret_key,
            "aws_session_token": source.token,
        }
    region = session.get_config_variable("region") or any_region
    config = aio_config(session, ClientConfig(), []).merge(AioConfig(retries=_RETRIES))
    async with session.create_client("sts", region_name=region, config=config, **own) as sts:
        response = await sts.assume_role(**members)
    keys: Any = response["Credentials"]
    return AWSKeys(
        keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], keys["Expiration"]
    )
