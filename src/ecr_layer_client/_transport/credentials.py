"""AWS credentials, found and refreshed once for all callers of a session.

botocore refreshes them inside each request that is being signed. When that fails, it tries again
for each request that waits.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Any, Self

from aiobotocore.credentials import AioCredentials
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError

from ecr_layer_client._models.call_errors import CredentialsError
from ecr_layer_client._models.keys import AWSKeys, refuse_unprintable
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client._text.redaction import leave_out_secrets_of

from .client_errors import (
    FETCH_TIMEOUT_SECONDS,
    credentials_error,
    redacted_cause,
    without_context,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from ecr_layer_client.protocols import CredentialsProvider

_REFRESH_AHEAD_SECONDS = 300.0  # before the keys of a provider expire
# A failure answers everybody who asks within this time, so that it is not repeated for each.
_FAILURE_REMEMBERED_SECONDS = 1.0
_ADVISORY_PAUSE_SECONDS = 10.0  # before a refresh that was only advised is tried again

_log = logging.getLogger("ecr_layer_client")


class Credentials:
    """The credentials of a caller's own session or client, which renews them itself.

    Args:
        client: The aiobotocore client that signs with them.

    Raises:
        CredentialsError: They are not valid.
    """

    # How often they were found: a request that AWS refused with one generation may pass with
    # the next.
    generation: int = 0

    def __init__(self, client: object) -> None:
        signer = getattr(client, "_request_signer", None)
        # These two private names of botocore are the only way to keys that a client signs with.
        self._keys: object = getattr(signer, "_credentials", None)
        refuse_unprintable(self._known())
        leave_out_secrets_of(self)

    def secrets(self) -> Iterator[str]:
        """Yield the parts of the keys, as far as they are known, to leave them out of texts."""
        return (part for part in self._known() if isinstance(part, str))

    def _known(self) -> ReadOnlyCredentials:
        # Keys that are refreshed have names with an underscore, and properties that raise.
        known = getattr(self._keys, "__dict__", {})
        names = ("access_key", "secret_key", "token")
        return ReadOnlyCredentials(*(known.get(name, known.get(f"_{name}")) for name in names))

    async def ready(self) -> None:
        """Have credentials, so that fetching them takes nothing from an attempt's time.

        Raises:
            CredentialsError: There are none, or they are not valid.
        """

    async def renew(self, generation: int) -> bool:  # noqa: ARG002 (nothing is renewed here)
        """Find credentials again, unless that was done since `generation`.

        Return False where they are the caller's own to renew.

        Raises:
            CredentialsError: There are none any more.
        """
        return False


class SharedCredentials(Credentials, AioCredentials):
    """The credentials of botocore's chain or of a provider, behind one lock.

    Keys that expire soon are refreshed while requests are signed with them.

    Args:
        load: Runs the chain from its start, or returns keys of the provider.
        limit: Seconds for that. Default `FETCH_TIMEOUT_SECONDS`; None where the keys have a limit.
    """

    def __init__(
        self, load: Callable[[], Awaitable[Any]], limit: float | None = FETCH_TIMEOUT_SECONDS
    ) -> None:
        AioCredentials.__init__(self, "", "", method="ecr-layer-client")
        leave_out_secrets_of(self)
        self._load = load
        self._limit = limit
        self._found: Any = None
        # Asking botocore's object again may refresh it again.
        self._keys: Any = None
        self._lock = asyncio.Lock()
        # Only the words: an exception that is kept would keep its frames.
        self._failure = ""
        self._failure_forgotten_at = 0.0
        self._ahead: asyncio.Task[None] | None = None
        self._next_refresh_at = 0.0

    async def load_credentials(self) -> Self:
        """Return itself: it takes the place of a session's credential chain."""
        return self

    async def get_frozen_credentials(self) -> Any:  # type: ignore[override]  # a synchronous stub
        """Return the keys to sign with; find or refresh them first where none are valid."""
        if self._is_due():
            if self._is_due(0):
                async with self._lock:
                    if self._is_due(0):
                        await self._fetch(self._refresh)
            elif self._ahead is None and self._now() >= self._next_refresh_at:
                self._ahead = asyncio.create_task(self._refresh_ahead())
        return self._keys

    async def ready(self) -> None:
        """Have credentials."""
        await self.get_frozen_credentials()

    async def renew(self, generation: int) -> bool:
        """Find credentials again, unless that was done since `generation`."""
        async with self._lock:
            if self.generation == generation:
                await self._fetch(self._find)
        return True

    async def aclose(self) -> None:
        """Cancel a refresh that is running."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.wait([self._ahead])

    def _is_due(self, ahead: int | None = None) -> bool:
        """Return whether there are no keys for `ahead` seconds. None: as early as is advised."""
        if self._found is None:
            return True
        # Keys that do not expire have no such method.
        needed = getattr(self._found, "refresh_needed", None)
        return needed is not None and needed(ahead)

    @without_context
    async def _fetch(self, fetch: Callable[[], Awaitable[object]]) -> None:
        if self._now() < self._failure_forgotten_at:
            raise CredentialsError(self._failure)

        try:
            async with asyncio.timeout(self._limit):
                await fetch()
        except Exception as error:  # noqa: BLE001 (a chain and a provider may raise anything)
            self._failure = str(credentials_error(error))
            self._failure_forgotten_at = self._now() + _FAILURE_REMEMBERED_SECONDS
            raise CredentialsError(self._failure) from redacted_cause(error)
        self._pause()

    async def _refresh_ahead(self) -> None:
        try:
            async with asyncio.timeout(self._limit):
                await self._refresh()
        except Exception as error:  # noqa: BLE001 (as above)
            words = quoted(words_of(error))
            _log.warning("AWS keys that expire soon could not be refreshed yet: %s", words)
        finally:
            self._ahead = None
            self._pause()

    def _pause(self) -> None:
        self._next_refresh_at = self._now() + _ADVISORY_PAUSE_SECONDS

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _refresh(self) -> None:
        found = self._found
        if found is None:
            await self._find()
            return

        keys = await found.get_frozen_credentials()
        # They may have been renewed while this waited.
        if self._found is found:
            refuse_unprintable(keys)
            self._keys = keys

    async def _find(self) -> None:
        found = await self._load()
        if found is None:
            raise NoCredentialsError
        keys = await found.get_frozen_credentials()
        refuse_unprintable(keys)
        self._keys, self._found = keys, found
        self.generation += 1


class ProvidedKeys:
    """A provider's keys in the shape of botocore's credentials: renewed before they expire."""

    def __init__(self, provider: CredentialsProvider) -> None:
        self._provider = provider
        self._expires_at = -inf  # on the event loop's clock

    def refresh_needed(self, refresh_in: int | None = None) -> bool:
        """Return whether the keys expire within so many seconds. Default None: five minutes."""
        left = self._expires_at - asyncio.get_running_loop().time()
        return left <= (_REFRESH_AHEAD_SECONDS if refresh_in is None else refresh_in)

    async def get_frozen_credentials(self) -> Any:
        """Ask the provider for keys."""
        deadline = asyncio.timeout(FETCH_TIMEOUT_SECONDS)
        try:
            async with deadline:
                keys = await self._provider()
        except Exception as error:
            words = words_of(error) if deadline.expired() else f"{type(error).__name__}: {error}"
            raise _no_keys(words) from error

        if not isinstance(keys, AWSKeys):
            words = f"it returned a {type(keys).__name__}, not AWSKeys"
            raise _no_keys(words)

        left = inf
        if keys.expires is not None:
            left = (keys.expires - datetime.now(UTC)).total_seconds()
        if left <= 0:
            words = f"it returned keys that expired {-left:.0f} s ago"
            raise _no_keys(words)

        self._expires_at = asyncio.get_running_loop().time() + left
        return ReadOnlyCredentials(keys.access_key, keys.secret_key, keys.token)


def _no_keys(words: str) -> CredentialsError:
    msg = f"the provider passed as credentials= did not return valid AWS keys: {quoted(words)}"
    return CredentialsError(msg)
