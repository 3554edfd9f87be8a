"""Open a transport: one of two ways for requests to ECR.

This module and those that it imports from its package are the only ones of the core that import
aiobotocore and botocore. The client imports them in a thread when it opens.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.version import __version__

from .client_errors import opening_error, redacted_cause, without_context
from .client_method import ClientMethodTransport
from .credentials import BorrowedCredentials
from .http_session import guarded_session, watched_session
from .responses import ResponseReader
from .session import own_session, warm_up_in_thread
from .signed_request import SignedRequestTransport

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client.protocols import ECRApi, SessionLike

    from .credentials import Credentials
    from .operation import Transport
    from .options import ConnectionOptions
    from .session import OwnSession


class Identity(NamedTuple):
    """Where requests go and who signs them. Clients with an equal identity share a quota.

    Attributes:
        endpoint_url: Where requests go.
        region_name: The Region that they are signed for.
        credential_source: Equal for clients that sign with the same credentials.
    """

    endpoint_url: str
    region_name: str
    credential_source: Hashable


class OpenedTransport(NamedTuple):
    """A transport, and what its user must know of it.

    Attributes:
        transport: Sends requests.
        identity: The key of its rate limiters.
        credentials: What signs its requests.
    """

    transport: Transport
    identity: Identity
    credentials: Credentials


@without_context
async def open_transport(options: ConnectionOptions, config: ClientConfig) -> OpenedTransport:
    """Open a transport. No request is sent.

    Raises:
        InvalidInputError: There is no Region, no such profile, or the AWS configuration can't be
            read.
        CredentialsError: The credential chain failed.
    """
    if options.client is not None:
        return _borrowed(options.client, config)

    made: list[Any] = []
    async with AsyncExitStack() as opening:
        try:
            own = await _own_session(options, opening)
            session: Any = own.session if own else options.session
            client = await _make_client(options, config, session, opening, made)
        except (BotoCoreError, ClientError, ValueError, RuntimeError, OSError) as error:
            raise opening_error(error) from redacted_cause(error)
        is_signed = config.transport == "signed" or (config.transport == "auto" and own is not None)
        if is_signed:
            _require_signing(session, made)
        stack = opening.pop_all()

    reader = ResponseReader(
        client.meta.region_name, config.max_response_bytes, owns_credentials=own is not None
    )
    client_method = ClientMethodTransport(client, reader, stack)
    transport: Transport = client_method
    if is_signed:
        transport = SignedRequestTransport(client_method, reader, session, made[0])
    credentials = own.credentials if own else BorrowedCredentials()
    return OpenedTransport(transport, _identity(client, own or session), credentials)


def _borrowed(client: ECRApi, config: ClientConfig) -> OpenedTransport:
    region_name, limit = client.meta.region_name, config.max_response_bytes
    reader = ResponseReader(region_name, limit, owns_credentials=False)
    transport = ClientMethodTransport(client, reader)
    return OpenedTransport(transport, _identity(client, client), BorrowedCredentials())


def _identity(client: ECRApi, credential_source: Hashable) -> Identity:
    return Identity(client.meta.endpoint_url, client.meta.region_name, credential_source)


async def _own_session(options: ConnectionOptions, opening: AsyncExitStack) -> OwnSession | None:
    """Return this library's session for the profile and provider, unless the caller gave one."""
    if options.session:
        return None
    own = own_session(options.profile_name, options.credentials)
    return await opening.enter_async_context(own)


async def _make_client(
    options: ConnectionOptions,
    config: ClientConfig,
    session: Any,
    opening: AsyncExitStack,
    made: list[Any],
) -> Any:
    _refuse_empty_region(options, session)
    await warm_up_in_thread(session)
    return await opening.enter_async_context(
        session.create_client(
            "ecr",
            region_name=options.region_name,
            endpoint_url=options.endpoint_url,
            config=_aio_config(session, config, made),
        )
    )


def _require_signing(session: Any, made: list[Any]) -> None:
    if not made or not hasattr(session, "get_credentials"):
        msg = (
            "transport='signed' needs an aiobotocore session, whose create_client takes config= "
            "and which has get_credentials"
        )
        raise InvalidInputError(msg)


def _refuse_empty_region(options: ConnectionOptions, session: SessionLike) -> None:
    """Treat a variable that is set and empty as no Region; botocore takes it for one."""
    if (
        options.region_name is None
        and isinstance(session, AioSession)
        and session.get_config_variable("region") == ""
    ):
        raise NoRegionError


def _aio_config(session: SessionLike, config: ClientConfig, made: list[Any]) -> AioConfig:
    """Return the options of our own aiobotocore client, whose HTTP session is added to `made`.

    They take precedence over the session's and the environment's.
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
