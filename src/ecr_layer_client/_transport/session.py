"""This library's own aiobotocore sessions, whose clients are quick to create."""

from __future__ import annotations

import asyncio
import gzip
import weakref
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiobotocore.session import AioSession
from botocore.loaders import JSONFileLoader, Loader, create_loader
from pydantic_core import from_json

from .client_errors import FETCH_TIMEOUT_SECONDS
from .credential_process import end_process_when_cancelled
from .credentials import ProvidedKeys, SharedCredentials
from .options import identity_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Hashable

    from ecr_layer_client.protocols import CredentialsProvider, SessionLike


@dataclass(slots=True, weakref_slot=True, eq=False)
class OwnSession:
    """A session of this library, with the credentials that its clients share."""

    session: AioSession
    credentials: SharedCredentials
    clients: int = 0  # open ones


_Key = tuple[asyncio.AbstractEventLoop, str | None, "Hashable"]
_own_sessions: weakref.WeakValueDictionary[_Key, OwnSession] = weakref.WeakValueDictionary()
# The services whose data a loader has read.
_warm: weakref.WeakKeyDictionary[Loader, set[str]] = weakref.WeakKeyDictionary()
# The names of ECR and ECR Public in botocore's data on endpoints.
_ENDPOINTS = {"api.ecr", "api.ecr-public"}


@asynccontextmanager
async def own_session(
    profile_name: str | None, provider: CredentialsProvider | None = None
) -> AsyncGenerator[OwnSession, None]:
    """Give the session of a loop, profile and provider, until its last client is closed."""
    key = asyncio.get_running_loop(), profile_name, identity_of(provider)
    own = _own_sessions.get(key)
    if own is None:
        credentials = _credentials(profile_name, provider)
        own = _own_sessions[key] = OwnSession(new_session(profile_name), credentials)
        own.session.register_component("credential_provider", credentials)

    own.clients += 1
    try:
        yield own
    finally:
        own.clients -= 1
        if own.clients == 0:
            del _own_sessions[key]
            await own.credentials.aclose()


def _credentials(
    profile_name: str | None, provider: CredentialsProvider | None
) -> SharedCredentials:
    async def load() -> Any:
        if provider is not None:
            return ProvidedKeys(provider)
        # A session reads its files and variables only once, so each run of the chain has its own.
        session = AioSession(profile=profile_name)
        end_process_when_cancelled(session)
        return await session.get_credentials()

    return SharedCredentials(load, FETCH_TIMEOUT_SECONDS if provider is None else None)


def new_session(profile_name: str | None) -> AioSession:
    """Return a session that reads the user's files and variables again, but not botocore's data."""
    session = AioSession(profile=profile_name)
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


class _DataFiles(JSONFileLoader):
    """Reads only what a client of ECR needs, because the garbage collector visits all of it."""

    def load_file(self, file_path: str) -> Any:
        for ending, opened in ((".json", open), (".json.gz", gzip.open)):
            if Path(file_path + ending).is_file():
                # `json` would keep the event loop waiting half as long again.
                with opened(file_path + ending, "rb") as file:
                    return _without_other_services(from_json(file.read()))
        return None


def _without_other_services(data: dict[str, Any]) -> dict[str, Any]:
    """Remove the endpoints of other services from `endpoints.json`: twenty thousand dicts."""
    for partition in data.get("partitions", ()):
        if "services" in partition:
            partition["services"] = {
                name: each for name, each in partition["services"].items() if name in _ENDPOINTS
            }
    return data


class _Loader(Loader):
    FILE_LOADER_CLASS = _DataFiles

    # A service has files of all types, so the type does not matter.
    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        """Return the services that have a folder; botocore looks into each of them."""
        return sorted({each.name for path in self.search_paths for each in Path(path).glob("*/")})


@cache
def _loader(data_path: str | None) -> Loader:
    return _Loader(create_loader(data_path).search_paths, include_default_search_paths=False)


def _warm_up(loader: Loader, service: str) -> None:
    """Read the data that a client of a service is made from, so that making one is quick."""
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model(service, kind)
    for name in ("partitions", "endpoints", "sdk-default-configuration", "_retry"):
        loader.load_data(name)
    _warm.setdefault(loader, set()).add(service)


async def warm_up_in_thread(session: SessionLike, service: str = "ecr") -> None:
    """Read that data in a thread, unless it was read before, so that the loop does not stall."""
    loader = session.get_component("data_loader") if isinstance(session, AioSession) else None
    if loader is not None and service not in _warm.get(loader, ()):
        await asyncio.to_thread(_warm_up, loader, service)
