"""AWS credentials, found and refreshed once for all callers of a session.

botocore refreshes them inside each request that is being signed, and when that fails, once more for each request that waits.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from aiobotocore.credentials import AioCredentials
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError

from ._provider import FETCH_TIMEOUT, ProviderError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_FAILURE_REMEMBERED = 1.0  # seconds for which a failure answers all who ask, so that it is not tried once for each of them
_ADVISORY_PAUSE = 10.0  # seconds before a refresh that was only advised is tried again


class SharedCredentials(AioCredentials):
    """What a session's clients sign with: the credentials of botocore's chain, behind one lock.

    Args:
        load: Runs the chain from its start, or asks the caller's provider.
        limit: Seconds for that. Default `FETCH_TIMEOUT`; None where it has one of its own.

    Attributes:
        generation: How often the chain was run; what was refused with one generation may pass with the next.
    """

    def __init__(self, load: Callable[[], Awaitable[Any]], limit: float | None = FETCH_TIMEOUT) -> None:
        super().__init__("", "", method="ecr-layer-client")
        self.generation = 0
        self._load = load
        self._limit = limit
        self._found: Any = None
        self._frozen: Any = None  # what is asked of botocore's object again, it may refresh again
        self._lock = asyncio.Lock()
        self._failure: Callable[[], Exception] | None = None  # made of its words alone: a kept exception would keep its frames
        self._rests_until = 0.0

    async def get_frozen_credentials(self) -> Any:  # type: ignore[override]  # the stub's base is the synchronous one
        """Return the keys to sign with, found or refreshed first where that is due.

        Raises:
            BotoCoreError: There are none, or the refresh failed.
        """
        if self._is_due():
            async with self._lock:
                if self._is_due():
                    await self._fetch(self._freshen)
        return self._frozen

    async def renew(self, generation: int) -> bool:
        """Run the chain again, unless that was done since `generation`; say whether there is something new to sign with.

        Raises:
            BotoCoreError: There are no credentials any more.
        """
        async with self._lock:
            if self.generation == generation:
                await self._fetch(self._find)
        return True

    def _is_due(self) -> bool:
        if self._found is None:
            return True
        needed = getattr(self._found, "refresh_needed", None)
        return needed is not None and needed() and not (self._failure is None and self._is_resting())

    def _is_resting(self) -> bool:
        return asyncio.get_running_loop().time() < self._rests_until

    async def _fetch(self, fetch: Callable[[], Awaitable[object]]) -> None:
        if self._failure is not None and self._is_resting():
            raise self._failure()
        try:
            async with asyncio.timeout(self._limit):
                await fetch()
        except Exception as error:
            self._failure = _again(error)
            self._rest(_FAILURE_REMEMBERED)
            raise
        self._failure = None
        self._rest(_ADVISORY_PAUSE)

    def _rest(self, seconds: float) -> None:
        self._rests_until = asyncio.get_running_loop().time() + seconds

    async def _freshen(self) -> None:
        if self._found is None:
            await self._find()
        else:
            self._frozen = await self._found.get_frozen_credentials()

    async def _find(self) -> None:
        found = await self._load()
        if found is None:
            raise NoCredentialsError
        self._frozen = await found.get_frozen_credentials()
        self._found = found
        self.generation += 1


def _again(error: Exception) -> Callable[[], Exception]:
    if isinstance(error, ProviderError):
        return partial(ProviderError, error.words)
    return partial(CredentialRetrievalError, provider="chain", error_msg=str(error) or f"no answer within {FETCH_TIMEOUT:.0f} s")
