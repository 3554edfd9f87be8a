"""`JournalDirectory`: the entries of a journal in a directory."""

from __future__ import annotations

import asyncio
import os
import tempfile
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._text.quoting import quoted
from ecr_layer_client.images._files import why

from ._threads import finish_in_thread

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

_ONLY_OWNER = 0o700
_MAX_ENTRY_BYTES = 4096  # an entry has less than 500


class JournalDirectory:
    """One file for each entry, replaced by a rename, and one lock beside it.

    Args:
        place: The argument `journal=`.

    Raises:
        InvalidInputError: The directory can't be used, or filelock is not installed.
    """

    def __init__(self, place: str | os.PathLike[str]) -> None:
        named = os.fspath(place)
        self._name = quoted(named)
        if not named:
            msg = (
                f"journal={self._name} is empty: pass a directory ('.' is the current one), or None"
            )
            raise InvalidInputError(msg)
        try:
            from filelock import FileLock  # noqa: PLC0415 (optional)
        except ImportError:
            msg = (
                f"journal={self._name}: a directory needs filelock: "
                "pip install 'ecr_layer_client[transfers]', or pass a mapping"
            )
            raise InvalidInputError(msg) from None
        self._lock: Any = FileLock
        self._path = Path(named)
        with self._usable():
            self._path.mkdir(mode=_ONLY_OWNER, parents=True, exist_ok=True)
            # A directory that can't be written is found before the first byte is sent.
            with tempfile.TemporaryFile(dir=self._path):
                pass

    @contextmanager
    def _usable(self) -> Generator[None]:
        """Turn an error of the system into one that names the argument.

        filelock raises NotImplementedError if the file system has no locks.
        """
        try:
            yield
        except (OSError, NotImplementedError) as error:
            msg = (
                f"journal={self._name} can't be used: {why(error)}: pass another directory, or None"
            )
            raise InvalidInputError(msg) from error

    @contextmanager
    def locked(self, key: str) -> Generator[bool]:
        """Lock an entry. The value is whether that worked: another process may have it.

        It does not wait, so it needs no thread, which a cancellation would leave with the lock.
        """
        path = self._path / f"{key}.lock"
        lock = self._lock(path, blocking=False)
        with self._usable():
            is_mine = _try(lock)
        try:
            yield is_mine
        finally:
            if is_mine:
                self._unlock(lock, path, is_needed=(self._path / key).exists())

    def _unlock(self, lock: Any, path: Path, *, is_needed: bool) -> None:
        # Windows removes no open file. There, filelock itself removes the file afterwards.
        with suppress(PermissionError):
            if not is_needed:
                path.unlink(missing_ok=True)
        lock.release()

    async def get(self, key: str) -> str | None:
        """Return the text of an entry, or None."""
        return await asyncio.to_thread(self._read, key)

    def _read(self, key: str) -> str | None:
        with self._usable(), suppress(FileNotFoundError), (self._path / key).open("rb") as file:
            return file.read(_MAX_ENTRY_BYTES).decode(errors="replace")
        return None

    async def set(self, key: str, text: str | None) -> None:
        """Replace the text of an entry. None removes the entry."""
        await finish_in_thread(partial(self._write, key, text))

    def _write(self, key: str, text: str | None) -> None:
        with self._usable():
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

    async def forget(self, keys: Sequence[str]) -> None:
        """Remove entries, but those that another push has."""
        await asyncio.to_thread(self._forget, keys)

    def _forget(self, keys: Sequence[str]) -> None:
        with self._usable():
            for key in keys:
                if (self._path / key).exists():
                    with self.locked(key) as is_mine:
                        if is_mine:
                            (self._path / key).unlink()


def _try(lock: Any) -> bool:
    from filelock import Timeout  # noqa: PLC0415 (optional)

    try:
        lock.acquire()
    except Timeout:
        return False
    return True
