"""Remove from a text what may be secret.

Secrets are what looks like keys, tokens, signatures or passwords, and what signs requests now.
"""

from __future__ import annotations

import re
from string import hexdigits
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Iterable

_REMOVED = "***"
_REST_REMOVED = "[the rest is left out, because it repeats what was signed]"

# Of a longer text only so much more than what is shown is read, so that a huge one costs little.
_CHARACTERS_READ_BEYOND = 4000
# At the end of what is read, a secret may be cut to a part that looks harmless.
_CUT_SECRET_CHARACTERS = 1000

# The first characters of a secret, by which it is found in a text. No secret of AWS is shorter. A
# shorter secret, such as one of a test, could be any word, so it is not looked for.
_PREFIX_CHARACTERS = 16
# Most of ECR's responses have no word as long as a secret, so nothing needs to be looked for.
_LONG_WORD = re.compile(rf"\S{{{_PREFIX_CHARACTERS}}}")
# The rest of a secret after its prefix, percent-encoded or not.
_AFTER_PREFIX = r"(?:[\w+/=%.~-]|\\/)*"

_USER_IN_URL = re.compile(r"//[^/?#\s]*@")
_BARE_SECRET = re.compile(
    # Access key ids.
    r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{12,}"
    # Session tokens, which begin with one of these in base64.
    r"|(?:FQoG|FwoG|IQoJ|AQoD)[\w+/=%-]{16,}"
    # Any other text that is as long as a session token and is not a digest.
    r"|(?<![\w+/=%-])(?=[A-Fa-f0-9_+/=%-]*[g-z])(?=[a-zA-F0-9_+/=%-]*[G-Z])[\w+/=%-]{200,}"
)
# A secret access key: 40 characters of base64, with "/" and "+" escaped or not.
_KEY_CHARACTER = r"(?:[A-Za-z0-9+]|\\?/|%2[BbFf])"
_LIKE_A_KEY = re.compile(rf"(?<![A-Za-z0-9+/]){_KEY_CHARACTER}{{40}}(?!{_KEY_CHARACTER})")
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


def redact(text: str, longest: int) -> str:
    """Return the first `longest` characters of a text, without what may be secret.

    Names and passwords in URLs are removed, and so is signed data, which AWS and proxies repeat in
    their responses.
    """
    known = read = text[: longest + _CHARACTERS_READ_BEYOND]
    if _LONG_WORD.search(read):
        known = _without_secrets_in_use(read)
        known = _BARE_SECRET.sub(_REMOVED, known)
        known = _LIKE_A_KEY.sub(_without_key, known)
    known = _USER_IN_URL.sub(f"//{_REMOVED}@", known)

    found = _NAMED_SECRET.search(known)
    if found is not None:
        known = f"{known[: found.start()]}{_REST_REMOVED}"
    elif len(read) < len(text):
        known = known[:-_CUT_SECRET_CHARACTERS]
    return known[:longest]


def _without_key(found: re.Match[str]) -> str:
    """Return what stands for 40 characters of base64.

    All of a random key is hardly ever in one letter case, without a digit, or hexadecimal.
    """
    run = unquote(found[0])
    kinds = (str.islower, str.isupper, str.isdigit)
    is_mixed = all(any(map(kind, run)) for kind in kinds) and not set(run) <= set(hexdigits)
    return _REMOVED if is_mixed else found[0]


def _without_secrets_in_use(text: str) -> str:
    prefixes = {
        secret[:_PREFIX_CHARACTERS]
        for sender in tuple(_senders)
        for secret in sender.secrets()
        if len(secret) >= _PREFIX_CHARACTERS
    }

    for prefix in prefixes:
        for spelled in {prefix, quote(prefix, safe=""), prefix.replace("/", r"\/")}:
            if spelled in text:
                text = re.sub(re.escape(spelled) + _AFTER_PREFIX, _REMOVED, text)
    return text
