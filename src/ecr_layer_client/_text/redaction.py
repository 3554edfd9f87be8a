"""What may be secret is left out of a text: what looks like keys, tokens, signatures and passwords, and what is in use now."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Iterable

_LEFT_OUT = "***"
# Characters of a secret by which it is found; AWS's have no fewer, and a shorter one, as of a test,
# may be any word.
_TOLD_APART = 16
_LONG_WORD = re.compile(
    rf"\S{{{_TOLD_APART}}}"
)  # most of ECR's answers have none, and then no sender need be asked
_RUN = r"[\w+/=%.~-]*"  # the rest of it, percent-encoded or not
_USER_IN_URL = re.compile(r"//[^/?#\s]*@")
_BARE = re.compile(
    r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{12,}"  # ids of access keys
    r"|(?:FQoG|FwoG|IQoJ|AQoD)[\w+/=%-]{16,}"  # session tokens, as their base64 begins
    # What is as long as one, and no digest.
    r"|(?<![\w+/=%-])(?=[A-Za-f0-9_+/=%-]*[g-z])(?=[a-zA-F0-9_+/=%-]*[G-Z])[\w+/=%-]{200,}"
)
_NAMED = re.compile(
    r"authorization|aws4-hmac|canonical.string|string.to.sign|security.?token(?! included)"
    r"|(?:credential|signature|secret[\W_]?(?:access[\W_]?)?key|access[-_]?key(?:[-_]?id)?|session[\W_]?token)"
    r"""[\\"'\s]*(?:[:=>]|%(?:25)*3[AD])""",
    re.IGNORECASE,
)


class Sender(Protocol):
    """What sends signed requests."""

    def secrets(self) -> Iterable[str]:
        """Return what of its last request nobody may see."""
        ...


_senders: WeakSet[Sender] = WeakSet()


def leave_out_secrets_of(sender: Sender) -> None:
    """Leave what it sends out of all texts while it lives, whatever it looks like there."""
    _senders.add(sender)


def redact(text: str) -> str:
    """Leave out what may be secret: names and passwords in URLs, and what was signed, which AWS and proxies repeat in their answers."""
    senders = tuple(_senders) if _LONG_WORD.search(text) else ()
    for begin in {
        secret[:_TOLD_APART]
        for sender in senders
        for secret in sender.secrets()
        if len(secret) >= _TOLD_APART
    }:
        for spelled in {begin, quote(begin, safe="")}:
            if spelled in text:
                text = re.sub(re.escape(spelled) + _RUN, _LEFT_OUT, text)
    text = _BARE.sub(_LEFT_OUT, _USER_IN_URL.sub(f"//{_LEFT_OUT}@", text))
    found = _NAMED.search(text)
    return (
        text
        if found is None
        else f"{text[: found.start()]}[the rest is left out: it repeats what was signed]"
    )
