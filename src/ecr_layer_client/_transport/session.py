"""aiobotocore sessions of this library's own, one for each event loop, profile and provider.

And what makes their clients quick to make.
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
    """A session of this library's, the credentials that its clients share, and how many of them are open."""

    session: AioSession
    credentials: SharedCredentials
    clients: int = 0


_SessionsOfLoop = weakref.WeakValueDictionary[tuple[str | None, "Hashable"], OwnSession]
_own_sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _SessionsOfLoop] = (
    weakref.WeakKeyDictionary()
)
_warm: weakref.WeakSet[Loader] = weakref.WeakSet()
_ENDPOINTS = {"api.ecr"}  # what botocore's data on endpoints calls ECR


@asynccontextmanager
async def own_session(
    profile_name: str | None, provider: CredentialsProvider | None = None
) -> AsyncGenerator[OwnSession, None]:
    """Give the loop's one session of a profile and provider, until its last client is closed.

    A second client on it is cheap.
    """
    of_loop = _own_sessions.setdefault(asyncio.get_running_loop(), weakref.WeakValueDictionary())
    key = profile_name, _one(provider)
    own = of_loop.get(key)
    if own is None:
        own = of_loop[key] = OwnSession(
            new_session(profile_name), _credentials(profile_name, provider)
        )
        own.session.register_component("credential_provider", _Provider(own.credentials))
    own.clients += 1
    try:
        yield own
    finally:
        own.clients -= 1
        if own.clients == 0:
            del of_loop[key]
            await own.credentials.aclose()


def _one(provider: CredentialsProvider | None) -> Hashable:
    """Return what tells providers apart: an object's method is another value each time it is named, and the same provider."""
    try:
        hash(provider)
    except TypeError:
        return id(provider)  # the session holds the provider, so that its id stays its own
    return cast("Hashable", provider)


def _credentials(
    profile_name: str | None, provider: CredentialsProvider | None
) -> SharedCredentials:
    if provider is None:
        return SharedCredentials(lambda: _load_credentials(profile_name))
    return SharedCredentials(lambda: ProvidedKeys.of(provider), limit=None)


def new_session(profile_name: str | None) -> AioSession:
    """Return a session that reads files and variables anew, and botocore's data only once in a process."""
    session = AioSession(profile=profile_name)
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


async def _load_credentials(profile_name: str | None) -> Any:
    """Run botocore's chain on a session of its own, for a session reads its files and variables only once; it may ask other services."""
    return await AioSession(profile=profile_name).get_credentials()


class _Provider:
    """What a session takes for its credential chain."""

    def __init__(self, credentials: SharedCredentials) -> None:
        self._credentials = credentials

    async def load_credentials(self) -> SharedCredentials:
        return self._credentials


class _DataFiles(JSONFileLoader):
    """Reads of botocore's data what a client of ECR needs, into plain dicts: the garbage collector visits it as long as a client lives."""

    def load_file(self, file_path: str) -> Any:
        for ending, opened in ((".json", open), (".json.gz", gzip.open)):
            if Path(file_path + ending).is_file():
                with opened(file_path + ending, "rb") as file:
                    return _of_ecr(json.load(file))
        return None


def _of_ecr(data: dict[str, Any]) -> dict[str, Any]:
    """Leave other services' endpoints out of all partitions' (`endpoints.json`): some twenty thousand dicts."""
    for partition in data.get("partitions", ()):
        if "services" in partition:
            partition["services"] = {
                name: each for name, each in partition["services"].items() if name in _ENDPOINTS
            }
    return data


class _Loader(Loader):
    FILE_LOADER_CLASS = _DataFiles

    # A service has files of all types.
    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002
        """Return the services by their folders alone: botocore looks into each of four hundred, to make sure of one."""
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
