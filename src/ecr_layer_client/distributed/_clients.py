"""`Clients`: the open clients of one event loop, one for each of the credentials and Regions."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ecr_layer_client._client import ECRLayerClient
from ecr_layer_client._models.call_errors import CallError, CredentialsError
from ecr_layer_client._models.errors import InvalidInputError, copied
from ecr_layer_client._transport.options import identity_of

from ._redis_limiter import RedisLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable

    from ecr_layer_client._models.config import ClientConfig
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.protocols import CredentialsProvider, Limiter, Observer

# Each client has connections of its own, so a program that makes a provider for each repository
# would open thousands of them.
_MAX_PROVIDERS = 256  # for one account and Region, or for names alone
_ANY_REGION = "us-east-1"


@dataclass(frozen=True)
class ClientOptions:
    """The options of all clients.

    Raises:
        InvalidInputError: An option is not valid.
    """

    region_name: str | None
    endpoint_url: str | None
    config: ClientConfig
    credentials: CredentialsProvider | None
    credentials_for: Callable[[Repository], CredentialsProvider] | None
    observer: Observer | None
    limiter: Limiter | None

    def __post_init__(self) -> None:
        """Check the options where they are given, and not in a process far away."""
        self.client(self.credentials, self.region_name)
        if self.credentials_for is None:
            return
        if self.credentials is not None:
            msg = "credentials= can't be used with credentials_for=: pass only one of them"
            raise InvalidInputError(msg)
        if not callable(self.credentials_for):
            kind = type(self.credentials_for).__name__
            msg = (
                f"credentials_for=<{kind}> must be a function that takes a Repository and returns "
                "a credentials provider, such as AssumedRole"
            )
            raise InvalidInputError(msg)

    def provider_for(self, repository: Repository) -> CredentialsProvider | None:
        """Return the credentials provider for a repository."""
        if self.credentials_for is None:
            return self.credentials
        return self.credentials_for(repository)

    def client(
        self, credentials: CredentialsProvider | None, region_name: str | None
    ) -> ECRLayerClient:
        """Return a client that is not open."""
        return ECRLayerClient(
            region_name=region_name,
            endpoint_url=self.endpoint_url,
            credentials=credentials,
            config=self.config,
            observer=self.observer,
            limiter=self.limiter,
        )


class Clients:
    """The open clients of one event loop. A client is opened for the first repository."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._clients: dict[tuple[Hashable, str | None], ECRLayerClient] = {}
        self._providers: Counter[tuple[str | None, str | None]] = Counter()
        self._opening = asyncio.Lock()

    async def client_for(self, repository: Repository) -> ECRLayerClient | InvalidInputError:
        """Return the open client for a repository, or the error of its rows.

        Its rows have an error if the Region is unknown, or if `credentials_for` raises an
        InvalidInputError.

        Raises:
            InvalidInputError: No client can be opened in this process, for example because there
                is no Region, or the providers are too many.
            CredentialsError: The credential chain failed.
        """
        try:
            provider = self._options.provider_for(repository)
        except InvalidInputError as error:
            return error
        except Exception as error:
            error.add_note(f"credentials_for= was called with {repository}")
            raise
        region = repository.region or self._options.region_name
        key = identity_of(provider), region
        async with self._opening:
            if key not in self._clients:
                self._count_provider(repository)
                client = self._options.client(provider, region)
                try:
                    self._clients[key] = await client.open()
                except InvalidInputError as error:
                    if region == self._options.region_name:
                        raise
                    # If the AWS configuration is at fault, this raises the same error.
                    async with self._options.client(provider, _ANY_REGION):
                        return error
        return self._clients[key]

    def _count_provider(self, repository: Repository) -> None:
        place = repository.registry_id, repository.region
        self._providers[place] += 1
        if self._providers[place] > _MAX_PROVIDERS:
            msg = (
                f"credentials_for= returned more than {_MAX_PROVIDERS} different providers for "
                f"{_place(repository)}: for one account, always return the same "
                "provider, or equal ones such as AssumedRole"
            )
            raise InvalidInputError(msg)

    async def aclose(self) -> None:
        """Close the clients. Later, new ones are opened."""
        clients, self._clients = self._clients, {}
        self._providers.clear()
        for client in clients.values():
            await client.aclose()
        if isinstance(self._options.limiter, RedisLimiter):
            await self._options.limiter.aclose()


@contextmanager
def located_faults(repository: Repository) -> Generator[None, None, None]:
    """Add to an error of credentials which account and Region it is about.

    What an error keeps of the check is dropped, because the engine repeats all of it.
    """
    try:
        yield
    except CallError as error:
        own = cast("CallError", copied(error))
        own.partial = own.partials = None
        if isinstance(error, CredentialsError):
            own.args = (f"{error} (while checking {repository.name!r} of {_place(repository)})",)
        raise own from error.__cause__


def _place(repository: Repository) -> str:
    account = repository.registry_id or "of the caller"
    return f"account {account}, Region {repository.region or 'of the configuration'}"
