"""Where the bytes of blobs are, and a reader that verifies them against their digest as it reads."""

from __future__ import annotations

import gzip
import io
import stat
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol, cast

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

from ._descriptor import Descriptor, digest_of, hash_of
from ._manifest import MANIFEST_TYPES, MAX_MANIFEST_BYTES

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from typing_extensions import Buffer


CANNOT_BE_READ = (
    OSError,
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
)  # what a file, or a gzipped one that was changed since, may raise


class Located(NamedTuple):
    """A blob that is there: how many bytes it has, and what opens it."""

    size: int
    open: Callable[[], BinaryIO]


class Blobs(Protocol):
    """A place that holds blobs by digest."""

    @property
    def name(self) -> str:
        """What to call it in a message."""
        ...

    def find(self, digest: str) -> Located | None:
        """Return a blob; None of one that is not there."""
        ...


class DirectoryBlobs:
    """The blobs of an OCI layout's directory: `blobs/ALGORITHM/VALUE` below it."""

    def __init__(self, path: Path) -> None:
        self._path = path / "blobs"
        self.name = str(path)

    def find(self, digest: str) -> Located | None:
        """Return a blob; None of one that is not there, and of what is no file."""
        algorithm, _, encoded = digest.partition(":")
        path = self._path / algorithm / encoded
        try:
            status = path.stat()
        except OSError:
            return None
        return (
            Located(status.st_size, lambda: path.open("rb"))
            if stat.S_ISREG(status.st_mode)
            else None
        )


class ManifestsAlone:
    """Manifests by digest, without the blobs they name."""

    def __init__(self, name: str, manifests: Iterable[bytes]) -> None:
        self._manifests = {digest_of(data): data for data in manifests}
        self.name = name

    def find(self, digest: str) -> Located | None:
        """Return a manifest; None of what is none of them."""
        data = self._manifests.get(digest)
        return None if data is None else Located(len(data), lambda: io.BytesIO(data))


class VerifyingReader(io.RawIOBase):
    """Reads a blob's bytes and verifies them: what hands out the last of them has seen the digest fit.

    Args:
        file: Where they come from; closed with the reader.
        digest: Their digest.
        hashing: A fresh hash of its algorithm.
        size: How many they are.
        name: What holds them, for a message.
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
        """Say that it reads."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Read some bytes.

        Raises:
            InvalidInputError: They are not those of the digest, or end too early.
        """
        view = memoryview(buffer).cast("B")
        try:
            data = self._file.read(min(len(view), self._left))
        except CANNOT_BE_READ as error:
            msg = f"{self._name}: {self._digest} can't be read: {why(error)}"
            raise InvalidInputError(msg) from error
        if not data and self._left and len(view):
            msg = f"{self._name}: {self._digest} is cut short: {self._left} bytes are missing"
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
            msg = f"{self._name}: what should be {self._digest} is {found}: it was changed, or cut"
            raise InvalidInputError(msg)
        self._is_verified = True

    def close(self) -> None:
        """Close the file, too."""
        self._file.close()
        super().close()


def open_verified(blobs: Blobs, descriptor: Descriptor) -> BinaryIO:
    """Open a blob; reading it to its end verifies it.

    Raises:
        InvalidInputError: It is not there, can't be opened or verified, or has another size than
            its descriptor says.
    """
    found = located(blobs, descriptor)
    hashing = hash_of(descriptor.digest, blobs.name)
    try:
        file = found.open()
    except CANNOT_BE_READ as error:
        msg = f"{blobs.name}: {descriptor.digest} can't be opened: {why(error)}"
        raise InvalidInputError(msg) from error
    return cast(
        "BinaryIO",
        io.BufferedReader(
            VerifyingReader(file, descriptor.digest, hashing, found.size, blobs.name)
        ),
    )


def why(error: Exception) -> str:
    """Return what a failed read says, for a message."""
    return error.strerror if isinstance(error, OSError) and error.strerror else quoted(str(error))


def located(blobs: Blobs, descriptor: Descriptor) -> Located:
    """Return a blob that must be there.

    Raises:
        InvalidInputError: It is not, or has another size than its descriptor says.
    """
    found = blobs.find(descriptor.digest)
    if found is None:
        is_apart = isinstance(blobs, ManifestsAlone) and descriptor.media_type not in MANIFEST_TYPES
        why_not = "not here: this source has an image's manifests alone, and its blobs are where they came from"
        kind = quoted(descriptor.media_type or "a layer")
        msg = f"{blobs.name}: {descriptor.digest} is {why_not if is_apart else 'named and not there'} ({kind})"
        raise InvalidInputError(msg)
    if descriptor.size not in {None, found.size}:
        msg = f"{blobs.name}: {descriptor.digest} has {found.size} bytes and should have {descriptor.size}"
        raise InvalidInputError(msg)
    return found


def read_manifest_bytes(blobs: Blobs, descriptor: Descriptor) -> bytes:
    """Return the verified bytes of a blob that is a manifest or a config.

    Raises:
        InvalidInputError: It is not there, not what its descriptor says, or longer than a manifest
            may be.
    """
    size = located(blobs, descriptor).size
    if size > MAX_MANIFEST_BYTES:
        msg = f"{blobs.name}: {descriptor.digest} has {size} bytes, and a manifest at most {MAX_MANIFEST_BYTES} (4 MiB)"
        raise InvalidInputError(msg)
    with open_verified(blobs, descriptor) as file:
        return file.read()
