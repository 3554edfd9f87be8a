"""Remove from a text what may be secret.

Secrets are what looks like keys, tokens, signatures or passwords, and what signs requests now.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Iterable

_REMOVED = "***"
_REST_REMOVED = "[the rest is left out, because it repeats what was signed]"

# The first characters of a secret, by which it is found in a text. No secret of AWS is shorter. A
# shorter secret, such as one of a test, could be any word, so it is not looked for.
_PREFIX_CHARACTERS = 16
# Most of ECR's responses have no word as long as a secret. Such a text needs no list of secrets.
_LONG_WORD = re.compile(rf"\S{{{_PREFIX_CHARACTERS}}}")
# The rest of a secret after its prefix, percent-encoded or not.
_AFTER_PREFIX = r"[\w+/=%.~-]*"

_USER_IN_URL = re.compile(r"//[^/?#\s]*@")
_BARE_SECRET = re.compile(
    # Access key ids.
    r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{12,}"
    # Session tokens, which begin with one of these in base64.
    r"|(?:FQoG|FwoG|IQoJ|AQoD)[\w+/=%-]{16,}"
    # Any other text that is as long as a session token and is not a digest.
    r"|(?<![\w+/=%-])(?=[A-Fa-f0-9_+/=%-]*[g-z])(?=[a-zA-F0-9_+/=%-]*[G-Z])[\w+/=%-]{200,}"
)
_NAMED_SECRET = re.compile(
    r"authorization|aws4-hmac|canonical.string|string.to.sign|security.?token(?! included)"
    r"|(?:credential|signature|secret[\W_]?(?:access[\W_]?)?key|access[-_]?key(?:[-_]?id)?"
    r"|session[\W_]?token)"
    r"""[\\"'\s]*(?:[:=>]|%(?:25)*3[AD])""",
    re.IGNORECASE,
)


class Sender(Protocol):
    """An object that sends signed requests."""

    def secrets(self) -> Iterable[str]:
        """Return the secrets in its last request."""
        ...


_senders: WeakSet[Sender] = WeakSet()


def leave_out_secrets_of(sender: Sender) -> None:
    """Remove the secrets of a sender from all texts, whatever they look like, while it exists."""
    _senders.add(sender)


def redact(text: str) -> str:
    """Return the text without what may be secret.

    Names and passwords in URLs are removed, and so is signed data, which AWS and proxies repeat in
    their responses.
    """
    text = _without_secrets_in_use(text)
    text = _USER_IN_URL.sub(f"//{_REMOVED}@", text)
    text = _BARE_SECRET.sub(_REMOVED, text)

    found = _NAMED_SECRET.search(text)
    return text if found is None else f"{text[: found.start()]}{_REST_REMOVED}"


def _without_secrets_in_use(text: str) -> str:
    senders = tuple(_senders) if _LONG_WORD.search(text) else ()
    prefixes = {
        secret[:_PREFIX_CHARACTERS]
        for sender in senders
        for secret in sender.secrets()
        if len(secret) >= _PREFIX_CHARACTERS
    }

    for prefix in prefixes:
        for spelled in {prefix, quote(prefix, safe="")}:
            if spelled in text:
                text = re.sub(re.escape(spelled) + _AFTER_PREFIX, _REMOVED, text)
    return text
