"""`LayerCheckResults`: the results of checks in several repositories, by repository."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from heapq import nlargest
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar, cast

from ecr_layer_client._text.plurals import counted
from ecr_layer_client._text.quoting import line
from ecr_layer_client._text.truth import no_truth_value
from ecr_layer_client.display import MOST_ROWS, Description, DisplayMixin, first_rows

from .errors import InvalidInputError, copied
from .public_repository import any_repository
from .repository import Repository
from .result import COUNTED, LayerCheckResult, result_parts, verdict
from .tables import TableMixin

if TYPE_CHECKING:
    from typing import NoReturn

    import pyarrow as pa

    from .call_errors import CallError

V = TypeVar("V")
D = TypeVar("D")

_INSTEAD_OF_TRUTH = "results.all_available, results.errors or len(results)"


class ByRepository(Mapping[str | Repository, V], Generic[V]):
    """A read-only mapping of repositories to values, in input order.

    You can look up a repository by its name, URI, ARN or `Repository`. A name is found with and
    without its Region. It is not found by a URI, because the mapping does not know the id of your
    own registry.

    Example:
        >>> found = ByRepository({Repository(name="team/app"): 1})
        >>> found["team/app"], "team/other" in found
        (1, False)
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[Repository, V]) -> None:
        """Index the values by the name and the registry id of their repositories."""
        self._values = {
            _key(repository): (repository, value) for repository, value in values.items()
        }
        if len(self._values) < len(values):
            msg = (
                "two of the repositories differ only in their Region: "
                "pass repositories of one Region"
            )
            raise InvalidInputError(msg)

    def __getitem__(self, repository: str | Repository) -> V:
        """Return the value of a repository.

        Raises:
            KeyError: The mapping has no such repository.
            InvalidInputError: The str is not a valid repository.
        """
        wanted = any_repository(repository)
        its, value = self._values.get(_key(wanted), (None, None))
        if its is None or (its.region and wanted.region and its.region != wanted.region):
            raise KeyError(str(wanted))
        return cast("V", value)

    def __contains__(self, repository: object) -> bool:
        """Return whether the mapping has the repository. False for an invalid one."""
        try:
            self[repository]  # type: ignore[index]  # an invalid repository raises an error
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
        """Return pairs of a repository and its value, in input order."""
        return cast("ItemsView[Repository, V]", super().items())

    def __len__(self) -> int:
        """Return the number of repositories."""
        return len(self._values)

    def __repr__(self) -> str:
        """Return one line of bounded length."""
        return f"<{len(self)} by repository>"


