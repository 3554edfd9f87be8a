"""ECR's JSON to models and back, pure; with the models' aliases, all that knows camelCase."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ecr_layer_client._models.call_errors import ResponseError
from ecr_layer_client._models.layer import (
    Layer,
    LayerAvailability,
    LayerFailure,
    LayerFailureCode,
    LayerOutcome,
)
from ecr_layer_client._text.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ecr_layer_client._models.repository import Repository

OPERATION = "BatchCheckLayerAvailability"


class _Answer(BaseModel):
    layers: list[Layer] = Field(default_factory=list[Layer])
    failures: list[LayerFailure] = Field(default_factory=list[LayerFailure])


_ANSWER = TypeAdapter(_Answer)
_SET_BY_ECR = {"digest", "availability", "size", "media_type"}
_digest, _availability, _code = map(attrgetter, ("digest", "availability", "code"))
_share_fields_set: Callable[[BaseModel, set[str]], None] = BaseModel.__dict__[
    "__pydantic_fields_set__"
].__set__
_MEMBERS = TypeAdapter(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Settled:
    """What one answer settles of the digests it was asked for.

    Attributes:
        outcomes: By digest, in the spelling it was asked in.
        ignored: Rows that settle nothing asked: of another digest, doubled, or contradicted by one
            before.
    """

    outcomes: Mapping[str, LayerOutcome]
    ignored: int


@dataclass(frozen=True, slots=True)
class Check:
    """Which of these layers the repository holds.

    Attributes:
        repository: The repository.
        digests: At most 100, in lower case.
        again: Whether an earlier answer left these out; then this one may leave them out too.
    """

    operation: ClassVar[str] = OPERATION
    repository: Repository
    digests: Sequence[str]
    again: bool = False

    def members(self) -> dict[str, Any]:
        """Return the request's members."""
        members: dict[str, Any] = {
            "repositoryName": self.repository.name,
            "layerDigests": self.digests,
        }
        if self.repository.registry_id is not None:
            members["registryId"] = self.repository.registry_id
        return members

    def body(self) -> bytes:
        """Return the members as JSON.

        What is a well-formed digest or a repository has no character that JSON escapes.
        """
        registry = (
            ""
            if self.repository.registry_id is None
            else f'"registryId":"{self.repository.registry_id}",'
        )
        digests = '","'.join(self.digests)
        return f'{{{registry}"repositoryName":"{self.repository.name}","layerDigests":["{digests}"]}}'.encode(
            "ascii"
        )

    def read(self, answer: bytes | Mapping[str, Any]) -> Settled:
        """Read an answer strictly and settle each digest asked at most once.

        A failure outweighs a layer, the first row a later one.

        Raises:
            ResponseError: It is no such answer, one of its rows is malformed, or it settles nothing
                that was asked.
        """
        parsed = _parse(answer)
        asked = frozenset(self.digests)
        rows: list[LayerOutcome] = [*parsed.failures, *parsed.layers]
        outcomes = dict(zip(map(_digest, rows), rows, strict=True))
        if len(outcomes) < len(rows) or not asked.issuperset(outcomes):
            outcomes = {row.digest: row for row in reversed(rows) if row.digest in asked}
        if not (outcomes or self.again):
            msg = f"ECR's answer settles none of the {len(asked)} digests asked: it has {len(rows)} rows"
            raise ResponseError(msg)
        return Settled(outcomes, len(rows) - len(outcomes))


def _parse(body: bytes | Mapping[str, Any]) -> _Answer:
    try:
        if isinstance(body, bytes):
            answer = _ANSWER.validate_json(body, strict=True, by_alias=True, by_name=False)
        else:
            answer = _ANSWER.validate_python(body, by_alias=True, by_name=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        msg = f"ECR's answer breaks its contract: {where}: {first['msg']}, in {_size(body)}: {quoted(first['input'])}"
        raise ResponseError(msg) from None
    # Each model comes with a set of its own that names the fields given: a quarter of its memory,
    # and a third of the garbage
    # collector's work where many results are held. One set for all costs neither.
    deque(map(_share_fields_set, answer.layers, repeat(_SET_BY_ECR)), maxlen=0)
    if _has_unknown(answer):
        _name_unknown(answer, body)
    return answer


def _size(body: bytes | Mapping[str, Any]) -> str:
    return f"{len(body)} bytes" if isinstance(body, bytes) else f"a {type(body).__name__}"


def _has_unknown(answer: _Answer) -> bool:
    return LayerAvailability.UNKNOWN in map(
        _availability, answer.layers
    ) or LayerFailureCode.UNKNOWN in map(_code, answer.failures)


def _name_unknown(answer: _Answer, body: bytes | Mapping[str, Any]) -> None:
    """Keep ECR's own spelling of the values this version does not know.

    Rare, so the answer is read a second time only then.
    """
    spelled = (
        _MEMBERS.validate_json(body) if isinstance(body, bytes) else _MEMBERS.validate_python(body)
    )
    for index, layer in enumerate(answer.layers):
        if layer.availability is LayerAvailability.UNKNOWN:
            raw = spelled["layers"][index]["layerAvailability"]
            answer.layers[index] = layer.model_copy(update={"raw_availability": raw})
    for index, failure in enumerate(answer.failures):
        if failure.code is LayerFailureCode.UNKNOWN:
            answer.failures[index] = failure.model_copy(
                update={"raw_code": spelled["failures"][index]["failureCode"]}
            )
