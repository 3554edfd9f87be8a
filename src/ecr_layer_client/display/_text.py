"""Text for people: what came from outside on one line of bounded length, digests, shares."""

from __future__ import annotations

from ecr_layer_client._secrets import scrubbed
from ecr_layer_client.images._plan import human_bytes

_LONGEST = 100  # characters of one text from outside
_LONGEST_READ = 10_000  # of which so many are looked at
_LONGEST_ODD_DIGEST = 40
_HEX_SHOWN = 12  # as Docker shows digests
_HEX_LENGTHS = (64, 128)  # of sha256 and sha512


def line(text: object, longest: int = _LONGEST) -> str:
    r"""Return text from outside as one line of bounded length, without secrets; what does not print is escaped.

    Example:
        >>> line("two\nlines"), line("too long", longest=3)
        ('two\\nlines', 'too...')
    """
    known = scrubbed(str(text)[:_LONGEST_READ])[: longest + 1]
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in known)
    return shown if len(shown) <= longest else f"{shown[:longest]}..."


def short(digest: str) -> str:
    """Return a digest as people tell it from others: its algorithm and twelve digits; of what is no digest, the beginning.

    Example:
        >>> short("sha256:" + "a" * 64), short("latest")
        ('sha256:aaaaaaaaaaaa...', 'latest')
    """
    algorithm, _, encoded = digest.partition(":")
    is_digest = len(encoded) in _HEX_LENGTHS and encoded.isalnum() and encoded.isascii()
    return f"{line(algorithm, _HEX_SHOWN)}:{encoded[:_HEX_SHOWN]}..." if is_digest else line(digest, _LONGEST_ODD_DIGEST)


class Bytes(int):
    """A number of bytes, in a cell that shows it as people read it.

    Example:
        >>> cell_text(Bytes(1_234_567)), cell_text(1_234_567), cell_text("a text")
        ('1.2 MB', '1,234,567', 'a text')
    """

    __slots__ = ()


def cell_text(cell: str | int) -> str:
    """Return what a cell shows."""
    if isinstance(cell, str):
        return cell
    return human_bytes(cell) if isinstance(cell, Bytes) else f"{cell:,}"


def share(part: int, whole: int) -> str:
    """Return a share in whole percents; what is neither nothing nor all never looks so.

    Example:
        >>> share(1, 3), share(1, 1000), share(999, 1000), share(3, 3)
        ('33 %', 'under 1 %', 'over 99 %', '100 %')
    """
    percents = 100 * part / whole
    return "under 1 %" if 0 < percents < 1 else "over 99 %" if 99 < percents < 100 else f"{percents:.0f} %"  # noqa: PLR2004 (percents)


def counted(count: int, one: str) -> str:
    """Return a number and what it counts, in the plural where it is not one.

    Example:
        >>> counted(1, "blob"), counted(1200, "repository")
        ('1 blob', '1,200 repositories')
    """
    many = f"{one[:-1]}ies" if one.endswith("y") else f"{one}s"
    return f"{count:,} {one if count == 1 else many}"
