"""`Layer`, `LayerFailure` and their enums: the outcome of one digest, as immutable values."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from .digest import is_well_formed

MAX_LAYER_BYTES = 2**63 - 1  # ECR model: LayerSizeInBytes, a long


class LayerAvailability(StrEnum):
    """ECR's value for whether a repository has a layer. Any other value is read as UNKNOWN.

    Example:
        >>> LayerAvailability("AVAILABLE"), LayerAvailability("FROZEN").name
        (<LayerAvailability.AVAILABLE: 'AVAILABLE'>, 'UNKNOWN')
    """

    AVAILABLE = "AVAILABLE"
    """The repository holds the layer: a push may skip it.

    A pull may fail nevertheless: a layer that no image refers to can't be downloaded.
    """
    UNAVAILABLE = "UNAVAILABLE"
    """The repository does not hold the layer."""
    ARCHIVED = "ARCHIVED"
    """Only archived images hold the layer. A pull fails until it is restored or pushed again."""
    UNKNOWN = "UNKNOWN"
    """ECR sent a value that this version does not know; see `Layer.raw_availability`."""

    @classmethod
    def _missing_(cls, value: object) -> LayerAvailability | None:
        return cls.UNKNOWN if isinstance(value, str) else None


AVAILABILITIES_OF_ECR = frozenset(LayerAvailability) - {LayerAvailability.UNKNOWN}


class LayerFailureCode(StrEnum):
    """Why ECR gave no availability for a digest; any other code is read as UNKNOWN.

    Example:
        >>> LayerFailureCode("InvalidLayerDigest").name, LayerFailureCode("Tired").name
        ('INVALID_LAYER_DIGEST', 'UNKNOWN')
    """

    INVALID_LAYER_DIGEST = "InvalidLayerDigest"
    """The digest is malformed: ECR says so, or it does not match ECR's pattern and was not sent."""
    MISSING_LAYER_DIGEST = "MissingLayerDigest"
    """The registry has no such layer. Some endpoints send this where ECR sends UNAVAILABLE."""
    NOT_REPORTED = "NotReported"
    """Two requests had the digest, and no response did. This code is this library's own."""
    UNKNOWN = "Unknown"
    """ECR sent a code that this version does not know; see `LayerFailure.raw_code`."""

    @classmethod
    def _missing_(cls, value: object) -> LayerFailureCode | None:
        return cls.UNKNOWN if isinstance(value, str) else None


class Layer(BaseModel, frozen=True):
    """ECR's response for one digest.

    If a layer comes from a response, `model_fields_set` always names the four fields that ECR can
    send.

    Attributes:
        digest: The digest, spelled as in the input.
        availability: Whether the repository holds the layer.
        size: Bytes, if ECR gives them (not for an absent layer). Default None.
        media_type: The media type of the layer, if ECR gives it. Default None.
        raw_availability: ECR's value, if `availability` is UNKNOWN. Default None.
        outcome: `"layer"`; distinguishes the two kinds of outcome in JSON.

    Example:
        >>> layer = Layer(digest="sha256:aa", availability=LayerAvailability.AVAILABLE, size=32)
        >>> layer.is_available
        True
    """

    digest: str
    availability: LayerAvailability
    size: int | None = Field(default=None, ge=0, le=MAX_LAYER_BYTES)
    media_type: str | None = None
    raw_availability: str | None = None
    outcome: Literal["layer"] = Field(default="layer", repr=False)

    @property
    def is_available(self) -> bool:
        """Whether a push may skip the layer."""
        return self.availability is LayerAvailability.AVAILABLE

    @property
    def is_absent(self) -> bool:
        """Whether the registry says that it does not hold the layer."""
        return self.availability is LayerAvailability.UNAVAILABLE


class LayerFailure(BaseModel, frozen=True):
    """The reason why ECR gave no availability for a digest, as an outcome.

    Attributes:
        digest: The digest, spelled as in the input.
        code: Why ECR gave no availability.
        reason: ECR's explanation, if it gives one. Default None.
        raw_code: ECR's code, if `code` is UNKNOWN. Default None.
        outcome: `"failure"`; distinguishes the two kinds of outcome in JSON.

    Example:
        >>> LayerFailure(digest="latest", code=LayerFailureCode.INVALID_LAYER_DIGEST).is_absent
        False
    """

    digest: str
    code: LayerFailureCode
    reason: str | None = None
    raw_code: str | None = None
    outcome: Literal["failure"] = Field(default="failure", repr=False)

    @property
    def is_available(self) -> bool:
        """Always False. Every outcome has this property."""
        return False

    @property
    def is_absent(self) -> bool:
        """Whether the failure only means that the registry does not hold a well-formed digest."""
        return self.code is LayerFailureCode.MISSING_LAYER_DIGEST and is_well_formed(self.digest)


LayerOutcome = Layer | LayerFailure
"""The outcome of one digest. In Python its class distinguishes the two, in JSON its `outcome`."""

Group = Literal["available", "archived", "absent", "undetermined"]
"""The group of an outcome. The views of a result have these names."""

GROUPS: dict[str, Group] = {
    "AVAILABLE": "available",
    "ARCHIVED": "archived",
    "UNAVAILABLE": "absent",
    "UNKNOWN": "undetermined",
}
"""The group of each availability."""


def group_of(outcome: LayerOutcome) -> Group:
    """Return the one group of an outcome, by which a caller decides what to do."""
    if isinstance(outcome, LayerFailure):
        return "absent" if outcome.is_absent else "undetermined"
    return GROUPS[outcome.availability._value_]


TaggedOutcome = Annotated[LayerOutcome, Field(discriminator="outcome")]
