"""The options of `ecr.faults.add`, validated: what a fault does, and to which requests."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Self, TypedDict

from pydantic import BaseModel, Field, ValidationError, model_validator

from ecr_layer_client._text.validation_errors import first_problem

from ._aws_model import error_codes
from ._protocol import GET_LAYER
from ._registry.errors import COMMON_CODES
from ._registry.public import ALL_OPERATIONS

REDIRECTS = (301, 302, 303, 307, 308)
BODILESS = (204, 205, 304)

_SERVED = (*ALL_OPERATIONS, GET_LAYER)

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
# The URL becomes the value of a header, so that it must be printable ASCII.
URL = Annotated[str, Field(pattern=r"^[!-~]+$")]


class FaultOptions(TypedDict, total=False):
    """The options of `ecr.faults.add`, for type checkers."""

    operation: str | None
    times: int | None
    after: int
    probability: float
    latency: float | tuple[float, float] | None
    error: str | None
    message: str | None
    status: int | None
    body: bytes | None
    redirect_to: str | None
    reset: bool
    cut_at: int | None
    drip: float | None
    shuffle: bool
    drop_rows: int
    double_rows: int
    accept_bytes: int | None
    lose_layer: str | None


class Script(BaseModel, frozen=True, extra="forbid", strict=True):
    """The options of one fault. `Faults.add` documents each of them."""

    operation: str | None = None
    times: Count | None = None
    after: Annotated[int, Field(ge=0)] = 0
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    latency: Seconds | tuple[Seconds, Seconds] | None = None
    error: Text | None = None
    message: str | None = None
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    body: bytes | None = None
    redirect_to: URL | None = None
    reset: bool = False
    cut_at: Annotated[int, Field(ge=0)] | None = None
    drip: Rate | None = None
    shuffle: bool = False
    drop_rows: Annotated[int, Field(ge=0)] = 0
    double_rows: Annotated[int, Field(ge=0)] = 0
    accept_bytes: Count | None = None
    lose_layer: Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")] | None = None

    @property
    def hangs_up(self) -> bool:
        """Whether the fault resets the connection before any response."""
        return self.reset and self.cut_at is None

    @property
    def answers(self) -> bool:
        """Whether the fault responds in place of the registry."""
        return any(
            value is not None for value in (self.error, self.status, self.body, self.redirect_to)
        )

    @property
    def changes_request(self) -> bool:
        """Whether the fault changes what the registry does with the request."""
        return self.accept_bytes is not None or self.lose_layer is not None

    @property
    def changes_rows(self) -> bool:
        """Whether the fault reorders, drops or doubles rows of the registry's response."""
        return self.shuffle or self.drop_rows > 0 or self.double_rows > 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        # A code of the caller's own has no status of AWS, so that `status` shows the intention.
        if self.error is not None and self.status is None:
            _check_code(self.error)
        for is_wrong, why in (*self._checks_of_values(), *self._checks_of_combinations()):
            if is_wrong:
                raise ValueError(why)
        return self

    def _checks_of_values(self) -> tuple[tuple[bool, str], ...]:
        return (
            (
                self.operation not in {None, *_SERVED},
                f"operation={self.operation!r:.200} is not served: use one of {', '.join(_SERVED)}",
            ),
            (
                isinstance(self.latency, tuple) and self.latency[0] > self.latency[1],
                f"latency={self.latency} must be (low, high), with the lower number first",
            ),
            (
                self.status in BODILESS,
                f"status={self.status} has no body: every response of this API has one",
            ),
        )

    def _checks_of_combinations(self) -> tuple[tuple[bool, str], ...]:
        answers = [
            name for name in ("error", "body", "redirect_to") if getattr(self, name) is not None
        ]
        shapes = self.cut_at is not None or self.drip is not None
        needs_registry = self.changes_rows or self.changes_request
        is_quiet = not (
            self.answers or shapes or self.reset or needs_registry or self.latency is not None
        )

        return (
            (
                is_quiet,
                (
                    "a fault must do something: give latency, error, status, body, redirect_to, "
                    "reset, cut_at, drip, shuffle, drop_rows, double_rows, accept_bytes or "
                    "lose_layer"
                ),
            ),
            (
                len(answers) > 1,
                f"{' and '.join(answers)} exclude each other: a request has one response",
            ),
            (
                self.message is not None and self.error is None,
                "message needs error: message is the text of that error",
            ),
            (
                self.redirect_to is not None and self.status not in {None, *REDIRECTS},
                f"redirect_to needs a status of {REDIRECTS}",
            ),
            (
                self.hangs_up and (self.answers or self.drip is not None),
                (
                    "reset without cut_at sends no response: remove error, status, body, "
                    "redirect_to and drip, or add cut_at"
                ),
            ),
            (
                needs_registry and (self.answers or self.hangs_up),
                (
                    "shuffle, drop_rows, double_rows, accept_bytes and lose_layer need the "
                    "registry's own response: remove error, status, body, redirect_to and reset"
                ),
            ),
            (
                self.accept_bytes is not None and self.operation != "UploadLayerPart",
                "accept_bytes needs operation='UploadLayerPart': only a part has bytes to accept",
            ),
            (
                self.lose_layer is not None and self.operation != "PutImage",
                "lose_layer needs operation='PutImage': the repository loses the layer before it",
            ),
        )


def _check_code(code: str) -> None:
    known = {*COMMON_CODES, *error_codes()}
    if code not in known:
        (nearest,) = get_close_matches(code, known, n=1, cutoff=0)
        why = (
            f"error={code!r:.200} is not an error code of ECR or AWS: the nearest one is "
            f"{nearest!r}. For a code of your own, give status, too"
        )
        raise ValueError(why)


def script_of(options: dict[str, Any]) -> Script:
    """Return the script with these options.

    Raises ValueError that names the value and the rule it breaks.

    >>> script_of({"error": "ThrottlingException", "times": 0})
    Traceback (most recent call last):
    ...
    ValueError: times=0: Input should be greater than or equal to 1
    """
    try:
        return Script(**options)
    except ValidationError as error:
        raise ValueError(_message(error)) from None


def _message(error: ValidationError) -> str:
    where, message, value, kind = first_problem(error)
    if kind == "value_error":
        return message

    name = where.partition(".")[0]
    if kind == "extra_forbidden":
        return f"a fault has no option {name!r}: use one of {', '.join(Script.model_fields)}"
    return f"{name}={value!r:.200}: {message}"
