"""`Check`: the request of one batch, and how its response is read. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, Field, TypeAdapter

from ecr_layer_client._models.call_errors import ResponseError
from ecr_layer_client._models.layer import (
    Layer,
    LayerAvailability,
    LayerFailure,
    LayerFailureCode,
    LayerOutcome,
)
from ecr_layer_client._transport.contract import Rows, parse_response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ecr_layer_client._models.repository import Repository

CHECK = "BatchCheckLayerAvailability"


class _Body(BaseModel):
    layers: Rows[Layer] = Field(default_factory=list[Layer])
    failures: Rows[LayerFailure] = Field(default_factory=list[LayerFailure])


_BODY = TypeAdapter(_Body)
_MEMBERS = TypeAdapter(dict[str, Any])
_SET_BY_ECR = {"digest", "availability", "size", "media_type"}
_CODES_OF_ECR = {LayerFailureCode.INVALID_LAYER_DIGEST, LayerFailureCode.MISSING_LAYER_DIGEST}
_digest, _availability, _code = map(attrgetter, ("digest", "availability", "code"))
_media_type = attrgetter("media_type")
# Members of a layer: with its digest and availability alone, and with size and media type, too.
_LEAST_OF_A_LAYER, _ALL_OF_A_LAYER = 2, 4
_fields_set = attrgetter("__pydantic_fields_set__")
_share_fields_set: Callable[[BaseModel, set[str]], None] = BaseModel.__dict__[
    "__pydantic_fields_set__"
].__set__


@dataclass(frozen=True, slots=True)
class Settled:
    """The outcomes that one response gives, by digest, spelled as in the request.

    `ignored` counts the rows that settle nothing: they are about another digest, repeated, or
    contradicted by an earlier row.
    """

    outcomes: Mapping[str, LayerOutcome]
    ignored: int


@dataclass(frozen=True, slots=True)
class Check:
    """Ask which layers a repository holds.

    The digests are at most 100, in lower case, and read when the request is sent. With `again`, an
    earlier response left them out, and this one may, too.
    """

    name: ClassVar[str] = CHECK
    repository: Repository
    digests: Sequence[str]
    again: bool = False

    @property
    def count(self) -> int:
        """The number of digests."""
        return len(self.digests)

    def request(self) -> bytes:
        """Return the body of the request.

        Well-formed digests and repositories have no character that JSON escapes.
        """
        registry_id = self.repository.registry_id
        registry = "" if registry_id is None else f'"registryId":"{registry_id}",'
        digests = '","'.join(self.digests)
        name = self.repository.name
        return f'{{{registry}"repositoryName":"{name}","layerDigests":["{digests}"]}}'.encode(
            "ascii"
        )

    def parse(self, body: bytes) -> Settled:
        """Read a response strictly, and settle each digest at most once.

        A failure outweighs a layer, and an earlier row a later one. A response that is malformed,
        or settles no digest of the request, is a ResponseError.
        """
        parsed = parse_response(_BODY, body, _quotes)
        # Each model comes with a set of its own that names the fields given. The sets are a quarter
        # of the memory of many results, and a third of the garbage collector's work. One set for
        # all models costs neither.
        deque(map(_share_fields_set, parsed.layers, repeat(_SET_BY_ECR)), maxlen=0)
        if _has_unknown(parsed):
            _keep_unknown(parsed, body)

        asked = frozenset(self.digests)
        rows: list[LayerOutcome] = [*parsed.failures, *parsed.layers]
        outcomes = dict(zip(map(_digest, rows), rows, strict=True))
        if len(outcomes) < len(rows) or not asked.issuperset(outcomes):
            outcomes = {row.digest: row for row in reversed(rows) if row.digest in asked}

        if not (outcomes or self.again):
            msg = (
                f"ECR's response settles none of the {len(asked)} digests of the request: "
                f"it has {len(rows)} rows"
            )
            raise ResponseError(msg)
        return Settled(outcomes, len(rows) - len(outcomes))


def _quotes(body: _Body) -> int:
    """Return the number of quotes in a response that has only what was read, and no null."""
    given = [*map(len, map(_fields_set, body.layers))]
    complete, bare = given.count(_ALL_OF_A_LAYER), given.count(_LEAST_OF_A_LAYER)
    if complete + bare == len(given):
        types = complete
    else:
        types = len(given) - [*map(_media_type, body.layers)].count(None)

    # Each member of a failure is a text, as are a layer's digest, availability and media type.
    failures = sum(map(len, map(_fields_set, body.failures)))
    names = len(_fields_set(body)) + sum(given) + failures
    return 2 * (names + 2 * len(given) + types + failures)


def _has_unknown(body: _Body) -> bool:
    return LayerAvailability.UNKNOWN in map(
        _availability, body.layers
    ) or not _CODES_OF_ECR.issuperset(map(_code, body.failures))


def _keep_unknown(body: _Body, raw: bytes) -> None:
    """Keep ECR's own spelling of values that this version does not know.

    Such values are rare, so only then is the response read a second time.
    """
    members = _MEMBERS.validate_json(raw)
    for index, layer in enumerate(body.layers):
        if layer.availability is LayerAvailability.UNKNOWN:
            spelled = members["layers"][index]["layerAvailability"]
            body.layers[index] = layer.model_copy(update={"raw_availability": spelled})

    for index, failure in enumerate(body.failures):
        if failure.code not in _CODES_OF_ECR:
            spelled = members["failures"][index]["failureCode"]
            unknown = {"code": LayerFailureCode.UNKNOWN, "raw_code": spelled}
            body.failures[index] = failure.model_copy(update=unknown)
