"""From digests of many repositories to batches, each of one repository, as full as bounded memory allows. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias, cast

from ecr_layer_client._models.errors import InvalidInputError
from ecr_layer_client._models.layer import canonical
from ecr_layer_client._models.repository import Repository
from ecr_layer_client._text.quoting import quoted

from .batches import STREAM_WINDOW, Batch, BatchSource, is_repeat, iterators

if TYPE_CHECKING:
    from collections.abc import Callable

DigestsOfMany: TypeAlias = (
    Mapping[str, Iterable[str]]
    | Mapping[Repository, Iterable[str]]
    | Mapping[str | Repository, Iterable[str]]
    | Iterable[tuple[str | Repository, str]]
    | AsyncIterable[tuple[str | Repository, str]]
)

# Digests in batches that are not full, before the one begun first leaves as it is.
_HELD = STREAM_WINDOW
_ALL_GIVEN = object()  # in a digest's place: a mapping has no more digests of this repository
_PAIR = 2
_WHAT = "a mapping of repositories to digests, or an iterable or async iterable of pairs (repository, digest)"


@dataclass(slots=True, eq=False)
class RepositoryBatch(Batch):
    """A batch that knows its repository."""

    repository: Repository = field(kw_only=True)


class PairSource(BatchSource):
    """A caller's digests of many repositories.

    Args:
        digests: What `check_many` takes.
        batch_size: Digests in a full batch.
        place: Makes a `Repository` of what names one, and refuses one that the client can't ask.

    Attributes:
        repositories: Each, as it was named first, by what tells it from others.
        seen: The distinct digests taken so far (the last `window` of them), in order: repository
            and registry's spelling -> caller's.

    Raises:
        InvalidInputError: It is none of the shapes.
    """

    def __init__(
        self,
        digests: DigestsOfMany,
        batch_size: int,
        place: Callable[[str | Repository], Repository],
    ) -> None:
        given: object = digests
        is_sized = isinstance(digests, Sized)
        if isinstance(digests, Mapping):
            by_repository = cast("Mapping[str | Repository, Iterable[str]]", digests)
            is_sized = all(isinstance(each, Sized) for each in by_repository.values())
            given = _flattened(by_repository)
        items, async_items = iterators(given, "digests", _WHAT)
        super().__init__(items, async_items, batch_size, is_sized=is_sized and async_items is None)
        self.repositories: dict[tuple[str, str | None], Repository] = {}
        self.seen: dict[tuple[Repository, str], str] = {}
        self._place = place
        self._placed: tuple[object, Repository] | None = None
        self._gathering: dict[Repository, RepositoryBatch] = {}
        self._held = 0

    @property
    def is_whole(self) -> bool:
        """Whether the input was read to its end."""
        return self._has_ended and self._error is None

    @property
    def untaken(self) -> list[Batch]:
        """Batches that were not handed out yet."""
        return [*self._ready, *self._gathering.values()]

    def start(self, window: int | None = None) -> None:
        """Begin; a repeat is asked only once among `window` distinct digests, or among all."""
        self.seen = {} if window is None else OrderedDict()
        super().start(window)

    def _add(self, item: object) -> Batch | None:
        repository, digest = self._pair(item)
        if digest is _ALL_GIVEN:
            return self._leave(repository)
        if not isinstance(digest, str):
            msg = f"a digest of {quoted(repository.name)} is {quoted(digest)}, of type {type(digest).__name__}: every digest is a str"
            raise InvalidInputError(msg)
        self._index += 1
        asked = canonical(digest)
        if is_repeat(self.seen, (repository, asked), digest, self._window):
            return None
        batch = self._gathering.get(repository)
        if batch is None:
            batch = self._gathering[repository] = RepositoryBatch(repository=repository)
        self._held += 1
        if batch.add(asked, digest) == self._batch_size:
            return self._leave(repository)
        return self._leave(next(iter(self._gathering))) if self._held > _HELD else None

    def _pair(self, item: object) -> tuple[Repository, object]:
        pair = cast("tuple[str | Repository, object]", item)
        if not isinstance(item, tuple | list) or len(pair) != _PAIR:
            msg = f"digests[{self._index}] is {quoted(pair)}: every item is a pair (repository, digest)"
            raise InvalidInputError(msg)
        named, digest = pair
        if self._placed is None or self._placed[0] is not named:
            repository = self._place(named)
            self._placed = (
                named,
                self.repositories.setdefault((repository.name, repository.registry_id), repository),
            )
        return self._placed[1], digest

    def _leave(self, repository: Repository) -> Batch | None:
        batch = self._gathering.pop(repository, None)
        self._held -= 0 if batch is None else len(batch)
        return batch

    def _rest(self) -> list[Batch]:
        rest, self._gathering, self._held = list[Batch](self._gathering.values()), {}, 0
        return rest


def _flattened(
    digests: Mapping[str | Repository, Iterable[str]],
) -> Iterator[tuple[str | Repository, object]]:
    given = [(repository, _digests_of(repository, each)) for repository, each in digests.items()]
    return (
        (repository, digest) for repository, each in given for digest in chain(each, (_ALL_GIVEN,))
    )


def _digests_of(repository: object, digests: object) -> Iterator[object]:
    if isinstance(digests, AsyncIterable):
        msg = f"the digests of {quoted(repository)} are an async iterable: pass an async iterable of pairs (repository, digest) instead"
        raise InvalidInputError(msg)
    given, _ = iterators(
        digests, f"what is given for {quoted(repository)}", "a list, or any iterable, of digests"
    )
    return given
