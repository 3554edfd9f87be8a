"""Quote text from outside, so that it can neither forge a log line nor flood a message."""

from __future__ import annotations

from .redaction import redact

_MAX_QUOTED_CHARACTERS = 200
_MAX_LINE_CHARACTERS = 100
_MAX_MALFORMED_DIGEST_CHARACTERS = 40
_HEX_DIGITS_SHOWN = 12  # as Docker shows digests
_HEX_LENGTHS = (64, 128)  # of sha256 and sha512


def quoted(text: object) -> str:
    """Quote text that came from outside.

    Control characters and newlines are escaped. Text of more than 200 characters is truncated.
    """
    if isinstance(text, bytes):
        text = text[:_MAX_QUOTED_CHARACTERS]
    if not isinstance(text, str):
        return _truncated(redact(repr(text), _MAX_QUOTED_CHARACTERS + 1))
    return _truncated(repr(redact(text, _MAX_QUOTED_CHARACTERS + 1)))


def escaped(text: str) -> str:
    """Escape and truncate text as `quoted` does, but without quotes, for use in a sentence."""
    return _truncated(repr(redact(text, _MAX_QUOTED_CHARACTERS + 1))[1:-1])


def _truncated(shown: str) -> str:
    if len(shown) <= _MAX_QUOTED_CHARACTERS:
        return shown
    return f"{shown[:_MAX_QUOTED_CHARACTERS]}..."


def printable(text: str) -> str:
    r"""Return text on one line: if a character is not printable, escape the whole text.

    Example:
        >>> printable("café"), printable("two\nlines")
        ('café', 'two\\nlines')
    """
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def line(text: object, longest: int = _MAX_LINE_CHARACTERS) -> str:
    r"""Return text from outside as one line of bounded length, without secrets.

    Characters that are not printable are escaped.

    Example:
        >>> line("two\nlines"), line("too long", longest=3)
        ('two\\nlines', 'too...')
    """
    known = redact(str(text), longest + 1)
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in known
    )
    return shown if len(shown) <= longest else f"{shown[:longest]}..."


def short(digest: str) -> str:
    """Return the short form of a digest: its algorithm and its first twelve digits.

    A malformed digest is shown by its first 40 characters.

    Example:
        >>> short("sha256:" + "a" * 64), short("latest")
        ('sha256:aaaaaaaaaaaa...', 'latest')
    """
    algorithm, _, encoded = digest.partition(":")
    is_digest = len(encoded) in _HEX_LENGTHS and encoded.isalnum() and encoded.isascii()
    if not is_digest:
        return line(digest, _MAX_MALFORMED_DIGEST_CHARACTERS)
    return f"{line(algorithm, _HEX_DIGITS_SHOWN)}:{encoded[:_HEX_DIGITS_SHOWN]}..."
