"""`LayerCheckResult`: the outcome of each digest, in input order, and views by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self, cast, get_args

from pydantic import BaseModel, computed_field, model_validator

from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import escaped, line, quoted, short
from ecr_layer_client._text.truth import no_truth_value
from ecr_layer_client.display import MOST_ROWS, Description, DisplayMixin, Part, Tone, first_rows

from .digest import canonical
from .errors import ECRLayerError, InvalidInputError
from .layer import (
    Group,
    Layer,
    LayerAvailability,
    LayerFailure,
    LayerFailureCode,
    LayerOutcome,
    group_of,
)
from .outcomes import Outcomes, Row
from .public_repository import AnyRepository, any_repository
from .tables import TableMixin

if TYPE_CHECKING:
    from typing import NoReturn

    import pyarrow as pa
    from pydantic import ModelWrapValidatorHandler

    from .repository import Repository

# An error names this many digests, and only counts the others.
_MAX_DIGESTS_NAMED = 3

_INSTEAD_OF_TRUTH = "result.all_available, or len(result)"
_TONES = {
    "available": Tone.GOOD,
    "archived": Tone.HELD,
    "absent": Tone.NEW,
    "undetermined": Tone.BAD,
    "unanswered": Tone.REST,
}
COUNTED = tuple(_TONES)


class OutcomesByDigest(Mapping[str, LayerOutcome]):
    """A read-only mapping of digests to outcomes, in input order.

    You can look up a digest in upper or lower case.
    """

    __slots__ = ("_indices", "_outcomes")

    def __init__(self, outcomes: Iterable[LayerOutcome]) -> None:
        """Index the outcomes by their digests in lower case."""
        self._outcomes = Outcomes.of(outcomes)
        digests = self._outcomes.digests
        self._indices = {canonical(digest): index for index, digest in enumerate(digests)}

    def __getitem__(self, digest: str) -> LayerOutcome:
        """Return the outcome of a digest, in upper or lower case."""
        index = self._indices.get(canonical(digest)) if isinstance(digest, str) else None
        if index is None:
            raise KeyError(digest)
        return self._outcomes[index]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the digests, spelled as in the input."""
        return (self._outcomes.digests[index] for index in self._indices.values())

    def __len__(self) -> int:
        """Return the number of digests."""
        return len(self._indices)

    def __repr__(self) -> str:
        """Return one line of bounded length."""
        return f"<{len(self)} outcomes by digest>"


class LayerFailuresError(ECRLayerError):
    """A result has failures that do not mean "absent", or layers that are not available.

    Attributes:
        result: The result.
    """

    def __init__(self, message: str, result: LayerCheckResult) -> None:
        super().__init__(message)
        self.result = result


