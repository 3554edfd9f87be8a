"""Places that hold the bytes of blobs, and a reader that verifies the bytes as it reads them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import escaped, quoted

from ._descriptor import Descriptor, digest_of, hash_of
from ._files import CANNOT_BE_READ, HEAD, File, why
from ._manifest import MAX_MANIFEST_BYTES

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable, Iterable

    from typing_extensions import Buffer

    from ._files import Files


class Blobs(Protocol):
    """A place that holds blobs by digest."""

    @property
    def name(self) -> str:
        """The name of the place in messages."""
        ...

    def find(self, digest: str) -> File | None:
        """Return a blob, or None if the place does not have it."""
        ...

    def why_missing(self, digest: str) -> str:
        """Return the reason why `find` finds no blob, for a message."""
        ...


class FileBlobs:
    """The blobs of a directory or an archive, one file each.

    Args:
        files: The files. Their names are those of an OCI layout, unless `add` gives others.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._names: dict[str, str] = {}
        self.name = files.name

    def add(self, digest: str, name: str) -> None:
        """Give a blob another name than that of an OCI layout."""
        self._names[digest] = name

    def find(self, digest: str) -> File | None:
        """Return a blob, or None if it is absent or is not a regular file."""
        return self._files.find(self._name_of(digest))

    def why_missing(self, digest: str) -> str:
        """Return the reason why `find` finds no blob, for a message."""
        return self._files.why_missing(self._name_of(digest))

    def _name_of(self, digest: str) -> str:
        return self._names.get(digest) or f"blobs/{digest.replace(':', '/', 1)}"


class ManifestsAlone:
    """Manifests by digest, without the blobs that they name.

    Args:
        name: The name of the place, for messages.
        manifests: The bytes of each manifest.
        make: Makes a blob that they name, for a push. Default None: nobody has the blobs.
    """

    def __init__(
        self,
        name: str,
        manifests: Iterable[bytes],
        make: Callable[[Descriptor], object] | None = None,
    ) -> None:
        self._manifests = {digest_of(data): data for data in manifests}
        self.name = name
        self.make = make

    def find(self, digest: str) -> File | None:
        """Return a manifest, or None if the digest is not that of one of the manifests."""
        data = self._manifests.get(digest)
        return (
            None if data is None else File(digest, len(data), lambda: io.BytesIO(data), data[:HEAD])
        )

    def why_missing(self, digest: str) -> str:  # noqa: ARG002 (of the protocol)
        """Return the reason why `find` finds no manifest, for a message."""
        return "this source has only manifests: use a layout or an archive with the blobs"


class VerifyingReader(io.RawIOBase):
    """A reader that verifies a blob's bytes before it returns the last of them.

    Args:
        file: The file to read the bytes from. The reader closes it.
        digest: The digest of the blob.
        hashing: A new hash object for the algorithm of the digest.
        size: The number of bytes of the blob.
        name: The name of the place that holds the blob, for messages.
    """

    def __init__(
        self, file: BinaryIO, digest: str, hashing: hashlib._Hash, size: int, name: str
    ) -> None:
        super().__init__()
        self._file = file
        self._digest = digest
        self._hash = hashing
        self._left = size
        self._name = name
        self._is_verified = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Read some bytes into a buffer.

        Raises:
            InvalidInputError: The bytes do not match the digest, or they end too early.
        """
        view = memoryview(buffer).cast("B")
        try:
            data = self._file.read(min(len(view), self._left))
        except CANNOT_BE_READ as error:
            msg = f"{self._name}: {self._digest} can't be read: {why(error)}"
            raise InvalidInputError(msg) from error

        if not data and self._left and len(view):
            msg = f"{self._name}: {self._digest} is truncated: {self._left} bytes are missing"
            raise InvalidInputError(msg)

        view[: len(data)] = data
        self._left -= len(data)
        self._hash.update(data)
        if not self._left and not self._is_verified:
            self._verify()
        return len(data)

    def _verify(self) -> None:
        found = f"{self._hash.name}:{self._hash.hexdigest()}"
        if found != self._digest:
            msg = (
                f"{self._name}: the content of {self._digest} has the digest {found}: "
                "it was changed or truncated"
            )
            raise InvalidInputError(msg)

        self._is_verified = True

    def close(self) -> None:
        """Close the reader and its file."""
        self._file.close()
        super().close()


def open_verified(blobs: Blobs, descriptor: Descriptor) -> BinaryIO:
    """Open a blob. Reading it to its end verifies it.

    Raises:
        InvalidInputError: The blob does not exist, can't be opened or verified, or its size differs
            from the descriptor's.
    """
    found = located(blobs, descriptor)
    hashing = hash_of(descriptor.digest, blobs.name)

    try:
        file = found.open()
    except CANNOT_BE_READ as error:
        msg = f"{blobs.name}: {descriptor.digest} can't be opened: {why(error)}"
        raise InvalidInputError(msg) from error

    reader = VerifyingReader(file, descriptor.digest, hashing, found.size, blobs.name)
    return cast("BinaryIO", io.BufferedReader(reader))


def located(blobs: Blobs, descriptor: Descriptor) -> File:
    """Return a blob that must exist.

    Raises:
        InvalidInputError: The blob does not exist, or its size differs from the descriptor's.
    """
    found = blobs.find(descriptor.digest)
    if found is None:
        kind = quoted(descriptor.media_type or "a layer")
        kind += f" for {escaped(str(descriptor.platform))}" if descriptor.platform else ""
        reason = blobs.why_missing(descriptor.digest)
        msg = (
            f"{blobs.name}: {descriptor.digest} is missing, but a manifest lists it "
            f"({kind}): {reason}"
        )
        raise InvalidInputError(msg)
    if descriptor.size not in {None, found.size}:
        msg = (
            f"{blobs.name}: {descriptor.digest} has {found.size} bytes, "
            f"but its descriptor says {descriptor.size}"
        )
        raise InvalidInputError(msg)
    return found


def read_manifest_bytes(blobs: Blobs, descriptor: Descriptor) -> bytes:
    """Return the verified bytes of a blob that is a manifest or a config.

    Raises:
        InvalidInputError: The blob does not exist, does not match its descriptor, or is longer than
            a manifest may be.
    """
    size = located(blobs, descriptor).size
    if size > MAX_MANIFEST_BYTES:
        msg = (
            f"{blobs.name}: {descriptor.digest} has {size} bytes, "
            f"but a manifest has at most {MAX_MANIFEST_BYTES} (4 MiB)"
        )
        raise InvalidInputError(msg)

    with open_verified(blobs, descriptor) as file:
        return file.read()
