"""A caller's own provider of AWS keys, such as those of an assumed role."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Any, Self

from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import CredentialRetrievalError

from ecr_layer_client._models.keys import AWSKeys

if TYPE_CHECKING:
    from ecr_layer_client.protocols import CredentialsProvider

FETCH_TIMEOUT = 60.0  # seconds that finding or refreshing credentials may take
_AHEAD = 300.0  # seconds before their end that keys are renewed


class ProviderError(CredentialRetrievalError):
    """A caller's provider gave no keys.

    Attributes:
        words: What it said, or what was wrong with what it gave.
    """

    def __init__(self, words: str) -> None:
        super().__init__(provider="credentials=", error_msg=words)
        self.words = words


class ProvidedKeys:
    """A caller's provider in the shape in which botocore's chain gives credentials: keys that are renewed ahead of their expiry."""

    def __init__(self, provider: CredentialsProvider) -> None:
        self._provider = provider
        self._frozen: Any = None
        self._expires_at = inf  # on the event loop's clock

    @classmethod
    async def of(cls, provider: CredentialsProvider) -> Self:
        """Ask the provider.

        Raises:
            ProviderError: It gave no keys.
        """
        keys = cls(provider)
        await keys._ask()
        return keys

    def refresh_needed(self, refresh_in: int | None = None) -> bool:
        """Say whether the keys end within so many seconds. Default None: within five minutes."""
        left = self._expires_at - asyncio.get_running_loop().time()
        return left <= (_AHEAD if refresh_in is None else refresh_in)

    async def get_frozen_credentials(self) -> Any:
        """Return the keys, renewed first where they end soon.

        Raises:
            ProviderError: The provider gave no others.
        """
        if self.refresh_needed():
            await self._ask()
        return self._frozen

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                keys = await self._provider()
        except TimeoutError as error:
            words = f"no answer within {FETCH_TIMEOUT:.0f} s"
            raise ProviderError(words) from error
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
            raise ProviderError(words) from error
        if not isinstance(keys, AWSKeys):
            words = f"it gave a {type(keys).__name__}, not AWSKeys"
            raise ProviderError(words)
        left = inf if keys.expires is None else (keys.expires - datetime.now(UTC)).total_seconds()
        if left <= 0:
            words = f"it gave keys that ended {-left:.0f} s ago"
            raise ProviderError(words)
        self._expires_at = asyncio.get_running_loop().time() + left
        self._frozen = ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token)
