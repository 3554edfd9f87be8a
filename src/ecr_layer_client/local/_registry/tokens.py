"""The passwords that GetAuthorizationToken returns, for requests to `/v2/`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from .errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable

LIFETIME_SECONDS = 12 * 3600  # ECR model: GetAuthorizationToken


class Tokens:
    """The passwords of one Region, each for one registry. `now` returns the time in epoch seconds.

    >>> tokens = Tokens(now=lambda: 0.0)
    >>> password, expires_at = tokens.issue("123456789012")
    >>> tokens.check(password, "123456789012")
    >>> expires_at
    43200.0
    """

    def __init__(self, now: Callable[[], float]) -> None:
        """Start without passwords."""
        self._now = now
        # Password -> registry and time of expiry, in the order of their issue.
        self._issued: dict[str, tuple[str, float]] = {}

    def issue(self, registry_id: str) -> tuple[str, float]:
        """Return a new password, and the time at which it expires."""
        expires_at = self._now() + LIFETIME_SECONDS
        password = secrets.token_urlsafe(24)
        self._issued[password] = registry_id, expires_at
        return password, expires_at

    def check(self, password: str, registry_id: str) -> None:
        """Check that a password is valid for a registry.

        Raises AwsError UnrecognizedClientException for an unknown password, ExpiredTokenException
        for an expired one, and AccessDeniedException for one of another registry.
        """
        issued = self._issued.get(password)
        if issued is None:
            code = "UnrecognizedClientException"
            raise AwsError(code, "Not Authorized")

        its_registry, expires_at = issued
        if expires_at <= self._now():
            code = "ExpiredTokenException"
            # The wording is quoted in public issues.
            message = "Your authorization token has expired. Reauthenticate and try again."
            raise AwsError(code, message)
        if its_registry != registry_id:
            code = "AccessDeniedException"
            message = (
                f"The authorization token is for the registry with id '{its_registry}', not for "
                f"the registry with id '{registry_id}'"
            )
            raise AwsError(code, message)
