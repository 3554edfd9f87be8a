"""One request, one answer: aiobotocore's session and client, and every error of theirs as one of ours.

This room, `_http.py` and `_botocore_errors.py` are the only ones that know aiobotocore and botocore; importing it imports them,
so the client does that in a thread, when it opens.
"""

from __future__ import annotations

import asyncio
import weakref
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import Loader, create_loader

from . import _wire
from ._botocore_errors import call_error, credentials_error, opening_error, safe_cause
from ._credentials import SharedCredentials
from ._errors import ResponseError
from ._http import guarded_session, too_large
from ._refusals import Refusal, error_of
from ._version import __version__

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from ._config import ClientConfig, Target
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
        own = None if target.session else _own_session(target.profile_name)
        session: Any = own.session if own else target.session
        await _warm_up_in_thread(session)
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


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class _Own:
    """A session of this library's, and the credentials that its clients share."""

    session: AioSession
    credentials: SharedCredentials


_own: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.WeakValueDictionary[str | None, _Own]] = weakref.WeakKeyDictionary()
_warm: weakref.WeakSet[Loader] = weakref.WeakSet()


def _own_session(profile_name: str | None) -> _Own:
    """Return the loop's one session of a profile; it lives while a client holds it, and a second client on it costs next to nothing."""
    of_loop = _own.setdefault(asyncio.get_running_loop(), weakref.WeakValueDictionary())
    own = of_loop.get(profile_name)
    if own is None:
        own = _Own(_new_session(profile_name), SharedCredentials(lambda: _load_credentials(profile_name)))
        own.session.register_component("credential_provider", _Provider(own.credentials))
        of_loop[profile_name] = own
    return own


def _new_session(profile_name: str | None) -> AioSession:
    session = AioSession(profile=profile_name)
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


async def _load_credentials(profile_name: str | None) -> Any:
    """Run botocore's chain on a session of its own, for a session reads its files and variables only once."""
    return await _new_session(profile_name).get_credentials()


class _Provider:
    """What a session takes for its credential chain."""

    def __init__(self, credentials: SharedCredentials) -> None:
        self._credentials = credentials

    async def load_credentials(self) -> SharedCredentials:
        return self._credentials


@cache
def _loader(data_path: str | None) -> Loader:
    return create_loader(data_path)


def _warm_up(loader: Loader) -> None:
    """Read what a client of ECR is made from, so that making one is quick."""
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model("ecr", kind)
    for name in ("partitions", "endpoints", "sdk-default-configuration", "_retry"):
        loader.load_data(name)
    _warm.add(loader)


async def _warm_up_in_thread(session: SessionLike) -> None:
    loader = session.get_component("data_loader") if isinstance(session, AioSession) else None
    if loader is not None and loader not in _warm:
        await asyncio.to_thread(_warm_up, loader)
