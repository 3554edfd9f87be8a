"""Open a transport: one of two ways for requests to ECR.

The client imports this module in a thread when it opens, and aiobotocore with it.
"""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.version import __version__

from .client_errors import opening_error, redacted_cause, without_context
from .client_method import ClientMethodTransport
from .credentials import Credentials
from .http_session import guarded_session, unbuffered_socket, watched_session
from .regions import known_regions, unknown_region, unread_region
from .responses import ResponseReader
from .session import own_session, warm_up_in_thread
from .signed_request import SignedRequestTransport

if TYPE_CHECKING:
    from collections.abc import Hashable
    from contextlib import AbstractAsyncContextManager

    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client.protocols import SessionLike

    from .operation import Transport
    from .options import ConnectionOptions

_NO_SIGNING = (
    "transport='signed' needs an aiobotocore session: it must have get_credentials, "
    "and its create_client must accept config="
)
_ANY_REGION = "us-east-1"
_APPLICATION = "user_agent_appid"
_NO_TOKEN = re.compile(r"[^A-Za-z0-9!#$%&'*+.^_`|~,-]")  # as botocore replaces it


class Identity(NamedTuple):
    """Where requests go and who signs them. Clients with an equal identity share a quota."""

    endpoint_url: str
    region_name: str
    credential_source: Hashable


class OpenedTransport(NamedTuple):
    """A transport, the key of its rate limiters, and what signs its requests."""

    transport: Transport
    identity: Identity
    credentials: Credentials


@without_context
async def open_transport(options: ConnectionOptions, config: ClientConfig) -> OpenedTransport:
    """Open a transport. No request is sent.

    Raises:
        InvalidInputError: There is no Region, or botocore does not know it; there is no such
            profile, or the AWS configuration can't be read.
        CredentialsError: The credential chain failed, or the keys are not valid.
    """
    own, made = None, list[Any]()
    session: Any = options.session
    client: Any = options.client

    async with AsyncExitStack() as opening:
        try:
            if session is None and client is None:
                shared = own_session(options.profile_name, options.credentials)
                own = await opening.enter_async_context(shared)
                session = own.session
            if client is None:
                made_client = await _make_client(options, config, session, made)
                client = await opening.enter_async_context(made_client)
        except (BotoCoreError, ClientError, ValueError, RuntimeError, OSError) as error:
            raise opening_error(error, unread_region(options, None)) from redacted_cause(error)
        await _refuse_unknown_region(options, config, session, client)

        is_signed = config.transport == "signed" or (config.transport == "auto" and own is not None)
        if is_signed and not (made and hasattr(session, "get_credentials")):
            raise InvalidInputError(_NO_SIGNING)
        credentials = own.credentials if own else Credentials(client)
        stack = opening.pop_all()

    source = own or session or client
    identity = Identity(client.meta.endpoint_url, client.meta.region_name, source)
    owned, limit = own is not None, config.max_response_bytes
    note = unread_region(options, identity.region_name)
    reader = ResponseReader(identity.region_name, limit, owns_credentials=owned, region_note=note)
    client_method = ClientMethodTransport(client, reader, stack)
    transport: Transport = client_method
    if is_signed:
        transport = SignedRequestTransport(client_method, reader, session, made[0])
    return OpenedTransport(transport, identity, credentials)


async def _make_client(
    options: ConnectionOptions, config: ClientConfig, session: Any, made: list[Any]
) -> AbstractAsyncContextManager[Any]:
    """Return a client to enter, whose HTTP session is added to `made`."""
    variable = getattr(session, "get_config_variable", None)
    # botocore takes a variable that is set and empty for a Region.
    if options.region_name is None and variable is not None and variable("region") == "":
        raise NoRegionError

    await warm_up_in_thread(session, options.service.name)
    client: AbstractAsyncContextManager[Any] = session.create_client(
        options.service.name,
        region_name=options.region_name,
        endpoint_url=options.endpoint_url,
        config=aio_config(session, config, made),
    )
    return client


async def _refuse_unknown_region(
    options: ConnectionOptions, config: ClientConfig, session: Any, client: Any
) -> None:
    """Refuse a Region that botocore does not know, unless an endpoint is given."""
    if options.endpoint_url is not None or not isinstance(session, AioSession):
        return
    region, known = client.meta.region_name, known_regions(session.get_component("data_loader"))
    if region in known:
        return

    # An endpoint that is given in the AWS configuration is the same in every Region.
    elsewhere = replace(options, region_name=_ANY_REGION)
    async with await _make_client(elsewhere, config, session, []) as other:
        is_given = other.meta.endpoint_url == client.meta.endpoint_url
    if not is_given:
        raise unknown_region(region, known, unread_region(options, region))


def aio_config(session: SessionLike, config: ClientConfig, made: list[Any]) -> AioConfig:
    """Return the options of a client, which take precedence over the session's."""
    default = session.get_default_client_config() if isinstance(session, AioSession) else None
    http_session_cls: type[Any] = getattr(default, "http_session_cls", AIOHTTPSession)
    if http_session_cls is AIOHTTPSession:
        http_session_cls = guarded_session(config.max_response_bytes)
    extra = getattr(default, "user_agent_extra", None)
    user_agent = _user_agent(session, default) if isinstance(session, AioSession) else None

    connector_args: Any = {"socket_factory": unbuffered_socket}
    if default is not None:
        connector_args = getattr(default, "connector_args", None)
    return AioConfig(
        connect_timeout=config.connect_timeout,
        read_timeout=config.attempt_timeout,
        max_pool_connections=config.max_concurrency,
        retries={"total_max_attempts": 1, "mode": "standard"},
        parameter_validation=False,
        user_agent=user_agent,
        user_agent_extra=" ".join(filter(None, (extra, f"ecr-layer-client/{__version__}"))),
        connector_args=connector_args,
        http_session_cls=watched_session(http_session_cls, made),
    )


def _user_agent(session: AioSession, default: Any) -> str:
    """Return a constant `User-Agent`. botocore would make its own twice for each request.

    botocore adds the `user_agent_extra` of the session and of the client, but no application.
    """
    if getattr(default, "user_agent", None) is not None:
        return str(default.user_agent)

    text: str = session.user_agent().removesuffix(session.user_agent_extra or "").rstrip()
    given = getattr(default, _APPLICATION, None)
    application = given or session.get_config_variable(_APPLICATION)
    return f"{text} app/{_NO_TOKEN.sub('-', application)}" if application else text
