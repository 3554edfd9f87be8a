"""Repositories in a data directory: one JSON file each, written beside its place and then renamed into it.

A file's name is a hash of the registry and the repository, so no name that a request brings is ever part of a path. What is
under way (uploads) is not recorded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import TypeAdapter

from ._stored import StoredImage, StoredLayer, StoredRepository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Record:
    """A repository as it is written; `format` changes when the rest does."""

    format: Literal[1]
    description: dict[str, Any]
    layers: list[StoredLayer]
    images: list[StoredImage]
    tags: dict[str, str]


_RECORD: Final = TypeAdapter(Record)


class Records:
    """The records in one directory."""

    def __init__(self, directory: Path) -> None:
        """Use this directory; it is made when something is written."""
        self._directory: Final = directory

    def load(self) -> Iterator[StoredRepository]:
        """Yield what was saved. Raises ValueError that names a file which is no record."""
        for path in sorted(self._directory.glob("*.json")):
            try:
                record = _RECORD.validate_json(path.read_bytes())
            except ValueError as error:
                message = f"{path} is no repository of a local ECR (or of a later version): {error}"
                raise ValueError(message) from None
            layers = {each.digest: each for each in record.layers}
            images = {each.digest: each for each in record.images}
            yield StoredRepository(record.description, layers, images, record.tags)

    def save(self, repository: StoredRepository) -> None:
        """Write a repository, in the place of what was written before."""
        self._directory.mkdir(parents=True, exist_ok=True)
        record = Record(1, repository.description, [*repository.layers.values()], [*repository.images.values()], repository.tags)
        path = self._path(repository)
        new = path.with_suffix(".new")
        new.write_bytes(_RECORD.dump_json(record))
        new.replace(path)

    def delete(self, repository: StoredRepository) -> None:
        """Forget a repository."""
        self._path(repository).unlink(missing_ok=True)

    def _path(self, repository: StoredRepository) -> Path:
        name = hashlib.sha256(f"{repository.registry_id}/{repository.name}".encode()).hexdigest()
        return self._directory / f"{name}.json"
