"""`AWSKeys`: the keys that a credentials provider returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn

from .call_errors import CredentialsError
from .errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class AWSKeys:
    """The keys that a `CredentialsProvider` returns. The repr shows none of them.

    They can't be pickled or copied.

    Attributes:
        access_key: The access key id.
        secret_key: The secret access key.
        token: The session token of temporary keys. Default None.
        expires: When the keys expire, with a time zone. Default None: never.

    Raises:
        InvalidInputError: A key is empty or not a str, or `expires` has no time zone.
        CredentialsError: A key has a character that AWS keys never have, such as a newline.

    Example:
        >>> AWSKeys("AKIAIOSFODNN7EXAMPLE", "a secret", "a token")
        AWSKeys(expires=None)
    """

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires: datetime | None = None

    def __post_init__(self) -> None:
        """Check that requests can be signed with the keys."""
        for name in ("access_key", "secret_key", "token"):
            value = getattr(self, name)
            is_optional = name == "token" and value is None
            if not is_optional and not (isinstance(value, str) and value):
                msg = f"AWSKeys {name} must be a str that is not empty"
                raise InvalidInputError(msg)
        refuse_unprintable(self)

        is_datetime = isinstance(self.expires, datetime)
        if self.expires is not None and not (is_datetime and self.expires.utcoffset() is not None):
            kind = type(self.expires).__name__
            msg = f"AWSKeys expires=<{kind}> must be a datetime with a time zone, or None"
            raise InvalidInputError(msg)

    def __reduce__(self) -> NoReturn:
        """Raise TypeError, because keys must not leave the process."""
        msg = (
            "AWS keys can't be pickled, so that they don't leave this process: pass a credentials "
            "provider, such as AssumedRole, which gets keys where they are used"
        )
        raise TypeError(msg)


def refuse_unprintable(keys: object) -> None:
    """Refuse keys that can't be in a header or in a signature.

    Raises:
        CredentialsError: A part has a control character or an unpaired surrogate.
    """
    for name in ("access_key", "secret_key", "token"):
        value = getattr(keys, name, None)
        if isinstance(value, str) and not value.isprintable():
            msg = (
                f"the AWS keys are not valid: {name} has a character that can't be printed, "
                "such as a newline at its end; remove this character where you set the keys"
            )
            raise CredentialsError(msg)
