"""Chains and providers of credentials that take time, fail, and count how often they run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiobotocore.credentials import AioCredentials
from botocore.credentials import ReadOnlyCredentials

if TYPE_CHECKING:
    from ecr_layer_client._transport.credentials import SharedCredentials

KEYS = ("local-ecr-access-key", "local-ecr-secret-key")


def keys_of(access_key: str = KEYS[0]) -> AioCredentials:
    """Return credentials that do not expire."""
    return AioCredentials(access_key, KEYS[1])


class Chain:
    """A credential chain that takes a second, and gives or raises one thing after another.

    The last thing is given from then on.
    """

    def __init__(self, *found: Any, takes: float = 1.0) -> None:
        self.runs = 0
        self._found = list(found)
        self._takes = takes

    async def __call__(self) -> Any:
        """Run the chain."""
        self.runs += 1
        await asyncio.sleep(self._takes)
        found = self._found.pop(0) if len(self._found) > 1 else self._found[0]
        if isinstance(found, Exception):
            raise found
        return found


class Refreshable:
    """Credentials that expire. A refresh takes a second, and may fail."""

    def __init__(self) -> None:
        self.seconds_left = 3600.0
        self.secret_key = KEYS[1]
        self.refreshes = 0
        self.takes = 1.0
        self.error: Exception | None = None

    def refresh_needed(self, refresh_in: int | None = None) -> bool:
        """Return whether the keys expire within so many seconds, as botocore does."""
        return self.seconds_left < (900 if refresh_in is None else refresh_in)

    async def get_frozen_credentials(self) -> Any:
        """Return the keys; refresh them first where that is due."""
        if self.refresh_needed():
            self.refreshes += 1
            await asyncio.sleep(self.takes)
            if self.error is not None:
                raise self.error
            self.seconds_left = 3600.0
        return ReadOnlyCredentials(f"key-{self.refreshes}", self.secret_key, None)


async def found_by_all(credentials: SharedCredentials) -> set[str]:
    """Return what 100 callers at once get: ids of keys, or words of errors."""
    callers = (credentials.get_frozen_credentials() for _ in range(100))
    found = await asyncio.gather(*callers, return_exceptions=True)
    return {str(keys) if isinstance(keys, BaseException) else keys.access_key for keys in found}
