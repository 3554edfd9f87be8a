"""`Check`: the request of one batch, and how its response is read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, Field, TypeAdapter
from typing_extensions import TypedDict

from ecr_layer_client._models.call_errors import ResponseError
from ecr_layer_client._models.layer import (
    AVAILABILITIES_OF_ECR,
    MAX_LAYER_BYTES,
    Layer,
    LayerAvailability,
    LayerFailure,
    LayerFailureCode,
)
from ecr_layer_client._transport.contract import Rows, parse_response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ecr_layer_client._models.outcomes import Row
    from ecr_layer_client._models.repository import Repository

CHECK = "BatchCheckLayerAvailability"


class _Layer(TypedDict):
    digest: Annotated[str, Field(validation_alias="layerDigest")]
    availability: Annotated[str, Field(validation_alias="layerAvailability")]
    size: Annotated[
        int | None, Field(default=None, validation_alias="layerSize", ge=0, le=MAX_LAYER_BYTES)
    ]
    media_type: Annotated[str | None, Field(default=None, validation_alias="mediaType")]


class _Failure(TypedDict):
    digest: Annotated[str, Field(validation_alias="layerDigest")]
    code: Annotated[str, Field(validation_alias="failureCode")]
    reason: Annotated[str | None, Field(default=None, validation_alias="failureReason")]


class _Body(BaseModel):
    layers: Rows[_Layer] = Field(default_factory=list[_Layer])
    failures: Rows[_Failure] = Field(default_factory=list[_Failure])


_BODY = TypeAdapter(_Body)
_CODES_OF_ECR = {LayerFailureCode.INVALID_LAYER_DIGEST, LayerFailureCode.MISSING_LAYER_DIGEST}
_row = itemgetter("availability", "size", "media_type")
_digest, _availability, _size = map(itemgetter, ("digest", "availability", "size"))
_media_type, _reason = map(itemgetter, ("media_type", "reason"))


@dataclass(frozen=True, slots=True)
class Settled:
    """The rows of one response by their digests, spelled as in the request.

    `ignored` counts the rows that settle nothing: they are about another digest, repeated, or
    contradicted by an earlier row.
    """

    rows: dict[str, Row]
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
        digests = [*map(_digest, parsed.failures), *map(_digest, parsed.layers)]
        given = [*map(_failure, parsed.failures), *_rows(parsed.layers)]
        if digests == self.digests:
            # Their hashes are known, unlike those of the response's own texts.
            return Settled(dict(zip(self.digests, given, strict=True)), 0)

        asked = frozenset(self.digests)
        pairs = zip(reversed(digests), reversed(given), strict=True)
        rows = {digest: row for digest, row in pairs if digest in asked}
        if not (rows or self.again):
            msg = (
                f"ECR's response mentions none of the {len(asked)} digests of the request: "
                f"it has {len(given)} rows"
            )
            raise ResponseError(msg)
        return Settled(rows, len(given) - len(rows))


def _rows(layers: list[_Layer]) -> list[Row]:
    if AVAILABILITIES_OF_ECR.issuperset(map(_availability, layers)):
        return [*map(_row, layers)]
    return [
        _row(layer) if layer["availability"] in AVAILABILITIES_OF_ECR else _unknown(layer)
        for layer in layers
    ]


def _unknown(layer: _Layer) -> Layer:
    return Layer(
        digest=layer["digest"],
        availability=LayerAvailability.UNKNOWN,
        size=layer["size"],
        media_type=layer["media_type"],
        raw_availability=layer["availability"],
    )


def _failure(failure: _Failure) -> LayerFailure:
    code = LayerFailureCode(failure["code"])
    digest, reason = failure["digest"], failure["reason"]
    if code in _CODES_OF_ECR:
        return LayerFailure(digest=digest, code=code, reason=reason)
    unknown = LayerFailureCode.UNKNOWN
    return LayerFailure(digest=digest, code=unknown, reason=reason, raw_code=failure["code"])


def _quotes(body: _Body) -> int:
    """Return the number of quotes in a response that has each member once, and none but these.

    A member has a name, and all but the size have a text. An optional one that is not given is
    None.
    """
    layers, failures = len(body.layers), len(body.failures)
    sizes = layers - [*map(_size, body.layers)].count(None)
    types = layers - [*map(_media_type, body.layers)].count(None)
    reasons = failures - [*map(_reason, body.failures)].count(None)
    names = len(body.model_fields_set) + 2 * layers + sizes + types + 2 * failures + reasons
    texts = 2 * layers + types + 2 * failures + reasons
    return 2 * (names + texts)
