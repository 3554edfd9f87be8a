"""`Outcomes`: the outcomes of many digests, kept as rows, and made into models when they are read.

A row is a tuple of texts and numbers, which the garbage collector does not track. So a large result
costs the collector nothing, and a third of the memory of its models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, cast, overload

from pydantic import BaseModel
from pydantic_core import core_schema

from .layer import (
    GROUPS,
    Group,
    Layer,
    LayerAvailability,
    LayerOutcome,
    TaggedOutcome,
    group_of,
)

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, ValidatorFunctionWrapHandler
    from pydantic_core import CoreSchema

_Facts: TypeAlias = tuple[str, int | None, str | None]
Row: TypeAlias = _Facts | LayerOutcome
"""The part of a response that is about one digest.

A tuple of a known availability, the size and the media type; or else the outcome itself.
"""

_MODELS_AT_ONCE = 100
_AVAILABILITIES: dict[str, LayerAvailability] = {each.value: each for each in LayerAvailability}
_SET_BY_ECR = {"digest", "availability", "size", "media_type"}
_SLOTS = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
_set_members, _set_fields_set, _set_extra, _set_private = (
    BaseModel.__dict__[slot].__set__ for slot in _SLOTS
)
_ONLY_TUPLES = {tuple}


def outcome_of(digest: str, row: Row) -> LayerOutcome:
    """Return the outcome of one digest, in the spelling given."""
    if isinstance(row, tuple):
        return outcomes_of([digest], [row])[0]
    return row if row.digest == digest else row.model_copy(update={"digest": digest})


def outcomes_of(digests: Iterable[str], rows: Iterable[Row]) -> Sequence[LayerOutcome]:
    """Return the outcomes of digests, in the spelling given."""
    rows = list(rows)
    if set(map(type, rows)) != _ONLY_TUPLES:
        return [outcome_of(digest, row) for digest, row in zip(digests, rows, strict=True)]
    return _layers(digests, cast("list[_Facts]", rows))


def _layers(digests: Iterable[str], rows: Iterable[_Facts]) -> list[Layer]:
    """Return the layers that `Layer(...)` makes, in half of its time.

    The facts are known to be valid. These are the slots of every pydantic model.
    """
    layers: list[Layer] = []
    for digest, (availability, size, media_type) in zip(digests, rows, strict=True):
        members = {
            "digest": digest,
            "availability": _AVAILABILITIES[availability],
            "size": size,
            "media_type": media_type,
            "raw_availability": None,
            "outcome": "layer",
        }
        layer = object.__new__(Layer)
        _set_members(layer, members)
        _set_fields_set(layer, _SET_BY_ECR)
        _set_extra(layer, None)
        _set_private(layer, None)
        layers.append(layer)
    return layers


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Outcomes(Sequence[LayerOutcome]):
    """An immutable sequence of outcomes, equal to a tuple of the same outcomes.

    Each look at an outcome makes its model.

    Attributes:
        digests: Their digests, in the caller's spelling.
        rows: What is known of each digest.
    """

    digests: tuple[str, ...]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, outcomes: Iterable[LayerOutcome]) -> Outcomes:
        """Return a sequence that keeps outcomes as they are."""
        if isinstance(outcomes, Outcomes):
            return outcomes
        rows = tuple(outcomes)
        return cls(tuple(outcome.digest for outcome in rows), rows)

    @overload
    def __getitem__(self, index: int) -> LayerOutcome: ...
    @overload
    def __getitem__(self, index: slice) -> Outcomes: ...
    def __getitem__(self, index: int | slice) -> LayerOutcome | Outcomes:
        """Return one outcome, or a part of the sequence."""
        if isinstance(index, slice):
            return Outcomes(self.digests[index], self.rows[index])
        return outcome_of(self.digests[index], self.rows[index])

    def __len__(self) -> int:
        """Return the number of outcomes."""
        return len(self.rows)

    def __iter__(self) -> Iterator[LayerOutcome]:
        """Iterate over the outcomes."""
        digests, rows = iter(self.digests), iter(self.rows)
        while some := [*islice(rows, _MODELS_AT_ONCE)]:
            yield from outcomes_of(islice(digests, len(some)), some)

    def __eq__(self, other: object) -> bool:
        """Compare with another sequence of outcomes, or with a tuple of them."""
        if isinstance(other, Outcomes):
            # Equal outcomes may be a row here and a model there.
            return self.digests == other.digests and (
                self.rows == other.rows or tuple(self) == tuple(other)
            )
        return isinstance(other, tuple) and tuple(self) == other

    def __hash__(self) -> int:
        """Return the hash of the same outcomes in a tuple."""
        return hash(tuple(self))

    def __repr__(self) -> str:
        """Return one line of bounded length."""
        return f"<{len(self)} outcomes>"

    @property
    def groups(self) -> dict[Group, list[str]]:
        """The digests of each group, in order."""
        found: dict[Group, list[str]] = {group: [] for group in GROUPS.values()}
        add = {availability: found[group].append for availability, group in GROUPS.items()}
        for digest, row in zip(self.digests, self.rows, strict=True):
            if isinstance(row, tuple):
                add[row[0]](digest)
            else:
                found[group_of(row)].append(digest)
        return found

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Let a model read a tuple of outcomes as `Outcomes`, and write one."""
        outcomes = handler.generate_schema(tuple[TaggedOutcome, ...])
        return core_schema.no_info_wrap_validator_function(
            cls._validated,
            outcomes,
            serialization=core_schema.wrap_serializer_function_ser_schema(
                lambda given, write: write(tuple(given)), schema=outcomes
            ),
        )

    @classmethod
    def _validated(cls, given: Any, read: ValidatorFunctionWrapHandler) -> Outcomes:
        return cls.of(given if isinstance(given, Outcomes) else read(given))
