"""The caller's limiter, asked before each request, so that its exceptions end no call."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, cast

from ecr_layer_client._models.repository import account_of, service_of
from ecr_layer_client.protocols import Quota

if TYPE_CHECKING:
    from ecr_layer_client._models.repository import Repository
    from ecr_layer_client.protocols import Limiter

_log = logging.getLogger("ecr_layer_client")


class SharedLimit:
    """A limit that a client shares with other processes, if it has a limiter.

    Args:
        limiter: The limiter.
        scope: The account of repositories that name none.

    Attributes:
        is_on: Whether there is a limiter.
    """

    def __init__(self, limiter: Limiter | None, scope: str | None) -> None:
        self.is_on: bool = limiter is not None
        self._limiter = limiter
        self._scope = scope
        self._has_failed = False

    async def acquire(self, operation: str, repository: Repository, region_name: str) -> None:
        """Wait until the limiter, which there must be, allows a request."""
        limiter = cast("Limiter", self._limiter)
        try:
            account = account_of(repository) or self._scope
            quota = Quota(operation, account, region_name, service_of(repository).name)
            await limiter.acquire(quota)
        except Exception:  # noqa: BLE001 (the limiter is the caller's code, as an observer is)
            # The pacer still slows down where ECR throttles.
            if not self._has_failed:
                self._has_failed = True
                _log.exception("the limiter raised an exception; requests are sent without it")


NO_LIMIT = SharedLimit(None, None)
