"""`LayerCheckResults`: what became of the digests asked of several repositories, by repository."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping
from heapq import nlargest
from itertools import chain
from typing import TYPE_CHECKING, Generic, Self, TypeVar, cast

from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import line
from ecr_layer_client._text.truth import no_truth_value
from ecr_layer_client.display import MOST_ROWS, Description, DisplayMixin, Table, first_rows

from .errors import InvalidInputError, copied
from .repository import Repository
from .result import LayerCheckResult, result_parts, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    import pandas as pd

    from .call_errors import CallError
    from .layer import LayerOutcome

V = TypeVar("V")

_INSTEAD_OF_TRUTH = "results.all_available, results.errors or len(results)"


class ByRepository(Mapping[str | Repository, V], Generic[V]):
    """A read-only mapping that finds a repository by its name, URI, ARN or `Repository`, in input order.

    A name and the same name with the Region are one; a name and a URI, which says the registry, are
    not: which registry is the caller's own is not known here.

    Example:
        >>> found = ByRepository({Repository(name="team/app"): 1})
        >>> found["team/app"], "team/other" in found
        (1, False)
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[Repository, V]) -> None:
        """Index the values by what tells their repositories from others."""
        self._values = {
            _key(repository): (repository, value) for repository, value in values.items()
        }
        if len(self._values) < len(values):
            msg = "two of the repositories differ in their Region alone: what one client finds is of one Region"
            raise InvalidInputError(msg)

    def __getitem__(self, repository: str | Repository) -> V:
        """Return the repository's value.

        Raises:
            InvalidInputError: It is a str that names none.
        """
        wanted = Repository.coerce(repository)
        found = self._values.get(_key(wanted))
        if found is None or (wanted.region or found[0].region) != (
            found[0].region or wanted.region
        ):
            raise KeyError(str(wanted))
        return found[1]

    def __contains__(self, repository: object) -> bool:
        """Say whether it is there; what names no repository is not."""
        try:
            self[repository]  # type: ignore[index]  # what names no repository is refused
        except (KeyError, InvalidInputError):
            return False
        return True

    def __iter__(self) -> Iterator[Repository]:
        """Iterate over the repositories, in input order."""
        return (repository for repository, _ in self._values.values())

    def keys(self) -> KeysView[Repository]:
        """Return the repositories, in input order."""
        return cast("KeysView[Repository]", super().keys())

    def items(self) -> ItemsView[Repository, V]:
        """Return pairs of repository and value, in input order."""
        return cast("ItemsView[Repository, V]", super().items())

    def __len__(self) -> int:
        """Count the repositories."""
        return len(self._values)

    def __repr__(self) -> str:
        """Return one bounded line."""
        return f"<{len(self)} by repository>"