class LayerCheckResult(TableMixin, DisplayMixin, BaseModel, frozen=True, extra="forbid"):
    """The outcome of each distinct digest that was checked in one repository, in input order.

    Each answered digest is in exactly one of `available`, `archived`, `absent` and `undetermined`.

    A result has a length, iterates over its outcomes, and finds an outcome by its digest
    (`result[digest]`, `digest in result`). It has no truth value: use `all_available`. As a table,
    it has one row for each outcome.

    Attributes:
        repository: The repository that was checked.
        outcomes: One outcome for each distinct digest, in input order.
        unanswered: The digests that were read from the input but have no outcome. Only the
            `.partial` of a `CallError` has them.

    Example:
        >>> held, new = "sha256:" + "a" * 64, "sha256:" + "b" * 64
        >>> result = LayerCheckResult.of(
        ...     "team/app",
        ...     {held: LayerAvailability.AVAILABLE, new: LayerAvailability.UNAVAILABLE},
        ... )
        >>> result
        LayerCheckResult(repository='team/app', outcomes=2, available=1, archived=0, absent=1,
        undetermined=0)
        >>> result.absent == (new,), result.all_available, result[held].is_available
        (True, False, True)
    """

    repository: AnyRepository
    outcomes: Annotated[Sequence[LayerOutcome], Outcomes]
    unanswered: tuple[str, ...] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _check_groups(cls, given: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """Accept the groups that JSON of a result has, if they agree with the outcomes."""
        groups: dict[str, Any] = {}
        if isinstance(given, Mapping):
            members = cast("Mapping[str, Any]", given)
            groups = {name: members[name] for name in get_args(Group) if name in members}
            given = {name: value for name, value in members.items() if name not in groups}

        result = read(given)
        for name, digests in groups.items():
            if digests != [*getattr(result, name)] and digests != getattr(result, name):
                msg = f"{name}={quoted(digests)} does not agree with the outcomes"
                raise ValueError(msg)
        return result

    @classmethod
    def of(
        cls,
        repository: str | Repository,
        outcomes: Mapping[str, LayerOutcome | LayerAvailability | LayerFailureCode],
    ) -> Self:
        """Make a result yourself, for tests of code that takes a result.

        Args:
            repository: A name, a registry URI, an ARN or a `Repository`.
            outcomes: A mapping of digests. The value of a digest is its outcome, its availability
                or its failure code.

        Raises:
            InvalidInputError: The repository is not valid, a digest is given in two letter cases,
                or an outcome has another digest than its key.

        Example:
            >>> outcomes = {"sha256:aa": LayerFailureCode.NOT_REPORTED}
            >>> LayerCheckResult.of("team/app", outcomes).undetermined
            ('sha256:aa',)
        """
        made = Outcomes.of(outcomes_from_mapping(outcomes, "outcomes").values())
        return cls(repository=any_repository(repository), outcomes=made)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The outcomes that are layers, in input order."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Layer))

    @cached_property
    def failures(self) -> tuple[LayerFailure, ...]:
        """The outcomes that are failures, in input order."""
        return tuple(row for row in self._held.rows if isinstance(row, LayerFailure))

    @computed_field  # type: ignore[prop-decorator]  # pydantic's own advice
    @cached_property
    def available(self) -> tuple[str, ...]:
        """The digests that the repository holds. A push may skip them."""
        return self._groups["available"]

    @computed_field  # type: ignore[prop-decorator]  # as above
    @cached_property
    def archived(self) -> tuple[str, ...]:
        """The digests that only archived images hold. A pull fails until they are restored."""
        return self._groups["archived"]

    @computed_field  # type: ignore[prop-decorator]  # as above
    @cached_property
    def absent(self) -> tuple[str, ...]:
        """The digests that the registry says it does not hold. Upload these."""
        return self._groups["absent"]

    @computed_field  # type: ignore[prop-decorator]  # as above
    @cached_property
    def undetermined(self) -> tuple[str, ...]:
        """The digests with a failure other than "absent", or with an unknown availability."""
        return self._groups["undetermined"]

    @property
    def counts(self) -> dict[str, int]:
        """The number of digests in each group, and of unanswered ones.

        Example:
            >>> LayerCheckResult.of("app", {"sha256:aa": LayerAvailability.AVAILABLE}).counts
            {'available': 1, 'archived': 0, 'absent': 0, 'undetermined': 0, 'unanswered': 0}
        """
        return {group: len(getattr(self, group)) for group in COUNTED}

    @property
    def all_available(self) -> bool:
        """Whether the repository holds every digest that was checked. True if there were none."""
        return not self.not_available

    @cached_property
    def not_available(self) -> tuple[str, ...]:
        """All digests that are not available, the unanswered ones included."""
        available = set(self.available)
        lacking = (digest for digest in self._held.digests if digest not in available)
        return (*lacking, *self.unanswered)

    @cached_property
    def by_digest(self) -> OutcomesByDigest:
        """The outcomes by digest. You can look up a digest in upper or lower case."""
        return OutcomesByDigest(self._held)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some members changed. The copy has its own views."""
        copied = super().model_copy(update=update, deep=deep)
        for view in vars(copied).keys() - type(self).model_fields.keys():
            vars(copied).pop(view)
        return copied

    def raise_for_failures(self) -> Self:
        """Return the result itself.

        Raises:
            LayerFailuresError: The result has failures that do not mean "absent".
        """
        failed = [failure for failure in self.failures if not failure.is_absent]
        if failed:
            shown = [
                f"{quoted(failure.digest)} ({escaped(failure.raw_code or failure.code)})"
                for failure in failed
            ]
            self._fail(shown, "could not be determined", "see .failures for the reasons")
        return self

    def raise_if_not_available(self) -> Self:
        """Return the result itself.

        Raises:
            LayerFailuresError: A digest is absent, archived, undetermined or unanswered.
        """
        if self.not_available:
            shown = [quoted(digest) for digest in self.not_available]
            self._fail(shown, "are not available", ".not_available has all of them")
        return self

    def _reader(self) -> pa.RecordBatchReader:
        from .record_batches import outcome_reader  # noqa: PLC0415 (optional)

        return outcome_reader([(str(self.repository), self.outcomes)])

    def _fail(self, shown: list[str], what: str, advice: str) -> NoReturn:
        total = len(self) + len(self.unanswered)
        more = ", ..." if len(shown) > _MAX_DIGESTS_NAMED else ""
        named = ", ".join(shown[:_MAX_DIGESTS_NAMED]) + more
        msg = f"{len(shown)} of {total} layers of {self.repository} {what}: {named}; {advice}"
        raise LayerFailuresError(msg, self)

    @property
    def _held(self) -> Outcomes:
        return Outcomes.of(self.outcomes)

    @cached_property
    def _groups(self) -> dict[Group, tuple[str, ...]]:
        return {group: tuple(digests) for group, digests in self._held.groups.items()}

    def __getitem__(self, digest: str) -> LayerOutcome:
        """Return the outcome of a digest, in upper or lower case."""
        return self.by_digest[digest]

    def __contains__(self, digest: object) -> bool:
        """Return whether there is an outcome for the digest."""
        return digest in self.by_digest

    def __len__(self) -> int:
        """Return the number of outcomes."""
        return len(self.outcomes)

    # A pydantic model iterates over its fields, and a result over its outcomes.
    def __iter__(self) -> Iterator[LayerOutcome]:  # type: ignore[override]
        """Iterate over the outcomes, in input order."""
        return iter(self.outcomes)

    def __bool__(self) -> bool:
        """Raise TypeError, because a result has no truth value."""
        raise no_truth_value(self, _INSTEAD_OF_TRUTH)

    def _describe(self) -> Description:
        unclear = map(self.__getitem__, self.undetermined[:MOST_ROWS])
        tables = first_rows(
            "Undetermined",
            ("digest", "response", "reason"),
            map(_unclear_row, unclear),
            len(self.undetermined),
        )
        title = f"Layers of {line(self.repository)}"
        return Description(title, verdict([self]), result_parts([self]), tables=tuple(tables))

    def __repr_args__(self) -> Iterator[tuple[str, object]]:
        """Yield the repository and the counts, for a line of bounded length."""
        yield "repository", str(self.repository)
        for name in ("outcomes", "available", "archived", "absent", "undetermined"):
            yield name, len(getattr(self, name))
        if self.unanswered:
            yield "unanswered", len(self.unanswered)

    def __str__(self) -> str:
        """Return one line of bounded length, with the counts."""
        return repr(self)


def result_of(
    repository: Repository,
    digests: Iterable[str],
    rows: Mapping[str, Row],
    unanswered: Iterable[str],
) -> LayerCheckResult:
    """Return a result of the digests that have a row, in order. Each row is of one of the digests.

    It is not validated again: its parts are this library's own.
    """
    answered = tuple(digests)
    if len(rows) < len(answered):
        answered = tuple([digest for digest in answered if digest in rows])
    outcomes = Outcomes(answered, tuple(map(rows.__getitem__, answered)))
    return LayerCheckResult.model_construct(
        repository=repository, outcomes=outcomes, unanswered=tuple(unanswered)
    )


def outcomes_from_mapping(
    given: Mapping[str, LayerOutcome | LayerAvailability | LayerFailureCode], name: str
) -> dict[str, LayerOutcome]:
    """Return the outcomes of a mapping by digest, in lower case.

    Raises:
        InvalidInputError: `given` is not a mapping of digests, has a digest in two letter cases, or
            has an outcome with another digest than its key.
    """
    if not isinstance(given, Mapping) or not all(isinstance(digest, str) for digest in given):
        msg = f"{name}={quoted(given)} must be a mapping of digests, each a str, to their outcomes"
        raise InvalidInputError(msg)

    made = {canonical(digest): _outcome(digest, value) for digest, value in given.items()}
    if len(made) < len(given):
        [(twice, _)] = Counter(map(canonical, given)).most_common(1)
        msg = f"{quoted(twice)} is given twice, in upper and lower case: give each digest once"
        raise InvalidInputError(msg)
    return made


def _outcome(digest: str, value: Any) -> LayerOutcome:
    if isinstance(value, LayerAvailability):
        return Layer(digest=digest, availability=value)
    if isinstance(value, LayerFailureCode):
        return LayerFailure(digest=digest, code=value)
    if isinstance(value, LayerOutcome) and value.digest == digest:
        return value

    msg = (
        f"the outcome of {quoted(digest)} must be a Layer or a LayerFailure with this digest, "
        f"a LayerAvailability or a LayerFailureCode, not {quoted(value)}"
    )
    raise InvalidInputError(msg)


def verdict(results: Sequence[LayerCheckResult]) -> str:
    """Return how many layers are available, in a few words."""
    total = sum(len(result) + len(result.unanswered) for result in results)
    available = sum(len(result.available) for result in results)

    if not total:
        return "nothing was checked"
    if available == total:
        return f"{'all ' if total > 1 else ''}{counted(total, 'layer')} available"
    return f"{available:,} of {counted(total, 'layer')} available"


def result_parts(results: Sequence[LayerCheckResult]) -> tuple[Part, ...]:
    """Return the groups of all results together, with the sizes that ECR gave."""
    sizes: dict[str, int] = {}
    for outcome in (outcome for result in results for outcome in result):
        if isinstance(outcome, Layer) and outcome.size is not None:
            group = group_of(outcome)
            sizes[group] = sizes.get(group, 0) + outcome.size

    return tuple(
        Part(name, tone, sum(len(getattr(result, name)) for result in results), sizes.get(name))
        for name, tone in _TONES.items()
    )


def _unclear_row(outcome: LayerOutcome) -> tuple[str, str, str]:
    if isinstance(outcome, LayerFailure):
        response, reason = outcome.raw_code or outcome.code, outcome.reason or ""
    else:
        response, reason = outcome.raw_availability or outcome.availability, ""
    return short(outcome.digest), line(response), line(reason)
