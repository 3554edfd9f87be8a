"""Records of uploads, so that another process can continue them.

An entry has no key, no URL and no content. It says what is being uploaded, to where.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import MutableMapping
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydantic import BaseModel, ValidationError

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

Journal = str | os.PathLike[str] | MutableMapping[str, str]
"""Where uploads are written down: a directory, or a mutable mapping of str to str."""

_ONLY_OWNER = 0o700
_MAX_ENTRY_BYTES = 4096  # an entry has less than 500


class Target(NamedTuple):
    """Where a layer goes. An upload continues at the same target only."""

    endpoint_url: str
    region_name: str
    registry_id: str | None
    repository: str
    digest: str
    size: int


class Upload(BaseModel, frozen=True):
    """An upload that can be continued.

    Attributes:
        upload_id: ECR's id of it.
        part_size: The bytes of each part but the last.
        received: The bytes that ECR has acknowledged.
    """

    upload_id: str
    part_size: int
    received: int = 0


class _Written(BaseModel):
    target: Target
    upload: Upload
    written_at: float


class _Store(Protocol):
    async def get(self, key: str) -> str | None: ...

    async def set(self, key: str, text: str | None) -> None: ...


class Entry:
    """The entry of one layer.

    Args:
        target: The layer, and where it goes.
        store: Keeps the text of the entry.
    """

    def __init__(self, target: Target, store: _Store) -> None:
        self._target = target
        self._store = store
        self._key = key_of(target)

    async def read(self) -> Upload | None:
        """Return the upload to continue, or None."""
        text = await self._store.get(self._key)
        if text is None:
            return None
        try:
            written = _Written.model_validate_json(text)
        except ValidationError:
            # Another version wrote it, or somebody changed it. The layer is uploaded from its
            # start, and the entry is written again.
            return None
        is_usable = written.target == self._target and written.upload.part_size > 0
        return written.upload if is_usable else None

    async def write(self, upload: Upload) -> None:
        """Write down an upload, in place of the one before."""
        written = _Written(target=self._target, upload=upload, written_at=time.time())
        await self._store.set(self._key, written.model_dump_json())

    async def remove(self) -> None:
        """Forget the upload."""
        await self._store.set(self._key, None)


def key_of(target: Target) -> str:
    """Return the key of an entry: equal for equal targets."""
    return sha256("\n".join(map(str, target)).encode()).hexdigest()


class UploadJournal:
    """The journal of a push.

    Args:
        place: The argument `journal=`: a directory, a mapping, or None.

    Raises:
        InvalidInputError: It is none of these, or the directory can't be made, or filelock is not
            installed.
    """

    def __init__(self, place: Journal | None) -> None:
        self._directory: _Directory | None = None
        self._store: _Store = _Nothing()
        if isinstance(place, str | os.PathLike):
            self._directory = _Directory(Path(place))
        elif isinstance(place, MutableMapping):
            self._store = _Mapping(place)
        elif place is not None:
            msg = (
                f"journal={quoted(place)} must be a directory (str or Path), "
                "a mutable mapping of str to str, or None"
            )
            raise InvalidInputError(msg)

    @asynccontextmanager
    async def entry(self, target: Target) -> AsyncGenerator[Entry, None]:
        """Return the entry of a layer.

        If another process has it, the layer gets an entry that remembers nothing: both processes
        upload it, and ECR takes the first.
        """
        if self._directory is None:
            yield Entry(target, self._store)
            return
        with self._directory.locked(key_of(target)) as is_mine:
            yield Entry(target, self._directory if is_mine else self._store)


class _Nothing:
    async def get(self, key: str) -> str | None:  # noqa: ARG002 (it remembers nothing)
        return None

    async def set(self, key: str, text: str | None) -> None:
        pass


class _Mapping:
    def __init__(self, entries: MutableMapping[str, str]) -> None:
        self._entries = entries

    async def get(self, key: str) -> str | None:
        return self._entries.get(key)

    async def set(self, key: str, text: str | None) -> None:
        if text is None:
            self._entries.pop(key, None)
        else:
            self._entries[key] = text


class _Directory:
    """One file for each entry, replaced by a rename, and one lock beside it."""

    def __init__(self, path: Path) -> None:
        try:
            from filelock import FileLock  # noqa: PLC0415 (optional)
        except ImportError:
            msg = (
                f"journal={quoted(str(path))}: a directory needs filelock: "
                "pip install 'ecr_layer_client[transfers]', or pass a mapping"
            )
            raise InvalidInputError(msg) from None
        try:
            path.mkdir(mode=_ONLY_OWNER, parents=True, exist_ok=True)
        except OSError as error:
            msg = f"journal={quoted(str(path))} can't be made a directory: {error.strerror}"
            raise InvalidInputError(msg) from error
        self._path = path
        self._lock: Any = FileLock

    @contextmanager
    def locked(self, key: str) -> Generator[bool]:
        """Lock an entry. The value is whether that worked: another process may have it.

        It does not wait, so it needs no thread, which a cancellation would leave with the lock.
        """
        path = self._path / f"{key}.lock"
        lock = self._lock(path, blocking=False)
        is_mine = _try(lock)
        try:
            yield is_mine
        finally:
            if is_mine and not (self._path / key).exists():
                path.unlink(missing_ok=True)
            if is_mine:
                lock.release()

    async def get(self, key: str) -> str | None:
        return await asyncio.to_thread(self._read, key)

    def _read(self, key: str) -> str | None:
        try:
            with (self._path / key).open(encoding="utf-8", errors="replace") as file:
                return file.read(_MAX_ENTRY_BYTES)
        except FileNotFoundError:
            return None

    async def set(self, key: str, text: str | None) -> None:
        await asyncio.to_thread(self._write, key, text)

    def _write(self, key: str, text: str | None) -> None:
        if text is None:
            (self._path / key).unlink(missing_ok=True)
            return
        # mkstemp makes the file for its owner alone.
        descriptor, name = tempfile.mkstemp(dir=self._path, prefix=f"{key}.")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 (a descriptor)
                file.write(text)
            Path(name).replace(self._path / key)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _try(lock: Any) -> bool:
    from filelock import Timeout  # noqa: PLC0415 (optional)

    try:
        lock.acquire()
    except Timeout:
        return False
    return True
