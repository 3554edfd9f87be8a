"""Repositories in a data directory: one JSON file each, written beside its place, then renamed.

The name of a file is a hash of the registry and the repository, so that no name of a request is
ever part of a path. Uploads in progress are not recorded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from ecr_layer_client._models.repository import Repository
from ecr_layer_client._text.validation_errors import first_problem

from .directory_lock import DirectoryLock
from .manifest import DIGEST
from .state import StoredImage, StoredLayer, StoredRepository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .directory import Directory


class Description(BaseModel, frozen=True, extra="forbid", alias_generator=to_camel):
    """The description of a repository, as CreateRepository returns it."""

    repository_arn: str
    registry_id: str
    repository_name: str
    repository_uri: str
    created_at: Annotated[float, Field(allow_inf_nan=False)]
    image_tag_mutability: Literal[
        "MUTABLE", "IMMUTABLE", "MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION"
    ]  # ECR model
    image_tag_mutability_exclusion_filters: (
        list[dict[Literal["filterType", "filter"], str]] | None
    ) = None
    image_scanning_configuration: dict[Literal["scanOnPush"], bool]
    encryption_configuration: dict[Literal["encryptionType", "kmsKey"], str]


@dataclass(frozen=True, slots=True)
class Record:
    """A repository as its file has it. `format` changes when any other field changes."""

    format: Literal[1]
    description: Description
    layers: list[StoredLayer]
    images: list[StoredImage]
    tags: dict[str, str]

    def repository(self) -> StoredRepository:
        """Return the repository.

        Raises ValueError where one part of the record contradicts another.
        """
        Repository(name=self.description.repository_name, registry_id=self.description.registry_id)
        layers = {each.digest: each for each in self.layers}
        images = {each.digest: each for each in self.images}
        self._check(layers, images)

        description = self.description.model_dump(by_alias=True, exclude_unset=True)
        return StoredRepository(description, layers, images, self.tags)

    def _check(self, layers: dict[str, StoredLayer], images: dict[str, StoredImage]) -> None:
        for digest in (*layers, *images):
            if not DIGEST(digest) or digest != digest.lower():
                message = f"{digest!r:.200} is not a digest in lower case"
                raise ValueError(message)
        for layer in self.layers:
            if layer.size < 0:
                message = f"the layer {layer.digest} has {layer.size} bytes"
                raise ValueError(message)
        for tag, digest in self.tags.items():
            if digest not in images:
                message = f"the tag {tag!r:.200} names an image that the record does not have"
                raise ValueError(message)

        # Raises CycleError, a ValueError, for an index that lists itself.
        TopologicalSorter({each.digest: each.children for each in self.images}).prepare()


_RECORD: Final = TypeAdapter(Record)


class Records:
    """The records of one Region: the files in `repositories`, a folder of the Region's directory.

    The directory is locked while the records are used.
    """

    def __init__(self, directory: Path) -> None:
        """Use this directory. `take()` creates it."""
        self._directory: Final = directory / "repositories"
        self._lock: Final = DirectoryLock(directory)

    def take(self) -> Directory | None:
        """Lock the directory and return it. None means it was locked before.

        Raises OSError when the directory cannot be used, or when another holder has the lock.
        """
        directory = self._lock.take()
        if directory is not None:
            try:
                self._directory.mkdir(exist_ok=True)
            except OSError:
                self.release()
                raise
        return directory

    def release(self) -> None:
        """Unlock the directory. Safe to call twice."""
        self._lock.release()

    def load(self) -> Iterator[StoredRepository]:
        """Yield the saved repositories. Raises ValueError that names an invalid file."""
        for path in sorted(self._directory.glob("*.json")):
            try:
                repository = _RECORD.validate_json(path.read_bytes()).repository()
            except ValueError as error:
                message = (
                    f"{path} is not a repository record of a local ECR, or is one of a later "
                    f"version: {_in_one_line(error)}"
                )
                raise ValueError(message) from None

            if path != (its_own := self._path(repository)):
                message = (
                    f"{path} holds the repository {repository.name!r}, whose file is "
                    f"{its_own.name}: remove one of the two"
                )
                raise ValueError(message)
            yield repository

    def save(self, repository: StoredRepository) -> None:
        """Write a repository, in place of an earlier record of it."""
        record = Record(
            1,
            Description(**repository.description),
            [*repository.layers.values()],
            [*repository.images.values()],
            repository.tags,
        )
        path = self._path(repository)

        new = path.with_suffix(".new")
        new.write_bytes(_RECORD.dump_json(record, by_alias=True, exclude_unset=True))
        new.replace(path)

    def delete(self, repository: StoredRepository) -> None:
        """Delete the record of a repository."""
        self._path(repository).unlink(missing_ok=True)

    def _path(self, repository: StoredRepository) -> Path:
        name = hashlib.sha256(f"{repository.registry_id}/{repository.name}".encode()).hexdigest()
        return self._directory / f"{name}.json"


def _in_one_line(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    problem = first_problem(error)
    return f"{problem.where or 'it'}: {problem.message}"
