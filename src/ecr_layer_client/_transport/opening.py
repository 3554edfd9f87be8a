"""The way of one request to ECR and back, by one of two transports.

Every error of aiobotocore's comes out as one of ours.

This room and those it imports from its own floor are the only ones that know aiobotocore and
botocore; importing it imports them, so the client does that in a thread, when it opens.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.version import __version__

from .client_errors import opening_error, redacted_cause, without_context
from .client_method import ClientMethodTransport
from .http_session import guarded_session, watched_session
from .session import own_session, warm_up_in_thread
from .signed_request import SignedRequestTransport

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client.protocols import SessionLike

    from .operation import Operation
    from .options import ConnectionOptions

T = TypeVar("T")


class Transport(Protocol):
    """The way of one request to ECR and back."""

    @property
    def region_name(self) -> str:
        """The Region the requests are signed for."""
        ...

    @property
    def endpoint_url(self) -> str:
        """Where they go."""
        ...

    @property
    def credential_source(self) -> Hashable:
        """Equal for transports that sign with the same credentials."""
        ...

    async def ask(self, question: Operation[T]) -> T:
        """Ask once.

        Raises:
            CallError: There is no answer, or not one to this question.
        """
        ...

    @property
    def generation(self) -> int:
        """Which credentials it signs with: one more each time they were renewed."""
        ...

    async def ready(self) -> None:
        """Have credentials to sign with, so that fetching them takes nothing from an attempt's time.

        Raises:
            CallError: There are none.
        """
        ...

    async def renew(self, generation: int) -> bool:
        """Find other credentials than those of `generation`.

        False where they are the caller's own to renew.

        Raises:
            CallError: There are none.
        """
        ...

    async def aclose(self) -> None:
        """Close what this transport opened."""
        ...


@without_context
async def open_transport(target: ConnectionOptions, config: ClientConfig) -> Transport:
    """Open the way to ECR.

    Raises:
        InvalidInputError: There is no Region, no such profile, or the AWS configuration can't be
            read.
        CredentialsError: The credential chain failed.
    """
    if target.client is not None:
        return ClientMethodTransport(target.client, config, target.client)
    made: list[Any] = []
    async with AsyncExitStack() as opening:
        try:
            own = (
                None
                if target.session
                else await opening.enter_async_context(
                    own_session(target.profile_name, target.credentials)
                )
            )
            session: Any = own.session if own else target.session
            _refuse_empty_region(target, session)
            await warm_up_in_thread(session)
            client = await opening.enter_async_context(
                session.create_client(
                    "ecr",
                    region_name=target.region_name,
                    endpoint_url=target.endpoint_url,
                    config=_aio_config(session, config, made),
                )
            )
        except (BotoCoreError, ClientError, ValueError, RuntimeError, OSError) as error:
            raise opening_error(error) from redacted_cause(error)
        stack = opening.pop_all()
    ordinary = ClientMethodTransport(
        client, config, own or session, stack, own.credentials if own else None
    )
    if config.transport == "client" or (config.transport == "auto" and own is None):
        return ordinary
    if not made or not hasattr(session, "get_credentials"):
        await ordinary.aclose()
        msg = "transport='signed' needs an aiobotocore session, whose create_client takes config= and which has get_credentials"
        raise InvalidInputError(msg)
    return SignedRequestTransport(ordinary, session, made[0])


def _refuse_empty_region(target: ConnectionOptions, session: SessionLike) -> None:
    """Take a variable that is set and empty for no Region; botocore takes it for one."""
    if (
        target.region_name is None
        and isinstance(session, AioSession)
        and session.get_config_variable("region") == ""
    ):
        raise NoRegionError


def _aio_config(session: SessionLike, config: ClientConfig, made: list[Any]) -> AioConfig:
    """Return the options of our own aiobotocore client, whose HTTP session is added to `made`.

    They win over the session's and over the environment's.
    """
    default = session.get_default_client_config() if isinstance(session, AioSession) else None
    http_session_cls: type[Any] = getattr(default, "http_session_cls", AIOHTTPSession)
    if http_session_cls is AIOHTTPSession:
        http_session_cls = guarded_session(config.max_response_bytes)
    extra = getattr(default, "user_agent_extra", None)
    return AioConfig(
        connect_timeout=config.connect_timeout,
        read_timeout=config.attempt_timeout,
        max_pool_connections=config.max_concurrency,
        retries={"total_max_attempts": 1, "mode": "standard"},
        parameter_validation=False,
        user_agent_extra=" ".join(filter(None, (extra, f"ecr-layer-client/{__version__}"))),
        http_session_cls=watched_session(http_session_cls, made),
    )
