"""This library's own aiobotocore sessions, one for each event loop, profile and provider.

This module also makes their clients quick to create.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import weakref
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aiobotocore.session import AioSession
from botocore.loaders import JSONFileLoader, Loader, create_loader

from .credentials import ProvidedKeys, SharedCredentials

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Hashable

    from ecr_layer_client.protocols import CredentialsProvider, SessionLike


@dataclass(slots=True, weakref_slot=True, eq=False)
class OwnSession:
    """A session of this library, with the credentials that its clients share.

    Attributes:
        session: The aiobotocore session.
        credentials: The credentials of all its clients.
        clients: The number of its open clients.
    """

    session: AioSession
    credentials: SharedCredentials
    clients: int = 0


_SessionsOfLoop = weakref.WeakValueDictionary[tuple[str | None, "Hashable"], OwnSession]
_own_sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _SessionsOfLoop] = (
    weakref.WeakKeyDictionary()
)
_warm: weakref.WeakSet[Loader] = weakref.WeakSet()
# The name of ECR in botocore's data on endpoints.
_ENDPOINTS = {"api.ecr"}


@asynccontextmanager
async def own_session(
    profile_name: str | None, provider: CredentialsProvider | None = None
) -> AsyncGenerator[OwnSession, None]:
    """Give the session of a profile and a provider, until its last client is closed.

    Each event loop has one session of them. A second client of a session is cheap.
    """
    of_loop = _own_sessions.setdefault(asyncio.get_running_loop(), weakref.WeakValueDictionary())
    key = profile_name, _identity(provider)
    own = of_loop.get(key)
    if own is None:
        own = of_loop[key] = OwnSession(
            new_session(profile_name), _credentials(profile_name, provider)
        )
        own.session.register_component("credential_provider", _CredentialChain(own.credentials))

    own.clients += 1
    try:
        yield own
    finally:
        own.clients -= 1
        if own.clients == 0:
            del of_loop[key]
            await own.credentials.aclose()


def _identity(provider: CredentialsProvider | None) -> Hashable:
    """Return a value that is equal for equal providers.

    A bound method is a new object each time it is read, so the provider's id is not enough.
    """
    try:
        hash(provider)
    except TypeError:
        # The session holds the provider, so no other object gets the same id.
        return id(provider)
    return cast("Hashable", provider)


def _credentials(
    profile_name: str | None, provider: CredentialsProvider | None
) -> SharedCredentials:
    if provider is None:
        return SharedCredentials(lambda: _load_credentials(profile_name))
    return SharedCredentials(lambda: ProvidedKeys.of(provider), limit=None)


def new_session(profile_name: str | None) -> AioSession:
    """Return a session that reads the files and environment variables again.

    botocore's data files are read only once in a process.
    """
    session = AioSession(profile=profile_name)
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


async def _load_credentials(profile_name: str | None) -> Any:
    """Run botocore's credential chain, which may send requests to other services.

    The chain runs on a new session, because a session reads its files and variables only once.
    """
    return await AioSession(profile=profile_name).get_credentials()


class _CredentialChain:
    """An object that a session accepts as its credential chain."""

    def __init__(self, credentials: SharedCredentials) -> None:
        self._credentials = credentials

    async def load_credentials(self) -> SharedCredentials:
        return self._credentials


class _DataFiles(JSONFileLoader):
    """Reads the part of botocore's data that a client of ECR needs, into plain dicts.

    The garbage collector visits this data as long as a client exists, so less of it saves time.
    """

    def load_file(self, file_path: str) -> Any:
        for ending, opened in ((".json", open), (".json.gz", gzip.open)):
            if Path(file_path + ending).is_file():
                with opened(file_path + ending, "rb") as file:
                    return _without_other_services(json.load(file))
        return None


def _without_other_services(data: dict[str, Any]) -> dict[str, Any]:
    """Remove the endpoints of other services from all partitions of `endpoints.json`.

    They are about twenty thousand dicts.
    """
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
        """Return the services that have a folder.

        botocore looks into each of four hundred folders, only to check that one service exists.
        """
        folders = (
            folder
            for path in map(Path, self.search_paths)
            if path.is_dir()
            for folder in path.iterdir()
        )
        return sorted({folder.name for folder in folders if folder.is_dir()})


@cache
def _loader(data_path: str | None) -> Loader:
    return _Loader(create_loader(data_path).search_paths, include_default_search_paths=False)


def _warm_up(loader: Loader) -> None:
    """Read the data that a client of ECR is made from, so that making one is quick."""
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model("ecr", kind)
    for name in ("partitions", "endpoints", "sdk-default-configuration", "_retry"):
        loader.load_data(name)
    _warm.add(loader)


async def warm_up_in_thread(session: SessionLike) -> None:
    """Read the data that a client of ECR is made from in a thread, unless it was read before.

    So the event loop does not stall.
    """
    loader = session.get_component("data_loader") if isinstance(session, AioSession) else None
    if loader is not None and loader not in _warm:
        await asyncio.to_thread(_warm_up, loader)
