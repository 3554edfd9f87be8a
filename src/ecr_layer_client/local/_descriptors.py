"""What a test author may seed a registry with: a digest and a size, in the shape that is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

from ._manifest import DIGEST
from ._stored import DEFAULT_MEDIA_TYPE, StoredLayer


class DescriptorLike(Protocol):
    """Any object with a digest, a size and a media type, such as an OCI descriptor."""

    @property
    def digest(self) -> str:
        """The layer's digest."""
        ...

    @property
    def size(self) -> int | None:
        """The layer's size in bytes."""
        ...

    @property
    def media_type(self) -> str | None:
        """The layer's media type; None means the usual one of an image layer."""
        ...


Descriptor = tuple[str, int] | tuple[str, int, str | None] | Mapping[str, Any] | DescriptorLike


def stored_layer(descriptor: Descriptor) -> StoredLayer:
    """Return the layer that a descriptor describes. Raises ValueError that says what is wrong with it.

    >>> stored_layer(("sha256:AB", 5)).digest
    'sha256:ab'
    """
    digest, size, media_type = _parts(descriptor)
    if not isinstance(digest, str) or not DIGEST(digest):
        message = f"a descriptor needs a digest such as 'sha256:…' and a size: {descriptor!r:.200}"
        raise ValueError(message)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        message = f"the size of {digest!r:.200} must be a number of bytes, not {size!r:.200}"
        raise ValueError(message)
    return StoredLayer(digest.lower(), size, media_type or DEFAULT_MEDIA_TYPE)


def _parts(descriptor: Any) -> tuple[Any, Any, Any]:
    if isinstance(descriptor, Mapping):
        members = cast("Mapping[str, Any]", descriptor)
        return members.get("digest"), members.get("size"), members.get("mediaType")
    if hasattr(descriptor, "digest"):  # before tuples: a named one may have another order
        return descriptor.digest, getattr(descriptor, "size", None), getattr(descriptor, "media_type", None)
    match descriptor:
        case (digest, size):
            return digest, size, None
        case (digest, size, media_type):
            return digest, size, media_type
        case _:
            return None, None, None
