"""AWS credentials, found and refreshed once for all callers of a session.

botocore refreshes them inside each request that is being signed, and when that fails, once more for
each request that waits.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from aiobotocore.credentials import AioCredentials
from botocore.exceptions import BotoCoreError, CredentialRetrievalError, NoCredentialsError

from ecr_layer_client._text.quoting import quoted

from .provider import FETCH_TIMEOUT, ProviderError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# Seconds for which a failure answers all who ask, so that it is not tried once for each of them.
_FAILURE_REMEMBERED = 1.0
_ADVISORY_PAUSE = 10.0  # seconds before a refresh that was only advised is tried again

_log = logging.getLogger("ecr_layer_client")


class SharedCredentials(AioCredentials):
    """What a session's clients sign with: the credentials of botocore's chain, behind one lock.

    Keys that end soon are refreshed while requests are signed with them; nobody waits for new ones
    before they have ended.

    Args:
        load: Runs the chain from its start, or asks the caller's provider.
        limit: Seconds for that. Default `FETCH_TIMEOUT`; None where it has one of its own.

    Attributes:
        generation: How often the chain was run; what was refused with one generation may pass with
            the next.
    """

    def __init__(
        self, load: Callable[[], Awaitable[Any]], limit: float | None = FETCH_TIMEOUT
    ) -> None:
        super().__init__("", "", method="ecr-layer-client")
        self.generation = 0
        self._load = load
        self._limit = limit
        self._found: Any = None
        self._frozen: Any = None  # what is asked of botocore's object again, it may refresh again
        self._lock = asyncio.Lock()
        self._failure: Callable[[], Exception] | None = (
            None  # made of its words alone: a kept exception would keep its frames
        )
        self._forgotten_at = 0.0  # when that failure answers nobody any more
        self._ahead: asyncio.Task[None] | None = None
        self._rests_until = 0.0

    # The stub's base is the synchronous one.
    async def get_frozen_credentials(self) -> Any:  # type: ignore[override]
        """Return the keys to sign with, found or refreshed first where there are none that hold.

        Raises:
            BotoCoreError: There are none, or the refresh failed.
        """
        if self._is_due():
            if self._is_due(0):
                async with self._lock:
                    if self._is_due(0):
                        await self._fetch(self._freshen)
            elif self._ahead is None and self._now() >= self._rests_until:
                self._ahead = asyncio.create_task(self._freshen_ahead())
        return self._frozen

    async def renew(self, generation: int) -> bool:
        """Run the chain again, unless that was done since `generation`.

        Say whether there is something new to sign with.

        Raises:
            BotoCoreError: There are no credentials any more.
        """
        async with self._lock:
            if self.generation == generation:
                await self._fetch(self._find)
        return True

    async def aclose(self) -> None:
        """End a refresh that is under way."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.wait([self._ahead])

    def _is_due(self, ahead: int | None = None) -> bool:
        """Say whether there is nothing to sign with `ahead` seconds from now.

        None: as early as the keys' own kind refreshes them.
        """
        if self._found is None:
            return True
        needed = getattr(self._found, "refresh_needed", None)  # keys that do not end have none
        return needed is not None and needed(ahead)

    async def _fetch(self, fetch: Callable[[], Awaitable[object]]) -> None:
        if self._failure is not None and self._now() < self._forgotten_at:
            raise self._failure()
        try:
            async with asyncio.timeout(self._limit):
                await fetch()
        except Exception as error:
            self._failure = _again(error)
            self._forgotten_at = self._now() + _FAILURE_REMEMBERED
            if isinstance(error, BotoCoreError):
                raise
            raise self._failure() from error
        self._failure = None
        self._rest()

    async def _freshen_ahead(self) -> None:
        try:
            async with asyncio.timeout(self._limit):
                await self._freshen()
        except Exception as error:  # noqa: BLE001 (a chain and a provider may raise anything)
            _log.warning(
                "AWS keys that end soon could not be refreshed yet: %s",
                quoted(str(_again(error)())),
            )
        finally:
            self._ahead = None
            self._rest()

    def _rest(self) -> None:
        self._rests_until = self._now() + _ADVISORY_PAUSE

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _freshen(self) -> None:
        found = self._found
        if found is None:
            await self._find()
            return
        frozen = await found.get_frozen_credentials()
        if self._found is found:  # and not renewed meanwhile
            self._frozen = frozen

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
    return partial(
        CredentialRetrievalError,
        provider="chain",
        error_msg=str(error) or f"no answer within {FETCH_TIMEOUT:.0f} s",
    )