class LayerCheckResults(DisplayMixin, ByRepository[LayerCheckResult]):
    """What became of the digests asked of several repositories.

    Made by `check_many`, or by hand for tests.

    A read-only mapping of each repository that was answered to its `LayerCheckResult`, in input
    order. One that failed is not in it: it is in `errors`, and asking for it raises its error, so
    that it can't pass for one without layers.

    Args:
        results: One for each repository that was answered.
        errors: Of each repository that failed, its error. Default none.

    Attributes:
        errors: Of each repository that failed, its error, whose `.partial` keeps what was answered
            all the same; in input order.

    Example:
        >>> app = LayerCheckResult.of("team/app", {"sha256:aa": LayerAvailability.AVAILABLE})
        >>> results = LayerCheckResults([app], {"team/gone": RepositoryNotFoundError("there is no repository 'team/gone'")})
        >>> results
        LayerCheckResults(repositories=1, outcomes=1, available=1, archived=0, absent=0,
        undetermined=0, errors=1)
        >>> results["team/app"].available
        ('sha256:aa',)
        >>> results["team/gone"]
        Traceback (most recent call last):
        ...
        ecr_layer_client._models.call_errors.RepositoryNotFoundError: there is no repository
            'team/gone'
    """

    __slots__ = ("errors",)

    def __init__(
        self,
        results: Iterable[LayerCheckResult],
        errors: Mapping[str, CallError] | Mapping[Repository, CallError] = {},
    ) -> None:
        """Index both by repository."""
        results = list(results)
        super().__init__({result.repository: result for result in results})
        if len(self) < len(results):
            msg = "two of the results are of one repository: give one for each"
            raise InvalidInputError(msg)
        self.errors: ByRepository[CallError] = ByRepository(
            {Repository.coerce(name): error for name, error in errors.items()}
        )

    @property
    def all_available(self) -> bool:
        """Whether every repository was answered and holds every digest that was asked of it.

        True when nothing was asked.
        """
        return not self.errors and all(result.all_available for result in self.values())

    def raise_for_errors(self) -> Self:
        """Return the results themselves, unless a repository failed.

        Raises:
            CallError: The first repository's error; those of the others are its notes.
        """
        for first in self.errors.values():
            error = copied(first)
            for other in list(self.errors.values())[1:]:
                error.add_note(f"then: {type(other).__name__}: {other}")
            raise error
        return self

    def to_pandas(self) -> pd.DataFrame:
        """Return a pandas DataFrame, one row an outcome of a repository that was answered.

        Needs pandas and the extra `arrow`.

        Raises:
            ImportError: One of them is not installed.
        """
        from .record_batches import outcome_reader, to_pandas  # noqa: PLC0415 (optional)

        return to_pandas(outcome_reader(self._by_name()))

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Give a table to whatever takes an Arrow stream, one row an outcome of a repository that was answered. Needs the extra `arrow`.

        Raises:
            ImportError: It is not installed.
            ValueError: `requested_schema` asks for other columns; other types of the same columns
                are given as far as Arrow can cast.
        """
        from .record_batches import outcome_reader, stream  # noqa: PLC0415 (optional)

        return stream(outcome_reader(self._by_name()), requested_schema)

    def _by_name(self) -> Iterator[tuple[str, Sequence[LayerOutcome]]]:
        return ((str(result.repository), result.outcomes) for result in self.values())

    def __getitem__(self, repository: str | Repository) -> LayerCheckResult:
        """Return the repository's result.

        Raises:
            CallError: The repository's own.
            InvalidInputError: It is a str that names none.
        """
        if repository in self.errors:
            raise copied(self.errors[repository])
        return super().__getitem__(repository)

    def __contains__(self, repository: object) -> bool:
        """Say whether the repository was answered."""
        return repository not in self.errors and super().__contains__(repository)

    def __eq__(self, other: object) -> bool:
        """Compare results and errors."""
        return (
            isinstance(other, LayerCheckResults)
            and dict(self) == dict(other)
            and dict(self.errors) == dict(other.errors)
        )

    __hash__ = None  # type: ignore[assignment]  # as of every mapping

    def __bool__(self) -> NoReturn:
        """Refuse: results have no truth value.

        Raises:
            TypeError: Always.
        """
        raise no_truth_value(self, _INSTEAD_OF_TRUTH)

    def _describe(self) -> Description:
        every = list(self.values())
        lacking = [result for result in every if not result.all_available]
        title = f"Layers of {counted(len(self) + len(self.errors), 'repository')}"

        summary = verdict(every)
        if self.errors:
            summary = f"{summary}; {counted(len(self.errors), 'repository')} failed"

        most = nlargest(MOST_ROWS, lacking, key=lambda result: len(result.not_available))
        columns = ("repository", "asked", "available", "absent", "other")
        incomplete = first_rows(
            "Repositories that lack most", columns, map(_repository_row, most), len(lacking)
        )
        tables = tuple(chain(error_tables(self.errors), incomplete))
        return Description(title, summary, result_parts(every), tables=tables)

    def __repr__(self) -> str:
        """Return one bounded line of counts."""
        counts = {
            name: sum(len(getattr(result, name)) for result in self.values())
            for name in ("outcomes", "available", "archived", "absent", "undetermined")
        }
        shown = ", ".join(f"{name}={count}" for name, count in counts.items())
        return f"LayerCheckResults(repositories={len(self)}, {shown}, errors={len(self.errors)})"


def _key(repository: Repository) -> tuple[str, str | None]:
    return repository.name, repository.registry_id


def error_tables(errors: ByRepository[CallError]) -> Iterator[Table]:
    """Yield a table of the first errors, if there are any."""
    rows = (
        (line(repository), type(error).__name__, line(error, 200))
        for repository, error in errors.items()
    )
    return first_rows("Failed", ("repository", "error", "message"), rows, len(errors))


def _repository_row(result: LayerCheckResult) -> tuple[str | int, ...]:
    asked = len(result) + len(result.unanswered)
    other = len(result.not_available) - len(result.absent)
    return line(result.repository), asked, len(result.available), len(result.absent), other
