"""One request, one answer: through aiobotocore's client, and every error of its as one of ours.

This room and those it imports from its own floor are the only ones that know aiobotocore and botocore; importing it imports them,
so the client does that in a thread, when it opens.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError

from . import _wire
from ._botocore_errors import call_error, credentials_error, opening_error, safe_cause
from ._errors import ResponseError
from ._http import guarded_session, too_large
from ._refusals import Refusal, error_of
from ._sessions import own_session, warm_up_in_thread
from ._version import __version__

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from ._config import ClientConfig, Target
    from ._credentials import SharedCredentials
    from ._repository import Repository
    from .protocols import ECRApi, SessionLike

_BEFORE_PARSE = f"before-parse.ecr.{_wire.OPERATION}"
_ERROR_STATUS = 300


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

    async def check(self, repository: Repository, digests: Sequence[str], *, again: bool = False) -> _wire.Settled:
        """Ask once; `again` accepts an answer that settles nothing.

        Raises:
            CallError: There is no answer, or not one that settles anything asked.
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
        """Find other credentials than those of `generation`; False where they are the caller's own to renew.

        Raises:
            CallError: There are none.
        """
        ...

    async def aclose(self) -> None:
        """Close what this transport opened."""
        ...


async def open_transport(target: Target, config: ClientConfig) -> Transport:
    """Open the way to ECR.

    Raises:
        InvalidInputError: There is no Region, no such profile, or the AWS configuration can't be read.
        CredentialsError: The credential chain failed.
    """
    if target.client is not None:
        return OrdinaryLane(target.client, config, target.client)
    stack = AsyncExitStack()
    try:
        own = None if target.session else own_session(target.profile_name)
        session: Any = own.session if own else target.session
        await warm_up_in_thread(session)
        client = await stack.enter_async_context(
            session.create_client(
                "ecr",
                region_name=target.region_name,
                endpoint_url=target.endpoint_url,
                config=_aio_config(session, config),
            )
        )
    except (BotoCoreError, ValueError) as error:
        raise opening_error(error) from error
    return OrdinaryLane(client, config, own or session, stack, own.credentials if own else None)


@dataclass(slots=True)
class _Exchange:
    """An answer as it came, before botocore's parser saw it."""

    lane: OrdinaryLane
    body: bytes | None = None
    request_id: str | None = None
    refusal: Refusal | None = None


_exchange: ContextVar[_Exchange | None] = ContextVar("ecr_layer_client_exchange", default=None)


class OrdinaryLane:
    """Through aiobotocore's client method, with its documented events; the answer's bytes are taken from `before-parse`."""

    def __init__(
        self,
        client: ECRApi,
        config: ClientConfig,
        credential_source: Hashable,
        stack: AsyncExitStack | None = None,
        credentials: SharedCredentials | None = None,
    ) -> None:
        self.region_name: str = client.meta.region_name
        self.endpoint_url: str = client.meta.endpoint_url
        self.credential_source = credential_source
        self._client = client
        self._limit = config.max_response_bytes
        self._stack = stack or AsyncExitStack()
        self._credentials = credentials
        self._hook_id = f"ecr-layer-client-{id(self)}"
        client.meta.events.register(_BEFORE_PARSE, self._take_body, unique_id=self._hook_id)

    @property
    def generation(self) -> int:
        """Which credentials it signs with."""
        return 0 if self._credentials is None else self._credentials.generation

    async def ready(self) -> None:
        """Have credentials to sign with, where they are not the caller's own."""
        if self._credentials is not None:
            try:
                await self._credentials.get_frozen_credentials()
            except Exception as error:
                raise credentials_error(error) from error

    async def renew(self, generation: int) -> bool:
        """Find other credentials than those of `generation`."""
        if self._credentials is None:
            return False
        try:
            return await self._credentials.renew(generation)
        except Exception as error:
            raise credentials_error(error) from error

    async def check(self, repository: Repository, digests: Sequence[str], *, again: bool = False) -> _wire.Settled:
        """Ask once."""
        exchange = _Exchange(self)
        token = _exchange.set(exchange)
        try:
            answer = await self._client.batch_check_layer_availability(**_wire.request(repository, digests))
        except ClientError as error:
            raise error_of(
                exchange.refusal or _stubbed_refusal(error), repository, self.region_name, owned=self._credentials is not None
            ) from error
        except (BotoCoreError, ResponseError) as error:
            raise call_error(error, repository, self.region_name) from safe_cause(error)
        finally:
            _exchange.reset(token)
        try:
            return _wire.settle(self._checked(exchange, answer), digests, again=again)
        except ResponseError as error:
            raise call_error(error, repository, self.region_name, request_id=exchange.request_id) from safe_cause(error)

    async def aclose(self) -> None:
        """Take the hook off, and close the client if this lane opened it."""
        self._client.meta.events.unregister(_BEFORE_PARSE, unique_id=self._hook_id)
        await self._stack.aclose()

    def _take_body(self, response_dict: dict[str, Any], **_: object) -> None:
        exchange = _exchange.get()
        if exchange is None or exchange.lane is not self:
            return
        status, headers, body = response_dict["status_code"], response_dict["headers"], response_dict["body"]
        exchange.request_id = headers.get("x-amzn-requestid")
        if status < _ERROR_STATUS:
            exchange.body, exchange.refusal = body, None
            response_dict["body"] = b"{}"  # botocore's parser has nothing left to do
        else:
            exchange.refusal = Refusal.read(status, headers, body)
            response_dict["body"] = exchange.refusal.body  # whatever came, botocore's parser can read this

    def _checked(self, exchange: _Exchange, answer: Mapping[str, Any]) -> bytes | Mapping[str, Any]:
        if exchange.body is None:  # a stub answered in the wire's place
            return answer
        if len(exchange.body) > self._limit:
            raise too_large(self._limit)
        return exchange.body


def _stubbed_refusal(error: ClientError) -> Refusal:
    metadata: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    said = error.response.get("Error", {})
    status, request_id = metadata.get("HTTPStatusCode", 0), metadata.get("RequestId")
    return Refusal(status, str(said.get("Code", "Unknown")), str(said.get("Message", "")), request_id)


def _aio_config(session: SessionLike, config: ClientConfig) -> AioConfig:
    """Return the options of our own aiobotocore client; they win over the session's and over the environment's."""
    default = session.get_default_client_config() if isinstance(session, AioSession) else None
    options: dict[str, Any] = {}
    if getattr(default, "http_session_cls", AIOHTTPSession) is AIOHTTPSession:
        options["http_session_cls"] = guarded_session(config.max_response_bytes)
    extra = getattr(default, "user_agent_extra", None)
    return AioConfig(
        connect_timeout=config.connect_timeout,
        read_timeout=config.attempt_timeout,
        max_pool_connections=config.max_concurrency,
        retries={"total_max_attempts": 1, "mode": "standard"},
        parameter_validation=False,
        user_agent_extra=" ".join(filter(None, (extra, f"ecr-layer-client/{__version__}"))),
        **options,
    )
