"""aiobotocore sessions of this library's own, one for each event loop, profile and provider; and what makes their clients quick to make."""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from aiobotocore.session import AioSession
from botocore.loaders import Loader, create_loader

from ._credentials import SharedCredentials
from ._provider import ProvidedKeys

if TYPE_CHECKING:
    from .protocols import CredentialsProvider, SessionLike


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class OwnSession:
    """A session of this library's, and the credentials that its clients share."""

    session: AioSession
    credentials: SharedCredentials


_SessionsOfLoop = weakref.WeakValueDictionary[tuple[str | None, int | None], OwnSession]
_own_sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _SessionsOfLoop] = weakref.WeakKeyDictionary()
_warm: weakref.WeakSet[Loader] = weakref.WeakSet()


def own_session(profile_name: str | None, provider: CredentialsProvider | None = None) -> OwnSession:
    """Return the loop's one session of a profile and provider; it lives while a client holds it, and a second client on it is cheap."""
    of_loop = _own_sessions.setdefault(asyncio.get_running_loop(), weakref.WeakValueDictionary())
    key = profile_name, None if provider is None else id(provider)  # the session holds the provider, so that its id stays its own
    own = of_loop.get(key)
    if own is None:
        own = of_loop[key] = OwnSession(_new_session(profile_name), _credentials(profile_name, provider))
        own.session.register_component("credential_provider", _Provider(own.credentials))
    return own


def _credentials(profile_name: str | None, provider: CredentialsProvider | None) -> SharedCredentials:
    if provider is None:
        return SharedCredentials(lambda: _load_credentials(profile_name))
    return SharedCredentials(lambda: ProvidedKeys.of(provider), limit=None)


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


async def warm_up_in_thread(session: SessionLike) -> None:
    """Read what a client of ECR is made from, unless that was done, where it does not hold the event loop up."""
    loader = session.get_component("data_loader") if isinstance(session, AioSession) else None
    if loader is not None and loader not in _warm:
        await asyncio.to_thread(_warm_up, loader)
