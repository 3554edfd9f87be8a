"""Text from outside, quoted so that it can neither forge a line nor flood a message."""

from __future__ import annotations

from .redaction import redact

_TEXT_LIMIT = 200


def quoted(text: object) -> str:
    """Quote text that came from outside, so that it can neither forge a line nor flood a message.

    Control characters and newlines come out escaped; what is longer than 200 characters is cut.
    """
    return _cut(
        repr(redact(text)[: _TEXT_LIMIT + 1]) if isinstance(text, str) else redact(repr(text))
    )


def escaped(text: str) -> str:
    """Return text that came from outside escaped and cut as `quoted` does, without quotes: for words within a sentence."""
    return _cut(repr(redact(text)[: _TEXT_LIMIT + 1])[1:-1])


def _cut(shown: str) -> str:
    return shown if len(shown) <= _TEXT_LIMIT else f"{shown[:_TEXT_LIMIT]}..."


_LONGEST = 100  # characters of one text from outside
_LONGEST_READ = 10_000  # of which so many are looked at
_LONGEST_ODD_DIGEST = 40
_HEX_SHOWN = 12  # as Docker shows digests
_HEX_LENGTHS = (64, 128)  # of sha256 and sha512


def printable(text: str) -> str:
    r"""Return text on one line: where any of it does not print, all of that is escaped.

    Example:
        >>> printable("café"), printable("two\nlines")
        ('café', 'two\\nlines')
    """
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def line(text: object, longest: int = _LONGEST) -> str:
    r"""Return text from outside as one line of bounded length, without secrets.

    What does not print is escaped.

    Example:
        >>> line("two\nlines"), line("too long", longest=3)
        ('two\\nlines', 'too...')
    """
    known = redact(str(text)[:_LONGEST_READ])[: longest + 1]
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in known
    )
    return shown if len(shown) <= longest else f"{shown[:longest]}..."


def short(digest: str) -> str:
    """Return a digest as people tell it from others: its algorithm and twelve digits.

    Of what is no digest, the beginning.

    Example:
        >>> short("sha256:" + "a" * 64), short("latest")
        ('sha256:aaaaaaaaaaaa...', 'latest')
    """
    algorithm, _, encoded = digest.partition(":")
    is_digest = len(encoded) in _HEX_LENGTHS and encoded.isalnum() and encoded.isascii()
    return (
        f"{line(algorithm, _HEX_SHOWN)}:{encoded[:_HEX_SHOWN]}..."
        if is_digest
        else line(digest, _LONGEST_ODD_DIGEST)
    )
