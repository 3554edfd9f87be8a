"""`IncomingBlob`: a blob that is downloaded into a file, and renamed when it is complete."""

from __future__ import annotations

import hashlib
import io
import threading
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ecr_layer_client.images._descriptor import Descriptor

_READ_BYTES = 1024 * 1024


class IncomingBlob:
    """A blob that is being written. Its methods block: call them in a thread.

    Args:
        blob: The blob.
        part: Where it is written.
        final: Where it goes when it is complete.

    Attributes:
        position: The number of bytes so far.
    """

    def __init__(self, blob: Descriptor, part: Path, final: Path) -> None:
        self._blob = blob
        self._part = part
        self._final = final
        self._hash = _hash_of(blob)
        self._opened: BinaryIO = io.BytesIO()
        # Who is cancelled leaves a thread behind, which may still work.
        self._lock = threading.Lock()
        self._is_closed = False
        self.position: int = 0

    def open(self) -> None:
        """Open the blob behind the bytes that an earlier pull wrote."""
        with self._lock:
            if self._is_closed:
                return
            self._part.parent.mkdir(parents=True, exist_ok=True)
            self._opened = self._part.open("r+b" if self._part.exists() else "w+b")
            while data := self._opened.read(_READ_BYTES):
                self._hash.update(data)
                self.position += len(data)
        if self._blob.size is not None and self.position > self._blob.size:
            self.restart()

    def write(self, chunks: Iterable[bytes]) -> None:
        """Write some bytes."""
        with self._lock:
            for chunk in chunks:
                self._opened.write(chunk)
                self._hash.update(chunk)
                self.position += len(chunk)

    def restart(self) -> None:
        """Forget all bytes."""
        with self._lock:
            self._opened.seek(0)
            self._opened.truncate()
            self._hash, self.position = _hash_of(self._blob), 0

    def finish(self) -> bool:
        """Give the blob its name; return False if its bytes don't have its digest."""
        if f"{self._hash.name}:{self._hash.hexdigest()}" != self._blob.digest:
            return False
        self.close()
        self._final.parent.mkdir(parents=True, exist_ok=True)
        self._part.replace(self._final)
        return True

    def close(self) -> None:
        """Close the file, and keep what was written."""
        with self._lock:
            self._is_closed = True
            self._opened.close()


def _hash_of(blob: Descriptor) -> hashlib._Hash:
    return hashlib.new(blob.digest.partition(":")[0])
