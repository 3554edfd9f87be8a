"""`SeenDigests`: the digests of an input that were seen, so that a repeat is checked only once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

STREAM_WINDOW = 10_000  # distinct digests, at least, among which a stream checks a repeat only once


class SeenDigests:
    """Distinct digests, in order.

    With a window, a digest is forgotten after `window` to twice as many other distinct ones.

    Attributes:
        spellings: The registry's spelling of a digest -> the caller's spelling. With a window, only
            the newest digests.
    """

    def __init__(self, window: int | None = None) -> None:
        self.spellings: dict[str, str] = {}
        self._older: dict[str, str] = {}
        self._window = window

    def add(self, digest: str, spelling: str) -> bool:
        """Add a digest; return whether it is new."""
        if digest in self.spellings or digest in self._older:
            return False
        self.spellings[digest] = spelling
        self._forget()
        return True

    def add_all(self, spellings: Mapping[str, str]) -> bool:
        """Add digests if each is new, and there is room for all; return whether they were added."""
        has_room = self._window is None or len(self.spellings) + len(spellings) <= self._window
        are_new = self.spellings.keys().isdisjoint(spellings) and (
            not self._older or self._older.keys().isdisjoint(spellings)
        )
        if has_room and are_new:
            self.spellings.update(spellings)
            self._forget()
        return has_room and are_new

    def _forget(self) -> None:
        if self._window is not None and len(self.spellings) == self._window:
            self._older, self.spellings = self.spellings, {}
