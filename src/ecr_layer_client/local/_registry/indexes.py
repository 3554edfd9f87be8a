"""Indexes of a repository, which spare reading all images: tags, references, digests. Pure.

Everything here follows from the images and tags of the repository, and is not saved.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

NONE: frozenset[str] = frozenset()


class Indexes:
    """The indexes of one repository.

    >>> indexes = Indexes()
    >>> indexes.add_image("sha256:b", ["sha256:layer"])
    >>> indexes.move_tag("latest", None, "sha256:b")
    >>> indexes.tags_of("sha256:b"), indexes.images_naming("sha256:layer")
    ({'latest'}, {'sha256:b'})
    """

    def __init__(self) -> None:
        """Start for an empty repository."""
        self._tags: dict[str, set[str]] = {}
        self._names: dict[str, set[str]] = {}
        self._digests: list[str] = []

    def tags_of(self, digest: str) -> AbstractSet[str]:
        """Return the tags of an image."""
        return self._tags.get(digest, NONE)

    def images_naming(self, digest: str) -> AbstractSet[str]:
        """Return the digests of the images that name a blob, a child or a subject."""
        return self._names.get(digest, NONE)

    def digests_from(self, start: str) -> Iterator[str]:
        """Yield the digests of the images in order, without those that sort before `start`."""
        for position in range(bisect_left(self._digests, start), len(self._digests)):
            yield self._digests[position]

    def move_tag(self, tag: str, before: str | None, after: str | None) -> None:
        """Move a tag from one image to another. None means no image."""
        if before is not None:
            _remove(self._tags, before, tag)
        if after is not None:
            self._tags.setdefault(after, set()).add(tag)

    def add_image(self, digest: str, names: Iterable[str]) -> None:
        """Add an image that names these digests."""
        insort(self._digests, digest)
        for name in names:
            self._names.setdefault(name, set()).add(digest)

    def remove_image(self, digest: str, names: Iterable[str]) -> None:
        """Remove an image that named these digests."""
        del self._digests[bisect_left(self._digests, digest)]
        for name in names:
            _remove(self._names, name, digest)


def _remove(sets: dict[str, set[str]], key: str, value: str) -> None:
    """Remove a value from a set, and the set with its last value."""
    sets[key].discard(value)
    if not sets[key]:
        del sets[key]
