"""What ECR says of one digest: `Layer`, `LayerFailure` and their enums; immutable values.

The aliases are ECR's own names. Only the wire asks for them; everywhere else, JSON included, the
fields' names hold.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field

WELL_FORMED = re.compile(r"[a-zA-Z0-9\-_+.]+:[a-fA-F0-9]+")  # ECR model: LayerDigest, a full match
_NOT_ON_THE_WIRE = (
    " "  # an alias for fields of our own: a member of tomorrow can't be taken for one
)
MAX_DIGEST_LENGTH = 1000  # ECR model: BatchedOperationLayerDigest


def is_well_formed(digest: str) -> bool:
    """Say whether ECR takes it for a digest.

    One that it does not would fail the whole batch it is in.
    """
    return len(digest) <= MAX_DIGEST_LENGTH and WELL_FORMED.fullmatch(digest) is not None


def canonical(digest: str) -> str:
    """Return the one spelling that registries hold, lower case.

    Text beyond ASCII is no digest, folds unsafely and is left alone.
    """
    return digest.lower() if digest.isascii() else digest


class LayerAvailability(StrEnum):
    """Whether a repository holds a layer.

    The values are ECR's. A value of tomorrow reads as UNKNOWN, never as an error.

    Example:
        >>> LayerAvailability("AVAILABLE"), LayerAvailability("FROZEN").name
        (<LayerAvailability.AVAILABLE: 'AVAILABLE'>, 'UNKNOWN')
    """

    AVAILABLE = "AVAILABLE"
    """Held: a push may skip it.

    It does not say that a pull works: a layer no image refers to can't be downloaded.
    """
    UNAVAILABLE = "UNAVAILABLE"
    """Not held by this repository."""
    ARCHIVED = "ARCHIVED"
    """Held only by archived images; a pull fails until it is restored or pushed again."""
    UNKNOWN = "UNKNOWN"
    """ECR said something this version does not know; see `Layer.raw_availability`."""

    @classmethod
    def _missing_(cls, value: object) -> LayerAvailability | None:
        return cls.UNKNOWN if isinstance(value, str) else None


class LayerFailureCode(StrEnum):
    """Why ECR gave no availability for a digest.

    A code of tomorrow reads as UNKNOWN, never as an error.

    Example:
        >>> LayerFailureCode("InvalidLayerDigest").name, LayerFailureCode("Tired").name
        ('INVALID_LAYER_DIGEST', 'UNKNOWN')
    """

    INVALID_LAYER_DIGEST = "InvalidLayerDigest"
    """The digest is malformed: by ECR's answer, or by its own pattern before anything was asked."""
    MISSING_LAYER_DIGEST = "MissingLayerDigest"
    """The registry has no such layer: some endpoints answer so where ECR says UNAVAILABLE."""
    NOT_REPORTED = "NotReported"
    """This library's own: ECR was asked twice and its answers never mentioned the digest."""
    UNKNOWN = "Unknown"
    """ECR gave a code this version does not know; see `LayerFailure.raw_code`."""

    @classmethod
    def _missing_(cls, value: object) -> LayerFailureCode | None:
        return cls.UNKNOWN if isinstance(value, str) else None


class Layer(BaseModel, frozen=True, validate_by_name=True, validate_by_alias=False):
    """ECR's answer for one digest.

    Of an answer of ECR's, pydantic's `model_fields_set` names all four of ECR's members, given or
    not: one set serves all layers.

    Attributes:
        digest: The digest, spelled as it was asked.
        availability: Whether the repository holds it.
        size: Bytes, where ECR says (not of a layer that is absent). Default None.
        media_type: The layer's media type, where ECR says. Default None.
        raw_availability: Only of an UNKNOWN: ECR's own spelling. Default None.
        outcome: `"layer"`; tells the two kinds of outcome apart in JSON.

    Example:
        >>> Layer(digest="sha256:" + "0" * 64, availability=LayerAvailability.AVAILABLE, size=32).is_available
        True
    """

    digest: str = Field(validation_alias="layerDigest")
    availability: LayerAvailability = Field(validation_alias="layerAvailability")
    size: int | None = Field(default=None, validation_alias="layerSize", ge=0, le=2**63 - 1)
    media_type: str | None = Field(default=None, validation_alias="mediaType")
    raw_availability: str | None = Field(default=None, validation_alias=_NOT_ON_THE_WIRE)
    outcome: Literal["layer"] = Field(
        default="layer", repr=False, validation_alias=_NOT_ON_THE_WIRE
    )

    @property
    def is_available(self) -> bool:
        """Whether a push may skip it."""
        return self.availability is LayerAvailability.AVAILABLE

    @property
    def is_absent(self) -> bool:
        """Whether the registry says that it does not hold it."""
        return self.availability is LayerAvailability.UNAVAILABLE


class LayerFailure(BaseModel, frozen=True, validate_by_name=True, validate_by_alias=False):
    """ECR's refusal of one digest; the other digests of the call are answered.

    Attributes:
        digest: The digest, spelled as it was asked.
        code: Why.
        reason: ECR's words for it, where it gives any. Default None.
        raw_code: Only of an UNKNOWN: ECR's own spelling. Default None.
        outcome: `"failure"`; tells the two kinds of outcome apart in JSON.

    Example:
        >>> LayerFailure(digest="latest", code=LayerFailureCode.INVALID_LAYER_DIGEST).is_absent
        False
    """

    digest: str = Field(validation_alias="layerDigest")
    code: LayerFailureCode = Field(validation_alias="failureCode")
    reason: str | None = Field(default=None, validation_alias="failureReason")
    raw_code: str | None = Field(default=None, validation_alias=_NOT_ON_THE_WIRE)
    outcome: Literal["failure"] = Field(
        default="failure", repr=False, validation_alias=_NOT_ON_THE_WIRE
    )

    @property
    def is_available(self) -> bool:
        """Always False; so that any outcome can be asked."""
        return False

    @property
    def is_absent(self) -> bool:
        """Whether it only says, in other words than UNAVAILABLE, that the registry does not hold a well-formed digest."""
        return self.code is LayerFailureCode.MISSING_LAYER_DIGEST and is_well_formed(self.digest)


LayerOutcome = Layer | LayerFailure
"""What became of one digest: told apart by class, and in JSON by `outcome`."""

Group = Literal["available", "archived", "absent", "undetermined"]
"""What a caller decides on.

Each outcome is of exactly one group. The views of a result have these names.
"""


def group_of(outcome: LayerOutcome) -> Group:
    """Return the group of an outcome."""
    if isinstance(outcome, LayerFailure):
        return "absent" if outcome.is_absent else "undetermined"
    return _GROUPS[outcome.availability._value_]


_GROUPS: dict[str, Group] = {
    "AVAILABLE": "available",
    "UNAVAILABLE": "absent",
    "ARCHIVED": "archived",
    "UNKNOWN": "undetermined",
}


TaggedOutcome = Annotated[LayerOutcome, Field(discriminator="outcome")]