class LayerCheckResults(TableMixin, DisplayMixin):
    """The results of checks in several repositories, from `check_many` or made for tests.

    This is a mapping of repositories to `LayerCheckResult`, in input order. A repository that
    failed is not in the mapping, but in `errors`. If you look it up, its error is raised, so you
    can't mistake it for a repository without layers. As a table, there is one row for each outcome.

    Args:
        results: One result for each repository that did not fail.
        errors: The error of each repository that failed. Default none.

    Attributes:
        errors: The error of each repository that failed, in input order. The `.partial` of such an
            error has the outcomes that were received.

    Example:
        >>> app = LayerCheckResult.of("team/app", {"sha256:aa": LayerAvailability.AVAILABLE})
        >>> gone = RepositoryNotFoundError("the repository 'team/gone' does not exist")
        >>> results = LayerCheckResults([app], {"team/gone": gone})
        >>> results
        LayerCheckResults(repositories=1, outcomes=1, available=1, archived=0, absent=0,
        undetermined=0, errors=1)
        >>> results["team/app"].available
        ('sha256:aa',)
        >>> results["team/gone"]
        Traceback (most recent call last):
        ...
        ecr_layer_client._models.call_errors.RepositoryNotFoundError: the repository 'team/gone'
            does not exist
    """

    # Not a Mapping: polars reads the columns of a table from each Mapping.
    __slots__ = ("_results", "errors")

    def __init__(
        self,
        results: Iterable[LayerCheckResult],
        errors: Mapping[str, CallError] | Mapping[Repository, CallError] = {},
    ) -> None:
        """Index the results and the errors by repository."""
        results = list(results)
        self._results = ByRepository({result.repository: result for result in results})
        if len(self) < len(results):
            msg = (
                "two of the results are of the same repository: pass one result for each repository"
            )
            raise InvalidInputError(msg)

        self.errors: ByRepository[CallError] = ByRepository(
            {any_repository(name): error for name, error in errors.items()}
        )

    @property
    def all_available(self) -> bool:
        """Whether no repository failed and each holds all digests that were checked in it."""
        return not self.errors and all(result.all_available for result in self.values())

    @property
    def counts(self) -> dict[str, int]:
        """The number of digests in each group of all results, and of unanswered ones."""
        return {group: sum(result.counts[group] for result in self.values()) for group in COUNTED}

    def raise_for_errors(self) -> Self:
        """Return the results themselves.

        Raises:
            CallError: A repository failed. This is the first error. The other errors are its notes.
        """
        for first in self.errors.values():
            error = copied(first)
            for other in list(self.errors.values())[1:]:
                error.add_note(f"another error: {type(other).__name__}: {other}")
            raise error
        return self

    def _reader(self) -> pa.RecordBatchReader:
        from .record_batches import outcome_reader  # noqa: PLC0415 (optional)

        return outcome_reader((str(result.repository), result.outcomes) for result in self.values())

    def __getitem__(self, repository: str | Repository) -> LayerCheckResult:
        """Return the result of a repository.

        Raises:
            CallError: The repository failed; this is its error.
            KeyError: There is neither a result nor an error of the repository.
            InvalidInputError: The str is not a valid repository.
        """
        if repository in self.errors:
            raise copied(self.errors[repository])
        return self._results[repository]

    def __contains__(self, repository: object) -> bool:
        """Return whether the repository was answered."""
        return repository not in self.errors and repository in self._results

    def __iter__(self) -> Iterator[Repository]:
        """Iterate over the answered repositories, in input order."""
        return iter(self._results)

    def __len__(self) -> int:
        """Return the number of answered repositories."""
        return len(self._results)

    def get(
        self, repository: str | Repository, default: D | None = None
    ) -> LayerCheckResult | D | None:
        """Return the result of a repository, or a default if there is neither result nor error.

        Raises:
            CallError: The repository failed; this is its error.
            InvalidInputError: The str is not a valid repository.
        """
        try:
            return self[repository]
        except KeyError:
            return default

    def keys(self) -> KeysView[Repository]:
        """Return the answered repositories, in input order."""
        return self._results.keys()

    def values(self) -> ValuesView[LayerCheckResult]:
        """Return the results, in input order."""
        return self._results.values()

    def items(self) -> ItemsView[Repository, LayerCheckResult]:
        """Return pairs of an answered repository and its result, in input order."""
        return self._results.items()

    def __eq__(self, other: object) -> bool:
        """Compare the results and the errors."""
        return isinstance(other, LayerCheckResults) and (self._results, self.errors) == (
            other._results,
            other.errors,
        )

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # as for a mapping

    def __bool__(self) -> NoReturn:
        """Raise TypeError, because results have no truth value."""
        raise no_truth_value(self, _INSTEAD_OF_TRUTH)

    def _describe(self) -> Description:
        every = list(self.values())
        title = f"Layers of {counted(len(self) + len(self.errors), 'repository')}"
        summary = verdict(every)
        if self.errors:
            summary = f"{summary}; {counted(len(self.errors), 'repository')} failed"

        failed = map(_error_row, self.errors.items())
        lacking = [result for result in every if not result.all_available]
        most = nlargest(MOST_ROWS, lacking, key=lambda result: len(result.not_available))
        columns = ("repository", "digests", "available", "absent", "other")
        tables = (
            *first_rows("Failed", ("repository", "error", "message"), failed, len(self.errors)),
            *first_rows(
                "Repositories that lack most", columns, map(_repository_row, most), len(lacking)
            ),
        )
        return Description(title, summary, result_parts(every), tables=tables)

    def __repr__(self) -> str:
        """Return one line of bounded length, with the counts."""
        counts = {"outcomes": sum(map(len, self.values()))} | self.counts
        counts.pop("unanswered")
        shown = ", ".join(f"{name}={count}" for name, count in counts.items())
        return f"LayerCheckResults(repositories={len(self)}, {shown}, errors={len(self.errors)})"


def _key(repository: Repository) -> tuple[str, str | None]:
    return repository.name, repository.registry_id


def _error_row(failed: tuple[Repository, CallError]) -> tuple[str, ...]:
    repository, error = failed
    return line(repository), type(error).__name__, line(error, 200)


def _repository_row(result: LayerCheckResult) -> tuple[str | int, ...]:
    digests = len(result) + len(result.unanswered)
    other = len(result.not_available) - len(result.absent)
    return line(result.repository), digests, len(result.available), len(result.absent), other
