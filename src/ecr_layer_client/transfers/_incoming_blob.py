"""`IncomingBlob`: a blob that is downloaded into a file, and renamed when it is complete."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ._file_locks import locked, try_lock

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from ecr_layer_client.images._descriptor import Descriptor

_READ_BYTES = 1024 * 1024


class IncomingBlob:
    """A blob that is being written. Its methods block: call them in a thread.

    Args:
        blob: The blob.
        layout: The directory of the layout.
        part: Where it is written.
        final: Where it goes when it is complete.

    Attributes:
        position: The number of bytes so far.
    """

    def __init__(self, blob: Descriptor, layout: Path, part: Path, final: Path) -> None:
        self._blob = blob
        self._layout = layout
        self._part = part
        self._final = final
        self._hash = _hash_of(blob)
        self._opened: BinaryIO = io.BytesIO()
        self._is_kept = True
        # Who is cancelled leaves a thread behind, which may still work.
        self._lock = threading.Lock()
        self._is_closed = False
        self.position: int = 0

    @property
    def written(self) -> int:
        """The number of bytes that an earlier pull wrote."""
        try:
            return self._part.stat().st_size
        except FileNotFoundError:
            return 0

    def open(self) -> None:
        """Open the blob behind the bytes that an earlier pull wrote."""
        with self._lock:
            if self._is_closed:
                return
            with locked(self._layout):
                self._part.parent.mkdir(exist_ok=True)
                self._opened = self._claim()
            while data := self._opened.read(_READ_BYTES):
                self._hash.update(data)
                self.position += len(data)
        if self._blob.size is not None and self.position > self._blob.size:
            self.restart()

    def _claim(self) -> BinaryIO:
        """Open the part. If another pull is writing it, open one of this pull alone.

        Both pulls download the blob then. The part that only one pull knows is not continued.
        """
        descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
        if not try_lock(descriptor):
            os.close(descriptor)
            descriptor, name = tempfile.mkstemp(dir=self._part.parent)
            self._part, self._is_kept = Path(name), False
            self._part.chmod(0o644)
        return os.fdopen(descriptor, "r+b")

    def write(self, chunks: Iterable[bytes]) -> None:
        """Write some bytes.

        Raises:
            OSError: They can't be written. It names the file.
        """
        with self._lock, self._named():
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
        with self._lock, self._named():
            self._opened.flush()
            self._final.parent.mkdir(parents=True, exist_ok=True)
            if os.name == "nt":  # pragma: no cover (Windows renames no open file)
                self._opened.close()
            with locked(self._layout):
                self._part.replace(self._final)
            self._is_kept = True
        return True

    def close(self) -> None:
        """Close the file, and keep what was written."""
        with self._lock, self._named():
            self._is_closed = True
            try:
                self._opened.close()
            finally:
                if not self._is_kept:
                    self._part.unlink()

    @contextmanager
    def _named(self) -> Generator[None, None, None]:
        """Name the file in the errors of the system, which do so only when a file is opened."""
        try:
            yield
        except OSError as error:
            if error.filename is not None:
                raise
            raise OSError(error.errno, error.strerror, str(self._part)) from error


def _hash_of(blob: Descriptor) -> hashlib._Hash:
    return hashlib.new(blob.digest.partition(":")[0])
