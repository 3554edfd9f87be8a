"""`AWSKeys`: what a credentials provider gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from .errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class AWSKeys:
    """What a `CredentialsProvider` gives: keys to sign with.

    Its repr shows the access key's id alone.

    Attributes:
        access_key: The access key's id.
        secret_key: The secret access key.
        token: The session token of temporary keys. Default None.
        expires: When they end, with a time zone. Default None: never.

    Raises:
        InvalidInputError: A part is empty or no str, or `expires` has no time zone.

    Example:
        >>> AWSKeys("AKIAIOSFODNN7EXAMPLE", "a secret", "a token")
        AWSKeys(expires=None)
    """

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what can't be signed with."""
        for name in ("access_key", "secret_key", "token"):
            value = getattr(self, name)
            if not (isinstance(value, str) and value) and not (name == "token" and value is None):
                msg = f"AWSKeys {name}: a str that is not empty"
                raise InvalidInputError(msg)
        if self.expires is not None and (
            not isinstance(self.expires, datetime) or self.expires.utcoffset() is None
        ):
            msg = f"AWSKeys expires=<{type(self.expires).__name__}>: a datetime with a time zone, or None"
            raise InvalidInputError(msg)
