"""What a fault does, and to which requests: the options of `ecr.faults.add`, checked."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypedDict

from pydantic import BaseModel, Field, ValidationError, model_validator

from ecr_layer_client._text.validation import first_problem

from ._protocol import GET_LAYER
from ._registry.registry import OPERATIONS

REDIRECTS = (301, 302, 303, 307, 308)
BODILESS = (204, 205, 304)

_SERVED = (*OPERATIONS, GET_LAYER)

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
URL = Annotated[str, Field(pattern=r"^[!-~]+$")]  # it becomes a header


class FaultOptions(TypedDict, total=False):
    """What `ecr.faults.add` takes: the options of `Script`, for type checkers."""

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


class Script(BaseModel, frozen=True, extra="forbid", strict=True):
    """One fault's options; `Faults.add` says what each means."""

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

    @property
    def hangs_up(self) -> bool:
        """Whether the connection is reset before any answer."""
        return self.reset and self.cut_at is None

    @property
    def answers(self) -> bool:
        """Whether it answers in the registry's place."""
        return any(
            value is not None for value in (self.error, self.status, self.body, self.redirect_to)
        )

    @property
    def changes_rows(self) -> bool:
        """Whether it moves, drops or doubles rows of the registry's answer."""
        return self.shuffle or self.drop_rows > 0 or self.double_rows > 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        for is_wrong, why in (*self._checks_of_values(), *self._checks_of_combinations()):
            if is_wrong:
                raise ValueError(why)
        return self

    def _checks_of_values(self) -> tuple[tuple[bool, str], ...]:
        return (
            (
                self.operation not in {None, *_SERVED},
                f"operation={self.operation!r:.200} is not served: {', '.join(_SERVED)} are",
            ),
            (
                isinstance(self.latency, tuple) and self.latency[0] > self.latency[1],
                f"latency={self.latency} is (low, high)",
            ),
            (
                self.status in BODILESS,
                f"status={self.status} has no body: an answer of this API has one",
            ),
        )

    def _checks_of_combinations(self) -> tuple[tuple[bool, str], ...]:
        answers = [
            name for name in ("error", "body", "redirect_to") if getattr(self, name) is not None
        ]
        shapes = self.cut_at is not None or self.drip is not None
        is_quiet = not (
            self.answers or shapes or self.reset or self.changes_rows or self.latency is not None
        )
        return (
            (
                is_quiet,
                "a fault has to do something: latency, error, status, body, redirect_to, reset, cut_at, drip or a change of rows",
            ),
            (
                len(answers) > 1,
                f"{' and '.join(answers)} exclude each other: a request has one answer",
            ),
            (
                self.message is not None and self.error is None,
                "message is the message of error, which is missing",
            ),
            (
                self.redirect_to is not None and self.status not in {None, *REDIRECTS},
                f"redirect_to goes with a status of {REDIRECTS}",
            ),
            (
                self.hangs_up and (self.answers or self.drip is not None),
                "reset without cut_at leaves no answer to give or to drip",
            ),
            (
                self.changes_rows and (self.answers or self.hangs_up),
                "only the registry's own answer has rows to change",
            ),
        )


def script_of(options: dict[str, Any]) -> Script:
    """Return the script that these options make.

    Raises ValueError that names the value and the rule it breaks.

    >>> script_of({"error": "ThrottlingException", "times": 0})
    Traceback (most recent call last):
    ...
    ValueError: times=0: Input should be greater than or equal to 1
    """
    try:
        return Script(**options)
    except ValidationError as error:
        raise ValueError(_refusal(error)) from None


def _refusal(error: ValidationError) -> str:
    where, message, value, kind = first_problem(error)
    if kind == "value_error":
        return message

    name = where.partition(".")[0]
    if kind == "extra_forbidden":
        return f"a fault has no option {name!r}: it has {', '.join(Script.model_fields)}"
    return f"{name}={value!r:.200}: {message}"
