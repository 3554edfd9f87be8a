"""Records of uploads, so that another process can continue them.

An entry says what is being uploaded, to where: it has the URL of the endpoint. It has no key and no
content.
"""

from __future__ import annotations

import os
import time
from collections.abc import MutableMapping
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pydantic import BaseModel, Field, ValidationError

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.quotas import MAX_PART_BYTES
from ecr_layer_client._text.quoting import quoted

from ._journal_directory import JournalDirectory

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

Journal = str | os.PathLike[str] | MutableMapping[str, str]
"""The record of uploads in progress: a directory, or a mutable mapping of str to str."""


class Target(NamedTuple):
    """Where a layer goes. An upload continues at the same target only.

    Private ECR and ECR Public may have one endpoint: that of a local ECR.
    """

    service: str
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
    part_size: int = Field(gt=0, le=MAX_PART_BYTES)
    received: int = Field(default=0, ge=0)


class _Written(BaseModel):
    target: Target
    upload: Upload
    written_at: float


class _Store(Protocol):
    async def get(self, key: str) -> str | None: ...

    async def set(self, key: str, text: str | None) -> None: ...

    async def forget(self, keys: Sequence[str]) -> None: ...


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
        return written.upload if written.target == self._target else None

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
        InvalidInputError: It is none of these, or the directory can't be used, or filelock is not
            installed.
    """

    def __init__(self, place: Journal | None) -> None:
        self._directory: JournalDirectory | None = None
        self._store: _Store = _Nothing()
        if isinstance(place, str | os.PathLike):
            self._store = self._directory = JournalDirectory(place)
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
            yield Entry(target, self._directory if is_mine else _Nothing())

    async def forget(self, targets: Iterable[Target]) -> None:
        """Remove the entries of layers that need no upload any more.

        They are left over if a process ended between the end of an upload and its response.
        """
        await self._store.forget([key_of(target) for target in targets])


class _Nothing:
    async def get(self, key: str) -> str | None:  # noqa: ARG002 (it remembers nothing)
        return None

    async def set(self, key: str, text: str | None) -> None:
        pass

    async def forget(self, keys: Sequence[str]) -> None:
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

    async def forget(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._entries.pop(key, None)
