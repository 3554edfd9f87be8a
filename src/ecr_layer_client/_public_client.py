"""`ECRPublicLayerClient`: the client of ECR Public."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ._base_client import BaseLayerClient
from ._models.config import ClientConfig
from ._models.public_repository import PublicRepository
from ._models.services import ECR_PUBLIC
from ._transport.options import ConnectionOptions

if TYPE_CHECKING:
    from ._models.repository import Repository
    from .protocols import CredentialsProvider, Limiter, Observer, SessionLike


class ECRPublicLayerClient(BaseLayerClient):
    """Checks which layers a repository of ECR Public holds, and pushes images to it.

    It has those methods of `ECRLayerClient` that the API of ECR Public supports. A repository is a
    name, a URI such as `public.ecr.aws/ALIAS/NAME`, an ARN or a `PublicRepository`.

    Args:
        region_name: The Region of the endpoint: `us-east-1` or `us-west-2`, or any Region if you
            pass `endpoint_url`. Default None: `us-east-1`, whatever the AWS configuration says.
        profile_name: A profile of the AWS configuration. Default None: the profile in
            `AWS_PROFILE`, or the default profile.
        endpoint_url: The endpoint to use instead of the Region's own. It must be https, or on this
            machine. Default None.
        credentials: As in `ECRLayerClient`. Default None: botocore finds the keys.
        session: As in `ECRLayerClient`. Default None: all clients with the same event loop and
            profile share a session.
        config: Batch size, concurrency, timeouts, retries. Default `ClientConfig()`.
        observer: An object that is notified of operations, attempts, retries and throttling.
            Default None.
        limiter: An object that says when the next request may be sent; see `Limiter`. Default None.
        limiter_scope: The account that `limiter` gets for a repository without an account. Default
            None.

    Raises:
        InvalidInputError: An argument is not valid.

    Example:
        ```python
        async with ECRPublicLayerClient() as client:
            result = await client.check_layers("public.ecr.aws/team/app", digests)
        print(len(result.absent), "to upload")
        ```
    """

    _repository_class: ClassVar[type[Repository]] = PublicRepository

    def __init__(  # noqa: PLR0913 (all by keyword)
        self,
        *,
        region_name: str | None = None,
        profile_name: str | None = None,
        endpoint_url: str | None = None,
        credentials: CredentialsProvider | None = None,
        session: SessionLike | None = None,
        config: ClientConfig = ClientConfig(),  # noqa: B008 (an immutable value)
        observer: Observer | None = None,
        limiter: Limiter | None = None,
        limiter_scope: str | None = None,
    ) -> None:
        options = ConnectionOptions(
            ECR_PUBLIC.regions[0] if region_name is None else region_name,
            profile_name,
            endpoint_url,
            session,
            credentials=credentials,
            limiter=limiter,
            limiter_scope=limiter_scope,
            service=ECR_PUBLIC,
        )
        self._set_up(options, config, observer)
